"""Appenders take turns by a lock that needs a right: advisory locks are anybody's who may connect.

A role that reads (the auditor's, the API's) could hold the advisory lock of before, and with it every execution. A lock
on ``audit_turn``, an empty table, needs the right to change it, which gateways alone have.
"""

from typing import Final

from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"

TURN: Final = (
    "CREATE TABLE audit_turn ()",
    "COMMENT ON TABLE audit_turn IS 'Empty: who appends to the log locks it until the transaction ends'",
    "REVOKE ALL ON audit_turn FROM PUBLIC",
    "GRANT UPDATE ON audit_turn TO wingman_gateway",
)
BEFORE: Final = """
DROP FUNCTION audit_append(
    bigint, bigint, bytea, execution_audit[], integer[], bigint[], bytea[], bytea, text)
"""
APPEND: Final = """
CREATE FUNCTION audit_append(
    known_size bigint, known_root bytea, records execution_audit[],
    levels integer[], indexes bigint[], hashes bytea[], new_root bytea, new_note text
) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    head audit_checkpoint;
BEGIN
    LOCK TABLE audit_turn IN EXCLUSIVE MODE;
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
SIGNATURE: Final = "audit_append(bigint, bytea, execution_audit[], integer[], bigint[], bytea[], bytea, text)"
GRANTS: Final = (
    f"REVOKE ALL ON FUNCTION {SIGNATURE} FROM PUBLIC",
    f"GRANT EXECUTE ON FUNCTION {SIGNATURE} TO wingman_gateway",
)


def upgrade() -> None:
    """Create the table, and put the function that locks it in the other's place."""
    for statement in (*TURN, BEFORE, APPEND, *GRANTS):
        op.execute(statement)
