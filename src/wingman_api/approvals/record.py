"""A request as the API keeps it: what was asked, what was shown, how it was judged, who decided."""

from dataclasses import dataclass
from datetime import datetime

from wingman_core.approval import Request, decision_digest
from wingman_core.risk import Risk


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
    def decision_digest(self) -> str:
        """The digest of the decision record: who decided what, on which commands."""
        return decision_digest(
            self.request,
            [(command.approval_id, command.operation_digest, command.target_digest) for command in self.commands],
        )


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
