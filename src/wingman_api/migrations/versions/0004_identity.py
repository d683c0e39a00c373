"""Keys that end, rate limits that all processes share, and answers that are remembered with their effect.

Guarantees, in the database itself: a key's end may come earlier and never later, and a revoked key stays revoked;
a caller has one answer for an idempotency key.
"""

from typing import Final

from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"

KEY_END: Final = """
ALTER TABLE api_key
    ADD COLUMN lifetime interval CHECK (lifetime > interval '0'),
    ADD COLUMN expires_at timestamptz CHECK (expires_at >= created_at),
    ADD CHECK (lifetime IS NULL OR expires_at IS NOT NULL)
"""
REFUSE_LONGER: Final = """
CREATE FUNCTION api_key_refuse_longer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.revoked_at IS DISTINCT FROM NEW.revoked_at AND OLD.revoked_at IS NOT NULL
       OR coalesce(NEW.expires_at, 'infinity') > coalesce(OLD.expires_at, 'infinity') THEN
        RAISE EXCEPTION 'key % ends already: its end may come earlier, and never later', OLD.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$
"""
ENDS_ONCE: Final = """
CREATE TRIGGER api_key_ends_once BEFORE UPDATE OF revoked_at, expires_at ON api_key
FOR EACH ROW EXECUTE FUNCTION api_key_refuse_longer()
"""
RATES: Final = """
CREATE UNLOGGED TABLE rate_window (
    quota     text NOT NULL,
    subject   text NOT NULL,
    starts_at timestamptz NOT NULL,
    taken     integer NOT NULL,
    granted   integer NOT NULL CHECK (granted BETWEEN 1 AND taken),
    PRIMARY KEY (quota, subject, starts_at)
) WITH (fillfactor = 50)
"""
"""Not logged: after a crash of Postgres everybody begins a new window, which is no harm."""
ANSWERS: Final = """
CREATE TABLE idempotency (
    subject        text NOT NULL CHECK (subject <> ''),
    key            text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    operation      text NOT NULL,
    request_digest text NOT NULL CHECK (request_digest ~ '^[0-9a-f]{64}$'),
    effect_id      text,
    status         integer CHECK (status BETWEEN 200 AND 299),
    body           text,
    created_at     timestamptz NOT NULL,
    PRIMARY KEY (subject, key),
    CHECK ((status IS NULL) = (body IS NULL))
)
"""
INDEXES: Final = (
    "CREATE INDEX rate_window_age ON rate_window (starts_at)",
    "CREATE INDEX idempotency_age ON idempotency (created_at)",
)
GRANTS: Final = (
    "GRANT UPDATE (expires_at, speaks_for) ON api_key TO wingman_api",
    "GRANT SELECT, INSERT, UPDATE (taken, granted), DELETE ON rate_window TO wingman_api",
    "GRANT SELECT, INSERT, UPDATE (effect_id, status, body, created_at), DELETE ON idempotency TO wingman_api",
)


def upgrade() -> None:
    """Add the column, the tables, the trigger and the grants."""
    for statement in (KEY_END, REFUSE_LONGER, ENDS_ONCE, RATES, ANSWERS, *INDEXES, *GRANTS):
        op.execute(statement)
