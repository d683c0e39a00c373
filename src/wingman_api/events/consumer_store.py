"""All SQL on consumers of the feed and their notes.

Guarantees: a change is one transaction on a locked row; counts and sizes are bounded, however many write at once;
notes go with their consumer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from wingman_api.system.store import Connection, Database
from wingman_core.errors import Code, LimitExceeded, WingmanError

MAX_CONSUMERS: Final = 16
"""Consumers of one person."""
MAX_NOTES: Final = 5000
"""Notes of one consumer."""

COLUMNS: Final = """
c.name, c.owner, c.cursor, c.revision, c.updated_at,
(SELECT count(*) FROM event_note n WHERE n.consumer = c.name) AS notes, (SELECT last FROM event_head) AS newest
"""
GET: Final = f"SELECT {COLUMNS} FROM event_consumer c WHERE c.name = $1"  # noqa: S608 - a constant of ours
LIST: Final = f"SELECT {COLUMNS} FROM event_consumer c ORDER BY c.name"  # noqa: S608
READ_BEHIND: Final = "SELECT coalesce(max((SELECT last FROM event_head) - cursor), 0) FROM event_consumer"
TURN: Final = "SELECT pg_advisory_xact_lock(hashtextextended('event_consumer ' || lower($1), 0))"
"""One after the other, until the transaction ends; a statement of its own, so that the next one sees what was made."""
OWNED: Final = "SELECT count(*) FROM event_consumer WHERE lower(owner) = lower($1)"
INSERT: Final = """
INSERT INTO event_consumer (name, owner, cursor, revision, updated_at) VALUES ($1, $2, $3, 1, $4)
ON CONFLICT (name) DO NOTHING RETURNING name
"""
LOCK: Final = "SELECT cursor, revision FROM event_consumer WHERE name = $1 FOR UPDATE"
MOVE: Final = "UPDATE event_consumer SET cursor = $2, revision = revision + 1, updated_at = $3 WHERE name = $1"
REMOVE: Final = "DELETE FROM event_consumer WHERE name = $1"
NEWEST: Final = "SELECT last FROM event_head"
SET_NOTES: Final = """
INSERT INTO event_note (consumer, key, value, updated_at) SELECT $1, note.key, note.value::json, $4
FROM unnest($2::text[], $3::text[]) AS note (key, value)
ON CONFLICT (consumer, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
"""
DROP_NOTES: Final = "DELETE FROM event_note WHERE consumer = $1 AND key = ANY($2)"
COUNT_NOTES: Final = "SELECT count(*) FROM event_note WHERE consumer = $1"
NOTE: Final = "SELECT key, value, updated_at FROM event_note WHERE consumer = $1 AND key = $2"
NOTES: Final = """
SELECT key, value, updated_at FROM event_note WHERE consumer = $1 AND key COLLATE "C" > $2
ORDER BY key COLLATE "C" LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Consumer:
    """A place in the feed, and how far the feed is."""

    name: str
    owner: str
    cursor: int
    revision: int
    """Counts changes, from 1."""
    updated_at: datetime
    notes: int
    newest: int


@dataclass(frozen=True, slots=True)
class Note:
    """What a consumer wants to remember under a key."""

    key: str
    value: str
    """JSON text."""
    updated_at: datetime


class ConsumerStore:
    """Consumers in the database; times are aware."""

    def __init__(self, database: Database) -> None:
        """Use the API's pool."""
        self._database = database

    async def get(self, name: str) -> Consumer | None:
        """Return a consumer."""
        async with self._database.connection() as connection:
            return next(iter(await _named(connection, name)), None)

    async def list(self) -> tuple[Consumer, ...]:
        """Return every consumer, by name."""
        async with self._database.connection() as connection:
            return tuple(Consumer(**row) for row in await connection.fetch(LIST))

    async def behind(self) -> int:
        """Return how many events the slowest consumer has not handled yet; 0 without any consumer."""
        async with self._database.connection() as connection:
            behind: int = await connection.fetchval(READ_BEHIND)
            return behind

    async def create(
        self, name: str, owner: str, cursor: int, notes: Mapping[str, str | None], now: datetime
    ) -> Consumer:
        """Store a new consumer; raise ``WingmanError`` (CONSUMER_CHANGED) where the name is taken."""
        async with self._database.transaction() as connection:
            await connection.execute(TURN, owner)
            if await connection.fetchval(OWNED, owner) >= MAX_CONSUMERS:
                raise LimitExceeded(
                    Code.LIMIT_EXCEEDED, f"a person has at most {MAX_CONSUMERS} consumers", hint="delete one first"
                )
            await _require_reached(connection, cursor)
            if await connection.fetchval(INSERT, name, owner, cursor, now) is None:
                raise _changed(await connection.fetchval(LOCK, name, column=1) or 0)
            return await _noted(connection, name, notes, now)

    async def change(
        self, name: str, revision: int, cursor: int, notes: Mapping[str, str | None], now: datetime
    ) -> Consumer:
        """Move the cursor and change notes, if the revision is still this one; raise ``WingmanError``."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(LOCK, name)
            if row is None:
                raise consumer_unknown(name)
            if row["revision"] != revision:
                raise _changed(row["revision"])
            if cursor < row["cursor"]:
                raise WingmanError(
                    Code.REQUEST_INVALID, f"the cursor stands at {row['cursor']} and never goes back", hint="leave it"
                )
            await _require_reached(connection, cursor)
            await connection.execute(MOVE, name, cursor, now)
            return await _noted(connection, name, notes, now)

    async def remove(self, name: str) -> None:
        """Delete a consumer with its notes."""
        async with self._database.connection() as connection:
            await connection.execute(REMOVE, name)

    async def note(self, name: str, key: str) -> Note | None:
        """Return one note."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(NOTE, name, key)
        return None if row is None else Note(**row)

    async def notes(self, name: str, after: str, limit: int) -> tuple[Note, ...]:
        """Return notes by key, from the first after ``after``."""
        async with self._database.connection() as connection:
            return tuple(Note(**row) for row in await connection.fetch(NOTES, name, after, limit))


def consumer_unknown(name: str) -> WingmanError:
    """Return the error for a consumer that does not exist."""
    return WingmanError(
        Code.CONSUMER_UNKNOWN, "no consumer has this name", hint="make it: PUT it with revision 0", name=name
    )


async def _named(connection: Connection, name: str) -> tuple[Consumer, ...]:
    """Return the consumer of that name, if there is one."""
    return tuple(Consumer(**row) for row in await connection.fetch(GET, name))


async def _noted(connection: Connection, name: str, notes: Mapping[str, str | None], now: datetime) -> Consumer:
    """Change the notes and return the consumer as it is now."""
    kept = {key: value for key, value in notes.items() if value is not None}
    if dropped := [key for key in notes if key not in kept]:
        await connection.execute(DROP_NOTES, name, dropped)
    if kept:
        await connection.execute(SET_NOTES, name, list(kept), list(kept.values()), now)
        if await connection.fetchval(COUNT_NOTES, name) > MAX_NOTES:
            raise LimitExceeded(
                Code.LIMIT_EXCEEDED,
                f"a consumer has at most {MAX_NOTES} notes",
                hint="delete those of finished requests",
            )
    (consumer,) = await _named(connection, name)
    return consumer


async def _require_reached(connection: Connection, cursor: int) -> None:
    newest: int = await connection.fetchval(NEWEST)
    if cursor > newest:
        raise WingmanError(
            Code.REQUEST_INVALID, f"no event has the position {cursor} yet", hint=f"the newest is {newest}"
        )


def _changed(revision: int) -> WingmanError:
    return WingmanError(
        Code.CONSUMER_CHANGED,
        "somebody else changed the consumer",
        hint="read it again, and look whether another process does the same work",
        revision=str(revision),
    )
