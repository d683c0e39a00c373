"""All SQL of the watch: whose turn it is, how far the audit log was told, and what was told last.

Guarantees: what is told and how far that is are one transaction on one locked row, so that each audit record is
told once, whoever holds the watch. The audit log is only read.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from wingman_api.system.store import Connection, Database

HOLD: Final = """
UPDATE event_watch SET holder = $1, held_until = clock_timestamp() + make_interval(secs => $2)
WHERE holder = $1 OR held_until < clock_timestamp()
RETURNING audit_position, checkpoint_size, checkpoint_at, health
"""
LET_GO: Final = "UPDATE event_watch SET held_until = 'epoch' WHERE holder = $1"
RECORDS: Final = """
SELECT position, kind, execution_id, approval_id, worker, outcome, reason, exit_code, duration_ms, created_at
FROM execution_audit WHERE position >= $1 ORDER BY position LIMIT $2
"""
CHECKPOINT: Final = "SELECT size, root, note FROM audit_checkpoint ORDER BY size DESC LIMIT 1"
TOLD_RECORDS: Final = "UPDATE event_watch SET audit_position = $1"
TOLD_CHECKPOINT: Final = "UPDATE event_watch SET checkpoint_size = $1, checkpoint_at = $2"
TOLD_HEALTH: Final = "UPDATE event_watch SET health = $1::json"


@dataclass(frozen=True, slots=True)
class Record:
    """What the watch needs of a record of the audit log."""

    position: int
    kind: str
    execution_id: str
    approval_id: str
    worker: str
    outcome: str
    reason: str
    exit_code: int | None
    duration_ms: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Head:
    """The newest checkpoint."""

    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True)
class Turn:
    """The watch, held until this transaction ends and some seconds longer."""

    connection: Connection
    audit_position: int
    """The first record that was not told."""
    checkpoint_size: int
    checkpoint_at: datetime | None
    health: str | None
    """As ``told_health`` stored it."""

    async def records(self, limit: int) -> tuple[Record, ...]:
        """Return the records that were not told, in order."""
        return tuple(Record(**row) for row in await self.connection.fetch(RECORDS, self.audit_position, limit))

    async def head(self) -> Head | None:
        """Return the newest checkpoint."""
        row = await self.connection.fetchrow(CHECKPOINT)
        return None if row is None else Head(**row)

    async def told_records(self, position: int) -> None:
        """Remember that everything before ``position`` was told."""
        await self.connection.execute(TOLD_RECORDS, position)

    async def told_checkpoint(self, size: int, at: datetime) -> None:
        """Remember which checkpoint was told, and when."""
        await self.connection.execute(TOLD_CHECKPOINT, size, at)

    async def told_health(self, health: str) -> None:
        """Remember what was told of health, as JSON."""
        await self.connection.execute(TOLD_HEALTH, health)


class WatchStore:
    """The one row, and who holds it."""

    def __init__(self, database: Database) -> None:
        """Use the API's pool."""
        self._database = database

    @asynccontextmanager
    async def turn(self, holder: str, seconds: float) -> AsyncIterator[Turn | None]:
        """Hold the watch for ``seconds`` from now, in a transaction; yield None where another process holds it."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(HOLD, holder, seconds)
            yield None if row is None else Turn(connection, **row)

    async def let_go(self, holder: str) -> None:
        """Let another process have the watch at once."""
        async with self._database.connection() as connection:
            await connection.execute(LET_GO, holder)
