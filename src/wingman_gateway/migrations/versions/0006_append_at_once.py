"""Append a batch in one round trip, and look at a statement's rows together for gaps.

``audit_append`` does for a gateway what it would do itself, statement by statement, with the gateway's own rights: wait
for its turn, see that the head is the one that the batch was made for, insert. Tokens, approvals and outcomes are
decided by the unique indexes, as ever: a batch with a loser is refused as a whole, and the gateway looks who it is.
"""

from typing import Final

from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"

APPEND: Final = """
CREATE FUNCTION audit_append(
    turn bigint, known_size bigint, known_root bytea, records execution_audit[],
    levels integer[], indexes bigint[], hashes bytea[], new_root bytea, new_note text
) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    head audit_checkpoint;
BEGIN
    PERFORM pg_advisory_xact_lock(turn);
    -- Each statement from here on sees what was committed before the turn came.
    SELECT * INTO head FROM audit_checkpoint ORDER BY size DESC LIMIT 1;
    IF coalesce(head.size, 0) <> known_size OR (known_size > 0 AND head.root <> known_root)
        OR (SELECT coalesce(max(position) + 1, 0) FROM execution_audit) <> known_size THEN
        RETURN false;
    END IF;
    INSERT INTO execution_audit SELECT * FROM unnest(records);
    INSERT INTO audit_node (level, index, hash) SELECT * FROM unnest(levels, indexes, hashes);
    INSERT INTO audit_checkpoint (size, root, note) VALUES (known_size + cardinality(records), new_root, new_note);
    RETURN true;
END
$$
"""
GRANTS: Final = (
    """
    REVOKE ALL ON FUNCTION audit_append(
        bigint, bigint, bytea, execution_audit[], integer[], bigint[], bytea[], bytea, text) FROM PUBLIC
    """,
    """
    GRANT EXECUTE ON FUNCTION audit_append(
        bigint, bigint, bytea, execution_audit[], integer[], bigint[], bytea[], bytea, text) TO wingman_gateway
    """,
)
REFUSE_GAP: Final = """
CREATE FUNCTION audit_refuse_gaps() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first bigint; last bigint; number bigint;
BEGIN
    SELECT min(position), max(position), count(*) INTO first, last, number FROM added;
    IF last - first + 1 <> number
        OR (first > 0 AND NOT EXISTS (SELECT FROM public.execution_audit WHERE position = first - 1)) THEN
        RAISE EXCEPTION 'the audit log has no gaps: position % does not follow %', first,
            (SELECT coalesce(max(position), -1) FROM public.execution_audit WHERE position < first)
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$
"""
GAPLESS: Final = (
    "DROP TRIGGER execution_audit_gapless ON execution_audit",
    "DROP FUNCTION audit_refuse_gap()",
    REFUSE_GAP,
    """
    CREATE TRIGGER execution_audit_gapless AFTER INSERT ON execution_audit
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_gaps()
    """,
    "ALTER TABLE execution_audit ENABLE ALWAYS TRIGGER execution_audit_gapless",
)


def upgrade() -> None:
    """Create the function, and put the trigger in the other's place."""
    for statement in (*GAPLESS, APPEND, *GRANTS):
        op.execute(statement)
