"""All SQL on requests, their commands, votes, decisions and history.

Guarantees: a decision and its history are one transaction; a status leaves PENDING by one conditional UPDATE,
so that of two who race one loses; what expired is stored as expired before anybody reads it; what happened is
told in the transaction in which it happens. What belongs together is written by one statement and read by one,
since a round trip costs more than what it asks for.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

import asyncpg

from wingman_api.approvals import telling
from wingman_api.approvals.record import Asked, Command, HistoryEntry, Record, Selection
from wingman_api.events.outbox import emit, emit_all
from wingman_api.idempotency.once import Once
from wingman_api.idempotency.store import claim, release, remember
from wingman_api.system.store import Connection, Database
from wingman_core.approval import Decision, Request, Status, expire, status_at
from wingman_core.errors import ApprovalRefused, Code
from wingman_core.risk import Absence, Level, Risk, Source, Vote

INSERT: Final = """
WITH asked AS (
    INSERT INTO approval_request (id, worker, requested_by, key_id, environment, task_name, instruction, status,
                                  people_needed, risk_level, dedupe_digest, created_at, expires_at, decided_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
    ON CONFLICT (dedupe_digest) WHERE status = 'PENDING' DO UPDATE SET decided_at = approval_request.decided_at
    RETURNING id, expires_at
), fresh AS (
    SELECT id FROM asked WHERE id = $1
), commands AS (
    INSERT INTO approval_command (request_id, n, command, operation_digest, target_digest, preview)
    SELECT fresh.id, given.n - 1, command, operation_digest, target_digest, preview
    FROM fresh, unnest($15::text[], $16::text[], $17::text[], $18::text[])
        WITH ORDINALITY AS given (command, operation_digest, target_digest, preview, n)
), votes AS (
    INSERT INTO approval_vote (request_id, n, source, level, reason)
    SELECT fresh.id, given.n - 1, source, level, reason
    FROM fresh, unnest($19::text[], $20::text[], $21::text[]) WITH ORDINALITY AS given (source, level, reason, n)
), told AS (
    INSERT INTO approval_history (request_id, at, event, actor, key_id, status, note)
    SELECT id, $12, 'requested', $3, $4, $8, '' FROM fresh
)
SELECT id, expires_at FROM asked
"""
"""Changes nothing of an identical pending request, and so returns its id, locked until the transaction ends."""
SWEEP: Final = """
WITH late AS (
    SELECT id FROM approval_request WHERE status = 'PENDING' AND expires_at <= $1 AND ($2::text IS NULL OR id = $2)
    ORDER BY expires_at LIMIT 500 FOR UPDATE SKIP LOCKED
), expired AS (
    UPDATE approval_request r SET status = 'EXPIRED', decided_at = r.expires_at
    FROM late WHERE r.id = late.id RETURNING r.id, r.worker, r.expires_at
), history AS (
    INSERT INTO approval_history (request_id, at, event, actor, status, note)
    SELECT id, expires_at, 'expired', 'wingman', 'EXPIRED', '' FROM expired
)
SELECT id, worker, expires_at FROM expired ORDER BY expires_at, id
"""
LATE: Final = "SELECT EXISTS (SELECT FROM approval_request WHERE status = 'PENDING' AND expires_at <= $1)"
LOCK: Final = "SELECT id FROM approval_request WHERE id = $1 FOR NO KEY UPDATE"
"""A statement of its own: the next one sees what this one waited for."""
CHANGE: Final = """
WITH moved AS (
    UPDATE approval_request SET status = $2, decided_at = $3
    WHERE id = $1 AND status = 'PENDING' AND expires_at > $3 AND $2 <> 'PENDING'
), decided AS (
    INSERT INTO approval_decision (request_id, n, person, approve, channel, note, key_id, decided_at)
    SELECT $1, $8 + said.n - 1, person, approve, channel, said.note, $6, said.at
    FROM unnest($9::text[], $10::boolean[], $11::text[], $12::text[], $13::timestamptz[])
        WITH ORDINALITY AS said (person, approve, channel, note, at, n)
)
INSERT INTO approval_history (request_id, at, event, actor, key_id, status, note) VALUES ($1, $3, $4, $5, $6, $2, $7)
"""
RECORDS: Final = """
SELECT r.*, c.*, v.*, d.*
FROM ({}) AS r
CROSS JOIN LATERAL (
    SELECT array_agg(c.command ORDER BY c.n) AS commands, array_agg(c.operation_digest ORDER BY c.n) AS operations,
           array_agg(c.target_digest ORDER BY c.n) AS targets, array_agg(c.preview ORDER BY c.n) AS previews,
           array_agg(i.execution_id ORDER BY c.n) AS executions
    FROM approval_command c
    LEFT JOIN execution_audit i ON i.kind = 'INTENT' AND i.approval_id = c.request_id || '.' || c.n
    WHERE c.request_id = r.id
) AS c
CROSS JOIN LATERAL (
    SELECT array_agg(source ORDER BY n) AS sources, array_agg(level ORDER BY n) AS levels,
           array_agg(reason ORDER BY n) AS reasons
    FROM approval_vote WHERE request_id = r.id
) AS v
CROSS JOIN LATERAL (
    SELECT array_agg(person ORDER BY n) AS people, array_agg(approve ORDER BY n) AS approvals,
           array_agg(decided_at ORDER BY n) AS times, array_agg(channel ORDER BY n) AS channels,
           array_agg(note ORDER BY n) AS notes
    FROM approval_decision WHERE request_id = r.id
) AS d
{}
"""
"""Whole requests, for a selection of rows and its order."""
ONE: Final = RECORDS.format("SELECT * FROM approval_request WHERE id = $1", "")
PENDING: Final = RECORDS.format(
    """
    SELECT * FROM approval_request WHERE status = 'PENDING' AND ($1::text IS NULL OR worker = $1)
    ORDER BY created_at, id LIMIT $2
    """,
    "ORDER BY r.created_at, r.id",
)
COUNT_PENDING: Final = """
SELECT count(*) FROM approval_request WHERE status = 'PENDING' AND ($1::text IS NULL OR worker = $1)
"""
PAGE: Final = RECORDS.format(
    """
    SELECT * FROM approval_request
    WHERE ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR worker = $2)
      AND ($3::text IS NULL OR risk_level = $3)
      AND ($4::timestamptz IS NULL OR created_at >= $4) AND ($5::timestamptz IS NULL OR created_at < $5)
      AND ($6::timestamptz IS NULL OR (created_at, id) < ($6, $7))
    ORDER BY created_at DESC, id DESC LIMIT $8
    """,
    "ORDER BY r.created_at DESC, r.id DESC",
)
WAITING: Final = "SELECT risk_level, count(*) FROM approval_request WHERE status = 'PENDING' GROUP BY risk_level"
HISTORY: Final = "SELECT * FROM approval_history WHERE request_id = $1 ORDER BY position"


class RequestStore:
    """Requests in the database; times are aware."""

    def __init__(self, database: Database) -> None:
        """Use the API's pool."""
        self._database = database

    async def add(self, record: Record, dedupe_digest: str, once: Once[Asked] | None = None) -> Asked:
        """Store a new request and return it, or the identical pending one; raise ``Replayed``."""
        async with self._database.transaction() as connection:
            await claim(connection, once, record.created_at)
            request_id, expires_at = await _insert(connection, record, dedupe_digest)
            if request_id != record.request.id and expires_at <= record.created_at:
                await self._sweep(connection, record.created_at, request_id)
                request_id, _ = await _insert(connection, record, dedupe_digest)
            if request_id == record.request.id:
                asked = Asked(record, deduped=False)
                await emit(connection, telling.requested(record))
            else:
                asked = Asked(await _one(connection, request_id), deduped=True)
            await remember(connection, once, asked)
        return asked

    async def sweep(self, now: datetime) -> int:
        """Store as expired what expired by ``now``, and tell it; return how many those were, at most 500."""
        async with self._database.connection() as connection:
            return await self._sweep(connection, now)

    async def get(self, request_id: str, now: datetime) -> Record:
        """Return one request as it stands at ``now``; raise ``ApprovalRefused`` (APPROVAL_UNKNOWN)."""
        async with self._database.connection() as connection:
            record = await _one(connection, request_id)
            if status_at(record.request, now) is record.request.status:
                return record
            await self._sweep(connection, now, request_id)
            return await _one(connection, request_id)

    async def history(self, request_id: str) -> tuple[HistoryEntry, ...]:
        """Return what happened to a request, in order."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(HISTORY, request_id)
        return tuple(HistoryEntry(r["at"], r["event"], r["actor"], r["status"], r["note"]) for r in rows)

    async def pending(self, worker: str | None, limit: int, now: datetime) -> tuple[tuple[Record, ...], int]:
        """Return the oldest pending requests, of one worker or all, and how many there are."""
        async with self._database.connection() as connection:
            await self._sweep_all(connection, now)
            rows = await connection.fetch(PENDING, worker, limit)
            return tuple(_record(row) for row in rows), await connection.fetchval(COUNT_PENDING, worker)

    async def waiting(self) -> dict[Level, int]:
        """Return how many requests are pending, by their risk."""
        async with self._database.connection() as connection:
            return {Level[row["risk_level"]]: row["count"] for row in await connection.fetch(WAITING)}

    async def page(self, selection: Selection, limit: int, now: datetime) -> tuple[Record, ...]:
        """Return the newest requests of a selection, at most ``limit``."""
        at, request_id = selection.before or (None, None)
        async with self._database.connection() as connection:
            await self._sweep_all(connection, now)
            rows = await connection.fetch(
                PAGE,
                selection.status and selection.status.value,
                selection.worker,
                selection.level and selection.level.name,
                selection.since,
                selection.until,
                at,
                request_id,
                limit,
            )
        return tuple(_record(row) for row in rows)

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
        once: Once[Record] | None = None,
    ) -> Record:
        """Apply a transition of the state machine and store it with its history.

        Raises what the transition raises, and ``Replayed``.
        """
        async with self._database.transaction() as connection:
            await claim(connection, once, now)
            await connection.execute(LOCK, request_id)
            record = await _one(connection, request_id)
            if status_at(record.request, now) is record.request.status:
                after = transition(record.request)
                before = len(record.request.decisions)
                told = (request_id, after.status.value, now, event, actor, key_id, note)
                await connection.execute(CHANGE, *told, before, *_columns(after.decisions[before:]))
                await emit(connection, telling.changed(record.request, after, actor, now))
                changed = replace(record, request=after, decided_at=None if after.status is Status.PENDING else now)
                await remember(connection, once, changed)
                return changed
            # Still under the lock: who is told that it expired is told the end of it.
            await self._sweep(connection, now, request_id)
            await release(connection, once)
        return replace(record, request=transition(expire(record.request, now)))

    async def _sweep(self, connection: Connection, now: datetime, request_id: str | None = None) -> int:
        """Do what ``sweep`` does, on this connection, for one request or all; one cheap look where nothing is late."""
        if request_id is None and not await connection.fetchval(LATE, now):
            return 0
        async with self._database.transaction_on(connection):
            rows = await connection.fetch(SWEEP, now, request_id)
            await emit_all(connection, [telling.expired(row["id"], row["worker"], row["expires_at"]) for row in rows])
        return len(rows)

    async def _sweep_all(self, connection: Connection, now: datetime) -> None:
        """Store every expiry that is due, some at a time."""
        while await self._sweep(connection, now):
            pass


async def _insert(connection: Connection, record: Record, dedupe_digest: str) -> tuple[str, datetime]:
    """Insert a request with all that belongs to it; return its id and expiry, or the identical pending one's."""
    request, commands, risk = record.request, record.commands, record.risk
    row = await connection.fetchrow(
        INSERT,
        request.id,
        request.worker,
        request.requested_by,
        record.key_id,
        record.environment,
        record.task_name,
        record.instruction,
        request.status.value,
        request.people_needed,
        risk.level.name,
        dedupe_digest,
        record.created_at,
        request.expires_at,
        record.decided_at,
        [command.text for command in commands],
        [command.operation_digest for command in commands],
        [command.target_digest for command in commands],
        [command.preview for command in commands],
        [*(vote.source.value for vote in risk.votes), *(absence.source.value for absence in risk.absent)],
        [*(vote.level.name for vote in risk.votes), *(None for _ in risk.absent)],
        [*(vote.reason for vote in risk.votes), *(absence.reason for absence in risk.absent)],
    )
    assert row is not None  # noqa: S101 - the conflict returns a row as well
    return row["id"], row["expires_at"]


async def _one(connection: Connection, request_id: str) -> Record:
    row = await connection.fetchrow(ONE, request_id)
    if row is None:
        raise ApprovalRefused(
            Code.APPROVAL_UNKNOWN, "no request has this id", hint="GET /approvals lists them", id=request_id
        )
    return _record(row)


def _columns(decisions: tuple[Decision, ...]) -> tuple[list[object], ...]:
    """Return decisions as ``CHANGE`` takes them, a list for each column."""
    rows = [(d.person, d.approve, d.channel, d.note, d.at) for d in decisions]
    return tuple([row[n] for row in rows] for n in range(5))


def _record(row: asyncpg.Record) -> Record:
    columns = ("commands", "operations", "targets", "previews", "executions")
    commands = enumerate(zip(*(row[name] or () for name in columns), strict=True))
    columns = ("people", "approvals", "times", "channels", "notes")
    decisions = zip(*(row[name] or () for name in columns), strict=True)
    return Record(
        request=Request(
            id=row["id"],
            worker=row["worker"],
            requested_by=row["requested_by"],
            status=Status(row["status"]),
            people_needed=row["people_needed"],
            expires_at=row["expires_at"],
            decisions=tuple(Decision(*said) for said in decisions),
        ),
        environment=row["environment"],
        task_name=row["task_name"],
        instruction=row["instruction"],
        commands=tuple(Command(f"{row['id']}.{n}", *command) for n, command in commands),
        risk=_risk(row),
        key_id=row["key_id"],
        created_at=row["created_at"],
        decided_at=row["decided_at"],
    )


def _risk(row: asyncpg.Record) -> Risk:
    """Return the risk as it was weighed; a source without a level was absent."""
    said = list(zip(row["sources"] or (), row["levels"] or (), row["reasons"] or (), strict=True))
    return Risk(
        Level[row["risk_level"]],
        tuple(Vote(Source(source), Level[level], reason) for source, level, reason in said if level is not None),
        tuple(Absence(Source(source), reason) for source, level, reason in said if level is None),
    )
