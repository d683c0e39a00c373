"""Events and their order, consumers of the feed with their notes, and how far the audit log was told.

Guarantees, in the database itself: what an event says is never changed; positions are given by one function
alone, gap-free, each once, in the order of commits, and an event that is deleted takes no later one with it;
an execution is told to have started once and to have ended once.
"""

from typing import Final

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"

HEAD: Final = """
CREATE TABLE event_head (
    sole boolean PRIMARY KEY DEFAULT true CHECK (sole),
    last bigint NOT NULL DEFAULT 0 CHECK (last >= 0)
)
"""
EVENTS: Final = """
CREATE TABLE event (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    position     bigint CHECK (position > 0),
    type         text NOT NULL CHECK (type IN (
        'approval.requested', 'approval.decided', 'approval.expired', 'approval.cancelled',
        'execution.started', 'execution.finished', 'execution.unknown',
        'claim.false', 'audit.checkpoint', 'boundary.violated', 'health.changed')),
    at           timestamptz NOT NULL,
    worker       text,
    request_id   text,
    execution_id text,
    payload      json NOT NULL CHECK (octet_length(payload::text) <= 4096)
)
"""
CONSUMERS: Final = """
CREATE TABLE event_consumer (
    name       text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    owner      text NOT NULL CHECK (owner <> ''),
    cursor     bigint NOT NULL CHECK (cursor >= 0),
    revision   bigint NOT NULL CHECK (revision > 0),
    updated_at timestamptz NOT NULL
)
"""
NOTES: Final = """
CREATE TABLE event_note (
    consumer   text NOT NULL REFERENCES event_consumer ON DELETE CASCADE,
    key        text NOT NULL CHECK (key ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$'),
    value      json NOT NULL CHECK (octet_length(value::text) <= 2048),
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (consumer, key)
)
"""
WATCH: Final = """
CREATE TABLE event_watch (
    sole            boolean PRIMARY KEY DEFAULT true CHECK (sole),
    holder          text NOT NULL DEFAULT '',
    held_until      timestamptz NOT NULL DEFAULT 'epoch',
    audit_position  bigint NOT NULL CHECK (audit_position >= 0),
    checkpoint_size bigint NOT NULL DEFAULT 0,
    checkpoint_at   timestamptz,
    health          json
)
"""
BEGINNINGS: Final = (
    "INSERT INTO event_head DEFAULT VALUES",
    # What an audit log held before there were events is history, and told to nobody.
    "INSERT INTO event_watch (audit_position) SELECT coalesce(max(position) + 1, 0) FROM execution_audit",
)
INDEXES: Final = (
    "CREATE UNIQUE INDEX event_position ON event (position) WHERE position IS NOT NULL",
    "CREATE INDEX event_waiting ON event (id) WHERE position IS NULL",
    "CREATE UNIQUE INDEX event_started_once ON event (execution_id) WHERE type = 'execution.started'",
    """
    CREATE UNIQUE INDEX event_ended_once ON event (execution_id)
    WHERE type IN ('execution.finished', 'execution.unknown')
    """,
)
# Each statement of a volatile function has a snapshot of its own: the rows are looked for after the lock is held.
# One statement for the caller, so that no client, however slow, holds the lock for longer than the server works.
NUMBER: Final = """
CREATE FUNCTION event_number(most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    head bigint;
    numbered bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM public.event WHERE position IS NULL) THEN
        RETURN (SELECT last FROM public.event_head);
    END IF;
    SELECT last INTO head FROM public.event_head FOR UPDATE;
    UPDATE public.event SET position = head + waiting.n
    FROM (
        SELECT id, row_number() OVER (ORDER BY id) AS n
        FROM (SELECT id FROM public.event WHERE position IS NULL ORDER BY id LIMIT most) AS first
    ) AS waiting
    WHERE event.id = waiting.id;
    GET DIAGNOSTICS numbered = ROW_COUNT;
    IF numbered > 0 THEN
        UPDATE public.event_head SET last = head + numbered;
        PERFORM pg_notify('wingman_event', '');
    END IF;
    RETURN head + numbered;
END
$$
"""
# The oldest go first and nothing in between, so that what is left has one line below which all is gone.
FORGET: Final = """
CREATE FUNCTION event_forget(before timestamptz, most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    forgotten bigint;
BEGIN
    WITH oldest AS (
        SELECT position, at FROM public.event WHERE position IS NOT NULL ORDER BY position LIMIT most
    )
    DELETE FROM public.event USING oldest
    WHERE event.position = oldest.position
      AND oldest.position < coalesce((SELECT min(position) FROM oldest WHERE at >= before), 9223372036854775807);
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END
$$
"""
GRANTS: Final = (
    "REVOKE ALL ON FUNCTION event_number(integer), event_forget(timestamptz, integer) FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION event_number(integer), event_forget(timestamptz, integer) TO wingman_api",
    "GRANT SELECT, INSERT (type, at, worker, request_id, execution_id, payload) ON event TO wingman_api",
    "GRANT SELECT ON event_head TO wingman_api",
    "GRANT SELECT, INSERT, DELETE, UPDATE (cursor, revision, updated_at) ON event_consumer TO wingman_api",
    "GRANT SELECT, INSERT, DELETE, UPDATE (value, updated_at) ON event_note TO wingman_api",
    """
    GRANT SELECT, UPDATE (holder, held_until, audit_position, checkpoint_size, checkpoint_at, health)
    ON event_watch TO wingman_api
    """,
)


def upgrade() -> None:
    """Create the tables, their first rows, the indexes, the two functions and the grants."""
    for statement in (HEAD, EVENTS, CONSUMERS, NOTES, WATCH, *BEGINNINGS, *INDEXES, NUMBER, FORGET, *GRANTS):
        op.execute(statement)
