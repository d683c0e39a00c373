"""The Compose binary: an argument vector, a minimal environment, a time limit, and no shell.

Guarantees: it gets the engine's address and nothing else of the gateway's environment, a private empty directory as its
home, and the Compose file on standard input or from a private copy; its whole process group ends with the call,
however that ends, and it ends with the gateway, however that ends (``tied``).
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Literal

from wingman_core.errors import Code, Unavailable
from wingman_gateway.engine import tied
from wingman_gateway.engine.events import Event, Exit, Output
from wingman_gateway.engine.private_place import private_place

MODEL_SECONDS: Final = 20.0
CHUNK: Final = 32 * 1024


class ComposeBinary:
    """One binary, on one engine."""

    def __init__(self, path: Path, engine_url: str) -> None:
        self._path = path
        self._engine_url = engine_url

    async def ask(self, place: Path, *arguments: str, model: bytes = b"") -> tuple[int, bytes, bytes]:
        """Run it to its end; return exit code and output; raise ``Unavailable`` after the time limit."""
        try:
            async with asyncio.timeout(MODEL_SECONDS), self._started(arguments, place) as process:
                stdout, stderr = await process.communicate(model)
                return await process.wait(), stdout, stderr
        except TimeoutError as error:
            raise Unavailable(Code.DEADLINE_EXCEEDED, f"Compose took longer than {MODEL_SECONDS:g} s") from error

    async def perform(self, *arguments: str, model: bytes) -> AsyncGenerator[Event]:
        """Run it, and yield its output as it comes, ``Exit`` last; closing the iterator ends it."""
        with private_place() as home:
            async with self._started(arguments, home) as process:
                queue: asyncio.Queue[Output | None] = asyncio.Queue(maxsize=16)
                carried = (
                    _feed(process, model),
                    _forward("stdout", process.stdout, queue),
                    _forward("stderr", process.stderr, queue),
                )
                tasks = [asyncio.create_task(each) for each in carried]
                try:
                    for _ in ("stdout", "stderr"):
                        while (output := await queue.get()) is not None:
                            yield output
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
                yield Exit(await process.wait())

    @asynccontextmanager
    async def _started(self, arguments: Sequence[str], home: Path) -> AsyncIterator[Process]:
        words = (str(self._path), "--ansi", "never", "--progress", "plain", *arguments)
        environment = {"DOCKER_HOST": self._engine_url, "HOME": str(home), "DOCKER_CONFIG": str(home)}
        try:
            await asyncio.to_thread(os.stat, self._path)  # what is started here is an interpreter, which is there
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-S", tied.__file__, str(os.getpid())),
                *words,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                cwd=home,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable(
                Code.GATEWAY_UNAVAILABLE,
                f"the Compose binary cannot be started: {error.strerror}",
                hint="see WINGMAN_COMPOSE_BINARY",
            ) from error
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _feed(process: Process, model: bytes) -> None:
    if process.stdin is None:
        return
    with suppress(ConnectionError):  # it ended before it read all of it; its exit code tells
        process.stdin.write(model)
        await process.stdin.drain()
    process.stdin.close()


async def _forward(
    name: Literal["stdout", "stderr"], stream: asyncio.StreamReader | None, queue: asyncio.Queue[Output | None]
) -> None:
    while stream is not None and (data := await stream.read(CHUNK)):
        await queue.put(Output(name, data))
    await queue.put(None)
