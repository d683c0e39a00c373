"""Indexes for looking at one execution, and at the kinds that are rare among millions of intents and results."""

from typing import Final

from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"

EXECUTION: Final = "CREATE INDEX execution_audit_execution ON execution_audit (execution_id, position)"
RARE: Final = """
CREATE INDEX execution_audit_rare ON execution_audit (kind, position) WHERE kind NOT IN ('INTENT', 'RESULT')
"""


def upgrade() -> None:
    """Find an execution's records by its id, and rare records by their kind."""
    op.execute(EXECUTION)
    op.execute(RARE)
