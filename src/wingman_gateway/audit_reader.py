"""The audit log as an auditor reads it: one consistent pass for verification, and the last records for a person.

Guarantees: rows, nodes and checkpoints come from one snapshot, streamed in the order ``LogVerifier`` wants
them, in constant memory; stored nodes or checkpoints that belong to no row are differences too. Reading is all
it does: the role ``wingman_auditor`` is enough.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

import asyncpg

from wingman_core.audit_record import COLUMNS, AuditRecord, from_bytes
from wingman_core.audit_verify import LogVerifier, Row, StoredCheckpoint, Summary
from wingman_core.canonical import rfc3339
from wingman_core.errors import CanonicalError, Code, LogCorrupt, Unavailable
from wingman_core.translog import Node
from wingman_gateway.audit_store import GONE

PREFETCH: Final = 500
"""Rows fetched at once."""
CONNECT_SECONDS: Final = 10.0
LAST: Final = (1 << 63) - 1

READ_SIZE: Final = "SELECT count(*) FROM execution_audit"
READ_ROWS: Final = f"SELECT position, record, leaf_hash, {', '.join(COLUMNS)} FROM execution_audit ORDER BY position"  # noqa: S608 - field names
# A node is complete with the last leaf under it: leaf ((index + 1) << level) - 1. One that no tree has comes last.
READ_NODES: Final = """
SELECT CASE WHEN level BETWEEN 1 AND 62 AND index BETWEEN 0 AND (1::bigint << (62 - level)) - 2
       THEN ((index + 1) << level) - 1 ELSE 9223372036854775807 END AS position, level, index, hash
FROM audit_node ORDER BY 1, level, index
"""
READ_CHECKPOINTS: Final = "SELECT size - 1 AS position, size, root, note FROM audit_checkpoint ORDER BY size"
READ_LAST: Final = "SELECT position, record FROM execution_audit ORDER BY position DESC LIMIT $1"
READ_BETWEEN: Final = """
SELECT position, record, leaf_hash FROM execution_audit
WHERE ($1::timestamptz IS NULL OR created_at >= $1) AND ($2::timestamptz IS NULL OR created_at < $2)
ORDER BY position
"""
READ_HEAD: Final = "SELECT note FROM audit_checkpoint ORDER BY size DESC LIMIT 1"

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

    async def head(self) -> str:
        """Return the newest checkpoint as a signed note; empty for an empty log."""
        note: str | None = await self._connection.fetchval(READ_HEAD)
        return note or ""

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
        """Feed the whole log; ``progress`` hears of each record's position. Raises ``LogCorrupt`` with the first."""
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            nodes = _Ahead(self._connection, READ_NODES)
            checkpoints = _Ahead(self._connection, READ_CHECKPOINTS)
            async for found in self._connection.cursor(READ_ROWS, prefetch=PREFETCH):
                position: int = found["position"]
                verifier.row(_row(found, await nodes.take(position)))
                for checkpoint in await checkpoints.take(position):
                    verifier.checkpoint(_checkpoint(checkpoint))
                progress(position)
            for checkpoint in await checkpoints.take(LAST):
                verifier.checkpoint(_checkpoint(checkpoint))
            if await nodes.take(LAST):
                raise LogCorrupt(
                    Code.LOG_CORRUPT,
                    f"position {verifier.size}: there are tree nodes over records that are missing",
                    hint="keep the database as it is, and compare with a backup and an older checkpoint",
                    position=str(verifier.size),
                    what="nodes",
                )
        return verifier.finish()


class _Ahead:
    """A query's rows, read as far as wanted."""

    def __init__(self, connection: Connection, query: str) -> None:
        self._rows = aiter(connection.cursor(query, prefetch=PREFETCH))
        self._next: asyncpg.Record | None = None
        self._ended = False

    async def take(self, position: int) -> list[asyncpg.Record]:
        """Return the rows that are due by ``position``; the first that is not is kept."""
        taken = []
        while (row := await self._peek()) is not None and row["position"] <= position:
            taken.append(row)
            self._next = None
        return taken

    async def _peek(self) -> asyncpg.Record | None:
        if self._next is None and not self._ended:
            self._next = await anext(self._rows, None)
            self._ended = self._next is None
        return self._next


def _row(found: asyncpg.Record, completed: list[asyncpg.Record]) -> Row:
    columns = {name: found[name] for name in COLUMNS}
    try:
        columns["created_at"] = rfc3339(columns["created_at"])
    except (CanonicalError, ValueError):  # such as infinity: no record has it, so the comparison will say where
        columns["created_at"] = str(columns["created_at"])
    nodes = tuple(Node(node["level"], node["index"], node["hash"]) for node in completed)
    return Row(found["position"], columns, found["record"], found["leaf_hash"], nodes)


def _checkpoint(found: asyncpg.Record) -> StoredCheckpoint:
    return StoredCheckpoint(found["size"], found["root"], found["note"])


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(
        Code.DATABASE_UNAVAILABLE, f"the database does not answer ({type(error).__name__})", hint="start it, try again"
    )
