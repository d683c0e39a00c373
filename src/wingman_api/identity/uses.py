"""When keys were last used, to the minute.

Guarantees: no caller waits for it, and a key costs at most one write a minute, however many requests it makes.
Does not: remember a use that was noted just before the process was killed, or while the database was down.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final, Protocol

from wingman_core.errors import Unavailable

EVERY_SECONDS: Final = 60.0
MOST_KEYS: Final = 10_000


class Uses(Protocol):
    """Where uses are stored."""

    async def used(self, key_ids: Collection[str]) -> None:
        """Store that the keys are in use now; raise ``Unavailable``."""
        ...


class LastUse:
    """Uses that were noted and wait to be stored; ``clock`` counts seconds."""

    def __init__(self, keys: Uses, *, clock: Callable[[], float]) -> None:
        """Store into ``keys``."""
        self._keys = keys
        self._clock = clock
        self._noted: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._bell = asyncio.Event()

    def note(self, key_id: str) -> None:
        """Note that a key is in use."""
        if self._noted.get(key_id, 0.0) > self._clock():
            return
        if len(self._noted) >= MOST_KEYS:
            self._noted.clear()
        self._noted[key_id] = self._clock() + EVERY_SECONDS
        self._waiting.add(key_id)
        self._bell.set()

    async def run(self) -> None:
        """Store what is noted, for ever."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            waiting, self._waiting = self._waiting, set()
            try:
                await self._keys.used(waiting)
            except Unavailable:
                for key_id in waiting:
                    self._noted.pop(key_id, None)  # the next use is noted again
