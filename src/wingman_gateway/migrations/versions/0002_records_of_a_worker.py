"""Find one worker's records without reading the whole log."""

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"


def upgrade() -> None:
    """Add the index."""
    op.execute("CREATE INDEX execution_audit_worker ON execution_audit (worker, position)")
