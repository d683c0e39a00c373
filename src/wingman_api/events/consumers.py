"""Consumers: a durable place in the feed under a name, and notes beside it, for programs that keep nothing.

Guarantees: cursor and notes change together or not at all; of two writers who knew the same revision one wins and
the other learns it; a cursor never goes back, nor past what exists. A consumer belongs to the person whose key
made it; operators may see and mend all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from wingman_api.events.consumer_store import Consumer, ConsumerStore, Note, consumer_unknown
from wingman_api.identity.caller import Caller, Role
from wingman_core.approval import person_key
from wingman_core.errors import CallerRefused, Code, WingmanError


@dataclass(frozen=True, slots=True)
class Change:
    """What a writer who knows ``revision`` (0: the consumer does not exist) wants to be so."""

    revision: int
    cursor: int
    notes: Mapping[str, str | None]
    """JSON text by key; None deletes. Notes that are not named stay."""


class Consumers:
    """The use case; ``now`` returns aware times."""

    def __init__(self, store: ConsumerStore, *, now: Callable[[], datetime]) -> None:
        """Take the collaborators."""
        self._store = store
        self._now = now

    async def list(self, caller: Caller) -> tuple[Consumer, ...]:
        """Return the caller's consumers; an operator sees all."""
        return tuple(consumer for consumer in await self._store.list() if _may(caller, consumer))

    async def behind(self) -> int:
        """Return how many events the slowest consumer has not handled yet."""
        return await self._store.behind()

    async def get(self, name: str, caller: Caller) -> Consumer:
        """Return a consumer; raise ``WingmanError`` (CONSUMER_UNKNOWN) or ``CallerRefused`` (PERSON_MISMATCH)."""
        consumer = await self._store.get(name)
        if consumer is None:
            raise consumer_unknown(name)
        return _require(caller, consumer)

    async def change(self, name: str, change: Change, caller: Caller) -> Consumer:
        """Make it so; raise ``WingmanError`` (CONSUMER_CHANGED) where somebody was faster."""
        if (existing := await self._store.get(name)) is not None:
            _require(caller, existing)
        if change.revision == 0:
            return await self._store.create(name, caller.person, change.cursor, change.notes, self._now())
        return await self._store.change(name, change.revision, change.cursor, change.notes, self._now())

    async def remove(self, name: str, caller: Caller) -> None:
        """Delete a consumer and its notes."""
        await self.get(name, caller)
        await self._store.remove(name)

    async def note(self, name: str, key: str, caller: Caller) -> Note:
        """Return one note; raise ``WingmanError`` (NOT_FOUND) where there is none."""
        await self.get(name, caller)
        note = await self._store.note(name, key)
        if note is None:
            raise WingmanError(Code.NOT_FOUND, "the consumer has no note of this key", hint="list its notes")
        return note

    async def notes(self, name: str, after: str, limit: int, caller: Caller) -> tuple[Note, ...]:
        """Return the notes with keys after ``after``, by key, at most ``limit``."""
        await self.get(name, caller)
        return await self._store.notes(name, after, limit)


def _may(caller: Caller, consumer: Consumer) -> bool:
    return caller.role is Role.OPERATOR or person_key(caller.person) == person_key(consumer.owner)


def _require(caller: Caller, consumer: Consumer) -> Consumer:
    if not _may(caller, consumer):
        raise CallerRefused(
            Code.PERSON_MISMATCH, "the consumer is another person's", hint="choose another name for yours"
        )
    return consumer
