"""The votes on a request: from facts to a level and a reason, one pure function a source.

Guarantees: a reason holds words of this module, names that Wingman itself gave, and numbers; never a worker's
text. The one exception is the language model's reason, which is marked as its words, cut to ``MAX_REASON``
printable characters, and cannot end its own quotation.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import Final, Literal

from wingman_core.risk import Level, Source, Vote
from wingman_core.verdict import BlastRadius

Effect = Literal["read", "lifecycle", "change", "destroy"]

MANY_STOPS: Final = 5
"""Containers that stop at once, from which on that alone is HIGH."""
COMPLETE_SCORE: Final = 80
"""The score from which on the gate calls an instruction complete."""
MAX_REASON: Final = 200
OPINION_FIELDS: Final = frozenset({"level", "reason"})


@dataclass(frozen=True, slots=True)
class Structure:
    """What the instruction gate finds: a score (0 to 100), sections without a body, policy checks that fail."""

    score: int
    missing: Sequence[str]
    failed_checks: Sequence[str]


@dataclass(frozen=True, slots=True)
class Conduct:
    """What is on record of a worker: how often each happened lately, counted up to a limit."""

    rejections: int = 0
    """Requests of its own that people rejected."""
    refusals: int = 0
    """Executions that the gateway refused."""
    failures: int = 0
    """Executions that ended as FAILED, TIMED_OUT or UNKNOWN."""


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
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
"""Characters that show nothing, and could stand inside a word to hide it."""
_PHRASES: Final = re.compile("[\u3200-\u33ff\ufdf0-\ufdfc]")
"""Characters that NFKC unfolds into up to eighteen; no word of ours is among them, and a text shall not grow so."""
_OUR_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_CHECKS: Final[Mapping[str, Level]] = MappingProxyType(
    {
        # That a plan is missing is a missing section, which the score tells.
        "has_mitigation_plan": Level.LOW,
        "no_dangerous_commands": Level.HIGH,
    }
)
"""What a failed check of the gate means; any other, now or later, is MEDIUM."""
_CONDUCT: Final = MappingProxyType(
    {"rejected requests": (2, 5.0), "refused executions": (3, 10.0), "failed executions": (5, inf)}
)
"""From how many on it is MEDIUM, and HIGH. Failures never: a command that fails is often only a question."""
_FALSE_CLAIMS: Final = 3
"""False claims from which on it is HIGH; a single one is MEDIUM."""


def of_environment(environment: str) -> Vote:
    """Judge where it happens: everything but the test environment is HIGH."""
    if environment == "test":
        return Vote(Source.ENVIRONMENT, Level.LOW, "it is the test environment")
    return Vote(Source.ENVIRONMENT, Level.HIGH, "it is not the test environment")


def of_effects(effects: Sequence[Effect]) -> Vote:
    """Judge what the commands (at least one) do, by the strongest."""
    level, reason = max(_EFFECTS[effect] for effect in effects)
    return Vote(Source.EFFECT, level, reason)


def of_radii(radii: Sequence[BlastRadius]) -> Vote:
    """Judge what the commands take with them, all together."""
    stops = {name for radius in radii for name in radius.stops}
    if any(radius.data_lost for radius in radii):
        level, reason = Level.HIGH, "data is lost"
    elif not all(radius.reversible for radius in radii):
        level, reason = Level.HIGH, "it cannot be undone"
    elif len(stops) >= MANY_STOPS:
        level, reason = Level.HIGH, f"{len(stops)} containers stop"
    elif any(radius.ports_dropped or radius.dependents for radius in radii):
        level, reason = Level.MEDIUM, "published ports drop or other containers depend on it"
    elif stops:
        level, reason = Level.MEDIUM, "containers stop"
    else:
        level, reason = Level.LOW, "nothing stops and nothing is lost"
    return Vote(Source.BLAST_RADIUS, level, reason)


def of_wording(wording: Sequence[str]) -> Vote:
    """Judge the words of the task and the instruction."""
    visible = _PHRASES.sub(" ", _INVISIBLE.sub("", " ".join(wording)))
    text = unicodedata.normalize("NFKC", visible).casefold()
    plain = " ".join(text.split())
    for level, pattern in _PATTERNS:
        found = sorted({match[0] for match in pattern.finditer(plain)})
        if found:
            return Vote(Source.WORDING, level, f"the wording says: {', '.join(found)}")
    return Vote(Source.WORDING, Level.LOW, "the wording is ordinary")


def of_structure(structure: Structure, *, has_commands: bool) -> Vote:
    """Judge how the instruction is written; what it lacks is never HIGH.

    Commands are previewed exactly, so that beside them a terse instruction is LOW. Without any, the text is all
    that people have to go by: incomplete is MEDIUM.
    """
    failed = {name: _CHECKS.get(name, Level.MEDIUM) for name in structure.failed_checks}
    level = max(failed.values(), default=Level.LOW)
    if level > Level.LOW:
        names = sorted(name for name, found in failed.items() if found > Level.LOW and _OUR_NAME.fullmatch(name))
        return Vote(Source.STRUCTURE, level, f"the instruction fails {', '.join(names) or 'a check'}")
    if structure.score >= COMPLETE_SCORE:
        return Vote(Source.STRUCTURE, Level.LOW, f"the instruction is complete (score {structure.score})")
    lacks = f"the instruction lacks {len(structure.missing)} sections (score {structure.score})"
    if has_commands:
        return Vote(Source.STRUCTURE, Level.LOW, f"{lacks}, but its commands are shown exactly")
    return Vote(Source.STRUCTURE, Level.MEDIUM, f"{lacks}, and is all there is to go by")


def of_conduct(conduct: Conduct, days: int) -> Vote:
    """Judge how the worker's requests and executions went in the last ``days``."""
    counts = (conduct.rejections, conduct.refusals, conduct.failures)
    level, found = Level.LOW, []
    for count, (words, (medium, high)) in zip(counts, _CONDUCT.items(), strict=True):
        level = max(level, Level.HIGH if count >= high else Level.MEDIUM if count >= medium else Level.LOW)
        if count:
            found.append(f"{words}: {count}")
    return Vote(Source.HISTORY, level, f"in {days} days: {', '.join(found) or 'nothing went wrong'}")


def of_false_claims(count: int, days: int) -> Vote:
    """Judge how often in the last ``days`` the worker claimed what a probe saw to be false: once is MEDIUM."""
    level = Level.HIGH if count >= _FALSE_CLAIMS else Level.MEDIUM if count else Level.LOW
    said = f"{count} false claim{'s' if count != 1 else ''}" if count else "no false claim"
    return Vote(Source.CLAIMS, level, f"in {days} days: {said}")


def of_opinion(answer: Mapping[str, object]) -> Vote:
    """Return a language model's vote from ``{"level": ..., "reason": ...}``; raise ``ValueError`` for all else."""
    level, reason = answer.get("level"), answer.get("reason")
    if answer.keys() != OPINION_FIELDS or not isinstance(level, str) or not isinstance(reason, str):
        raise ValueError("not exactly a level and a reason")
    if level not in Level.__members__:
        raise ValueError("no level has this name")
    return Vote(Source.LANGUAGE_MODEL, Level[level], f'the model says: "{_quotable(reason)}"')


def _quotable(text: str) -> str:
    """Return at most ``MAX_REASON`` printable characters on one line, without the quotation mark around them."""
    visible = "".join(character if character.isprintable() else " " for character in text[: MAX_REASON * 8])
    plain = " ".join(_INVISIBLE.sub("", visible).replace('"', "'").split())
    return plain if len(plain) <= MAX_REASON else f"{plain[: MAX_REASON - 1]}…"
