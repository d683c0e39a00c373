"""A reader of the feed that sees every byte: plain HTTP/1.0, so that nothing is chunked, buffered or retried for it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

LINE_LIMIT = 1 << 16


@dataclass(frozen=True)
class Item:
    """One server-sent event."""

    type: str
    id: int
    data: dict[str, Any]


@dataclass
class Follower:
    """An open stream."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int = 0
    headers: dict[str, str] | None = None
    comments: int = 0

    async def begin(self) -> None:
        """Read the head of the answer."""
        self.status = int((await self.reader.readline()).split()[1])
        self.headers = {}
        while line := (await self.reader.readline()).strip():
            name, _, value = line.decode().partition(": ")
            self.headers[name.lower()] = value

    async def problem(self) -> dict[str, Any]:
        """The refusal, where it is one."""
        found: dict[str, Any] = json.loads(await self.reader.read())
        return found

    async def items(self) -> AsyncIterator[Item]:
        """Every item, marks included, until the stream ends; a cut connection is an end too."""
        fields: dict[str, str] = {}
        while True:
            try:
                line = await self.reader.readline()
            except ConnectionError:
                return
            if not line:
                return
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif line.startswith(b":"):
                self.comments += 1
            elif "data" in fields:
                yield Item(fields["event"], int(fields["id"]), json.loads(fields["data"]))
                fields = {}

    async def some(self, count: int, seconds: float = 10) -> list[Item]:
        """The next so many events, marks left out."""
        found: list[Item] = []
        async with asyncio.timeout(seconds):
            async for item in self.items():
                found += [] if item.type == "feed.mark" else [item]
                if len(found) == count:
                    return found
        raise AssertionError(f"the stream ended after {len(found)} events")

    async def rest(self, seconds: float = 10) -> list[Item]:
        """Every further item, to the end."""
        async with asyncio.timeout(seconds):
            return [item async for item in self.items()]


@asynccontextmanager
async def following(
    url: str, key: str | None, query: str = "", *, after: int | str | None = None, buffer: int | None = None
) -> AsyncIterator[Follower]:
    """Open ``/events``; ``after`` is the Last-Event-ID, ``buffer`` the bytes that the socket takes unread."""
    place = urlsplit(url)
    connection = socket.socket()
    if buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, (place.hostname, place.port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=LINE_LIMIT)
    lines = [f"GET /events{query} HTTP/1.0", f"Host: {place.netloc}"]
    lines += [] if key is None else [f"Authorization: Bearer {key}"]
    lines += [] if after is None else [f"Last-Event-ID: {after}"]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    follower = Follower(reader, writer)
    try:
        await follower.begin()
        yield follower
    finally:
        writer.transport.abort()
