"""What reading a text brought: assertions, and every part that brought none, with the reason."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wingman_core.assertions import Assertion

MAX_SHOWN: Final = 300
"""Characters of a part that are kept to show it."""


class Reason(StrEnum):
    """Why a part of a text is not, or not wholly, a claim of fact that a probe can look at."""

    NO_PATTERN = "no_pattern"
    VAGUE = "vague"
    SUBORDINATE = "subordinate"
    NEGATION = "negation"
    PLAN = "plan"
    REQUEST = "request"
    QUESTION = "question"
    HEARSAY = "hearsay"
    HEDGED = "hedged"
    CONDITIONAL = "conditional"
    ALTERNATIVE = "alternative"
    FAILURE = "failure"
    PARTIAL = "partial"
    PAST = "past"
    ELSEWHERE = "elsewhere"
    HEADING = "heading"
    QUOTED = "quoted"
    REMAINDER = "remainder"
    WEAKER = "weaker"
    RETRACTED = "retracted"
    SUPERSEDED = "superseded"
    TOO_MANY = "too_many"


EXPLANATIONS: Final = {
    Reason.NO_PATTERN: "no documented pattern fits",
    Reason.VAGUE: "it does not name what it is about",
    Reason.SUBORDINATE: "it hangs on words that no documented pattern fits",
    Reason.NEGATION: "what is denied, and how far, is not clear",
    Reason.PLAN: "a plan or a duty, not a fact",
    Reason.REQUEST: "a request or an instruction, not a fact",
    Reason.QUESTION: "a question, not a fact",
    Reason.HEARSAY: "somebody else's word or a tool's",
    Reason.HEDGED: "a belief or an expectation, not a fact",
    Reason.CONDITIONAL: "it depends on a condition",
    Reason.ALTERNATIVE: "one of several, and which is not said",
    Reason.FAILURE: "an attempt or a failure, which leaves nothing to look at",
    Reason.PARTIAL: "not finished, or only in part",
    Reason.PAST: "how it once was, not how it is now",
    Reason.ELSEWHERE: "about another machine or environment than this one",
    Reason.HEADING: "it stands under a heading or label that is not known to introduce facts",
    Reason.QUOTED: "quoted text or code, not the claim itself",
    Reason.REMAINDER: "it says more than a probe can see",
    Reason.WEAKER: "a probe sees a part of this alone",
    Reason.RETRACTED: "taken back by a later part",
    Reason.SUPERSEDED: "a later part says the opposite",
    Reason.TOO_MANY: "the text has more parts than are looked at",
}


@dataclass(frozen=True, slots=True)
class Unread:
    """A part of the text, as it stands there (at most ``MAX_SHOWN`` characters), and why it brought nothing more."""

    text: str
    reason: Reason

    @property
    def explanation(self) -> str:
        """The reason in words."""
        return EXPLANATIONS[self.reason]


@dataclass(frozen=True, slots=True)
class Reading:
    """The assertions of a text in its order, each once, and what could not be turned into one.

    While anything is in ``unread``, confirming every assertion does not confirm the text.
    """

    assertions: tuple[Assertion, ...]
    unread: tuple[Unread, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the assertions are all that the text says."""
        return bool(self.assertions) and not self.unread
