"""What one look brought, before it becomes a finding."""

from dataclasses import dataclass

from wingman_api.claims.finding import Outcome


@dataclass(frozen=True, slots=True)
class Seen:
    """An outcome and its sentence."""

    outcome: Outcome
    words: str


def confirmed(words: str) -> Seen:
    """Say that it is as claimed."""
    return Seen("confirmed", words)


def contradicted(words: str) -> Seen:
    """Say that it is not as claimed."""
    return Seen("contradicted", words)


def unknown(words: str) -> Seen:
    """Say why nothing was observed that decides."""
    return Seen("unknown", words)


def judged(*, holds: bool, words: str) -> Seen:
    """Confirm or contradict with the same sentence."""
    return Seen("confirmed" if holds else "contradicted", words)
