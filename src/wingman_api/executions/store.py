"""All SQL on executions and their relayed output, joined with the audit log, which the API may only read."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg

from wingman_api.events.outbox import emit
from wingman_api.executions import telling
from wingman_api.executions.record import AuditEntry, Execution, OutputRow, Result, Started
from wingman_api.gateway import Accepted, Finished, Stream
from wingman_api.idempotency.once import Once
from wingman_api.idempotency.store import remember
from wingman_api.system.store import Database
from wingman_core.errors import Code, WingmanError

CHANNEL: Final = "wingman_execution"

STARTED: Final = """
INSERT INTO execution (id, request_id, n, started_by, key_id, state, intent_position, started_at)
VALUES ($1, $2, $3, $4, $5, 'RUNNING', $6, $7)
ON CONFLICT (id) DO NOTHING RETURNING id
"""
HISTORY: Final = """
INSERT INTO approval_history (request_id, at, event, actor, key_id, status, note)
SELECT id, $2, $3, $4, $5, status, $6 FROM approval_request WHERE id = $1
"""
APPEND: Final = """
WITH added AS (
    INSERT INTO execution_output (execution_id, seq, stream, data, stored_at)
    SELECT $1, piece.*, $5 FROM unnest($2::bigint[], $3::text[], $4::bytea[]) AS piece
)
SELECT pg_notify($6, $1)
"""
FINISHED: Final = """
WITH done AS (
    UPDATE execution SET state = $2, exit_code = $3, duration_ms = $4, output_digest = $5, truncated = $6,
                         finished_at = $7
    WHERE id = $1
)
SELECT pg_notify($8, $1)
"""
LOST: Final = """
WITH done AS (UPDATE execution SET state = 'LOST' WHERE id = $1 AND state = 'RUNNING') SELECT pg_notify($2, $1)
"""
OUTPUT: Final = """
SELECT seq, stream, data FROM execution_output WHERE execution_id = $1 AND seq > $2 ORDER BY seq LIMIT $3
"""
ONE: Final = """
SELECT i.execution_id, i.approval_id, i.worker, i.environment, i.command, i.operation_digest, i.target_digest,
       i.decision_digest, i.client, i.position AS intent_position, i.leaf_hash AS intent_leaf,
       i.created_at AS intent_at,
       r.position AS result_position, r.kind AS result_kind, r.leaf_hash AS result_leaf, r.created_at AS result_at,
       r.outcome, r.exit_code, r.duration_ms, r.output_digest, r.evidence,
       e.started_by, e.state AS seen, coalesce(e.truncated, false) AS truncated, e.exit_code AS seen_exit_code,
       e.duration_ms AS seen_duration_ms, e.output_digest AS seen_output_digest, e.finished_at AS seen_at,
       (SELECT stored_at FROM execution_output WHERE execution_id = i.execution_id ORDER BY seq DESC LIMIT 1) AS heard,
       (SELECT note FROM audit_checkpoint WHERE size > coalesce(r.position, i.position) ORDER BY size LIMIT 1) AS note
FROM execution_audit i
LEFT JOIN LATERAL (
    SELECT * FROM execution_audit o
    WHERE o.execution_id = i.execution_id AND o.kind IN ('RESULT', 'RECONCILED', 'SETTLED')
    ORDER BY o.position DESC LIMIT 1
) r ON true
LEFT JOIN execution e ON e.id = i.execution_id
WHERE i.kind = 'INTENT' AND i.execution_id = $1
"""
SPENT_BY: Final = "SELECT execution_id FROM execution_audit WHERE kind = 'INTENT' AND approval_id = $1"

SPENT_WITH: Final = "SELECT execution_id, position FROM execution_audit WHERE kind = 'INTENT' AND jti = $1"


class ExecutionStore:
    """Executions in the database; times are aware."""

    def __init__(self, database: Database) -> None:
        """Use the API's pool."""
        self._database = database

    async def started(  # noqa: PLR0913 - one row
        self,
        accepted: Accepted,
        *,
        request_id: str,
        n: int,
        worker: str,
        started_by: str,
        key_id: str,
        at: datetime,
        once: Once[Started] | None = None,
    ) -> None:
        """Store that the gateway took an execution on, tell it, and keep the answer that says so; once."""
        async with self._database.transaction() as connection:
            row = (accepted.execution_id, request_id, n, started_by, key_id, accepted.audit_position, at)
            if await connection.fetchval(STARTED, *row) is None:
                return  # an earlier try whose end nobody heard
            await connection.execute(
                HISTORY, request_id, at, "execution.started", started_by, key_id, accepted.execution_id
            )
            await emit(connection, telling.started(accepted, f"{request_id}.{n}", worker, at))
            await remember(connection, once, Started(accepted, f"{request_id}.{n}"))

    async def minted(self, request_id: str, actor: str, key_id: str | None, note: str, at: datetime) -> None:
        """Store in the request's history that a token was handed out."""
        async with self._database.connection() as connection:
            await connection.execute(HISTORY, request_id, at, "token.minted", actor, key_id, note)

    async def append(self, execution_id: str, rows: Sequence[OutputRow], at: datetime) -> None:
        """Store pieces of output, and wake who reads them."""
        async with self._database.connection() as connection:
            await connection.execute(
                APPEND,
                execution_id,
                [row.seq for row in rows],
                [row.stream for row in rows],
                [row.data for row in rows],
                at,
                CHANNEL,
            )

    async def finished(  # noqa: PLR0913 - one row, and whose it is
        self, execution_id: str, finished: Finished, *, request_id: str, n: int, worker: str, at: datetime
    ) -> None:
        """Store how it ended, as the gateway told, and tell it; wake who reads."""
        async with self._database.transaction() as connection:
            await connection.execute(
                FINISHED,
                execution_id,
                finished.outcome,
                finished.exit_code,
                finished.duration_ms,
                finished.output_digest,
                finished.truncated,
                finished.at,
                CHANNEL,
            )
            note = f"{execution_id} {finished.outcome}"
            await connection.execute(HISTORY, request_id, at, "execution.finished", "gateway", None, note)
            await emit(connection, telling.finished(execution_id, finished, f"{request_id}.{n}", worker))

    async def lost(self, execution_id: str) -> None:
        """Store that the stream broke: the rest is in the audit log; wake who reads."""
        async with self._database.connection() as connection:
            await connection.execute(LOST, execution_id, CHANNEL)

    async def get(self, execution_id: str) -> Execution:
        """Return one execution; raise ``WingmanError`` (EXECUTION_UNKNOWN)."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(ONE, execution_id)
        if row is None:
            raise unknown(execution_id)
        return _execution(row)

    async def spent_by(self, approval_id: str) -> str | None:
        """Return the execution that an approval was spent on."""
        async with self._database.connection() as connection:
            found: str | None = await connection.fetchval(SPENT_BY, approval_id)
        return found

    async def spent_with(self, token_id: str) -> Accepted | None:
        """Return the execution that a token of this id was spent on."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(SPENT_WITH, token_id)
        return None if row is None else Accepted(row["execution_id"], row["position"])

    async def output(self, execution_id: str, after: int, limit: int) -> tuple[OutputRow, ...]:
        """Return output after the piece numbered ``after`` (-1: from the start), in order."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(OUTPUT, execution_id, after, limit)
        return tuple(OutputRow(row["seq"], _stream(row["stream"]), row["data"]) for row in rows)


def unknown(execution_id: str) -> WingmanError:
    """Return the error for an execution that does not exist, or is not the caller's to see."""
    return WingmanError(
        Code.EXECUTION_UNKNOWN, "no execution has this id", hint="GET /approvals/{id} names it", id=execution_id
    )


def _stream(name: str) -> Stream:
    return "stdout" if name == "stdout" else "stderr" if name == "stderr" else "progress"


def _execution(row: asyncpg.Record) -> Execution:
    return Execution(
        id=row["execution_id"],
        approval_id=row["approval_id"],
        worker=row["worker"],
        environment=row["environment"],
        command=row["command"],
        operation_digest=row["operation_digest"],
        target_digest=row["target_digest"],
        decision_digest=row["decision_digest"],
        client=row["client"],
        started_by=row["started_by"] or "",
        intent=AuditEntry(row["intent_position"], "INTENT", row["intent_leaf"].hex(), row["intent_at"]),
        seen=row["seen"],
        truncated=row["truncated"],
        heard=row["heard"],
        result=_result(row),
        checkpoint=row["note"] or "",
    )


def _result(row: asyncpg.Record) -> Result | None:
    """Return the outcome as the audit log has it, else as the relay saw it, else none."""
    if row["result_position"] is not None:
        return Result(
            outcome=row["outcome"],
            exit_code=row["exit_code"],
            duration_ms=row["duration_ms"],
            output_digest=row["output_digest"],
            evidence=row["evidence"],
            at=row["result_at"],
            entry=AuditEntry(row["result_position"], row["result_kind"], row["result_leaf"].hex(), row["result_at"]),
        )
    if row["seen_at"] is not None:
        return Result(
            outcome=row["seen"],
            exit_code=row["seen_exit_code"],
            duration_ms=row["seen_duration_ms"],
            output_digest=row["seen_output_digest"],
            evidence="",
            at=row["seen_at"],
            entry=None,
        )
    return None
