"""All SQL on ``verification_logs``.

Guarantees: a verification is written once, in one transaction with whatever else reports it. What a probe saw may
hold bytes that no database text can; they are shown escaped.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from wingman_api.claims.finding import Verdict
from wingman_api.claims.record import Evidence, Verification, false_claim
from wingman_api.events.outbox import emit
from wingman_api.identity.caller import ANONYMOUS
from wingman_api.system.store import Database

MAX_WORKERS: Final = 50
INSERT: Final = """
INSERT INTO verification_logs (id, timestamp, worker_id, requested_by, key_id, claim, verdict, details, evidence,
                               unread, verifier, source, processing_time_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
COUNTS: Final = """
SELECT verdict, count(*) AS count, sum(processing_time_ms) AS milliseconds FROM verification_logs
WHERE timestamp >= $1 AND ($2::text IS NULL OR worker_id = $2) GROUP BY verdict
"""
WORKERS: Final = """
SELECT worker_id, count(*) AS total, count(*) FILTER (WHERE verdict = 'TRUE') AS true,
       count(*) FILTER (WHERE verdict = 'FALSE') AS false
FROM verification_logs WHERE timestamp >= $1 AND ($2::text IS NULL OR worker_id = $2)
GROUP BY worker_id ORDER BY count(*) DESC, worker_id LIMIT $3
"""
FALSE_CLAIMS: Final = """
SELECT count(*) FROM (
    SELECT FROM verification_logs
    WHERE worker_id = $1 AND timestamp >= $2 AND verdict = 'FALSE' AND requested_by <> $3 LIMIT 100
) AS found
"""
"""What nobody in particular had verified in a worker's name is no mark against it."""


@dataclass(frozen=True, slots=True)
class WorkerCount:
    """How one worker's claims did."""

    worker: str
    total: int
    true: int
    false: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """What was verified since a moment; ``mean_ms`` is None where nothing was."""

    verdicts: Mapping[Verdict, int]
    mean_ms: float | None
    workers: tuple[WorkerCount, ...]

    @property
    def total(self) -> int:
        """How many verifications."""
        return sum(self.verdicts.values())


class VerificationStore:
    """Verifications in the database; times are aware."""

    def __init__(self, database: Database) -> None:
        """Use the API's pool."""
        self._database = database

    async def add(self, verification: Verification) -> None:
        """Store a verification."""
        async with self._database.transaction() as connection:
            await connection.execute(
                INSERT,
                verification.id,
                verification.at,
                verification.worker,
                verification.requested_by,
                verification.key_id,
                verification.claim,
                verification.verdict,
                verification.details,
                json.dumps([_evidence(each) for each in verification.evidence]),
                json.dumps([{"text": part.text, "reason": part.reason.value} for part in verification.unread]),
                verification.verifier,
                verification.source,
                verification.processing_time_ms,
            )
            if verification.verdict == "FALSE":
                await emit(connection, false_claim(verification))

    async def statistics(self, since: datetime, worker: str | None) -> Statistics:
        """Return counts and the mean time since a moment, of one worker or all."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(COUNTS, since, worker)
            workers = await connection.fetch(WORKERS, since, worker, MAX_WORKERS)
        counts: dict[Verdict, int] = {"TRUE": 0, "FALSE": 0, "UNVERIFIABLE": 0, "ERROR": 0}
        counts |= {row["verdict"]: row["count"] for row in rows}
        total = sum(counts.values())
        return Statistics(
            verdicts=counts,
            mean_ms=sum(row["milliseconds"] for row in rows) / total if total else None,
            workers=tuple(WorkerCount(row["worker_id"], row["total"], row["true"], row["false"]) for row in workers),
        )

    async def false_claims(self, worker: str, since: datetime) -> int:
        """Return how many of a worker's claims were found FALSE since a moment."""
        async with self._database.connection() as connection:
            count: int = await connection.fetchval(FALSE_CLAIMS, worker, since, ANONYMOUS)
        return count


def _evidence(evidence: Evidence) -> dict[str, object]:
    finding = evidence.finding
    return {
        "assertion": finding.assertion.model_dump(mode="json", exclude_none=True),
        "outcome": finding.outcome,
        "seen": finding.seen,
        "probe": finding.probe,
        "at": finding.at.isoformat(),
        "origin": evidence.origin,
    }
