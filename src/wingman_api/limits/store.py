"""All SQL on ``rate_window``: how much of a quota the processes have drawn, together.

Guarantees: what is granted in one window, to all processes together, is never more than the quota.
"""

from datetime import datetime, timedelta
from typing import Final

from wingman_api.system.store import Database
from wingman_core.quota import LONGEST_WINDOW, Quota

DRAW: Final = """
INSERT INTO rate_window AS w (quota, subject, starts_at, taken, granted) VALUES ($1, $2, $3, $4, $4)
ON CONFLICT (quota, subject, starts_at) DO UPDATE
SET granted = least($4, greatest(1, ($5 - w.taken) / 4)),
    taken = w.taken + least($4, greatest(1, ($5 - w.taken) / 4))
WHERE w.taken < $5
RETURNING granted, taken
"""
"""Blocks shrink towards the end, so that no process sits on what another one could use."""
SWEEP: Final = """
DELETE FROM rate_window WHERE starts_at < $1
"""
KEPT: Final = timedelta(seconds=2 * LONGEST_WINDOW)


class RateStore:
    """Windows in the database; times are aware."""

    def __init__(self, database: Database) -> None:
        """Use the API's pool."""
        self._database = database

    async def draw(self, quota: Quota, subject: str, starts_at: datetime) -> tuple[int, int]:
        """Take a block for ``subject``; return its size (0: all is gone), and what all have taken so far."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(DRAW, quota.name, subject, starts_at, quota.block, quota.requests)
        return (0, quota.requests) if row is None else (row["granted"], row["taken"])

    async def sweep(self, now: datetime) -> None:
        """Forget the windows that are long over."""
        async with self._database.connection() as connection:
            await connection.execute(SWEEP, now - KEPT)
