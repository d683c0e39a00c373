"""What a person settles: one SETTLED record for an execution whose outcome is UNKNOWN."""

from typing import Final

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"

KINDS: Final = """
ALTER TABLE execution_audit
    DROP CONSTRAINT execution_audit_kind_check,
    ADD CONSTRAINT execution_audit_kind_check
        CHECK (kind IN ('INTENT', 'RESULT', 'REFUSED', 'RECONCILED', 'BOUNDARY', 'SETTLED')),
    ADD CONSTRAINT execution_audit_settled_check
        CHECK (kind <> 'SETTLED' OR (execution_id <> '' AND outcome IN ('SUCCEEDED', 'FAILED') AND evidence <> ''))
"""
ONCE: Final = """
CREATE UNIQUE INDEX execution_audit_settled ON execution_audit (execution_id) WHERE kind = 'SETTLED'
"""


def upgrade() -> None:
    """Let the kind in, once an execution."""
    op.execute(KINDS)
    op.execute(ONCE)
