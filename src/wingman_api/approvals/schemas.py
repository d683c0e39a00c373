"""Requests for approval as HTTP carries them."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, assert_never

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from wingman_api.approvals.record import Asked as AskedRecord
from wingman_api.approvals.record import Command, HistoryEntry, Record
from wingman_api.previews import Digest, PreviewView, ShownCommand, ShownText, View
from wingman_core.approval import Decision, Status
from wingman_core.risk import Absence, Level, Risk, Vote

MAX_COMMANDS: Final = 16
MAX_INSTRUCTION: Final = 64 * 1024
MAX_NOTE: Final = 2000
MAX_PAGE: Final = 100
RFC3339: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9:]{8}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})")
FIRST_HIGH: Final = 0xA0
"""Past the C1 controls; above, people's languages decide what is printable."""
FIRST_SURROGATE: Final = "\ud800"
LAST_SURROGATE: Final = "\udfff"

LevelName = Literal["LOW", "MEDIUM", "HIGH"]


def _level(level: Level) -> LevelName:
    match level:
        case Level.LOW:
            return "LOW"
        case Level.MEDIUM:
            return "MEDIUM"
        case Level.HIGH:
            return "HIGH"
        case _:
            assert_never(level)


def _printable(text: str) -> str:
    """Refuse control characters but tab and line ends, and halves of a surrogate pair: no database text has them."""
    if not all(character.isprintable() or character in "\t\n\r" for character in text if ord(character) < FIRST_HIGH):
        raise ValueError("control characters are refused")
    if any(FIRST_SURROGATE <= character <= LAST_SURROGATE for character in text):
        raise ValueError("half a surrogate pair is no character")
    return text


def _rfc3339(value: object) -> object:
    """Refuse the other forms of a time that would be understood, such as numbers."""
    if not isinstance(value, str) or not RFC3339.fullmatch(value):
        raise ValueError("not a time as RFC 3339 has it, such as 2026-01-31T09:30:00Z")
    return value


def _utc(moment: datetime) -> datetime:
    """Refuse what no calendar of ours holds: year 1 in a zone east of Greenwich, say."""
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time is out of range") from error


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$")]
CONTROLS: Final = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
PRINTABLE: Final = f"^[^{CONTROLS}]*$"
"""What ``_printable`` takes, as a document can say it."""
Text = Annotated[str, AfterValidator(_printable), Field(json_schema_extra={"pattern": PRINTABLE})]
Moment = Annotated[AwareDatetime, BeforeValidator(_rfc3339), AfterValidator(_utc)]
ENVIRONMENT: Final = "^([Tt][Ee][Ss][Tt]|[Pp][Rr][Dd])$"
ApprovalId = Annotated[str, Field(pattern=r"^apr_[a-z2-7]{26}$", examples=["apr_dbc7jx2mqvg5s3k2h6t4yw7raa"])]


class Asked(BaseModel):
    """What a worker wants done."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "worker_id": "agent-7",
                    "task_name": "Restart the web server",
                    "instruction": "The web server leaks memory; restart it.",
                    "commands": ["docker restart --time 10 web"],
                    "deployment_env": "test",
                },
                {
                    "worker_id": "agent-7",
                    "task_name": "See what runs",
                    "instruction": "Before anything is changed:\ndocker ps --all",
                },
            ]
        },
    )

    worker_id: Name = Field(description="Who wants it done; a worker's key speaks for that worker alone.")
    task_name: Annotated[Text, Field(min_length=1, max_length=200)]
    instruction: Annotated[Text, Field(min_length=1, max_length=MAX_INSTRUCTION)]
    commands: (
        Annotated[list[Annotated[str, Field(min_length=1, max_length=4096)]], Field(max_length=MAX_COMMANDS)] | None
    ) = Field(
        default=None,
        description="Docker commands; where absent, the instruction's lines that begin with `docker `. "
        "Without any, the approval is a sign-off that runs nothing.",
    )
    deployment_env: Annotated[str, Field(max_length=16, json_schema_extra={"pattern": ENVIRONMENT})] | None = Field(
        default=None, description="`test` or `prd` in any case; must be this API's own environment."
    )


class Decided(BaseModel):
    """A person's word on a request."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, json_schema_extra={"example": {"note": "seen the graphs, go ahead"}}
    )

    decided_by: Name | None = Field(
        default=None, description="The key's person (default); a service key names whom it speaks for."
    )
    note: Annotated[Text, Field(max_length=MAX_NOTE)] = ""


class VoteView(View):
    """One source's view of the risk."""

    source: str
    level: LevelName
    reason: str

    @classmethod
    def of(cls, vote: Vote) -> "VoteView":
        """Return the view of a vote."""
        return cls(source=vote.source, level=_level(vote.level), reason=vote.reason)


class AbsenceView(View):
    """A source that should have voted, and did not."""

    source: str
    reason: str

    @classmethod
    def of(cls, absence: Absence) -> "AbsenceView":
        """Return the view of an absence."""
        return cls(source=absence.source, reason=absence.reason)


class RiskView(View):
    """The highest vote counts; who saw it otherwise, and who was absent, is named."""

    level: LevelName
    votes: tuple[VoteView, ...]
    dissent: tuple[VoteView, ...] = Field(description="The votes for a lower level.")
    absent: tuple[AbsenceView, ...] = Field(description="Sources that failed or were late; they count for nothing.")

    @classmethod
    def of(cls, risk: Risk) -> "RiskView":
        """Return the view of a risk."""
        return cls(
            level=_level(risk.level),
            votes=tuple(VoteView.of(vote) for vote in risk.votes),
            dissent=tuple(VoteView.of(vote) for vote in risk.dissent),
            absent=tuple(AbsenceView.of(absence) for absence in risk.absent),
        )


class DecisionView(View):
    """What one person said."""

    person: str
    decision: Literal["approve", "reject"]
    channel: str
    note: str
    decided_at: datetime

    @classmethod
    def of(cls, decision: Decision) -> "DecisionView":
        """Return the view of a decision."""
        return cls(
            person=decision.person,
            decision="approve" if decision.approve else "reject",
            channel=decision.channel,
            note=decision.note,
            decided_at=decision.at,
        )


class CommandView(View):
    """One command, what people were shown of it, and the execution that spent its approval."""

    approval_id: str = Field(description="`<request id>.<n>`, for `POST /executions`.")
    command: ShownCommand = Field(
        description="In canonical form: this is what runs; recognised secret values are hidden and marked."
    )
    operation_digest: Digest
    target_digest: Digest
    preview: PreviewView
    execution_id: str | None

    @classmethod
    def of(cls, command: Command) -> "CommandView":
        """Return the view of a command."""
        return cls(
            approval_id=command.approval_id,
            command=command.text,
            operation_digest=command.operation_digest,
            target_digest=command.target_digest,
            preview=PreviewView.model_validate_json(command.preview),
            execution_id=command.execution_id,
        )


class HistoryView(View):
    """One thing that happened to a request."""

    at: datetime
    event: str
    actor: str
    status: Status
    note: str

    @classmethod
    def of(cls, entry: HistoryEntry) -> "HistoryView":
        """Return the view of an entry."""
        return cls(at=entry.at, event=entry.event, actor=entry.actor, status=Status(entry.status), note=entry.note)


class RequestView(View):
    """A request, what was shown, and where it stands."""

    id: str
    worker_id: str
    requested_by: str
    task_name: ShownText
    instruction: ShownText = Field(description="Recognised secrets are redacted.")
    environment: Literal["test", "prd"]
    status: Status
    people_needed: int
    people_approved: int
    risk: RiskView
    commands: tuple[CommandView, ...]
    decisions: tuple[DecisionView, ...]
    decided_by: str | None = Field(description="Whose word approved or rejected it; the last of a quorum.")
    note: str = Field(description="What that person noted.")
    decision_digest: Digest
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None

    @classmethod
    def of(cls, record: Record) -> "RequestView":
        """Return the view of a record."""
        request, last = record.request, record.last_word
        return cls(
            id=request.id,
            worker_id=request.worker,
            requested_by=request.requested_by,
            task_name=record.task_name,
            instruction=record.instruction,
            environment="prd" if record.environment == "prd" else "test",
            status=request.status,
            people_needed=request.people_needed,
            people_approved=len(request.approvers),
            risk=RiskView.of(record.risk),
            commands=tuple(CommandView.of(command) for command in record.commands),
            decisions=tuple(DecisionView.of(decision) for decision in request.decisions),
            decided_by=last and last.person,
            note=last.note if last else "",
            decision_digest=record.decision_digest,
            created_at=record.created_at,
            expires_at=request.expires_at,
            decided_at=record.decided_at,
        )


class RequestDetail(RequestView):
    """A request with its history."""

    history: tuple[HistoryView, ...]


class AskedAnswer(View):
    """What became of the wish."""

    needs_approval: bool
    status: Status
    deduped: bool = Field(description="True where the identical request was pending already; nothing new was made.")
    request: RequestView
    risk: RiskView
    previews: tuple[PreviewView, ...]

    @classmethod
    def of(cls, asked: AskedRecord) -> "AskedAnswer":
        """Return the answer to a wish."""
        view = RequestView.of(asked.record)
        return cls(
            needs_approval=view.status is Status.PENDING,
            status=view.status,
            deduped=asked.deduped,
            request=view,
            risk=view.risk,
            previews=tuple(command.preview for command in view.commands),
        )


class PendingAnswer(View):
    """The requests that wait for people, oldest first."""

    pending: tuple[RequestView, ...]
    count: int = Field(description="How many are pending in all, beyond this page too.")


class PageAnswer(View):
    """A page of requests, newest first."""

    approvals: tuple[RequestView, ...]
    next_cursor: str | None = Field(description="For the next page; null on the last.")
