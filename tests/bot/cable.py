"""A TCP relay that can be cut, to a server that goes on: what a bot sees when the network, or the API, is gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Cable:
    """Connections to ``port`` on loopback."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.own_port = 0

    @property
    def url(self) -> str:
        """Where it begins."""
        return f"http://127.0.0.1:{self.own_port}"

    async def mend(self) -> None:
        """Let connections through."""
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.own_port)
        self.own_port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Reset all connections, and refuse new ones."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there = None
        self._writers.add(writer)
        try:
            back, there = await asyncio.open_connection("127.0.0.1", self._port)
            self._writers.add(there)
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, there))
                group.create_task(_copy(back, writer))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            for each in (writer, there):
                if each is not None:
                    self._writers.discard(each)
                    each.transport.abort()
            self._tasks.discard(task)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.write_eof()


@asynccontextmanager
async def cable(url: str) -> AsyncIterator[Cable]:
    """A cable to the server of ``url``, mended."""
    line = Cable(int(url.rpartition(":")[2]))
    await line.mend()
    try:
        yield line
    finally:
        await line.cut()
