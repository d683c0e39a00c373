"""What the policy checks of an instruction find: which check, which rule, on which line."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wingman_core.instruction.commands import Word

MOST: Final = 50
"""Findings of one check that are reported; one is enough to fail it."""


class Check(StrEnum):
    """The four policy checks, in the order in which they are reported."""

    NO_FORCE_FLAGS = "no_force_flags"
    NO_HARDCODED_SECRETS = "no_hardcoded_secrets"
    NO_DANGEROUS_COMMANDS = "no_dangerous_commands"
    HAS_MITIGATION_PLAN = "has_mitigation_plan"

    __hash__ = str.__hash__


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One place where an instruction breaks a rule; the message holds words of Wingman's own alone."""

    line: int
    """From 1; 0 where something is missing."""
    check: Check
    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Suspect:
    """A place in a ``Script`` that breaks a rule, unless the text forbids what stands there."""

    rule: str
    message: str
    start: int
    end: int


def suspect(rule: str, word: Word, message: str) -> Suspect:
    """Return the suspect that a word is."""
    return Suspect(rule, message, word.start, word.end)
