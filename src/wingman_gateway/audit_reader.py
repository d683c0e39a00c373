"""The audit log as an auditor reads it: one consistent pass for verification, and the last records for a person.

Guarantees: rows, nodes and checkpoints come from one snapshot, streamed in the order ``LogVerifier`` wants
them, in constant memory; stored nodes or checkpoints that belong to no row are differences too. Reading is all
it does: the role ``wingman_auditor`` is enough.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

import asyncpg

from wingman_core.audit_columns import Columns
from wingman_core.audit_record import AuditRecord, from_bytes
from wingman_core.audit_verify import LogVerifier, Row, StoredCheckpoint, Summary
from wingman_core.errors import Code, LogCorrupt, Unavailable
from wingman_gateway.audit_store import GONE

PREFETCH: Final = 500
"""Rows fetched at once."""
BATCH: Final = 1000
"""Rows verified between two fetches."""
CONNECT_SECONDS: Final = 10.0
FIRST: Final = -(1 << 63)
LAST: Final = (1 << 63) - 1

READ_SIZE: Final = "SELECT count(*) FROM execution_audit"
_NAMES: Final = [name for name in Columns._fields if name != "created_at"]
READ_ROWS: Final = f"""
SELECT position, record, leaf_hash, created_at AT TIME ZONE 'UTC', {", ".join(_NAMES)} FROM execution_audit
ORDER BY position
"""  # noqa: S608 - field names
# A range of each level is one range of the index: OFFSET 0 keeps the planner from reading the whole table instead.
READ_NODES: Final = """
SELECT node.level, node.index, node.hash
FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS due (level, first, past) CROSS JOIN LATERAL (
    SELECT level, index, hash FROM audit_node
    WHERE level = due.level AND index >= due.first AND index < due.past OFFSET 0
) AS node
"""
COUNT_NODES: Final = "SELECT count(*) FROM audit_node"
READ_CHECKPOINTS: Final = "SELECT size, root, note FROM audit_checkpoint WHERE size > $1 AND size <= $2 ORDER BY size"
READ_LAST: Final = "SELECT position, record FROM execution_audit ORDER BY position DESC LIMIT $1"
READ_BETWEEN: Final = """
SELECT position, record, leaf_hash FROM execution_audit
WHERE ($1::timestamptz IS NULL OR created_at >= $1) AND ($2::timestamptz IS NULL OR created_at < $2)
ORDER BY position
"""

SLICE: Final = 100
"""Rows verified between two looks at what has arrived."""

Cursor: TypeAlias = "asyncpg.cursor.Cursor[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@dataclass(frozen=True, slots=True)
class Exported:
    """A leaf's data and hash as they are stored, and where it stands."""

    position: int
    record: bytes
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class Positioned:
    """A record and where it stands."""

    position: int
    record: AuditRecord


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows up to a position, and what is stored over them."""

    end: int
    rows: list[asyncpg.Record]
    nodes: dict[tuple[int, int], bytes]
    checkpoints: deque[StoredCheckpoint]


class AuditReader:
    """Reads one log over one connection."""

    def __init__(self, connection: Connection) -> None:
        """Take a connection of a role that may SELECT."""
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, password: str) -> AsyncIterator["AuditReader"]:
        """Open a connection for as long as the context lasts; raise ``Unavailable`` where nobody answers."""
        try:
            connection = await asyncpg.connect(url, password=password, timeout=CONNECT_SECONDS)
        except GONE as error:
            raise _unavailable(error) from error
        try:
            yield cls(connection)
        except GONE as error:
            raise _unavailable(error) from error
        finally:
            await connection.close()

    async def size(self) -> int:
        """Return the number of records."""
        size: int = await self._connection.fetchval(READ_SIZE)
        return size

    async def last(self, limit: int) -> tuple[Positioned, ...]:
        """Return the newest records, at most ``limit``, the oldest of them first; they are not verified."""
        rows = await self._connection.fetch(READ_LAST, limit)
        return tuple(Positioned(row["position"], from_bytes(row["record"])) for row in reversed(rows))

    async def between(self, since: datetime | None, until: datetime | None) -> AsyncGenerator[Exported]:
        """Yield what was recorded from ``since`` on and before ``until`` (aware), by position; it is not verified."""
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            async for row in self._connection.cursor(READ_BETWEEN, since, until, prefetch=PREFETCH):
                yield Exported(row["position"], row["record"], row["leaf_hash"])

    async def verify(self, verifier: LogVerifier, progress: Callable[[int], None]) -> Summary:
        """Feed the whole log; ``progress`` hears how many rows hold so far. Raises ``LogCorrupt`` with the first."""
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            end = 0
            async with aclosing(self._batches()) as batches:
                async for batch in batches:
                    for number, row in enumerate(batch.rows):
                        verifier.row(_row(row, _completed(verifier.size, batch.nodes)))
                        while batch.checkpoints and batch.checkpoints[0].size <= verifier.size:
                            verifier.checkpoint(batch.checkpoints.popleft())
                        if number % SLICE == 0:
                            await asyncio.sleep(0)  # what the server has sent makes room for more
                    end = batch.end
                    progress(end)
            covered = end or FIRST
            for checkpoint in await self._checkpoints(covered, LAST):
                verifier.checkpoint(checkpoint)
            await self._require_nodes(verifier.size)
        return verifier.finish()

    async def _batches(self) -> AsyncGenerator[_Batch]:
        """Yield the whole log, the next batch on its way while one is verified."""
        cursor = await self._connection.cursor(READ_ROWS)
        ahead = asyncio.create_task(self._batch(cursor, 0))
        try:
            while (batch := await ahead).rows:
                ahead = asyncio.create_task(self._batch(cursor, batch.end))
                yield batch
        finally:
            # One query at a time: whoever gives up waits for the one that is on its way.
            ahead.cancel()
            await asyncio.wait({ahead})

    async def _batch(self, cursor: Cursor, begin: int) -> _Batch:
        """Return the next rows with what is stored over them; ``begin`` is the position of the first."""
        rows = await cursor.fetch(BATCH)
        end = begin + len(rows)
        return _Batch(end, rows, await self._nodes(begin, end), await self._checkpoints(begin or FIRST, end))

    async def _nodes(self, begin: int, end: int) -> dict[tuple[int, int], bytes]:
        """Return what is stored over the subtrees that are complete with one of the leaves [begin, end)."""
        levels = range(1, end.bit_length())
        first, past = [begin >> level for level in levels], [end >> level for level in levels]
        rows = await self._connection.fetch(READ_NODES, list(levels), first, past)
        return {(level, index): hashed for level, index, hashed in rows}

    async def _checkpoints(self, covered: int, end: int) -> deque[StoredCheckpoint]:
        rows = await self._connection.fetch(READ_CHECKPOINTS, covered, end)
        return deque(StoredCheckpoint(row["size"], row["root"], row["note"]) for row in rows)

    async def _require_nodes(self, size: int) -> None:
        """Raise ``LogCorrupt`` where there are other nodes than those that were compared."""
        complete = sum(size >> level for level in range(1, size.bit_length()))
        if await self._connection.fetchval(COUNT_NODES) != complete:
            raise LogCorrupt(
                Code.LOG_CORRUPT,
                f"position {size}: there are tree nodes over records that are missing",
                hint="keep the database as it is, and compare with a backup and an older checkpoint",
                position=str(size),
                what="nodes",
            )


def _completed(position: int, stored: dict[tuple[int, int], bytes]) -> list[bytes]:
    """Return the stored nodes over the subtrees that the leaf at a position completes, the lowest first."""
    nodes, index, level = [], position, 0
    while index & 1:
        level, index = level + 1, index >> 1
        if (level, index) in stored:
            nodes.append(stored[level, index])
    return nodes


def _row(found: asyncpg.Record, completed: list[bytes]) -> Row:
    position, record, leaf, moment, kind, environment, *others = found
    created_at = f"{moment.isoformat(timespec='microseconds')}Z"
    return Row(position, Columns(kind, environment, created_at, *others), record, leaf, completed)


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(
        Code.DATABASE_UNAVAILABLE, f"the database does not answer ({type(error).__name__})", hint="start it, try again"
    )
