"""Sources of risk that were absent; indexes for a worker's rejected requests, and for pages of one status."""

from typing import Final

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"

ABSENT: Final = "ALTER TABLE approval_vote ALTER COLUMN level DROP NOT NULL"
"""A source without a level did not vote; its reason says why."""
REJECTED: Final = """
CREATE INDEX approval_request_rejected ON approval_request (worker, decided_at) WHERE status = 'REJECTED'
"""
STATUS: Final = """
CREATE INDEX approval_request_status ON approval_request (status, created_at DESC, id DESC)
WHERE status <> 'AUTO_APPROVED'
"""
"""Of automatic ones there are so many that the index by time alone serves them."""


def upgrade() -> None:
    """Let a source be absent, and find rejections and rare statuses."""
    for statement in (ABSENT, REJECTED, STATUS):
        op.execute(statement)
