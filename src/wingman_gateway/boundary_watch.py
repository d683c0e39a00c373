"""The gateway's own look at the privilege boundary: at its start and every few minutes, recorded in the audit log.

Guarantees: a verdict that differs from the last is recorded at once, one that stays the same once an hour; a violation
is told by the record's outcome, which the API turns into an event, and so is that ``LOOKS`` looks in a row could not be
made. Where it is configured, nothing is executed while the last look found a violation, or could not be made.
Does not: try from inside (``wingman doctor boundary`` does).
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from wingman_core.audit_record import AuditRecord
from wingman_core.errors import Code, PolicyRefused, WingmanError
from wingman_gateway.boundary import Report, judge
from wingman_gateway.engine.fleet import Fleet
from wingman_gateway.records import Records

REMIND: Final = 3600.0
"""Seconds after which a verdict is recorded again though it is the same."""
RETRY: Final = 5.0
"""Seconds until the next look where one could not be made or recorded."""
LOOKS: Final = 3
"""Looks in a row that could not be made, after which that is a verdict: nobody knows whether the boundary is whole."""
UNSEEN: Final = f"NOT_LOOKED_AT: the engine has not told of every container, {LOOKS} times in a row"


class Seen(Protocol):
    """The engine, as far as it is looked at."""

    async def fleet(self) -> Fleet:
        """Return every container, network and volume; raise ``Unavailable``."""
        ...


class Log(Protocol):
    """Where records go."""

    async def append(self, record: AuditRecord) -> int:
        """Write one record and return its position."""
        ...


class BoundaryWatch:
    """Looks until it is cancelled."""

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        project: str,
        *,
        engine: Seen,
        audit: Log,
        records: Records,
        interval: float,
        stops: bool,
        clock: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        """Watch compose ``project`` every ``interval`` seconds; ``stops`` has violations stop executions."""
        self._project = project
        self._engine = engine
        self._audit = audit
        self._records = records
        self._interval = interval
        self._stops = stops
        self._clock = clock
        self._log = log
        self._last: Report | None = None
        self._failed = 0
        self._recorded: tuple[tuple[str, ...], float] | None = None

    def require(self) -> None:
        """Return if executions may go on; raise ``PolicyRefused`` where the boundary is violated, or not known yet."""
        if not self._stops or (self._last is not None and not self._last.findings):
            return
        found = str(self._last.findings[0]) if self._last else "no look at it has succeeded"
        raise PolicyRefused(
            Code.BOUNDARY_VIOLATED,
            f"the privilege boundary is not whole: {found}",
            hint=f"wingman doctor boundary --project {self._project} says what to do; then ask again",
        )

    async def watch(self) -> None:
        """Look and record until cancelled."""
        while True:
            try:
                await self.look()
                pause = self._interval
            except WingmanError as error:
                self._log.warning("the privilege boundary could not be looked at", error=str(error))
                pause = min(RETRY, self._interval)
            except Exception:  # noqa: BLE001 - the loop must go on
                self._log.error("the look at the privilege boundary broke", exc_info=True)
                pause = self._interval
            await asyncio.sleep(pause)

    async def look(self) -> None:
        """Look once, and record the verdict where it is news; raise ``Unavailable``."""
        try:
            report = judge(await self._engine.fleet(), self._project)
        except Exception:
            self._last = None
            self._failed += 1
            if self._failed >= LOOKS:
                await self._record((UNSEEN,), 0)
            raise
        self._last, self._failed = report, 0
        await self._record(tuple(f"{finding.code}: {finding}" for finding in report.findings), len(report.members))

    async def _record(self, said: tuple[str, ...], containers: int) -> None:
        """Record a verdict where it is news."""
        now = self._clock()
        if self._recorded and self._recorded[0] == said and now - self._recorded[1] < REMIND:
            return
        log = self._log.warning if said else self._log.info
        log("privilege boundary", project=self._project, whole=not said, findings=list(said))
        await self._audit.append(self._records.boundary(said, containers))
        self._recorded = (said, now)
