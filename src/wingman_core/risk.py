"""Risk by consensus: independent sources vote, the highest available vote is the level, dissent is shown.

Guarantees: risk is advice that can only add people (I8). The policy's number is the floor; a source that is
silent, late or broken is named as absent and takes nothing away. The sources that a policy has weighed already
(where, what, with which consequences), and the words somebody chose, never ask people for what the policy allows
automatically: a status read in PRD stays automatic, although PRD is HIGH. Those that see what no policy can
(``BEYOND_POLICY``) do, where they say HIGH.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final


class Level(IntEnum):
    """How much could go wrong; ordered, shown by ``name``."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


class Source(StrEnum):
    """Who votes; each knows nothing of the others."""

    ENVIRONMENT = "environment"
    EFFECT = "effect"
    BLAST_RADIUS = "blast_radius"
    WORDING = "wording"
    STRUCTURE = "structure"
    HISTORY = "history"
    CLAIMS = "claims"
    LANGUAGE_MODEL = "language_model"


@dataclass(frozen=True, slots=True)
class Vote:
    """What one source says, and why."""

    source: Source
    level: Level
    reason: str


@dataclass(frozen=True, slots=True)
class Absence:
    """A source that should have voted, and why it did not."""

    source: Source
    reason: str


@dataclass(frozen=True, slots=True)
class Risk:
    """The consensus: the highest vote's level, every vote in the order of the sources, and who was absent."""

    level: Level
    votes: tuple[Vote, ...]
    absent: tuple[Absence, ...] = ()

    @property
    def dissent(self) -> tuple[Vote, ...]:
        """The votes for a lower level."""
        return tuple(vote for vote in self.votes if vote.level < self.level)

    @property
    def doubted(self) -> bool:
        """Whether a source that sees what no policy can says HIGH."""
        return any(vote.source in BEYOND_POLICY and vote.level is Level.HIGH for vote in self.votes)


BEYOND_POLICY: Final = frozenset({Source.HISTORY, Source.CLAIMS, Source.LANGUAGE_MODEL})
"""The sources that know the worker, or read the whole request: no policy sees either."""
FLOORS: Final[Mapping[Level, int]] = MappingProxyType({Level.LOW: 0, Level.MEDIUM: 0, Level.HIGH: 1})
"""People a level asks for at least where anybody is asked; a deployment may ask for more."""


def consensus(votes: Sequence[Vote], absent: Sequence[Absence] = ()) -> Risk:
    """Return the consensus of at least one vote."""
    return Risk(max(vote.level for vote in votes), tuple(votes), tuple(absent))


def people_for(risk: Risk, people: int, floors: Mapping[Level, int] = FLOORS) -> int:
    """Return how many people decide where policy asks for ``people``: never fewer.

    What is automatic stays so, unless the request is ``doubted``: then one person looks at it. Where people are
    asked, the level's floor holds.
    """
    asked = max(people, 1 if risk.doubted else 0)
    return max(asked, floors[risk.level]) if asked else 0
