"""Claims as HTTP carries them."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from wingman_api.approvals.schemas import CONTROLS, Name, Text
from wingman_api.claims.finding import Outcome, Verdict
from wingman_api.claims.ledger import Entry
from wingman_api.claims.record import Enhancement, Evidence, Origin, Verification, Verifier
from wingman_api.claims.store import Statistics
from wingman_api.previews import View
from wingman_core.assertions import Assertion
from wingman_core.sentences import MAX_ASSERTIONS, Reason, Unread

MAX_CLAIM: Final = 16 * 1024
SURROGATE: Final = re.compile("[\ud800-\udfff]")
Period = Literal["1h", "24h", "7d", "30d"]
PERIODS: Final[Mapping[Period, timedelta]] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}


def _says_something(text: str) -> str:
    if not text.strip():
        raise ValueError("a claim says something")
    return text


def _storable(assertion: Assertion) -> Assertion:
    """Refuse what no database text can hold: U+0000, and halves of a surrogate pair."""
    texts = [value for _, value in assertion if isinstance(value, str)]
    if any("\0" in text or SURROGATE.search(text) for text in texts):
        raise ValueError("U+0000 and halves of a surrogate pair are refused")
    return assertion


SAYING: Final = f"^[^{CONTROLS}]*[^\\s{CONTROLS}][^{CONTROLS}]*$"
"""Text that is not blank, as a document can say it."""
Claim = Annotated[
    Text,
    AfterValidator(_says_something),
    Field(min_length=1, max_length=MAX_CLAIM, json_schema_extra={"pattern": SAYING}),
]


class ToLog(BaseModel):
    """What a worker says."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"example": {"worker_id": "agent-7", "claim": "Created file /tmp/test.txt"}},
    )

    claim: Claim
    worker_id: Name | None = Field(default=None, description="Whose claim it is; the key's person by default.")


class ToVerify(BaseModel):
    """What is to be found out: a claim in words, or assertions; one of the two."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {"worker_id": "agent-7", "claim": "Process postgres is running"},
                {"assertions": [{"kind": "file_exists", "path": "notes/today.md"}]},
            ]
        },
    )

    claim: Claim | None = None
    assertions: (
        Annotated[list[Annotated[Assertion, AfterValidator(_storable)]], Field(min_length=1, max_length=MAX_ASSERTIONS)]
        | None
    ) = Field(default=None, description="Instead of a claim in words.")
    worker_id: Name | None = Field(default=None, description="Whose claim it is; the key's person by default.")
    use_enhanced: bool = Field(
        default=False,
        description="Have the language model, where one is configured, translate what no documented pattern fits.",
    )

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.claim is None) == (self.assertions is None):
            raise ValueError("send claim or assertions, one of the two")
        return self


class EntryView(View):
    """A line of the ledger."""

    id: str
    timestamp: datetime
    worker_id: str
    claim: str
    status: Literal["logged"]

    @classmethod
    def of(cls, entry: Entry) -> "EntryView":
        """Return the view of an entry."""
        return cls(
            id=entry.id, timestamp=entry.timestamp, worker_id=entry.worker_id, claim=entry.claim, status="logged"
        )


class LoggedAnswer(View):
    """The claim is in the ledger, on disk."""

    status: Literal["logged"]
    entry: EntryView

    @classmethod
    def of(cls, entry: Entry) -> "LoggedAnswer":
        """Return the answer for an entry of the ledger."""
        return cls(status="logged", entry=EntryView.of(entry))


class EvidenceView(View):
    """One assertion, and what was seen."""

    assertion: Assertion
    outcome: Outcome
    seen: str = Field(description="What was observed, or why nothing was.")
    probe: str = Field(description="Which probe looked; `none` where none did.")
    at: datetime
    origin: Origin = Field(description="Whether the patterns, the caller or the language model made the assertion.")

    @classmethod
    def of(cls, evidence: Evidence) -> "EvidenceView":
        """Return the view of a piece of evidence."""
        finding = evidence.finding
        return cls(
            assertion=finding.assertion,
            outcome=finding.outcome,
            seen=finding.seen,
            probe=finding.probe,
            at=finding.at,
            origin=evidence.origin,
        )


class UnreadView(View):
    """A part of the claim that did not, or not wholly, become an assertion; while there is one, nothing is TRUE."""

    text: str
    reason: Reason
    explanation: str

    @classmethod
    def of(cls, unread: Unread) -> "UnreadView":
        """Return the view of a part."""
        return cls(text=unread.text, reason=unread.reason, explanation=unread.explanation)


class DroppedView(View):
    """An assertion of the language model that was not taken."""

    kind: str
    reason: str


class VerifiedAnswer(View):
    """What became of the claim. FALSE: evidence contradicts it. TRUE: evidence confirms all of it."""

    id: str
    timestamp: datetime
    worker_id: str
    verdict: Verdict
    details: str
    evidence: tuple[EvidenceView, ...]
    unread: tuple[UnreadView, ...]
    verifier: Verifier
    enhancement: Enhancement = Field(description="What the language model had to do with it.")
    dropped: tuple[DroppedView, ...]
    processing_time_ms: int

    @classmethod
    def of(cls, verification: Verification) -> "VerifiedAnswer":
        """Return the answer for a verification."""
        return cls(
            id=verification.id,
            timestamp=verification.at,
            worker_id=verification.worker,
            verdict=verification.verdict,
            details=verification.details,
            evidence=tuple(EvidenceView.of(each) for each in verification.evidence),
            unread=tuple(UnreadView.of(part) for part in verification.unread),
            verifier=verification.verifier,
            enhancement=verification.enhancement,
            dropped=tuple(DroppedView(kind=each.kind, reason=each.reason) for each in verification.dropped),
            processing_time_ms=verification.processing_time_ms,
        )


class VerdictCounts(View):
    """How many of each."""

    TRUE: int
    FALSE: int
    UNVERIFIABLE: int
    ERROR: int


class WorkerView(View):
    """How one worker's claims did."""

    worker_id: str
    total: int
    true: int
    false: int


class StatisticsAnswer(View):
    """What was verified in the period."""

    range: Period
    since: datetime
    total: int
    verdicts: VerdictCounts
    mean_processing_time_ms: float | None = Field(description="Null where nothing was verified.")
    workers: tuple[WorkerView, ...] = Field(description="Those with the most claims, at most 50.")

    @classmethod
    def of(cls, period: Period, since: datetime, found: Statistics) -> "StatisticsAnswer":
        """Return the answer for a period's statistics."""
        return cls(
            range=period,
            since=since,
            total=found.total,
            verdicts=VerdictCounts.model_validate(found.verdicts),
            mean_processing_time_ms=found.mean_ms,
            workers=tuple(
                WorkerView(worker_id=each.worker, total=each.total, true=each.true, false=each.false)
                for each in found.workers
            ),
        )
