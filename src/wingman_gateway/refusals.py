"""Refusals on their way into the audit log, a flood of them folded into counts.

Guarantees: in each interval, for each client and reason, the first ``BURST`` refusals have a record each and
the others share one with their number, written when the interval ends or the gateway drains; the number of
pairs is bounded too. A refusal that the log cannot take is logged, and stays a refusal.
Does not: keep the counts of the running interval through a SIGKILL.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from wingman_core.audit_record import AuditRecord
from wingman_core.errors import WingmanError
from wingman_gateway.records import Records

BURST: Final = 64
PAIRS: Final = 256
INTERVAL: Final = 60.0
"""Seconds."""
OTHERS: Final = ("", "MANY")
"""The pair under which everything past ``PAIRS`` is counted."""


class Log(Protocol):
    """Where records go."""

    async def append(self, record: AuditRecord) -> int:
        """Write one record and return its position."""
        ...


@dataclass(slots=True)
class _Count:
    """One client and reason in the running interval."""

    recorded: int = 0
    folded: int = 0


class Refusals:
    """Records refusals, a bounded number of them."""

    def __init__(self, audit: Log, records: Records, log: FilteringBoundLogger, *, clock: Callable[[], float]) -> None:
        """Take where records go, who words them, a log for the rest, and a monotonic clock in seconds."""
        self._audit = audit
        self._records = records
        self._log = log
        self._clock = clock
        self._since = clock()
        self._counts: dict[tuple[str, str], _Count] = {}

    async def record(self, record: AuditRecord) -> None:
        """Append a REFUSED record, or count it where there are too many of its kind."""
        await self.flush(only_if_due=True)
        pair = (record.client, record.reason)
        if pair not in self._counts and len(self._counts) >= PAIRS:
            pair = OTHERS
        count = self._counts.setdefault(pair, _Count())
        if pair == OTHERS or count.recorded >= BURST:
            count.folded += 1
            return
        count.recorded += 1
        self._log.info("refused", reason=record.reason, client=record.client)
        await self._append(record)

    async def flush(self, *, only_if_due: bool = False) -> None:
        """Write the counts and begin a new interval; with ``only_if_due`` not before the running one has ended."""
        now = self._clock()
        if only_if_due and now - self._since < INTERVAL:
            return
        counts, self._counts, self._since = self._counts, {}, now
        folded = [(pair, count.folded) for pair, count in counts.items() if count.folded]
        await asyncio.gather(
            *(self._append(self._records.folded(client, reason, number)) for (client, reason), number in folded)
        )

    async def _append(self, record: AuditRecord) -> None:
        try:
            await self._audit.append(record)
        except WingmanError as error:
            self._log.warning(
                "a refusal could not be recorded", reason=record.reason, client=record.client, error=str(error)
            )
