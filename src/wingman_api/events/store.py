"""All SQL on numbered events.

Guarantees: positions count from 1 without gaps, in the order of commits (those that one round of numbering finds, in
the order of their inserts); whoever has read up to a position has missed nothing before it, whatever commits later
(docs/decisions/0007-event-order.md).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from wingman_api.events.event import Stored
from wingman_api.system.store import Database

CHANNEL: Final = "wingman_event"
NUMBERED_AT_ONCE: Final = 1000

NUMBER: Final = "SELECT event_number($1)"
FORGET: Final = "SELECT event_forget($1, $2)"
AFTER: Final = "SELECT position, type, worker, payload FROM event WHERE position > $1 ORDER BY position LIMIT $2"
BOUNDS: Final = """
SELECT last, coalesce((SELECT min(position) FROM event WHERE position IS NOT NULL), last + 1) AS oldest FROM event_head
"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The oldest position that is still kept, and the newest that was given; ``oldest`` is one more if none is kept."""

    oldest: int
    newest: int

    def reach(self, position: int) -> bool:
        """Whether everything after ``position`` can still be told."""
        return self.oldest - 1 <= position <= self.newest


class EventStore:
    """Events in the database."""

    def __init__(self, database: Database) -> None:
        """Use the API's pool."""
        self._database = database

    async def number(self) -> int:
        """Give positions to what is committed and has none, at most ``NUMBERED_AT_ONCE``; return the newest position.

        Wakes every process that listens on ``CHANNEL`` where it gave any.
        """
        async with self._database.connection() as connection:
            newest: int = await connection.fetchval(NUMBER, NUMBERED_AT_ONCE)
        return newest

    async def after(self, position: int, limit: int) -> tuple[Stored, ...]:
        """Return the events after ``position``, in order, at most ``limit``."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(AFTER, position, limit)
        return tuple(Stored(row["position"], row["type"], row["worker"], row["payload"]) for row in rows)

    async def bounds(self) -> Bounds:
        """Return what the feed can tell now."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(BOUNDS)
        return Bounds(0, 0) if row is None else Bounds(row["oldest"], row["last"])

    async def forget(self, before: datetime, limit: int) -> int:
        """Delete the oldest events as far as they are older than ``before``, at most ``limit``; return how many."""
        async with self._database.connection() as connection:
            forgotten: int = await connection.fetchval(FORGET, before, limit)
        return forgotten
