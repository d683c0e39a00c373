"""One execution as its caller sees it: the events, and what happens when the caller goes away.

Guarantees: a caller that leaves stops a read, and a mutation that has not been spent; it never stops a
mutation that has. Nothing waits for a slow caller: what is queued is bounded by the output's cap, and pieces of
a few bytes are joined, so that their number is bounded too.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Final, Literal

from wingman_gateway.engine.events import Output, Progress

PROGRESS_LINES: Final = 1000
JOINED_BYTES: Final = 1024
NO_EXIT: Final = -1
NOT_IN_LOG: Final = -1


Outcome = Literal["SUCCEEDED", "FAILED", "TIMED_OUT", "UNKNOWN"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """INTENT is durable: the command counts as run."""

    execution_id: str
    audit_position: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The outcome is durable, or it is UNKNOWN and reconciliation will say what Docker testifies."""

    outcome: Outcome
    exit_code: int
    """``NO_EXIT`` where there was none."""
    duration_ms: int
    output_digest: str
    audit_position: int
    """``NOT_IN_LOG`` while the record waits in the journal, or for its reconciliation."""
    truncated: bool
    at: datetime


Event = Accepted | Output | Progress | Finished


class Stage(Enum):
    """How far an execution is; they follow each other in this order."""

    WAITING = auto()
    SPENDING = auto()
    ACTING = auto()
    RECORDING = auto()
    OVER = auto()


class Execution:
    """The handle that ``Executor.begin`` returns."""

    def __init__(self, execution_id: str) -> None:
        """Take the id; until the command is parsed it is not known to be a read."""
        self.id: Final = execution_id
        self.read = False
        self.stage = Stage.WAITING
        self.gone = False
        self.stopped = False
        """Whether it was to end: a read does, even if it was being spent at that moment."""
        self.settled = True
        """Whether the log holds no INTENT of it, or its outcome too."""
        self._events: deque[Event | Exception] = deque()
        self._told = asyncio.Event()
        self._progress = 0
        self._stoppable: asyncio.Task[object] | None = None

    async def events(self) -> AsyncIterator[Event]:
        """Yield ``Accepted``, output and progress, and ``Finished`` last; raise what refused or broke it."""
        while True:
            await self._told.wait()
            event = self._events.popleft()
            if not self._events:
                self._told.clear()
            if isinstance(event, Exception):
                raise event
            yield event
            if isinstance(event, Finished):
                return

    def leave(self) -> None:
        """Say that nobody listens any more; stops what that may stop."""
        self.gone = True
        self.stop()

    def stop(self) -> None:
        """End it if nothing is spent yet, or if it only reads."""
        self.stopped = True
        if self._stoppable is not None and (self.stage is Stage.WAITING or (self.stage is Stage.ACTING and self.read)):
            self._stoppable.cancel()

    def enter(self, stage: Stage, stoppable: "asyncio.Task[object] | None" = None) -> None:
        """Move on; ``stoppable`` is what ends if the caller leaves while that may stop this stage."""
        self.stage = stage
        self._stoppable = stoppable

    def tell(self, event: Event | Exception) -> None:
        """Queue an event for the caller, if there still is one."""
        if isinstance(event, Progress):
            self._progress += 1
            if self._progress > PROGRESS_LINES:
                return
        if self.gone:
            return
        last = self._events[-1] if self._events else None
        if isinstance(event, Output) and isinstance(last, Output) and _fit(last, event):
            self._events[-1] = Output(last.stream, last.data + event.data)
        else:
            self._events.append(event)
        self._told.set()


def _fit(last: Output, new: Output) -> bool:
    """Whether two pieces of output may travel as one."""
    return last.stream == new.stream and len(last.data) + len(new.data) <= JOINED_BYTES
