"""The INTENTs of the log that have no outcome, whoever wrote them.

Guarantees: what was committed before a look began is looked at; a look reads what has come since the one before it,
and the outcomes of those that were open then, so that it costs the same in a log of any length. The first look reads
the whole log, a piece at a time, while others append.
"""

import asyncio
from typing import Final, TypeAlias

import asyncpg

from wingman_core.audit_record import AuditRecord, from_bytes

PIECE: Final = 20_000
"""Positions that one query looks at."""

LOCK_LOG: Final = "LOCK TABLE audit_turn IN EXCLUSIVE MODE"
"""Wait for one's turn among appenders, and keep it until the transaction ends; the right to it is the gateway's."""
READ_SIZE: Final = "SELECT coalesce(max(position) + 1, 0) FROM execution_audit"
READ_OPEN: Final = """
SELECT record FROM execution_audit AS intent
WHERE position >= $1 AND position < $2 AND kind = 'INTENT' AND NOT EXISTS (
    SELECT FROM execution_audit AS outcome
    WHERE outcome.execution_id = intent.execution_id AND outcome.kind IN ('RESULT', 'RECONCILED'))
ORDER BY position
"""
READ_ENDED: Final = """
SELECT execution_id FROM execution_audit WHERE execution_id = ANY($1::text[]) AND kind IN ('RESULT', 'RECONCILED')
"""

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class OpenIntents:
    """What was open at the last look, and how far that went."""

    def __init__(self, pool: Pool, *, seconds: float) -> None:
        """Take the pool of the gateway's role, and a bound for each query in seconds."""
        self._pool = pool
        self._seconds = seconds
        self._looked = 0
        self._open: dict[str, AuditRecord] = {}

    async def look(self) -> tuple[AuditRecord, ...]:
        """Return them, oldest first; raise what the driver raises, ``TimeoutError`` for a query past its bound."""
        size = await self._size()
        if size < self._looked:  # another log than before
            self._looked, self._open = 0, {}
        while self._looked < size:
            past = min(self._looked + PIECE, size)
            async with asyncio.timeout(self._seconds):
                found = await self._pool.fetch(READ_OPEN, self._looked, past)
            for row in found:
                intent = from_bytes(row["record"])
                self._open[intent.execution_id] = intent
            self._looked = past
        async with asyncio.timeout(self._seconds):
            ended = await self._pool.fetch(READ_ENDED, list(self._open))
        for row in ended:
            self._open.pop(row["execution_id"], None)
        return tuple(self._open.values())

    async def _size(self) -> int:
        """Return the number of records, once those whose answers were lost are in, too."""
        async with asyncio.timeout(self._seconds), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(LOCK_LOG)
            size: int = await connection.fetchval(READ_SIZE)
            return size
