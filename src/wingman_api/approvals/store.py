"""All SQL on requests, their commands, votes, decisions and history.

Guarantees: a decision and its history are one transaction; a status leaves PENDING by one conditional UPDATE,
so that of two who race one loses; what expired is stored as expired before anybody reads it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

import asyncpg

from wingman_api.approvals.record import Command, HistoryEntry, Record
from wingman_api.system.store import Connection, Database
from wingman_core.approval import Decision, Request, Status
from wingman_core.errors import ApprovalRefused, Code
from wingman_core.risk import Level, Risk, Vote

INSERT_REQUEST: Final = """
INSERT INTO approval_request (id, worker, requested_by, key_id, environment, task_name, instruction, status,
                              people_needed, risk_level, dedupe_digest, created_at, expires_at, decided_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (dedupe_digest) WHERE status = 'PENDING' DO UPDATE SET decided_at = approval_request.decided_at
RETURNING id
"""
"""Changes nothing of an identical pending request, and so returns its id, locked until the transaction ends."""
INSERT_COMMAND: Final = """
INSERT INTO approval_command (request_id, n, command, operation_digest, target_digest, preview)
VALUES ($1, $2, $3, $4, $5, $6)
"""
INSERT_VOTE: Final = "INSERT INTO approval_vote (request_id, n, source, level, reason) VALUES ($1, $2, $3, $4, $5)"
INSERT_DECISION: Final = """
INSERT INTO approval_decision (request_id, n, person, approve, channel, note, key_id, decided_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
INSERT_HISTORY: Final = """
INSERT INTO approval_history (request_id, at, event, actor, key_id, status, note) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
SWEEP: Final = """
WITH late AS (
    SELECT id FROM approval_request WHERE status = 'PENDING' AND expires_at <= $1
    ORDER BY expires_at LIMIT 500 FOR UPDATE SKIP LOCKED
), expired AS (
    UPDATE approval_request r SET status = 'EXPIRED', decided_at = r.expires_at
    FROM late WHERE r.id = late.id RETURNING r.id, r.expires_at
)
INSERT INTO approval_history (request_id, at, event, actor, status, note)
SELECT id, expires_at, 'expired', 'wingman', 'EXPIRED', '' FROM expired
"""
LEAVE_PENDING: Final = """
UPDATE approval_request SET status = $2, decided_at = $3 WHERE id = $1 AND status = 'PENDING' AND expires_at > $3
RETURNING id
"""
LOCK: Final = "SELECT id FROM approval_request WHERE id = $1 FOR UPDATE"
ONE: Final = "SELECT * FROM approval_request WHERE id = $1"
PENDING: Final = """
SELECT * FROM approval_request WHERE status = 'PENDING' AND ($1::text IS NULL OR worker = $1)
ORDER BY created_at, id LIMIT $2
"""
COUNT_PENDING: Final = """
SELECT count(*) FROM approval_request WHERE status = 'PENDING' AND ($1::text IS NULL OR worker = $1)
"""
PAGE: Final = """
SELECT * FROM approval_request
WHERE ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR worker = $2)
  AND ($3::timestamptz IS NULL OR (created_at, id) < ($3, $4))
ORDER BY created_at DESC, id DESC LIMIT $5
"""
WAITING: Final = "SELECT risk_level, count(*) FROM approval_request WHERE status = 'PENDING' GROUP BY risk_level"
COMMANDS: Final = """
SELECT c.*, e.id AS execution_id
FROM approval_command c LEFT JOIN execution e ON e.request_id = c.request_id AND e.n = c.n
WHERE c.request_id = ANY($1) ORDER BY c.request_id, c.n
"""
VOTES: Final = "SELECT * FROM approval_vote WHERE request_id = ANY($1) ORDER BY request_id, n"
DECISIONS: Final = "SELECT * FROM approval_decision WHERE request_id = ANY($1) ORDER BY request_id, n"
HISTORY: Final = "SELECT * FROM approval_history WHERE request_id = $1 ORDER BY position"


class RequestStore:
    """Requests in the database; times are aware."""

    def __init__(self, database: Database) -> None:
        """Use the API's pool."""
        self._database = database

    async def add(self, record: Record, dedupe_digest: str) -> tuple[str, bool]:
        """Store a new request; return its id and False, or the identical pending one's and True."""
        async with self._database.transaction() as connection:
            await connection.execute(SWEEP, record.created_at)
            request_id = await _insert_request(connection, record, dedupe_digest)
            if request_id != record.request.id:
                return request_id, True
            await _insert_rest(connection, record)
        return request_id, False

    async def get(self, request_id: str, now: datetime) -> Record:
        """Return one request as it stands at ``now``; raise ``ApprovalRefused`` (APPROVAL_UNKNOWN)."""
        async with self._database.connection() as connection:
            await connection.execute(SWEEP, now)
            return await _one(connection, request_id)

    async def history(self, request_id: str) -> tuple[HistoryEntry, ...]:
        """Return what happened to a request, in order."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(HISTORY, request_id)
        return tuple(HistoryEntry(r["at"], r["event"], r["actor"], r["status"], r["note"]) for r in rows)

    async def pending(self, worker: str | None, limit: int, now: datetime) -> tuple[tuple[Record, ...], int]:
        """Return the oldest pending requests, of one worker or all, and how many there are."""
        async with self._database.connection() as connection:
            await connection.execute(SWEEP, now)
            rows = await connection.fetch(PENDING, worker, limit)
            return await _records(connection, rows), await connection.fetchval(COUNT_PENDING, worker)

    async def waiting(self) -> dict[Level, int]:
        """Return how many requests are pending, by their risk."""
        async with self._database.connection() as connection:
            return {Level[row["risk_level"]]: row["count"] for row in await connection.fetch(WAITING)}

    async def page(
        self,
        *,
        status: Status | None,
        worker: str | None,
        before: tuple[datetime, str] | None,
        limit: int,
        now: datetime,
    ) -> tuple[Record, ...]:
        """Return the newest requests older than ``before``, at most ``limit``."""
        at, request_id = before or (None, None)
        async with self._database.connection() as connection:
            await connection.execute(SWEEP, now)
            rows = await connection.fetch(PAGE, status and status.value, worker, at, request_id, limit)
            return await _records(connection, rows)

    async def change(  # noqa: PLR0913 - one change of state, and whom history names for it
        self,
        request_id: str,
        transition: Callable[[Request], Request],
        *,
        now: datetime,
        event: str,
        actor: str,
        key_id: str | None,
        note: str,
    ) -> Record:
        """Apply a transition of the state machine and store it with its history; raise what the transition raises."""
        async with self._database.connection() as connection:
            await connection.execute(SWEEP, now)
            async with connection.transaction():
                await connection.fetchval(LOCK, request_id)
                record = await _one(connection, request_id)
                after = transition(record.request)
                added = after.decisions[len(record.request.decisions) :]
                await _insert_decisions(connection, record.request, added, key_id)
                if after.status is not record.request.status:
                    await connection.fetchval(LEAVE_PENDING, request_id, after.status.value, now)
                await connection.execute(
                    INSERT_HISTORY, request_id, now, event, actor, key_id, after.status.value, note
                )
                return replace(record, request=after, decided_at=None if after.status is Status.PENDING else now)


async def _insert_request(connection: Connection, record: Record, dedupe_digest: str) -> str:
    """Insert a request and return its id, or the identical pending one's."""
    request = record.request
    request_id: str = await connection.fetchval(
        INSERT_REQUEST,
        request.id,
        request.worker,
        request.requested_by,
        record.key_id,
        record.environment,
        record.task_name,
        record.instruction,
        request.status.value,
        request.people_needed,
        record.risk.level.name,
        dedupe_digest,
        record.created_at,
        request.expires_at,
        record.decided_at,
    )
    return request_id


async def _insert_rest(connection: Connection, record: Record) -> None:
    """Insert what belongs to a new request."""
    request = record.request
    commands = [
        (request.id, n, c.text, c.operation_digest, c.target_digest, c.preview) for n, c in enumerate(record.commands)
    ]
    votes = [(request.id, n, v.source, v.level.name, v.reason) for n, v in enumerate(record.risk.votes)]
    await connection.executemany(INSERT_COMMAND, commands)
    await connection.executemany(INSERT_VOTE, votes)
    await connection.execute(
        INSERT_HISTORY,
        request.id,
        record.created_at,
        "requested",
        request.requested_by,
        record.key_id,
        request.status.value,
        "",
    )


async def _insert_decisions(
    connection: Connection, request: Request, added: Sequence[Decision], key_id: str | None
) -> None:
    for n, decision in enumerate(added, start=len(request.decisions)):
        await connection.execute(
            INSERT_DECISION,
            request.id,
            n,
            decision.person,
            decision.approve,
            decision.channel,
            decision.note,
            key_id,
            decision.at,
        )


async def _one(connection: Connection, request_id: str) -> Record:
    records = await _records(connection, await connection.fetch(ONE, request_id))
    if not records:
        raise ApprovalRefused(
            Code.APPROVAL_UNKNOWN, "no request has this id", hint="GET /approvals lists them", id=request_id
        )
    return records[0]


async def _records(connection: Connection, rows: Sequence[asyncpg.Record]) -> tuple[Record, ...]:
    """Return whole records, with three queries however many there are."""
    ids = [row["id"] for row in rows]
    commands = await connection.fetch(COMMANDS, ids)
    votes = await connection.fetch(VOTES, ids)
    decisions = await connection.fetch(DECISIONS, ids)
    return tuple(
        _record(
            row,
            [command for command in commands if command["request_id"] == row["id"]],
            [vote for vote in votes if vote["request_id"] == row["id"]],
            [decision for decision in decisions if decision["request_id"] == row["id"]],
        )
        for row in rows
    )


def _record(
    row: asyncpg.Record,
    commands: Sequence[asyncpg.Record],
    votes: Sequence[asyncpg.Record],
    decisions: Sequence[asyncpg.Record],
) -> Record:
    request = Request(
        id=row["id"],
        worker=row["worker"],
        requested_by=row["requested_by"],
        status=Status(row["status"]),
        people_needed=row["people_needed"],
        expires_at=row["expires_at"],
        decisions=tuple(
            Decision(d["person"], d["approve"], d["decided_at"], d["channel"], d["note"]) for d in decisions
        ),
    )
    return Record(
        request=request,
        environment=row["environment"],
        task_name=row["task_name"],
        instruction=row["instruction"],
        commands=tuple(
            Command(
                approval_id=f"{row['id']}.{c['n']}",
                text=c["command"],
                operation_digest=c["operation_digest"],
                target_digest=c["target_digest"],
                preview=c["preview"],
                execution_id=c["execution_id"],
            )
            for c in commands
        ),
        risk=Risk(Level[row["risk_level"]], tuple(Vote(v["source"], Level[v["level"]], v["reason"]) for v in votes)),
        key_id=row["key_id"],
        created_at=row["created_at"],
        decided_at=row["decided_at"],
    )
