"""The audit log as the gateway's callers read it: its head, its records, proofs over its tree.

Guarantees: a proof costs three queries and O(log n) nodes however long the log is; a checkpoint that is returned covers
every node that is read behind it, since the log only grows; at most ``READERS`` calls read at once, so that appends
always find a connection. What is returned is to be verified by whoever asked, and is not verified here.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import asyncpg

from wingman_core.errors import Code, Unavailable, WingmanError
from wingman_core.proofs import Position, consistency_proof, inclusion_proof, wanted, wanted_between
from wingman_gateway.audit_ledger import Connection
from wingman_gateway.audit_store import GONE, READ_LEAVES, READ_NODES, Pool
from wingman_gateway.journal import EXECUTION

READERS: Final = 2
READ_SECONDS: Final = 10.0
"""Seconds for one read, the wait for its turn among them."""
MAX_PAGE: Final = 500
PAGE_BYTES: Final = 1 << 20
"""Bytes of records in one page, at most; a single record may be larger."""

MAX_POSITION: Final = 1 << 62

READ_HEAD: Final = "SELECT size, note FROM audit_checkpoint ORDER BY size DESC LIMIT 1"
READ_NOTE: Final = "SELECT note FROM audit_checkpoint WHERE size = $1"
READ_ENTRY: Final = "SELECT position, record FROM execution_audit WHERE position = $1"
READ_EXECUTION: Final = """
SELECT position, record FROM execution_audit
WHERE execution_id = $1 AND kind IN ('INTENT', 'RESULT', 'RECONCILED', 'SETTLED') ORDER BY position
"""
READ_PAGE: Final = """
SELECT position, record FROM (
    SELECT position, record, sum(octet_length(record)) OVER (ORDER BY position) AS bytes
    FROM execution_audit WHERE position >= $1 AND position < $1 + $2
) AS page WHERE bytes <= $3 OR position = $1 ORDER BY position
"""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest checkpoint; size 0 and no note for an empty log."""

    size: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A leaf of the log."""

    position: int
    record: bytes


@dataclass(frozen=True, slots=True)
class Proof:
    """Hashes in the order of RFC 6962, and the checkpoint of that very tree where there is one."""

    tree_size: int
    hashes: tuple[bytes, ...]
    note: str


class AuditLog:
    """Reads one log; every method raises ``Unavailable`` where the database does not answer."""

    def __init__(self, pool: Pool) -> None:
        """Take the pool that the gateway has."""
        self._pool = pool
        self._turn = asyncio.Semaphore(READERS)

    async def head(self) -> Head:
        """Return the newest checkpoint."""
        async with self._reading() as connection:
            return await _head(connection)

    async def at(self, position: int) -> tuple[Entry, ...]:
        """Return the record at a position; raise ``WingmanError`` NOT_FOUND behind the end."""
        async with self._reading() as connection:
            rows = await connection.fetch(READ_ENTRY, position)
        return _found(rows, f"there is no record {position}")

    async def of(self, execution_id: str) -> tuple[Entry, ...]:
        """Return an execution's INTENT, and its outcome if there is one.

        Raises ``WingmanError``: NOT_FOUND, and REQUEST_INVALID for what is no execution's id.
        """
        if not EXECUTION.fullmatch(execution_id):
            raise WingmanError(Code.REQUEST_INVALID, "this is no execution's id", hint="one looks like exe_...")
        async with self._reading() as connection:
            rows = await connection.fetch(READ_EXECUTION, execution_id)
        return _found(rows, "the log has no such execution")

    async def page(self, first: int, limit: int) -> tuple[Head, tuple[Entry, ...]]:
        """Return the head, and at most ``limit`` records from a position on: fewer where they are large."""
        if not 0 <= first <= MAX_POSITION or not 1 <= limit <= MAX_PAGE:
            raise _invalid(f"a page begins at 0 or later and has 1 to {MAX_PAGE} records")
        async with self._reading() as connection:
            head = await _head(connection)
            rows = await connection.fetch(READ_PAGE, first, limit, PAGE_BYTES)
        return head, tuple(Entry(row["position"], row["record"]) for row in rows if row["position"] < head.size)

    async def prove(self, position: int, tree_size: int = 0) -> Proof:
        """Return the inclusion proof of a record in the tree of so many, 0 for the newest."""
        async with self._reading() as connection:
            size = await _tree(connection, tree_size)
            if not 0 <= position < size:
                raise _invalid(f"a tree of {size} records has no position {position}")
            nodes = await _nodes(connection, wanted(position, size))
            return Proof(size, inclusion_proof(position, size, nodes), await _note(connection, size))

    async def prove_growth(self, old_size: int, tree_size: int = 0) -> Proof:
        """Return the consistency proof between two sizes of the tree, 0 for the newest."""
        async with self._reading() as connection:
            size = await _tree(connection, tree_size)
            if not 0 < old_size <= size:
                raise _invalid(f"a tree of {old_size} records is not the beginning of one of {size}")
            nodes = await _nodes(connection, wanted_between(old_size, size))
            return Proof(size, consistency_proof(old_size, size, nodes), await _note(connection, size))

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Connection]:
        try:
            async with asyncio.timeout(READ_SECONDS), self._turn, self._pool.acquire() as connection:
                yield connection
        except GONE as error:
            raise Unavailable(
                Code.DATABASE_UNAVAILABLE,
                f"the audit log cannot be read ({type(error).__name__})",
                hint="try again in a moment",
            ) from error


async def _head(connection: Connection) -> Head:
    row = await connection.fetchrow(READ_HEAD)
    return Head() if row is None else Head(row["size"], row["note"])


async def _tree(connection: Connection, size: int) -> int:
    """Return the size of the tree that is meant; raise ``WingmanError`` where the log has not reached it."""
    head = await _head(connection)
    if not 0 <= size <= head.size:
        raise _invalid(f"the log has {head.size} records, not {size}")
    return size or head.size


async def _note(connection: Connection, size: int) -> str:
    return str(await connection.fetchval(READ_NOTE, size) or "")


async def _nodes(connection: Connection, positions: Sequence[Position]) -> dict[Position, bytes]:
    """Return the hashes at the positions, with two queries however many there are."""
    interior = [node for node in positions if node[0]]
    rows = await connection.fetch(READ_LEAVES, [index for level, index in positions if not level])
    rows += await connection.fetch(READ_NODES, [level for level, _ in interior], [index for _, index in interior])
    return {(row["level"], row["index"]): row["hash"] for row in rows}


def _found(rows: Sequence[asyncpg.Record], otherwise: str) -> tuple[Entry, ...]:
    if not rows:
        raise WingmanError(Code.NOT_FOUND, otherwise, hint="look at the newest checkpoint for how long the log is")
    return tuple(Entry(row["position"], row["record"]) for row in rows)


def _invalid(message: str) -> WingmanError:
    return WingmanError(Code.REQUEST_INVALID, message, hint="ask for the newest checkpoint first")
