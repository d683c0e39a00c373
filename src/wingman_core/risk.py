"""Risk by consensus: independent sources vote, the highest available vote is the level, dissent is shown.

Guarantees: risk is advice that can only add people (I8). It never turns an operation that policy asks people for
into one for fewer, and never asks people for what policy allows automatically: a status read in PRD stays
automatic, although PRD is HIGH. A source without anything to judge does not vote; the environment always
does. A vote's reason holds only words of this module's own, never a worker's text.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from types import MappingProxyType
from typing import Final, Literal

from wingman_core.verdict import BlastRadius

Effect = Literal["read", "lifecycle", "change", "destroy"]


class Level(IntEnum):
    """How much could go wrong; ordered, shown by ``name``."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


@dataclass(frozen=True, slots=True)
class Vote:
    """What one source says, and why."""

    source: str
    level: Level
    reason: str


@dataclass(frozen=True, slots=True)
class Risk:
    """The consensus: the highest vote's level, and every vote in the order of the sources."""

    level: Level
    votes: tuple[Vote, ...]

    @property
    def dissent(self) -> tuple[Vote, ...]:
        """The votes for a lower level."""
        return tuple(vote for vote in self.votes if vote.level < self.level)


FLOORS: Final[Mapping[Level, int]] = MappingProxyType({Level.LOW: 0, Level.MEDIUM: 0, Level.HIGH: 1})
"""People a level asks for at least. As shipped that is never more than the policy's own number; a deployment
may ask for more."""
LIFETIMES: Final[Mapping[Level, timedelta]] = MappingProxyType(
    {Level.LOW: timedelta(hours=1), Level.MEDIUM: timedelta(hours=1), Level.HIGH: timedelta(minutes=15)}
)
"""How long a request waits for people."""
MANY_STOPS: Final = 5
"""Containers that stop at once, from which on that alone is HIGH."""

_EFFECTS: Final[Mapping[Effect, tuple[Level, str]]] = MappingProxyType(
    {
        "read": (Level.LOW, "it only reads"),
        "lifecycle": (Level.MEDIUM, "it starts, stops or restarts something"),
        "change": (Level.MEDIUM, "it changes something"),
        "destroy": (Level.HIGH, "it destroys something"),
    }
)
_WORDS: Final[Mapping[Level, tuple[str, ...]]] = MappingProxyType(
    {
        Level.HIGH: (
            "bypass",
            "destroy",
            "disable audit",
            "drop database",
            "drop table",
            "erase",
            "exfiltrate",
            "ignore previous",
            "ignore the policy",
            "no approval",
            "privileged",
            "production",
            "rm -rf",
            "truncate",
            "wipe",
            "without approval",
        ),
        Level.MEDIUM: (
            "asap",
            "credential",
            "delete",
            "emergency",
            "force",
            "immediately",
            "kill",
            "migrate",
            "override",
            "password",
            "prune",
            "purge",
            "remove",
            "root",
            "secret",
            "token",
            "urgent",
        ),
    }
)
_PATTERNS: Final[tuple[tuple[Level, re.Pattern[str]], ...]] = tuple(
    (level, re.compile(r"\b(?:" + "|".join(re.escape(word) for word in words) + r")(?:e?s|d|ed)?\b"))
    for level, words in _WORDS.items()
)


def assess(
    *,
    environment: str,
    effects: Sequence[Effect] = (),
    radii: Sequence[BlastRadius] = (),
    wording: Sequence[str] = (),
) -> Risk:
    """Return the consensus on a request: its commands' effects and blast radii, and its texts (any may be none)."""
    votes = [_of_environment(environment)]
    if effects:
        votes.append(_of_effects(effects))
    if radii:
        votes.append(_of_radii(radii))
    if wording:
        votes.append(_of_wording(wording))
    return Risk(max(vote.level for vote in votes), tuple(votes))


def people_for(level: Level, people: int, floors: Mapping[Level, int] = FLOORS) -> int:
    """Return how many people decide where policy asks for ``people``: 0 stays 0, else at least the level's floor."""
    return max(people, floors[level]) if people else 0


def lifetime(level: Level, lifetimes: Mapping[Level, timedelta] = LIFETIMES) -> timedelta:
    """Return how long a request of this level waits for people."""
    return lifetimes[level]


def _of_environment(environment: str) -> Vote:
    """Judge where it happens: everything but the test environment is HIGH."""
    if environment == "test":
        return Vote("environment", Level.LOW, "it is the test environment")
    return Vote("environment", Level.HIGH, "it is not the test environment")


def _of_effects(effects: Sequence[Effect]) -> Vote:
    """Judge what the commands do, by the strongest."""
    level, reason = max(_EFFECTS[effect] for effect in effects)
    return Vote("effect", level, reason)


def _of_radii(radii: Sequence[BlastRadius]) -> Vote:
    """Judge what the commands take with them, all together."""
    stops = {name for radius in radii for name in radius.stops}
    if any(radius.data_lost for radius in radii):
        return Vote("blast_radius", Level.HIGH, "data is lost")
    if not all(radius.reversible for radius in radii):
        return Vote("blast_radius", Level.HIGH, "it cannot be undone")
    if len(stops) >= MANY_STOPS:
        return Vote("blast_radius", Level.HIGH, f"{len(stops)} containers stop")
    if any(radius.ports_dropped or radius.dependents for radius in radii):
        return Vote("blast_radius", Level.MEDIUM, "published ports drop or other containers depend on it")
    if stops:
        return Vote("blast_radius", Level.MEDIUM, "containers stop")
    return Vote("blast_radius", Level.LOW, "nothing stops and nothing is lost")


def _of_wording(wording: Sequence[str]) -> Vote:
    """Judge the words of the task and the instruction."""
    text = unicodedata.normalize("NFKC", " ".join(wording)).casefold()
    plain = " ".join(text.split())
    for level, pattern in _PATTERNS:
        found = sorted({match[0] for match in pattern.finditer(plain)})
        if found:
            return Vote("wording", level, f"the wording says: {', '.join(found)}")
    return Vote("wording", Level.LOW, "the wording is ordinary")
