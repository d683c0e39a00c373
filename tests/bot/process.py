"""The bot as a process of its own, as a supervisor starts it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.bot.running import Office


class BotProcess:
    """One ``python -m wingman_bot``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    async def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Signal it; return its exit code and all it printed."""
        if self._process.returncode is None:
            self._process.send_signal(number)
        return await self.ended()

    async def ended(self) -> tuple[int, str, str]:
        """Its exit code and all it printed, once it ends by itself."""
        async with asyncio.timeout(100):
            out, err = await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def bot_process(office: Office, *arguments: str, **changes: str) -> AsyncIterator[BotProcess]:
    """A bot that is killed at the end of the block, if it still lives."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WINGMAN_", "BOT_"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *(arguments or ("wingman_bot",)),
        env={**kept, **office.environ, **changes},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield BotProcess(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
