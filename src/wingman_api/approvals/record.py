"""A request as the API keeps it: what was asked, what was shown, how it was judged, who decided."""

from dataclasses import dataclass
from datetime import datetime

from wingman_core.approval import Decision, Request, Status, decision_digest
from wingman_core.risk import Level, Risk


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a request, in canonical text, with the digests that approval binds."""

    approval_id: str
    """``<request id>.<n>``: what an execution spends."""
    text: str
    operation_digest: str
    target_digest: str
    preview: str
    """What was shown, as the JSON of ``previews.PreviewView``."""
    execution_id: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A request with everything around its state machine."""

    request: Request
    environment: str
    task_name: str
    instruction: str
    commands: tuple[Command, ...]
    risk: Risk
    key_id: str | None
    created_at: datetime
    decided_at: datetime | None

    @property
    def last_word(self) -> Decision | None:
        """The decision that approved or rejected the request; None where no person did."""
        decided = self.request.status in (Status.APPROVED, Status.REJECTED)
        return self.request.decisions[-1] if decided else None

    @property
    def decision_digest(self) -> str:
        """The digest of the decision record: who decided what, on which commands."""
        return decision_digest(
            self.request,
            [(command.approval_id, command.operation_digest, command.target_digest) for command in self.commands],
        )


@dataclass(frozen=True, slots=True)
class Selection:
    """Which requests a page is of; None leaves a field open, times are aware."""

    status: Status | None = None
    worker: str | None = None
    level: Level | None = None
    since: datetime | None = None
    """Asked at this time or later."""
    until: datetime | None = None
    """Asked before this time."""
    before: tuple[datetime, str] | None = None
    """The request that the page comes after, by the time it was asked and its id."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The request a wish led to; ``deduped`` where it was pending already."""

    record: Record
    deduped: bool


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One thing that happened to a request."""

    at: datetime
    event: str
    actor: str
    status: str
    note: str
