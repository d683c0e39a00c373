"""A verification as it is kept, and what an event says of a false claim."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from wingman_api.claims.finding import Finding, Verdict
from wingman_api.events.event import ClaimFalse
from wingman_core.sentences import Unread

Origin = Literal["patterns", "structured", "model"]
"""Who made an assertion: the documented patterns, the caller, or the language model's translation."""
Verifier = Literal["patterns", "structured", "enhanced"]
Enhancement = Literal["not_asked", "not_configured", "not_needed", "no_answer", "used"]
"""What the language model had to do with it."""

MAX_EXCERPT: Final = 500


@dataclass(frozen=True, slots=True)
class Evidence:
    """A finding, and who made its assertion."""

    finding: Finding
    origin: Origin


@dataclass(frozen=True, slots=True)
class Dropped:
    """An assertion of the language model that was not taken."""

    kind: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was claimed, by whom, what was seen, and what follows."""

    id: str
    at: datetime
    worker: str
    requested_by: str
    key_id: str | None
    claim: str
    verdict: Verdict
    details: str
    evidence: tuple[Evidence, ...]
    unread: tuple[Unread, ...]
    verifier: Verifier
    source: str
    processing_time_ms: int
    enhancement: Enhancement
    dropped: tuple[Dropped, ...] = ()


def false_claim(verification: Verification) -> ClaimFalse:
    """Return the event of a verdict FALSE: what was claimed, and what contradicts it."""
    findings = (evidence.finding for evidence in verification.evidence)
    return ClaimFalse(
        at=verification.at,
        worker_id=verification.worker,
        verification_id=verification.id,
        claim=verification.claim[:MAX_EXCERPT],
        contradicted=tuple(each.seen[:MAX_EXCERPT] for each in findings if each.outcome == "contradicted"),
        verifier=verification.verifier,
    )
