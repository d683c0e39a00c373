"""Wakes who waits for output, whichever process stored it.

Guarantees: nothing but speed depends on it: who waits looks again by itself after a while.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from wingman_core.errors import Unavailable

PATIENCE: Final = 1.0
RECONNECT: Final = 1.0


class Listening(Protocol):
    """Where notifications come from."""

    async def listen(self, channel: str, heard: "Hearing") -> None:
        """Call ``heard`` with each payload until the connection is lost; raise ``Unavailable`` then."""
        ...


class Hearing(Protocol):
    """Takes one payload."""

    def __call__(self, payload: str, /) -> None:
        """Hear it."""
        ...


class Signals:
    """Bells by name: ``run`` rings them as the database notifies, ``bell`` lends one."""

    def __init__(self, source: Listening, channel: str) -> None:
        """Listen on ``channel``."""
        self._source = source
        self._channel = channel
        self._bells: dict[str, list[asyncio.Event]] = {}

    async def run(self) -> None:
        """Listen for ever, connecting again after a loss."""
        while True:
            try:
                await self._source.listen(self._channel, self.ring)
            except Unavailable:
                await asyncio.sleep(RECONNECT)

    def ring(self, name: str) -> None:
        """Wake everybody who waits for ``name``."""
        for bell in self._bells.get(name, ()):
            bell.set()

    @contextmanager
    def bell(self, name: str) -> Iterator[asyncio.Event]:
        """Lend an event that is set whenever something happens to ``name``."""
        bell = asyncio.Event()
        self._bells.setdefault(name, []).append(bell)
        try:
            yield bell
        finally:
            self._bells[name].remove(bell)
            if not self._bells[name]:
                del self._bells[name]


async def rung(bell: asyncio.Event) -> bool:
    """Return whether the bell rings within ``PATIENCE`` seconds; either way it is silent again."""
    try:
        async with asyncio.timeout(PATIENCE):
            await bell.wait()
    except TimeoutError:
        return False
    bell.clear()
    return True
