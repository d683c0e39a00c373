"""A verification as it is kept, and what an event says of a false claim."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from pydantic_core import to_json

from wingman_api.claims.finding import Finding, Verdict
from wingman_api.events.event import ClaimFalse
from wingman_core.redaction import redact_text
from wingman_core.sentences import Unread

Origin = Literal["patterns", "structured", "model"]
"""Who made an assertion: the documented patterns, the caller, or the language model's translation."""
Verifier = Literal["patterns", "structured", "enhanced"]
Enhancement = Literal["not_asked", "not_configured", "not_needed", "no_answer", "used"]
"""What the language model had to do with it."""

MAX_EXCERPT: Final = 500
"""Bytes."""
MAX_SHOWN: Final = 3


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
    findings = [evidence.finding for evidence in verification.evidence]
    contradicted = [each.seen for each in findings if each.outcome == "contradicted"]
    return ClaimFalse(
        at=verification.at,
        worker_id=verification.worker,
        verification_id=verification.id,
        claim=_excerpt(verification.claim),
        contradicted=tuple(_excerpt(each) for each in contradicted[:MAX_SHOWN]),
        contradictions=len(contradicted),
        verifier=verification.verifier,
    )


def _excerpt(text: str) -> str:
    """Return the beginning of a text, redacted, in at most ``MAX_EXCERPT`` bytes of JSON."""
    shown = redact_text(text[: 2 * MAX_EXCERPT])
    while len(to_json(shown)) > MAX_EXCERPT:
        shown = shown[: len(shown) * 4 // 5]
    return shown
