"""What makes a sentence no claim of fact: closed lists of words, and how far in the sentence each one reaches.

Guarantees: a mood is looked for only among words that no pattern took, so that "is not running" denies nothing
but the running. It errs towards silence: a fact beside a doubt is rather not read than read wrongly.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from wingman_core.sentences.reading import Reason
from wingman_core.sentences.tokens import Token
from wingman_core.sentences.words import listed


class Scope(IntEnum):
    """How far a mood reaches."""

    PART = 0
    ONWARD = 1
    """This part and those after it, until a "but"."""
    AFTER = 2
    """Only the parts after this one, until a "but"."""
    SENTENCE = 3


@dataclass(frozen=True, slots=True)
class Mood:
    """A reason that was found at a token's index."""

    at: int
    reason: Reason
    scope: Scope


_WORDS: Final[Mapping[tuple[Reason, Scope], str]] = {
    (Reason.CONDITIONAL, Scope.SENTENCE): (
        "if|unless|when|whenever|once|until|till|would|provided|assuming|assume|suppose|imagine|pretend|in case|"
        "otherwise|else|hypothetically|could have|before|while|except|supposing|as long as|as soon as|depending"
    ),
    (Reason.HEARSAY, Scope.SENTENCE): (
        "say|says|said|saying|tell|tells|told|claim|claims|claimed|report|reports|reported|reportedly|allegedly|"
        "according|hear|heard|hears|mention|mentions|mentioned|state|states|stated|suggest|suggests|suggested|"
        "announced|asserts|insists|rumor|rumour|shows|showed|indicates|indicated|promised|promises|assured|wrote that|"
        "quote|quoting|supposed"
    ),
    (Reason.HEDGED, Scope.SENTENCE): (
        "think|thinks|thought|believe|believes|believed|guess|probably|maybe|perhaps|possibly|likely|hopefully|hope|"
        "seem|seems|seemed|appears|appear|apparently|presumably|could|might|may|should|ought|expect|expects|expected|"
        "suspect|doubt|doubts|unsure|uncertain|as far as|supposedly|surely|wonder|wondering|can|wish|want|wants|"
        "simulated|simulation|dry run|dry-run|mock|mocked|fictional|fictitious|fake|faked|joke|hypothetical|"
        "pretty sure|not sure|in theory|theoretically|virtually|practically|effectively|basically"
    ),
    (Reason.ALTERNATIVE, Scope.SENTENCE): "or|either|and/or|alternatively",
    (Reason.ELSEWHERE, Scope.SENTENCE): "remote|remotely|elsewhere|ssh",
    (Reason.FAILURE, Scope.ONWARD): (
        "failed|fails|fail|failing|failure|unable|unsuccessfully|tried|try|tries|trying|attempt|attempts|attempted|"
        "attempting|without success|no success|could not|can not|able|error|errors|errored|denied|crashed|"
        "aborted|refused|impossible"
    ),
    (Reason.PLAN, Scope.ONWARD): (
        "will|shall|going|gonna|plan|plans|planned|planning|intend|intends|about to|wanted|need|needs|must|let|todo|"
        "tomorrow|soon|later|next|ready|to be|to do|goal|aim|scheduled|pending|upcoming|eventually|proposal|propose"
    ),
    (Reason.NEGATION, Scope.ONWARD): (
        "not|no|never|none|nothing|nobody|neither|nor|untrue|false|lie|instead|hardly|rarely|without having|"
        "incorrect|incorrectly|wrongly|myth|far from|ain't|rather than"
    ),
    (Reason.PARTIAL, Scope.ONWARD): (
        "almost|nearly|partly|partially|mostly|half|halfway|progress|being|incomplete|barely|started to|began|begun|"
        "starting|creating|working on|some|most|several"
    ),
    (Reason.PAST, Scope.PART): "was|were|had|previously|formerly|earlier|used to|yesterday|originally|initially",
    (Reason.REQUEST, Scope.ONWARD): "please|make sure|todo:|kindly",
    (Reason.SUBORDINATE, Scope.AFTER): "that|whether|which|who|where|because|how|why|what|showing|saying|so",
}
_INVERSIONS: Final = listed(
    "is are am was were did does do can could should would will what which who whom why how where when whether shall "
    "isn't aren't didn't"
)
"""What a question begins with, also without a question mark."""
_DENIED: Final = (["could", "not"], ["can", "not"])
_IMPERATIVES: Final = listed(
    "create make delete remove start stop restart check verify ensure run install write add confirm see look open "
    "close update change modify edit fix move copy rename kill show list use try test build deploy pull push commit "
    "checkout switch wait note remember do be keep put set get go give tell ask restore launch"
)
_HERE: Final = listed("port ports branch localhost 127.0.0.1 this top time its purpose schedule demand startup boot")
"""What "on" may be followed by without naming another machine."""
_ENVIRONMENTS: Final = listed(
    "production prod prd staging stage dev development qa container containers pod pods vm cluster sandbox "
    "dream dreams kubernetes cloud image chroot jail namespace guest preview example theory"
)
_PLACES: Final = listed("in inside within at under behind beyond outside")
"""What a sentence begins with that first says where it is."""
_NO_PLACES: Final = listed("summary short addition total fact last least")
_BETWEEN: Final = listed("docker another other each every his her their your")


def _by_first_word() -> dict[str, list[tuple[tuple[str, ...], Reason, Scope]]]:
    found: dict[str, list[tuple[tuple[str, ...], Reason, Scope]]] = {}
    for (reason, scope), phrases in _WORDS.items():
        for phrase in phrases.split("|"):
            words = tuple(phrase.split())
            found.setdefault(words[0], []).append((words, reason, scope))
    return {word: sorted(entries, key=lambda entry: -len(entry[0])) for word, entries in found.items()}


_PHRASES: Final = _by_first_word()
WORDS: Final = frozenset(_PHRASES) | _INVERSIONS
"""Every word that may begin a mood; none of them is taken for a name unless it is quoted."""


def moods(tokens: Sequence[Token], taken: Collection[int], *, is_question: bool) -> Iterator[Mood]:
    """Yield the moods of a sentence, from the tokens whose index is not ``taken`` by a pattern."""
    words = [token.word for token in tokens]
    begins = bool(words) and words[0] in _INVERSIONS and not tokens[0].follows_filler and 0 not in taken
    if is_question or (begins and words[:2] not in _DENIED):
        yield Mood(0, Reason.QUESTION, Scope.SENTENCE)
    for at, word in enumerate(words):
        if at in taken:
            continue
        phrase = _phrase(words, at)
        if phrase is not None:
            yield Mood(at, *phrase)
        if _leads_elsewhere(words, at):
            yield Mood(at, Reason.ELSEWHERE, Scope.SENTENCE)
        if word.endswith("%") and word[:-1].isdigit():
            yield Mood(at, Reason.PARTIAL, Scope.ONWARD)


def is_request(token: Token) -> bool:
    """Whether a part that begins with ``token`` asks for something to be done: "check it", not "the check"."""
    return token.word in _IMPERATIVES and not token.follows_filler


def _phrase(words: Sequence[str], at: int) -> tuple[Reason, Scope] | None:
    """Return what the longest known phrase at ``at`` means."""
    for phrase, reason, scope in _PHRASES.get(words[at], ()):
        if tuple(words[at : at + len(phrase)]) == phrase:
            return reason, scope
    return None


def _leads_elsewhere(words: Sequence[str], at: int) -> bool:
    """Whether a place is named here that is not this machine."""
    if at + 1 >= len(words):
        return False
    if at == 0 and words[0] in _PLACES:
        return words[1] not in _NO_PLACES
    if words[at] == "on":
        return words[at + 1] not in _HERE
    if words[at] in {"in", "inside", "within"}:
        following = words[at + 1 : at + 3]
        return following[0] in _ENVIRONMENTS or (following[0] in _BETWEEN and bool(_ENVIRONMENTS & set(following)))
    return False
