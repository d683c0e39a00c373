"""The feed: one pump a process numbers what waits in the outbox, reads it once, and wakes whoever follows.

Guarantees: after a position a reader gets every later event, once and in order, or ``EVENTS_LOST``; an event is
encoded once however many follow; memory holds the newest ``WINDOW`` events alone, and nothing per reader.
What is older is read from the database, a batch at a time. Nothing but speed depends on being woken: the pump
looks again after a second anyway. Does not: know who reads, or end a stream.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from structlog.typing import FilteringBoundLogger

from wingman_api.events.event import Stored
from wingman_api.events.store import NUMBERED_AT_ONCE, Bounds, EventStore
from wingman_api.executions.signals import Signals, rung
from wingman_api.rounds import rounds
from wingman_core.errors import Code, WingmanError

WINDOW: Final = 2048
BATCH: Final = 128
"""Events read, or sent, at once."""
JOINED: Final = 32
"""Batches kept for the next reader that wants the same."""
PAUSE: Final = 0.05
"""Seconds between two looks under load: what came in between travels together."""
READERS_AT_ONCE: Final = 4
"""Readers outside the window that may use the database at the same time."""
STALE: Final = 10.0
"""Seconds without a look after which the feed does not count as live."""
BELL: Final = ""
"""The one name on the feed's channel."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a reader asks for, and may see."""

    types: frozenset[str] | None = None
    """None: all of them."""
    worker: str | None = None
    """The one worker whose events these must be."""

    def admits(self, event: Stored) -> bool:
        """Whether the event is one of these."""
        return (self.types is None or event.type in self.types) and self.worker in (None, event.worker)


@dataclass(frozen=True, slots=True)
class Batch:
    """What comes next: encoded events, perhaps none of those wanted, and the position up to which they are."""

    position: int
    data: bytes


class Feed:
    """One a process; ``clock`` counts seconds and never goes back."""

    def __init__(
        self, store: EventStore, signals: Signals, *, clock: Callable[[], float], log: FilteringBoundLogger
    ) -> None:
        """Read from ``store``, woken by ``signals``."""
        self._store = store
        self._signals = signals
        self._clock = clock
        self._log = log
        self._head = -1
        """The newest position that was read; -1 before the first look."""
        self._window: list[tuple[Stored, bytes]] = []
        self._joined: dict[tuple[int, Wanted], Batch] = {}
        self._moved = asyncio.Event()
        self._outside = asyncio.Semaphore(READERS_AT_ONCE)
        self._looked = clock()
        self.closed = False
        """Whether readers should go, and come again."""
        self.epoch = 0
        """Changes where positions no longer mean what they meant: the database was set back."""

    async def run(self) -> None:
        """Look for ever: at once, and whenever something may have happened."""
        with self._signals.bell(BELL) as bell:
            bell.set()
            begun = self._clock() - PAUSE

            async def look() -> None:
                nonlocal begun
                await rung(bell)
                await asyncio.sleep(max(0.0, begun + PAUSE - self._clock()))
                begun = self._clock()
                bell.clear()
                await self.look()

            await rounds(look, every=0, name="feed", log=self._log)

    async def look(self) -> None:
        """Have what waits numbered, take in what is new, and wake who follows; raise ``Unavailable``."""
        more = True
        while more:
            newest = await self._store.number()
            more = newest - self._head >= NUMBERED_AT_ONCE
            if self._head < 0 or newest < self._head:
                self._begin_at(newest)
            while self._head < newest:
                read = await self._store.after(self._head, BATCH)
                if not read or read[0].position != self._head + 1:  # gone before they were read: readers will find out
                    self._begin_at(newest)
                    break
                self._take(read)
        self._looked = self._clock()

    async def bounds(self) -> Bounds:
        """Return the oldest and the newest position that can be told now, what was just committed included."""
        await self._store.number()
        return await self._store.bounds()

    async def after(self, position: int, wanted: Wanted) -> Batch:
        """Return what comes after ``position``, at most ``BATCH`` events; at the end nothing, and ``position`` itself.

        Raises ``WingmanError`` (EVENTS_LOST) where the next event is no longer kept.
        """
        if 0 <= self._head <= position:
            return Batch(position, b"")
        first = self._head - len(self._window)
        if self._head < 0 or position < first:
            return await self._from_outside(position, wanted)
        key = (position, wanted)
        if key not in self._joined:
            if len(self._joined) >= JOINED:
                self._joined.clear()
            begin = position - first
            self._joined[key] = _batch(position, self._window[begin : begin + BATCH], wanted)
        return self._joined[key]

    async def moved(self, position: int, seconds: float) -> None:
        """Return when there may be something after ``position``, or ``seconds`` later."""
        if self._head > position:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._moved.wait()

    def stir(self) -> None:
        """Have everybody look around."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def close_at(self, closing: asyncio.Event) -> None:
        """Have everybody go once ``closing`` is set."""
        await closing.wait()
        self.closed = True
        self.stir()

    def status(self) -> Literal["healthy", "unhealthy"]:
        """Return whether events are told: the pump has looked lately."""
        return "healthy" if self._clock() - self._looked < STALE else "unhealthy"

    async def _from_outside(self, position: int, wanted: Wanted) -> Batch:
        """Return events that memory does not hold; raise where the first is not the next."""
        async with self._outside:
            read = await self._store.after(position, BATCH)
        oldest = read[0].position if read else max(self._head, position) + 1
        if oldest != position + 1:
            raise events_lost(position, Bounds(oldest, max(self._head, oldest)))
        return _batch(position, [(event, encode(event)) for event in read], wanted)

    def _begin_at(self, newest: int) -> None:
        """Forget the window; where the database went back, what readers know is void as well."""
        if newest < self._head:
            self._log.warning("feed.set_back", was=self._head, newest=newest)
            self.epoch += 1
        self._head, self._window, self._joined = newest, [], {}
        self.stir()

    def _take(self, read: Sequence[Stored]) -> None:
        self._window.extend((event, encode(event)) for event in read)
        del self._window[:-WINDOW]
        self._head = read[-1].position
        self._joined = {}
        self.stir()


def encode(event: Stored) -> bytes:
    """Return the event as server-sent events have it (WHATWG HTML, 9.2.6); its JSON has no line ends."""
    return f"event: {event.type}\nid: {event.position}\ndata: {event.payload}\n\n".encode()


def events_lost(position: int, bounds: Bounds) -> WingmanError:
    """Return the error for a position after which not everything can be told."""
    if position > bounds.newest:
        message = f"no event has the position {position}: the newest is {bounds.newest}"
        hint = "the database was set back, or this is another one; fetch what is pending, then follow from the newest"
    else:
        message = f"the events from {position + 1} to {bounds.oldest - 1} are no longer kept"
        hint = "fetch what is pending, then follow from the one before the oldest"
    return WingmanError(Code.EVENTS_LOST, message, hint=hint, oldest=str(bounds.oldest), newest=str(bounds.newest))


def _batch(position: int, events: Sequence[tuple[Stored, bytes]], wanted: Wanted) -> Batch:
    data = b"".join(encoded for event, encoded in events if wanted.admits(event))
    return Batch(position + len(events), data)
