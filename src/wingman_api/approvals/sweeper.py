"""Requests expire in time, also when nobody looks at them."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from structlog.typing import FilteringBoundLogger

from wingman_api.approvals.store import RequestStore
from wingman_api.rounds import rounds

EVERY: Final = 1.0
"""Seconds between two sweeps; every process sweeps, and each request expires once."""


class Sweeper:
    """One a process; ``now`` returns aware times."""

    def __init__(self, store: RequestStore, *, now: Callable[[], datetime], log: FilteringBoundLogger) -> None:
        """Take the collaborators."""
        self._store = store
        self._now = now
        self._log = log

    async def run(self) -> None:
        """Sweep for ever."""
        await rounds(self.sweep, every=EVERY, name="sweeper", log=self._log)

    async def sweep(self) -> None:
        """Store and tell all that has expired by now."""
        while await self._store.sweep(self._now()):
            pass
