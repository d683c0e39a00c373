"""Several API processes on one listening socket: started, started again when they end, stopped together.

Guarantees: the parent serves nothing and holds no state; connections wait in one queue, so that a worker that is
killed takes only those along that it had accepted; a parent that is killed takes its workers along (each ends when
its standard input does). A worker that refuses its settings ends the whole.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from tempfile import TemporaryDirectory
from typing import Final

from structlog.typing import FilteringBoundLogger

from wingman_api.metrics import MULTIPROCESS

LISTENER: Final = "WINGMAN_API_LISTENER"
"""Tells a worker the descriptor it serves on."""
FIRST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 10.0
STEADY: Final = 30.0
"""Seconds after which a worker counts as having started well, so that its next start is quick again."""
EXIT_SETTING: Final = 2


class Workers:
    """``count`` processes of this program; ``grace`` is seconds between SIGTERM and SIGKILL."""

    def __init__(self, listener: socket.socket, count: int, *, grace: float, log: FilteringBoundLogger) -> None:
        """Take the bound socket that all of them serve."""
        self._listener = listener
        self._count = count
        self._grace = grace
        self._log = log
        self._stopping = asyncio.Event()
        self._refused = False
        self._metrics = ""
        """Where the workers' counters lie, so that one scrape of any of them adds up all."""

    async def run(self) -> int:
        """Keep them running until SIGTERM or SIGINT; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        with TemporaryDirectory(prefix="wingman-metrics-") as self._metrics:
            await asyncio.gather(*(self._keep(number) for number in range(self._count)))
        return EXIT_SETTING if self._refused else 0

    async def _keep(self, number: int) -> None:
        """Run one worker, again and again with back-off."""
        clock, delay = asyncio.get_running_loop().time, FIRST_DELAY
        while not self._stopping.is_set():
            began = clock()
            code = await self._live()
            if code == EXIT_SETTING:
                self._refused = True
                self._stopping.set()
            if self._stopping.is_set():
                return
            delay = FIRST_DELAY if clock() - began > STEADY else delay
            self._log.warning("worker.ended", worker=number, code=code)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
            delay = min(2 * delay, LONGEST_DELAY)

    async def _live(self) -> int:
        """Run one worker to its end, or to ours; return its exit code."""
        descriptor = self._listener.fileno()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "wingman_api",
            env={**os.environ, LISTENER: str(descriptor), MULTIPROCESS: self._metrics},
            stdin=asyncio.subprocess.PIPE,
            pass_fds=(descriptor,),
            start_new_session=True,  # Ctrl-C reaches the parent alone, which then stops all of them
        )
        ended = asyncio.create_task(process.wait())
        asked = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not ended.done():
            process.terminate()
            _, late = await asyncio.wait({ended}, timeout=self._grace)
            if late:
                self._log.warning("worker.killed", pid=process.pid)
                process.kill()
        return await ended


def inherited(environ: Mapping[str, str]) -> socket.socket | None:
    """Return the socket that a parent handed to this process; None where there is no parent."""
    descriptor = environ.get(LISTENER, "")
    return socket.socket(fileno=int(descriptor)) if descriptor.isdigit() else None


def end_with_parent(end: Callable[[], None]) -> None:
    """Call ``end`` once standard input has ended: the parent is gone."""

    def readable() -> None:
        if not os.read(sys.stdin.fileno(), 1024):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            end()

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), readable)
