"""Forgets, in the background, what is kept for a while only.

Guarantees: a sweep that fails is logged and tried again at the next turn, and stops no other one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from structlog.typing import FilteringBoundLogger

EVERY_SECONDS: Final = 60.0

Sweep = Callable[[datetime], Awaitable[None]]
"""Deletes what is too old at a time (aware)."""


class Sweeper:
    """Runs sweeps in turn; any number of processes may do so at once. ``now`` returns aware times."""

    def __init__(self, sweeps: Sequence[Sweep], *, now: Callable[[], datetime], log: FilteringBoundLogger) -> None:
        """Take what is to be run."""
        self._sweeps = sweeps
        self._now = now
        self._log = log

    async def run(self, every: float = EVERY_SECONDS) -> None:
        """Sweep for ever, with so many seconds between two turns."""
        while True:
            await self.sweep()
            await asyncio.sleep(every)

    async def sweep(self) -> None:
        """Run each sweep once."""
        for sweep in self._sweeps:
            try:
                await sweep(self._now())
            except Exception as error:  # noqa: BLE001 - whatever it was, the next turn tries again
                self._log.warning("sweep.failed", error=str(error))
