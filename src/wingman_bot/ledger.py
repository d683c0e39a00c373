"""What the bot must not forget: its place in the feed and one note a card, kept by the API under a consumer's name.

Guarantees: changes become durable in the order they were made, a cursor never before the notes that were made with
it; of two bots on one consumer the one that came later goes on and the earlier one stops (``Superseded``); a lost
answer is recognised afterwards by a mark that every change carries; a note that the API does not take is left out, and
holds back no other. Memory: one small note a request that is not over, at most ``FULL``.
Does not: promise that a change was stored before ``kept`` says so.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from structlog.typing import FilteringBoundLogger

from wingman_bot.backoff import delays
from wingman_bot.views import Consumer, Note
from wingman_core.errors import Code, Unavailable, WingmanError

MARK: Final = "bot"
"""The note that says who wrote last."""
BATCH: Final = 90
"""Notes in one call, the mark aside; the API takes 100."""
FULL: Final = 4500
"""Notes from which on no event is taken; the API keeps 5,000."""
REFUSALS: Final = frozenset({Code.REQUEST_INVALID, Code.REQUEST_TOO_LARGE, Code.LIMIT_EXCEEDED})
"""What the API says of a change that it will never take, whoever brings it."""
LOADS: Final = 5
"""Times that another bot may write between our look and our first word before we leave it to that one."""
Value = dict[str, Any]


class Store(Protocol):
    """Where consumers are kept: ``ApiClient``."""

    async def consumer(self, name: str) -> Consumer:
        """Return where a consumer stands."""
        ...

    async def notes(self, name: str) -> tuple[Note, ...]:
        """Return all its notes."""
        ...

    async def note(self, name: str, key: str) -> Note | None:
        """Return one note, or None."""
        ...

    async def put_consumer(self, name: str, revision: int, cursor: int, notes: Mapping[str, Any]) -> Consumer:
        """Change it, if the revision is still this one."""
        ...


class Superseded(Exception):
    """Another bot took the consumer over."""


@dataclass(slots=True)
class _Change:
    notes: dict[str, Value | None]
    cursor: int | None
    stored: "asyncio.Future[bool]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Ledger:
    """The bot's memory; ``load`` it, then let ``run`` write for as long as the bot lives."""

    def __init__(self, store: Store, name: str, *, writer: str, log: FilteringBoundLogger) -> None:
        """``name`` is the consumer's, ``writer`` this process's own, never used before."""
        self._store = store
        self._name = name
        self._writer = writer
        self._log = log
        self._revision = 0
        self._durable_cursor = 0
        self._count = 0
        self._changes: list[_Change] = []
        self._bell = asyncio.Event()
        self._room = asyncio.Event()
        self.notes: dict[str, Value] = {}
        """As they will be once everything is stored."""
        self.cursor = 0
        self.refused = 0
        """How many notes the API did not take."""
        self.ready = False
        """Whether the first look at what waits was finished, now or in an earlier life."""

    async def load(self) -> None:
        """Read what there is, and fence off whoever wrote before.

        Raises ``Unavailable`` where the API is away, and ``Superseded`` where another bot keeps writing meanwhile.
        """
        for _ in range(LOADS):
            await self._read()
            try:
                await self._put(self._durable_cursor, {})
            except Superseded:
                continue
            return
        raise Superseded

    async def _read(self) -> None:
        self._revision = self._durable_cursor = 0
        self.notes = {}
        try:
            consumer = await self._store.consumer(self._name)
        except WingmanError as error:
            if error.code is not Code.CONSUMER_UNKNOWN:
                raise
        else:
            self._revision, self._durable_cursor = consumer.revision, consumer.cursor
            self.notes = {note.key: note.value for note in await self._store.notes(self._name)}
        self.cursor = self._durable_cursor
        self.ready = bool(self.notes.pop(MARK, {}).get("ready"))
        self._look_for_room()

    def keep(self, notes: Mapping[str, Value | None], *, cursor: int | None = None) -> "asyncio.Future[bool]":
        """Change notes (None deletes) and move the cursor; the future is done once that is stored.

        It is false where the API did not take one of the notes: that one is left, and everything else is stored.
        """
        for key, value in notes.items():
            if value is None:
                self.notes.pop(key, None)
            else:
                self.notes[key] = value
        if cursor is not None:
            self.cursor = max(self.cursor, cursor)
        self._look_for_room()
        change = _Change(dict(notes), cursor)
        self._changes.append(change)
        self._bell.set()
        return change.stored

    async def kept(self, notes: Mapping[str, Value | None], *, cursor: int | None = None) -> bool:
        """Do as ``keep`` does, wait until it is stored, and return whether all of it is."""
        return await asyncio.shield(self.keep(notes, cursor=cursor))

    async def room(self) -> None:
        """Wait until another request may have a note."""
        await self._room.wait()

    @property
    def unstored(self) -> int:
        """How many changes wait to be stored."""
        return len(self._changes)

    async def run(self) -> None:
        """Store changes for ever; raise ``Superseded`` where another bot does, or the API's refusal."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            while self._changes:
                await self._store_some()

    async def flush(self) -> None:
        """Store what waits, once; for the end of a process."""
        while self._changes:
            await self._store_some()

    async def _store_some(self) -> None:
        """Store the changes that came first, as many as one call takes."""
        taken, notes, cursor = 0, dict[str, Value | None](), self._durable_cursor
        for change in self._changes:
            if taken and len(notes | change.notes) > BATCH:
                break
            notes |= change.notes
            cursor = max(cursor, change.cursor or 0)
            taken += 1
        whole = [True] * taken
        try:
            await self._put(cursor, notes)
        except WingmanError as error:
            if error.code not in REFUSALS:
                raise
            whole = [await self._store_each(change) for change in self._changes[:taken]]
        stored, self._changes = self._changes[:taken], self._changes[taken:]
        for change, is_whole in zip(stored, whole, strict=True):
            if not change.stored.done():
                change.stored.set_result(is_whole)

    async def _store_each(self, change: _Change) -> bool:
        """Store a change's notes one by one, and its cursor after them; return whether all were taken."""
        refused = 0
        for key, value in change.notes.items():
            try:
                await self._put(self._durable_cursor, {key: value})
            except WingmanError as error:
                if error.code not in REFUSALS:
                    raise
                refused += 1
                self._log.error("ledger.refused", note=key, error=str(error))
        self.refused += refused
        await self._put(max(self._durable_cursor, change.cursor or 0), {})
        return not refused

    async def _put(self, cursor: int, notes: Mapping[str, Value | None]) -> None:
        """Have it stored, however often the API is away; raise ``Superseded``."""
        self._count += 1
        mark = {"by": self._writer, "n": self._count, "ready": self.ready}
        waits = delays()
        while True:
            try:
                consumer = await self._store.put_consumer(self._name, self._revision, cursor, {**notes, MARK: mark})
            except WingmanError as error:
                if isinstance(error, Unavailable):
                    self._log.warning("ledger.waits", error=str(error))
                    await asyncio.sleep(next(waits))
                elif error.code is not Code.CONSUMER_CHANGED:
                    raise
                elif await self._is_mine():
                    return
                continue
            self._revision, self._durable_cursor = consumer.revision, consumer.cursor
            return

    async def _is_mine(self) -> bool:
        """Look, after a refusal, whether an earlier try of this very change got through; raise ``Superseded``."""
        try:
            note = await self._store.note(self._name, MARK)
            consumer = await self._store.consumer(self._name)
        except Unavailable:
            return False
        mark = note.value if note else {}
        if (mark.get("by"), mark.get("n")) != (self._writer, self._count):
            raise Superseded
        self._revision, self._durable_cursor = consumer.revision, consumer.cursor
        return True

    def _look_for_room(self) -> None:
        if len(self.notes) < FULL:
            self._room.set()
        else:
            self._room.clear()
