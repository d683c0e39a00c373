"""What the bot reads in the API's answers and events; whatever else they hold is left alone (answers only grow)."""

from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

KNOWN_BELOW_HIGH: Final = frozenset({"LOW", "MEDIUM"})


def is_high(level: str) -> bool:
    """Return whether a level of risk is HIGH, or one that this version does not know."""
    return level not in KNOWN_BELOW_HIGH


class View(BaseModel):
    """A part of an answer: frozen, open for what newer APIs add."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Vote(View):
    """One source's view of the risk."""

    source: str
    level: str
    reason: str


class Absence(View):
    """A source that should have voted."""

    source: str
    reason: str


class Risk(View):
    """The highest vote counts."""

    level: str
    votes: tuple[Vote, ...]
    dissent: tuple[Vote, ...]
    absent: tuple[Absence, ...]


class Target(View):
    """An object that the command names, as it was resolved."""

    kind: str
    reference: str
    role: str
    id: str
    name: str
    image: str
    image_digest: str
    project: str
    labels: dict[str, str]
    state: str
    privileges: tuple[str, ...]


class Facts(View):
    """What the command's text alone says."""

    effect: str
    privileges: tuple[str, ...]
    shell: tuple[str, ...]
    mounts: tuple[str, ...]


class BlastRadius(View):
    """The consequences a person approves."""

    summary: str
    reversible: bool
    stops: tuple[str, ...]
    ports_dropped: tuple[str, ...]
    dependents: tuple[str, ...]
    data_lost: tuple[str, ...]
    expected_time: str = ""


class Verdict(View):
    """What the policy says."""

    outcome: str
    people: int
    policies: tuple[str, ...]
    reason: str


class Preview(View):
    """A command as it would run."""

    canonical_command: str
    targets: tuple[Target, ...]
    facts: Facts
    blast_radius: BlastRadius
    verdict: Verdict


class Command(View):
    """One command, and the execution that spent its approval."""

    approval_id: str
    command: str
    operation_digest: str
    target_digest: str
    preview: Preview
    execution_id: str | None


class Decision(View):
    """What one person said."""

    person: str
    decision: str
    channel: str
    note: str
    decided_at: datetime


class HistoryEntry(View):
    """One thing that happened to a request."""

    at: datetime
    event: str
    actor: str
    note: str


class Request(View):
    """A request, what was shown, and where it stands."""

    id: str
    worker_id: str
    requested_by: str
    task_name: str
    instruction: str
    environment: str
    status: str
    people_needed: int
    people_approved: int
    risk: Risk
    commands: tuple[Command, ...]
    decisions: tuple[Decision, ...]
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    history: tuple[HistoryEntry, ...] = ()

    @property
    def is_high(self) -> bool:
        """Whether its risk is HIGH, or of a level that this version does not know."""
        return is_high(self.risk.level)


class AuditPlace(View):
    """Where the audit log holds something."""

    position: int


class Execution(View):
    """One execution."""

    execution_id: str
    approval_id: str
    state: str
    exit_code: int | None
    duration_ms: int | None
    started_by: str
    started_at: datetime
    finished_at: datetime | None
    intent: AuditPlace
    result: AuditPlace | None


class Pending(View):
    """The requests that wait for people, and how many there are beyond this page too."""

    pending: tuple[Request, ...]
    count: int


class Page(View):
    """A page of requests."""

    approvals: tuple[Request, ...]
    next_cursor: str | None


class Health(View):
    """What ``/health`` says."""

    status: str
    components: dict[str, str]


class WhoAmI(View):
    """Who the API takes the bot for."""

    person: str
    role: str
    speaks_for: tuple[str, ...]
    key_id: str | None
    expires_at: datetime | None


class Checkpoint(View):
    """The audit log's head."""

    origin: str
    size: int
    root: str
    note: str


class Consumer(View):
    """The bot's durable place in the feed."""

    cursor: int
    revision: int
    notes: int
    behind: int


class Note(View):
    """One note of the consumer."""

    key: str
    value: dict[str, Any]


class Notes(View):
    """A page of notes."""

    notes: tuple[Note, ...]
    next_after: str | None


class Happened(View):
    """An event of the feed, as far as the bot acts on it; what a kind of event does not have is empty."""

    type: str
    at: datetime | None = None
    request_id: str = ""
    worker_id: str = ""
    requested_by: str = ""
    risk: str = ""
    expires_at: datetime | None = None
    status: str = ""
    was: str = ""
    components: dict[str, str] = Field(default_factory=dict)
    execution_id: str = ""
    approval_id: str = ""
    audit_position: int | None = None
    verification_id: str = ""
    claim: str = ""
    contradicted: tuple[str, ...] = ()
    reason: str = ""
    size: int = 0
    root: str = ""
    note: str = ""
    daily: bool = False
