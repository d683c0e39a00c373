"""All SQL on how a worker's requests and executions went.

Guarantees: one query whatever the worker did, over partial indexes that hold only what went wrong; each count
stops at ``MOST``, so that a long record costs no more than a short one.
"""

from datetime import datetime
from typing import Final

from wingman_api.system.store import Database
from wingman_core.errors import Code
from wingman_core.risk_votes import Conduct

MOST: Final = 100
NOBODYS_FAULT: Final = (
    Code.CALLER_GONE,
    Code.DATABASE_UNAVAILABLE,
    Code.DEADLINE_EXCEEDED,
    Code.ENGINE_UNAVAILABLE,
    Code.GATEWAY_UNAVAILABLE,
    Code.INTERNAL,
    Code.LIMIT_EXCEEDED,
    Code.POLICY_INVALID,
)
"""Reasons of refusals that say nothing of the worker: something was down, slow or full."""

CONDUCT: Final = """
SELECT
    (SELECT count(*) FROM (
        SELECT FROM approval_request WHERE worker = $1 AND decided_at >= $2 AND status = 'REJECTED' LIMIT $3
    ) AS found) AS rejections,
    (SELECT count(*) FROM (
        SELECT FROM execution_audit
        WHERE worker = $1 AND created_at >= $2 AND kind = 'REFUSED' AND reason <> ALL ($4) LIMIT $3
    ) AS found) AS refusals,
    (SELECT count(*) FROM (
        SELECT FROM execution_audit
        WHERE worker = $1 AND created_at >= $2 AND outcome IN ('FAILED', 'TIMED_OUT', 'UNKNOWN') LIMIT $3
    ) AS found) AS failures
"""


class ConductStore:
    """What is on record of workers; times are aware."""

    def __init__(self, database: Database) -> None:
        """Use the API's pool."""
        self._database = database

    async def conduct(self, worker: str, since: datetime) -> Conduct:
        """Return what went wrong for a worker since then."""
        async with self._database.connection() as connection:
            (row,) = await connection.fetch(CONDUCT, worker, since, MOST, NOBODYS_FAULT)
        return Conduct(row["rejections"], row["refusals"], row["failures"])
