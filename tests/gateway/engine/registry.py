"""A registry of one image, served on loopback: enough of the distribution protocol for a pull."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
NAME = "team/app"


def digest_of(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


@dataclass
class Registry:
    """Tags and blobs; ``push`` makes an image whose one layer holds one file."""

    address: str = ""
    tags: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    broken: bool = False

    @property
    def image(self) -> str:
        return f"{self.address}/{NAME}"

    def push(self, tag: str, content: str, **config: object) -> str:
        """Put an image under a tag and return its digest."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as layer:
            entry = tarfile.TarInfo("content")
            entry.size = len(content)
            layer.addfile(entry, io.BytesIO(content.encode()))
        packed = gzip.compress(archive.getvalue(), mtime=0)
        described = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": ["/content"], **config},
                "rootfs": {"type": "layers", "diff_ids": [digest_of(archive.getvalue())]},
            }
        ).encode()
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": self._blob("application/vnd.docker.container.image.v1+json", described),
                "layers": [self._blob("application/vnd.docker.image.rootfs.diff.tar.gzip", packed)],
            }
        ).encode()
        self.tags[tag] = self.blobs[digest_of(manifest)] = manifest
        return digest_of(manifest)

    def _blob(self, kind: str, content: bytes) -> dict[str, object]:
        self.blobs[digest_of(content)] = content
        return {"mediaType": kind, "size": len(content), "digest": digest_of(content)}

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        kind, _, reference = request.path.removeprefix(f"/v2/{NAME}/").partition("/")
        if request.path == "/v2/":
            return web.json_response({})
        if self.broken:
            return web.json_response({"errors": [{"code": "UNKNOWN", "message": "broken"}]}, status=500)
        if kind == "tags":
            return web.json_response({"name": NAME, "tags": sorted(self.tags)})
        content = self.tags.get(reference) or self.blobs.get(reference)
        if content is None:
            return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "unknown"}]}, status=404)
        media = MANIFEST if kind == "manifests" else "application/octet-stream"
        headers = {"Docker-Content-Digest": digest_of(content), "Content-Type": media}
        return web.Response(body=content, headers=headers)


@asynccontextmanager
async def serving() -> AsyncIterator[Registry]:
    """Serve an empty registry on a free port of loopback, which engines take without TLS."""
    registry = Registry()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", registry.serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    registry.address = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield registry
    finally:
        await runner.cleanup()
