"""What was verified, and what became of it: one row a verification, written once."""

from typing import Final

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"

LOGS: Final = """
CREATE TABLE verification_logs (
    id                 text PRIMARY KEY CHECK (id ~ '^ver_[a-z2-7]{26}$'),
    timestamp          timestamptz NOT NULL,
    worker_id          text NOT NULL CHECK (worker_id <> ''),
    requested_by       text NOT NULL CHECK (requested_by <> ''),
    key_id             text REFERENCES api_key,
    claim              text NOT NULL,
    verdict            text NOT NULL CHECK (verdict IN ('TRUE', 'FALSE', 'UNVERIFIABLE', 'ERROR')),
    details            text NOT NULL,
    evidence           jsonb NOT NULL CHECK (jsonb_typeof(evidence) = 'array'),
    unread             jsonb NOT NULL CHECK (jsonb_typeof(unread) = 'array'),
    verifier           text NOT NULL CHECK (verifier IN ('patterns', 'structured', 'enhanced')),
    source             text NOT NULL CHECK (source <> ''),
    processing_time_ms integer NOT NULL CHECK (processing_time_ms >= 0)
)
"""
INDEXES: Final = (
    "CREATE INDEX verification_logs_time ON verification_logs (timestamp)",
    "CREATE INDEX verification_logs_worker ON verification_logs (worker_id, timestamp)",
)
GRANTS: Final = ("GRANT SELECT, INSERT ON verification_logs TO wingman_api",)


def upgrade() -> None:
    """Create the table, its indexes and the grant."""
    for statement in (LOGS, *INDEXES, *GRANTS):
        op.execute(statement)
