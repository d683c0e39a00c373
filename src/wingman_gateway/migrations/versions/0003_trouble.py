"""An index for what went wrong with a worker's executions: few rows, which the API counts for each request."""

from typing import Final

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"

TROUBLE: Final = """
CREATE INDEX execution_audit_trouble ON execution_audit (worker, created_at)
WHERE kind = 'REFUSED' OR outcome IN ('FAILED', 'TIMED_OUT', 'UNKNOWN')
"""


def upgrade() -> None:
    """Find refusals and failures by worker."""
    op.execute(TROUBLE)
