"""Keys, requests with their previews, votes and decisions, their history, executions and relayed output.

Guarantees, in the database itself: what was asked, shown and decided is written once (the API's role may
change a request's status and nothing else of it), a decided request stays decided, a person decides a request
once, at most one identical request is pending, and history is append-only.
"""

from typing import Final

from alembic import op

revision: str = "0001"
down_revision: str | None = None

KEYS: Final = """
CREATE TABLE api_key (
    id           text PRIMARY KEY CHECK (id ~ '^[a-z2-7]{16}$'),
    person       text NOT NULL CHECK (person <> ''),
    role         text NOT NULL CHECK (role IN ('worker', 'approver', 'auditor', 'operator', 'service')),
    speaks_for   text[] NOT NULL DEFAULT '{}',
    secret_hash  text NOT NULL CHECK (secret_hash LIKE '$argon2id$%'),
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    CHECK (role = 'service' OR speaks_for = '{}')
)
"""
REQUESTS: Final = """
CREATE TABLE approval_request (
    id            text PRIMARY KEY CHECK (id ~ '^apr_[a-z2-7]{26}$'),
    worker        text NOT NULL CHECK (worker <> ''),
    requested_by  text NOT NULL CHECK (requested_by <> ''),
    key_id        text REFERENCES api_key,
    environment   text NOT NULL CHECK (environment IN ('test', 'prd')),
    task_name     text NOT NULL,
    instruction   text NOT NULL,
    status        text NOT NULL
        CHECK (status IN ('PENDING', 'APPROVED', 'REJECTED', 'EXPIRED', 'CANCELLED', 'AUTO_APPROVED')),
    people_needed integer NOT NULL CHECK (people_needed >= 0),
    risk_level    text NOT NULL CHECK (risk_level IN ('LOW', 'MEDIUM', 'HIGH')),
    dedupe_digest text NOT NULL,
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL CHECK (expires_at > created_at),
    decided_at    timestamptz,
    CHECK ((status = 'PENDING') = (decided_at IS NULL)),
    CHECK ((status = 'AUTO_APPROVED') = (people_needed = 0))
)
"""
COMMANDS: Final = """
CREATE TABLE approval_command (
    request_id       text NOT NULL REFERENCES approval_request,
    n                integer NOT NULL CHECK (n >= 0),
    command          text NOT NULL,
    operation_digest text NOT NULL CHECK (operation_digest ~ '^[0-9a-f]{64}$'),
    target_digest    text NOT NULL CHECK (target_digest ~ '^[0-9a-f]{64}$'),
    preview          text NOT NULL,
    PRIMARY KEY (request_id, n)
)
"""
VOTES: Final = """
CREATE TABLE approval_vote (
    request_id text NOT NULL REFERENCES approval_request,
    n          integer NOT NULL CHECK (n >= 0),
    source     text NOT NULL,
    level      text NOT NULL CHECK (level IN ('LOW', 'MEDIUM', 'HIGH')),
    reason     text NOT NULL,
    PRIMARY KEY (request_id, n)
)
"""
DECISIONS: Final = """
CREATE TABLE approval_decision (
    request_id text NOT NULL REFERENCES approval_request,
    n          integer NOT NULL CHECK (n >= 0),
    person     text NOT NULL CHECK (person <> ''),
    approve    boolean NOT NULL,
    channel    text NOT NULL,
    note       text NOT NULL,
    key_id     text NOT NULL REFERENCES api_key,
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (request_id, n)
)
"""
HISTORY: Final = """
CREATE TABLE approval_history (
    position   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_id text NOT NULL REFERENCES approval_request,
    at         timestamptz NOT NULL,
    event      text NOT NULL,
    actor      text NOT NULL,
    key_id     text REFERENCES api_key,
    status     text NOT NULL,
    note       text NOT NULL
)
"""
EXECUTIONS: Final = """
CREATE TABLE execution (
    id              text PRIMARY KEY,
    request_id      text NOT NULL,
    n               integer NOT NULL,
    started_by      text NOT NULL CHECK (started_by <> ''),
    key_id          text NOT NULL REFERENCES api_key,
    state           text NOT NULL CHECK (state IN ('RUNNING', 'LOST', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'UNKNOWN')),
    intent_position bigint NOT NULL CHECK (intent_position >= 0),
    exit_code       integer,
    duration_ms     bigint,
    output_digest   text NOT NULL DEFAULT '',
    truncated       boolean NOT NULL DEFAULT false,
    started_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    FOREIGN KEY (request_id, n) REFERENCES approval_command,
    UNIQUE (request_id, n)
)
"""
OUTPUT: Final = """
CREATE TABLE execution_output (
    execution_id text NOT NULL REFERENCES execution,
    seq          bigint NOT NULL CHECK (seq >= 0),
    stream       text NOT NULL CHECK (stream IN ('stdout', 'stderr', 'progress')),
    data         bytea NOT NULL,
    stored_at    timestamptz NOT NULL,
    PRIMARY KEY (execution_id, seq)
)
"""
INDEXES: Final = (
    "CREATE UNIQUE INDEX approval_decision_once ON approval_decision (request_id, lower(person))",
    "CREATE UNIQUE INDEX approval_request_identical ON approval_request (dedupe_digest) WHERE status = 'PENDING'",
    "CREATE INDEX approval_request_pending ON approval_request (expires_at) WHERE status = 'PENDING'",
    "CREATE INDEX approval_request_page ON approval_request (created_at DESC, id DESC)",
    "CREATE INDEX approval_request_worker ON approval_request (worker, created_at DESC, id DESC)",
    "CREATE INDEX approval_history_request ON approval_history (request_id, position)",
)
REFUSE_REOPEN: Final = """
CREATE FUNCTION approval_refuse_reopen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'request % is %: a decided request stays decided', OLD.id, OLD.status
        USING ERRCODE = 'integrity_constraint_violation';
END
$$
"""
DECIDED_STAYS: Final = """
CREATE TRIGGER approval_request_decided BEFORE UPDATE ON approval_request
FOR EACH ROW WHEN (OLD.status <> 'PENDING') EXECUTE FUNCTION approval_refuse_reopen()
"""
GRANTS: Final = (
    "GRANT SELECT, INSERT, UPDATE (last_used_at, revoked_at) ON api_key TO wingman_api",
    "GRANT SELECT, INSERT, UPDATE (status, decided_at) ON approval_request TO wingman_api",
    "GRANT SELECT, INSERT ON approval_command, approval_vote, approval_decision, approval_history TO wingman_api",
    """
    GRANT SELECT, INSERT, UPDATE (state, exit_code, duration_ms, output_digest, truncated, finished_at)
    ON execution TO wingman_api
    """,
    "GRANT SELECT, INSERT ON execution_output TO wingman_api",
)


def upgrade() -> None:
    """Create the tables, their constraints, the trigger and the grants."""
    tables = (KEYS, REQUESTS, COMMANDS, VOTES, DECISIONS, HISTORY, EXECUTIONS, OUTPUT)
    for statement in (*tables, *INDEXES, REFUSE_REOPEN, DECIDED_STAYS, *GRANTS):
        op.execute(statement)
