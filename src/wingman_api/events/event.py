"""What the feed tells: a closed union of events, each with ids and what it takes to decide whether to look.

Guarantees: an event holds no instruction, command or note of anybody, and of a false claim no more than its beginning,
redacted; it fits into its row (4,096 bytes), whatever anybody wrote.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field

from wingman_api.previews import View
from wingman_api.system.health import Status as HealthStatus

Environment = Literal["test", "prd"]


def _typed(schema: dict[str, Any]) -> None:
    """Say that ``type`` is always there: it has a default, and tells readers which event this is."""
    schema["required"] = ["type", *schema.get("required", [])]


class Told(View):
    """What every event says."""

    model_config = ConfigDict(json_schema_extra=_typed)

    at: datetime = Field(description="When it happened; the order is that of the ids.")


class OfRequest(Told):
    """What every event about a request says."""

    request_id: str
    worker_id: str


class OfExecution(OfRequest):
    """What every event about an execution says."""

    execution_id: str
    approval_id: str


class ApprovalRequested(OfRequest):
    """A request waits for people, or needed none (`AUTO_APPROVED`)."""

    type: Literal["approval.requested"] = "approval.requested"
    requested_by: str
    environment: Environment
    status: Literal["PENDING", "AUTO_APPROVED"]
    risk: Literal["LOW", "MEDIUM", "HIGH"]
    people_needed: int
    commands: int = Field(description="How many; `GET /approvals/{request_id}` shows them.")
    expires_at: datetime


class ApprovalDecided(OfRequest):
    """One person's word; `status` is `PENDING` while more people are needed."""

    type: Literal["approval.decided"] = "approval.decided"
    decision: Literal["approve", "reject"]
    person: str
    channel: str
    status: Literal["PENDING", "APPROVED", "REJECTED"]
    people_approved: int
    people_needed: int


class ApprovalExpired(OfRequest):
    """Nobody decided in time."""

    type: Literal["approval.expired"] = "approval.expired"


class ApprovalCancelled(OfRequest):
    """Who asked withdrew it."""

    type: Literal["approval.cancelled"] = "approval.cancelled"
    person: str


class ExecutionStarted(OfExecution):
    """The gateway took a command on: its approval is spent."""

    type: Literal["execution.started"] = "execution.started"
    audit_position: int = Field(description="Of the INTENT record.")


class ExecutionFinished(OfExecution):
    """An execution has an outcome."""

    type: Literal["execution.finished"] = "execution.finished"
    state: Literal["SUCCEEDED", "FAILED", "TIMED_OUT"]
    exit_code: int | None
    duration_ms: int | None
    audit_position: int | None = Field(description="Of the outcome's record; null while the gateway's journal has it.")


class ExecutionUnknown(OfExecution):
    """Nobody saw how it ended, and Docker could not tell: a person has to look."""

    type: Literal["execution.unknown"] = "execution.unknown"
    audit_position: int | None = Field(description="Of the outcome's record; null while the gateway's journal has it.")


class ClaimFalse(Told):
    """Evidence contradicts what a worker claims to have done."""

    type: Literal["claim.false"] = "claim.false"
    worker_id: str
    verification_id: str
    claim: str = Field(description="Its beginning, secrets redacted.")
    contradicted: tuple[str, ...] = Field(description="What was observed, in a sentence each: the first three.")
    contradictions: int = Field(description="How many assertions evidence contradicts.")
    verifier: str


class AuditCheckpoint(Told):
    """The audit log's head, signed: whoever keeps one can tell later whether the log was changed."""

    type: Literal["audit.checkpoint"] = "audit.checkpoint"
    size: int = Field(description="How many records it covers.")
    root: str = Field(description="64 hex digits: the root of the tree over them.")
    note: str = Field(description="The signed note (C2SP tlog-checkpoint).")
    daily: bool = Field(description="Whether it is the first one of its day (UTC).")


class BoundaryViolated(Told):
    """A look at the privilege boundary did not find it whole."""

    type: Literal["boundary.violated"] = "boundary.violated"
    audit_position: int = Field(description="Of the BOUNDARY record, which says what was found.")
    reason: str


class HealthChanged(Told):
    """What `GET /health` says has changed, twice in a row."""

    type: Literal["health.changed"] = "health.changed"
    status: HealthStatus
    was: HealthStatus
    components: dict[str, HealthStatus]


Event: TypeAlias = (
    ApprovalRequested
    | ApprovalDecided
    | ApprovalExpired
    | ApprovalCancelled
    | ExecutionStarted
    | ExecutionFinished
    | ExecutionUnknown
    | ClaimFalse
    | AuditCheckpoint
    | BoundaryViolated
    | HealthChanged
)
EventType = Literal[
    "approval.requested",
    "approval.decided",
    "approval.expired",
    "approval.cancelled",
    "execution.started",
    "execution.finished",
    "execution.unknown",
    "claim.false",
    "audit.checkpoint",
    "boundary.violated",
    "health.changed",
]


class Mark(View):
    """No event, and not stored: the place of this stream, to resume from where nothing else came."""

    model_config = ConfigDict(json_schema_extra=_typed)

    type: Literal["feed.mark"] = "feed.mark"


StreamItem = Annotated[Event | Mark, Field(discriminator="type", json_schema_extra={"type": "object"})]
"""The data of one server-sent event."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as it lies in the database, numbered."""

    position: int
    type: str
    worker: str | None
    payload: str
    """The event as JSON."""


def worker_of(event: Event) -> str | None:
    """Return the worker whose own event this is: with the operators, it alone may see it."""
    return event.worker_id if isinstance(event, OfRequest | ClaimFalse) else None
