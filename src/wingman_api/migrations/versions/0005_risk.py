"""Sources of risk that were absent, and an index for what people rejected of a worker's requests."""

from typing import Final

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"

ABSENT: Final = "ALTER TABLE approval_vote ALTER COLUMN level DROP NOT NULL"
"""A source without a level did not vote; its reason says why."""
REJECTED: Final = """
CREATE INDEX approval_request_rejected ON approval_request (worker, decided_at) WHERE status = 'REJECTED'
"""


def upgrade() -> None:
    """Let a source be absent, and find rejections."""
    for statement in (ABSENT, REJECTED):
        op.execute(statement)
