"""The watch: tells what no request reports. One process at a time holds it.

1. Outcomes in the audit log that nobody relayed, such as those that were reconciled, and violated boundaries.
2. The audit log's checkpoints: one a day, and at most one every ``checkpoint_every`` while the log grows.
3. Changes of health, once two looks agree.
4. And it forgets events that are older than ``retention``.

Guarantees: each audit record is told at most once, and none is passed over, however often the watch changes
hands; an execution is told to have started before it is told to have ended. Does not: tell of an outage of the
database (``/health`` does), since nothing can be stored then.
"""

import itertools
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from structlog.typing import FilteringBoundLogger

from wingman_api.events.event import (
    AuditCheckpoint,
    BoundaryViolated,
    Event,
    ExecutionFinished,
    ExecutionStarted,
    ExecutionUnknown,
    HealthChanged,
)
from wingman_api.events.outbox import emit, emit_all
from wingman_api.events.store import EventStore
from wingman_api.events.watch_store import Record, Turn, WatchStore
from wingman_api.rounds import rounds
from wingman_api.system.health import Report, Status
from wingman_core.errors import Unavailable

EVERY: Final = 2.0
"""Seconds between two rounds."""
HELD: Final = 10.0
"""Seconds after which the watch of a process that is gone, or frozen, is free."""
HEALTH_EVERY: Final = 2
"""Rounds between two looks at health."""
FORGET_EVERY: Final = 300
"""Rounds between two looks for what is too old."""
BATCH: Final = 200
KNOWN: Final = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT"})
"""Outcomes that somebody saw, or Docker testified to."""
FORGOTTEN_AT_ONCE: Final = 2000
WHOLE: Final = "SUCCEEDED"
"""The outcome of a BOUNDARY record that found nothing wrong; any other is a violation."""
MAX_REASON: Final = 200
NEVER_TOLD: Final[Mapping[str, Any]] = {"status": "healthy", "components": None}
"""What a new deployment is taken for, so that a good start is no news."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often, and how long."""

    checkpoint_every: timedelta
    retention: timedelta


class Watch:
    """One a process; ``holder`` is its name among the others, ``now`` returns aware times."""

    def __init__(  # noqa: PLR0913 - collaborators, by name
        self,
        store: WatchStore,
        events: EventStore,
        *,
        look: Callable[[], Awaitable[Report]],
        pace: Pace,
        holder: str,
        now: Callable[[], datetime],
        log: FilteringBoundLogger,
    ) -> None:
        """Take the collaborators; ``look`` is how health is looked at."""
        self._store = store
        self._events = events
        self._look = look
        self._pace = pace
        self._holder = holder
        self._now = now
        self._log = log
        self._seen: Report | None = None
        self._holds = False
        self._numbers = itertools.count()

    async def run(self) -> None:
        """Go round for ever; at the end let another process have the watch at once."""
        try:
            await rounds(self._round, every=EVERY, name="watch", log=self._log)
        finally:
            if self._holds:
                with suppress(Unavailable):
                    await self._store.let_go(self._holder)

    async def _round(self) -> None:
        """Do what is due, if this process holds the watch."""
        self._holds = False
        self._holds = await self.tell()
        if not self._holds:
            return
        number = next(self._numbers)
        if number % HEALTH_EVERY == 0:
            await self.tell_health()
        if number % FORGET_EVERY == 0:
            await self.forget()

    async def tell(self) -> bool:
        """Tell what the audit log has; return whether this process holds the watch."""
        more = True
        while more:
            async with self._store.turn(self._holder, HELD) as turn:
                if turn is None:
                    return False
                records = await turn.records(BATCH)
                if records:
                    await emit_all(turn.connection, [event for each in records if (event := told(each)) is not None])
                    await turn.told_records(records[-1].position + 1)
                await self._tell_checkpoint(turn)
                more = len(records) == BATCH
        return True

    async def tell_health(self) -> None:
        """Look at health; tell what two looks in a row agree on, where it is not what was told last."""
        seen, before = await self._look(), self._seen
        self._seen = seen
        if seen != before:
            return
        async with self._store.turn(self._holder, HELD) as turn:
            if turn is None:
                return
            was = json.loads(turn.health) if turn.health else NEVER_TOLD
            if seen.components == was["components"]:
                return
            if turn.health or seen.overall != was["status"]:
                await emit(turn.connection, _changed(seen, was["status"], self._now()))
            await turn.told_health(json.dumps({"status": seen.overall, "components": seen.components}))

    async def forget(self) -> None:
        """Delete what is older than the retention, a batch at a time."""
        before = self._now() - self._pace.retention
        while await self._events.forget(before, FORGOTTEN_AT_ONCE) == FORGOTTEN_AT_ONCE:
            pass

    async def _tell_checkpoint(self, turn: Turn) -> None:
        now = self._now()
        head = await turn.head()
        if head is None:
            return
        grown = head.size > turn.checkpoint_size
        due = checkpoint_due(turn.checkpoint_at, now, self._pace.checkpoint_every, grown=grown)
        if due != "no":
            told_now = AuditCheckpoint(
                at=now, size=head.size, root=head.root.hex(), note=head.note, daily=due == "daily"
            )
            await emit(turn.connection, told_now)
            await turn.told_checkpoint(head.size, now)


def checkpoint_due(
    last: datetime | None, now: datetime, every: timedelta, *, grown: bool
) -> Literal["no", "grown", "daily"]:
    """Return whether a checkpoint is to be told: the first of a day (UTC), or one that grew, not too often."""
    if last is None or last.astimezone(UTC).date() < now.astimezone(UTC).date():
        return "daily"
    return "grown" if grown and now - last >= every else "no"


def told(record: Record) -> Event | None:
    """Return what a record of the audit log tells; None where it tells nobody anything."""
    about = {
        "at": record.created_at,
        "request_id": record.approval_id.partition(".")[0],
        "worker_id": record.worker,
        "execution_id": record.execution_id,
        "approval_id": record.approval_id,
        "audit_position": record.position,
    }
    match record.kind:
        case "INTENT":
            return ExecutionStarted.model_validate(about)
        case "RESULT" | "RECONCILED" | "SETTLED" if record.outcome in KNOWN:
            ending = {"state": record.outcome, "exit_code": record.exit_code, "duration_ms": record.duration_ms}
            return ExecutionFinished.model_validate({**about, **ending})
        case "RESULT" | "RECONCILED":
            return ExecutionUnknown.model_validate(about)
        case "BOUNDARY" if record.outcome != WHOLE:
            return BoundaryViolated(
                at=record.created_at, audit_position=record.position, reason=record.reason[:MAX_REASON]
            )
        case _:  # a refusal, a whole boundary, or a kind of a newer gateway
            return None


def _changed(seen: Report, was: Status, now: datetime) -> HealthChanged:
    return HealthChanged(at=now, status=seen.overall, was=was, components=seen.components)
