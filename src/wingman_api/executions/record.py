"""An execution as API and audit log know it together.

Guarantees: what the audit log says of the outcome wins over what the API saw.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from wingman_api.gateway import Accepted, Outcome, Stream

State = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "UNKNOWN"]
Seen = Literal["RUNNING", "LOST", "SUCCEEDED", "FAILED", "TIMED_OUT", "UNKNOWN"]
"""What the relay saw; LOST: the stream broke before its end."""


@dataclass(frozen=True, slots=True)
class Started:
    """An execution that the gateway took on."""

    accepted: Accepted
    approval_id: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One record of the audit log about an execution."""

    position: int
    kind: str
    leaf_hash: str
    """64 hex digits."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Result:
    """How an execution ended, and where that comes from."""

    outcome: Outcome
    exit_code: int | None
    duration_ms: int | None
    output_digest: str
    evidence: str
    at: datetime
    entry: AuditEntry | None
    """None while the record waits in the gateway's journal."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution; without ``seen`` the API itself has no row of it, and the audit log tells all."""

    id: str
    approval_id: str
    worker: str
    environment: str
    command: str
    operation_digest: str
    target_digest: str
    decision_digest: str
    client: str
    started_by: str
    intent: AuditEntry
    seen: Seen | None
    truncated: bool
    heard: datetime | None
    """When the last output was stored."""
    result: Result | None
    checkpoint: str
    """The signed note that covers the newest of the records here."""

    @property
    def state(self) -> State:
        """Where it stands."""
        return "RUNNING" if self.result is None else self.result.outcome

    @property
    def relayed(self) -> bool:
        """Whether all output that will ever be relayed is stored."""
        return self.seen not in ("RUNNING", None)


@dataclass(frozen=True, slots=True)
class OutputRow:
    """A stored piece of output; ``seq`` counts from 0 without gaps."""

    seq: int
    stream: Stream
    data: bytes
