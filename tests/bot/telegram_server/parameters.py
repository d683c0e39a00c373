"""A call's parameters, however they came: query string, form, multipart or JSON.

https://core.telegram.org/bots/api#making-requests lists the four. Numbers and booleans come as text from forms, and
objects as JSON text; what is not understood counts as missing or zero, as Telegram has it.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.streams import StreamReader

from tests.bot.telegram_server.refusal import Refusal, bad_request

LARGEST_UPLOAD = 50 * 1024 * 1024
"""Bytes of a file: https://core.telegram.org/bots/api#sending-files."""
LARGEST_TEXT = 1 << 20
ATTACHED = "attach://"


@dataclass(frozen=True)
class Upload:
    """A file of a multipart body."""

    name: str
    mime_type: str
    content: bytes


@dataclass
class Parameters:
    """Values by name, files apart."""

    values: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether it was sent with anything in it."""
        return name in self.files or bool(self.text(name))

    def text(self, name: str) -> str:
        """As text; objects as JSON; empty where missing."""
        value = self.values.get(name)
        if value is None:
            return ""
        return value if isinstance(value, str) else json.dumps(value)

    def number(self, name: str, default: int = 0) -> int:
        """The leading integer of the text."""
        text = self.text(name)
        found = re.match(r"\s*-?\d+", text)
        return (int(found.group()) if found else 0) if text else default

    def flag(self, name: str) -> bool:
        """``true``, ``yes`` and ``1``, in any case, are true."""
        return self.text(name).strip().lower() in ("true", "yes", "1")

    def decoded(self, name: str, what: str) -> object:
        """The JSON value, None where missing; ``what`` names it in the refusal."""
        text = self.text(name)
        if not text:
            return None
        try:
            return json.loads(text)
        except ValueError:
            raise bad_request(f"can't parse {what} JSON object") from None

    def upload(self, name: str) -> Upload | None:
        """A file sent under its own name, or attached by ``attach://``."""
        attached = self.text(name)
        return self.files.get(attached.removeprefix(ATTACHED) if attached.startswith(ATTACHED) else name)

    def loggable(self) -> dict[str, Any]:
        """As JSON for the log, files by name and size in bytes."""
        return {**self.values, **{n: {"name": f.name, "size": len(f.content)} for n, f in self.files.items()}}


async def read_parameters(request: web.Request) -> Parameters:
    """Of a request; raises 413 for what is too large and 400 for what is no JSON."""
    found = Parameters(dict(request.query))
    kind = request.content_type
    if kind == "application/json":
        found.values.update(_object(await _limited(request.content, LARGEST_TEXT)))
    elif kind == "application/x-www-form-urlencoded":
        found.values.update({n: v for n, v in (await request.post()).items() if isinstance(v, str)})
    elif kind == "multipart/form-data":
        await add_parts(found, await request.multipart())
    return found


async def add_parts(found: Parameters, reader: MultipartReader) -> None:
    """The parts of a multipart body."""
    async for part in reader:
        if not isinstance(part, BodyPartReader) or part.name is None:
            raise bad_request("can't parse the multipart body: a part has no name")
        limit = LARGEST_TEXT if part.filename is None else LARGEST_UPLOAD
        content = bytearray()
        while chunk := await part.read_chunk(1 << 16):
            content += chunk
            if len(content) > limit:
                raise Refusal(413, "Request Entity Too Large")
        if part.filename is None:
            found.values[part.name] = _utf8(bytes(content))
        else:
            kind = part.headers.get("Content-Type", "application/octet-stream")
            found.files[part.name] = Upload(part.filename, kind, bytes(content))


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        raise bad_request("can't parse the body as a JSON object") from None
    if not isinstance(value, dict):
        raise bad_request("object expected as the body")
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise bad_request("strings must be encoded in UTF-8") from None
    return value


async def _limited(stream: StreamReader, limit: int) -> bytes:
    content = bytearray()
    async for chunk in stream.iter_any():
        content += chunk
        if len(content) > limit:
            raise Refusal(413, "Request Entity Too Large")
    return bytes(content)


def _utf8(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise bad_request("strings must be encoded in UTF-8") from None
