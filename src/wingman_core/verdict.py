"""What the policy says of an operation, and what the operation would do: values that gateway and API share."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Automatic:
    """Allowed with no approval at all."""

    policies: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class NeedsPeople:
    """Allowed once ``people`` distinct people approve; at least 1."""

    people: int
    policies: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Never allowed, whoever approves."""

    policies: tuple[str, ...]
    reason: str


Verdict = Automatic | NeedsPeople | Forbidden


@dataclass(frozen=True, slots=True)
class BlastRadius:
    """The consequences a person approves; each entry is one line of text."""

    summary: str
    reversible: bool
    stops: tuple[str, ...] = ()
    ports_dropped: tuple[str, ...] = ()
    dependents: tuple[str, ...] = ()
    data_lost: tuple[str, ...] = ()
    expected_time: str = ""
    """A range and its ground, or ``unknown`` and why; empty for what only reads."""
