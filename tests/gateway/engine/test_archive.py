"""Paths inside containers: on a real engine, and archives that lie on a scripted one."""

import asyncio
import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from tests.gateway.conftest import eventually
from tests.gateway.engine.conftest import Docker, scripted_engine
from wingman_core.command import parse
from wingman_core.errors import TargetRefused, Unavailable
from wingman_core.observation import PathState
from wingman_core.target import Reference, Target
from wingman_gateway.engine import Engine, EngineRefused, archive

WEB = Target(Reference("container", "web"), "a" * 64, name="web")
SCRIPT = """
mkdir -p /t/dir; printf hello >/t/file; : >/t/empty; ln -s /etc/shadow /t/link; mkfifo /t/pipe
printf x >'/t/a name?with=signs&%2e'; dd if=/dev/zero of=/t/big bs=1M count=0 seek=65 2>/dev/null
n=$(printf '%0200d' 0); printf long >/t/$n
sleep 1000
"""


@pytest.fixture
async def inside(engine: Engine, docker: Docker) -> Target:
    """A container with one of each under /t."""
    name = await asyncio.to_thread(docker.run, command=("sh", "-c", SCRIPT))
    (target,) = await engine.resolve(parse(f"docker logs {name}"))

    async def made() -> bool:
        return (await engine.path(target, f"/t/{'0' * 200}")).kind == "file"

    await eventually(made)
    return target


def _sha(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


async def test_each_kind_of_thing(engine: Engine, inside: Target):
    for path, kind, size, digest in (
        ("/t/file", "file", 5, _sha(b"hello")),
        ("/t/../t/./file", "file", 5, _sha(b"hello")),
        ("/t/empty", "file", 0, _sha(b"")),
        ("/t/a name?with=signs&%2e", "file", 1, _sha(b"x")),
        (f"/t/{'0' * 200}", "file", 4, _sha(b"long")),
        ("/t/pipe", "other", 0, ""),
        ("/t/gone", "absent", 0, ""),
        ("/gone/gone", "absent", 0, ""),
        ("/t/big", "file", 65 << 20, ""),
    ):
        found = await engine.path(inside, path)
        assert (path, found.kind, found.size, found.sha256) == (path, kind, size, digest)
        assert (found.modified_at is None) == (kind == "absent")
    assert (await engine.path(inside, "/t/dir")).kind == "directory"
    link = await engine.path(inside, "/t/link")
    assert (link.kind, link.sha256) == ("link", "")
    assert (await engine.path(inside, "/proc/1/environ")).sha256 == ""


def _stat(mode: int = 0o644, size: int = 5) -> str:
    stat = {"name": "f", "size": size, "mode": mode, "mtime": "2030-01-01T00:00:00Z", "linkTarget": ""}
    return base64.b64encode(json.dumps(stat).encode()).decode()


def _tar(type_: bytes = tarfile.REGTYPE, content: bytes = b"hello", size: int | None = None) -> bytes:
    member = tarfile.TarInfo("f")
    member.type, member.size = type_, len(content) if size is None else size
    return member.tobuf(tarfile.USTAR_FORMAT) + content


def _pax(content: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("é" * 150)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return made.getvalue()


async def _told(tmp_path: Path, header: str | None, body: bytes, status: int = 200) -> PathState:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(headers={} if header is None else {archive.STAT_HEADER: header})
        return web.Response(body=body, status=status)

    async with scripted_engine(tmp_path, handler) as engine:
        return await engine.path(WEB, "/f")


@pytest.mark.parametrize(
    ("body", "digest"),
    [
        (_tar(), _sha(b"hello")),
        (_pax(b"hello"), _sha(b"hello")),
        (_tar(tarfile.SYMTYPE, b""), ""),
        (_tar(tarfile.DIRTYPE, b""), ""),
        (_tar(tarfile.FIFOTYPE, b""), ""),
        (_tar(content=b"x", size=archive.MOST_BYTES + 1), ""),
    ],
)
async def test_the_first_member_alone_is_hashed(tmp_path: Path, body: bytes, digest: str):
    assert (await _told(tmp_path, _stat(), body)).sha256 == digest


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"short",
        bytes(512),
        b"x" * 1024,
        _tar(size=6),
        _tar(tarfile.XHDTYPE, b"", size=archive.LONGEST_EXTENSION + 1),
        _tar(tarfile.XHDTYPE, b"", size=100),
    ],
    ids=["empty", "short", "zeros", "noise", "broken off", "an endless header", "a header broken off"],
)
async def test_an_archive_that_is_none_is_not_believed(tmp_path: Path, body: bytes):
    with pytest.raises(Unavailable):
        await _told(tmp_path, _stat(), body)


@pytest.mark.parametrize("header", [None, "", "%", base64.b64encode(b"{").decode()])
async def test_a_stat_that_is_none_is_not_believed(tmp_path: Path, header: str | None):
    with pytest.raises(Unavailable):
        await _told(tmp_path, header, _tar())


async def test_a_file_that_went_between_stat_and_content_has_no_digest(tmp_path: Path):
    assert (await _told(tmp_path, _stat(), b"", 404)).sha256 == ""
    with pytest.raises(EngineRefused):
        await _told(tmp_path, _stat(), b"", 500)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        (0o644, "file"),
        (1 << 31 | 0o755, "directory"),
        (1 << 27 | 0o777, "link"),
        (1 << 26, "other"),
        (1 << 25, "other"),
        (1 << 24, "other"),
        (1 << 26 | 1 << 21, "other"),
        (1 << 19, "other"),
        (1 << 23 | 0o755, "file"),  # setuid
    ],
)
async def test_modes(tmp_path: Path, mode: int, kind: str):
    assert (await _told(tmp_path, _stat(mode), _tar())).kind == kind


async def test_what_the_engine_refuses_to_stat(tmp_path: Path):
    def answering(status: int, inspect: int) -> Callable[[web.Request], object]:
        async def handler(request: web.Request) -> web.StreamResponse:
            if request.method == "HEAD":
                return web.Response(status=status)
            return web.json_response({"message": "x"}, status=inspect)

        return handler

    for status, inspect, error in ((404, 404, TargetRefused), (404, 500, EngineRefused), (500, 200, EngineRefused)):
        place = tmp_path / f"{status}{inspect}"
        place.mkdir()
        async with scripted_engine(place, answering(status, inspect)) as engine:
            with pytest.raises(error):
                await engine.path(WEB, "/f")
