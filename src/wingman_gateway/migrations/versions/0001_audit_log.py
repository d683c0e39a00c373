"""The audit log: rows, the tree's interior nodes, and the checkpoints that cover them.

Guarantees, in the database itself: positions are gap-free from 0; nothing is updated, deleted or truncated;
a token and an approval are spent by one INTENT; an execution has one INTENT and at most one outcome; the
gateway's role inserts and reads, the API's and the auditor's read. There is no way back: an audit log is not
taken down by a migration.
"""

from typing import Final

from alembic import op

revision: str = "0001"
down_revision: str | None = None

ROWS: Final = """
CREATE TABLE execution_audit (
    position         bigint PRIMARY KEY CHECK (position >= 0),
    version          integer NOT NULL,
    kind             text NOT NULL CHECK (kind IN ('INTENT', 'RESULT', 'REFUSED', 'RECONCILED', 'BOUNDARY')),
    execution_id     text NOT NULL,
    approval_id      text NOT NULL,
    jti              text NOT NULL,
    worker           text NOT NULL,
    environment      text NOT NULL,
    command          text NOT NULL,
    operation_digest text NOT NULL,
    targets          text NOT NULL,
    target_digest    text NOT NULL,
    decision_digest  text NOT NULL,
    deciders         text NOT NULL,
    outcome          text NOT NULL,
    reason           text NOT NULL,
    exit_code        integer,
    duration_ms      bigint,
    output_excerpt   text NOT NULL,
    output_digest    text NOT NULL,
    token_hash       text NOT NULL,
    client           text NOT NULL,
    evidence         text NOT NULL,
    created_at       timestamptz NOT NULL,
    record           bytea NOT NULL,
    leaf_hash        bytea NOT NULL CHECK (octet_length(leaf_hash) = 32),
    CHECK (kind <> 'INTENT' OR (execution_id <> '' AND approval_id <> '' AND jti <> '')),
    CHECK (kind NOT IN ('RESULT', 'RECONCILED') OR (execution_id <> '' AND outcome <> ''))
)
"""
NODES: Final = """
CREATE TABLE audit_node (
    level integer NOT NULL CHECK (level > 0),
    index bigint NOT NULL CHECK (index >= 0),
    hash  bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (level, index)
)
"""
CHECKPOINTS: Final = """
CREATE TABLE audit_checkpoint (
    size bigint PRIMARY KEY CHECK (size > 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    note text NOT NULL
)
"""
INDEXES: Final = (
    "CREATE UNIQUE INDEX execution_audit_jti_spent ON execution_audit (jti) WHERE kind = 'INTENT'",
    "CREATE UNIQUE INDEX execution_audit_approval_spent ON execution_audit (approval_id) WHERE kind = 'INTENT'",
    "CREATE UNIQUE INDEX execution_audit_intent ON execution_audit (execution_id) WHERE kind = 'INTENT'",
    """
    CREATE UNIQUE INDEX execution_audit_outcome ON execution_audit (execution_id)
    WHERE kind IN ('RESULT', 'RECONCILED')
    """,
    "CREATE INDEX execution_audit_created ON execution_audit (created_at)",
)
REFUSE_CHANGE: Final = """
CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$
"""
REFUSE_GAP: Final = """
CREATE FUNCTION audit_refuse_gap() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    head bigint := (SELECT coalesce(max(position), -1) FROM public.execution_audit);
BEGIN
    IF NEW.position <> head + 1 THEN
        RAISE EXCEPTION 'the audit log has no gaps: position % does not follow %', NEW.position, head
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$
"""
GAPLESS: Final = (
    """
    CREATE TRIGGER execution_audit_gapless BEFORE INSERT ON execution_audit
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_gap()
    """,
    "ALTER TABLE execution_audit ENABLE ALWAYS TRIGGER execution_audit_gapless",
)
TABLES: Final = ("execution_audit", "audit_node", "audit_checkpoint")


def upgrade() -> None:
    """Create the tables, their constraints, triggers and grants."""
    for statement in (ROWS, NODES, CHECKPOINTS, *INDEXES, REFUSE_CHANGE, REFUSE_GAP, *GAPLESS):
        op.execute(statement)
    for table in TABLES:
        # ALWAYS: also for a session that sets session_replication_role.
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only")
        op.execute(f"REVOKE ALL ON {table} FROM PUBLIC")
        op.execute(f"GRANT SELECT, INSERT ON {table} TO wingman_gateway")
        op.execute(f"GRANT SELECT ON {table} TO wingman_api, wingman_auditor")
