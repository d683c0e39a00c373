"""Counts requests against quotas that all processes share, with few questions to the database.

Guarantees: over all processes no more requests pass in a window than the quota says; a process asks the database
once for a block of requests, and not at all once everything is gone; what is held here is bounded.
While the database is down, reads pass up to the quota in each process by itself, and everything else is refused.
Does not: spread requests over the window; two full quotas may come around the edge between two windows.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from wingman_core.errors import Code, LimitExceeded, Unavailable
from wingman_core.quota import Quota, Standing

MOST_SUBJECTS: Final = 10_000
DRAW_SECONDS: Final = 2.0


class Windows(Protocol):
    """Where the processes' blocks come from."""

    async def draw(self, quota: Quota, subject: str, starts_at: datetime) -> tuple[int, int]:
        """Return the size of a block (0: all is gone), and what all have taken; raise ``Unavailable``."""
        ...


class QuotaExceeded(LimitExceeded):
    """Everything of a quota is gone until its window ends; ``standing`` says so for the answer's header."""

    def __init__(self, standing: Standing) -> None:
        super().__init__(
            Code.LIMIT_EXCEEDED,
            f"more than {standing.quota.requests} requests within {standing.quota.seconds} s",
            hint=f"try again in {standing.resets_in} s",
            quota=standing.quota.name,
            retry_after=str(standing.resets_in),
        )
        self.standing: Final = standing


@dataclass(slots=True)
class _Lease:
    """What this process holds of one subject's window."""

    quota: Quota
    starts_at: datetime
    ends_at: datetime
    left: int = 0
    taken: int = 0
    """What all processes have drawn, as of the last look."""
    unshared: int = 0
    """What was let pass here without the database."""
    drawing: "asyncio.Task[None] | None" = field(default=None, repr=False)

    def pass_unshared(self) -> None:
        """Go on without the database, up to the quota."""
        if self.left == 0:
            self.left = min(self.quota.block, self.quota.requests - self.unshared)
            self.unshared += self.left
            self.taken = max(self.taken, self.unshared)

    def standing(self, now: datetime) -> Standing:
        """Return what is left, as far as is known here."""
        remaining = self.left + max(0, self.quota.requests - self.taken)
        resets_in = self.quota.resets_in(self.starts_at, now)
        return Standing(self.quota, self.starts_at, remaining, resets_in)


class Limiter:
    """The counts of this process; ``now`` returns aware times."""

    def __init__(self, windows: Windows, *, now: Callable[[], datetime]) -> None:
        """Draw blocks from ``windows``."""
        self._windows = windows
        self._now = now
        self._leases: dict[tuple[str, str], _Lease] = {}

    async def take(self, quota: Quota, subject: str, *, lenient: bool) -> Standing:
        """Count one request of ``subject``; raise ``QuotaExceeded`` where it is one too many.

        Without the database a ``lenient`` request passes, and for any other one ``Unavailable`` is raised.
        """
        now = self._now()
        lease = self._lease(quota, subject, now)
        while lease.left == 0:
            if lease.taken >= quota.requests:
                raise QuotaExceeded(lease.standing(now))
            try:
                await self._draw(lease, subject)
            except Unavailable:
                if not lenient:
                    raise
                lease.pass_unshared()
            now = self._now()
        lease.left -= 1
        return lease.standing(now)

    def give_back(self, subject: str, standing: Standing) -> None:
        """Uncount one request that ``take`` counted, where its window goes on."""
        lease = self._lease(standing.quota, subject, self._now())
        if lease.starts_at == standing.window:
            lease.left += 1

    def _lease(self, quota: Quota, subject: str, now: datetime) -> _Lease:
        """Return what is held of the window that holds ``now``."""
        lease = self._leases.get((quota.name, subject))
        if lease is None or not lease.starts_at <= now < lease.ends_at:
            if len(self._leases) >= MOST_SUBJECTS:
                self._leases.clear()  # blocks are lost with it, which refuses earlier and never later
            starts_at = quota.window(now)
            lease = self._leases[quota.name, subject] = _Lease(quota, starts_at, quota.end(starts_at))
        return lease

    async def _draw(self, lease: _Lease, subject: str) -> None:
        """Fetch another block; whoever waits meanwhile shares the answer, and the failure."""
        if lease.drawing is None or lease.drawing.done():
            lease.drawing = asyncio.create_task(self._fetch(lease, subject))
            lease.drawing.add_done_callback(lambda task: task.cancelled() or task.exception())  # seen, if nobody asks
        await asyncio.shield(lease.drawing)

    async def _fetch(self, lease: _Lease, subject: str) -> None:
        try:
            async with asyncio.timeout(DRAW_SECONDS):
                granted, lease.taken = await self._windows.draw(lease.quota, subject, lease.starts_at)
        except TimeoutError as error:
            raise Unavailable(
                Code.DATABASE_UNAVAILABLE, "the database does not answer", hint="try again in a moment"
            ) from error
        lease.left += granted
