"""A sentence, cut into parts at its joints: each fits a pattern, or it does not.

The procedure: 1. from a joint on, the pattern that reaches furthest and ends at a joint, a tail or the sentence's
end takes its tokens. 2. Without one, the part goes to the next joint. 3. The moods among the words that no pattern
took decide which parts are facts. Guarantees: a pattern must take everything between two joints but a tail, so an
unknown word in the middle leaves the part unread.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from wingman_core.assertions import Assertion
from wingman_core.sentences import patterns_containers, patterns_files, patterns_host
from wingman_core.sentences.form import Phrase
from wingman_core.sentences.moods import Mood, Scope, is_request, moods
from wingman_core.sentences.pattern import Pattern
from wingman_core.sentences.reading import Reason
from wingman_core.sentences.tokens import Token
from wingman_core.sentences.words import FACTIVE, JOINTS, NO_JOINT_BEFORE_BUT, PRONOUNS, TAILS

PATTERNS: Final = (*patterns_files.PATTERNS, *patterns_host.PATTERNS, *patterns_containers.PATTERNS)
MAX_PARTS: Final = 64
"""Parts of one sentence that are looked at."""


@dataclass(frozen=True, slots=True)
class Part:
    """Tokens ``start`` to ``end`` of a sentence: what they assert, or why nothing."""

    start: int
    end: int
    assertions: tuple[Assertion, ...]
    reason: Reason | None
    """None where the part is wholly read."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part before the moods are looked at; ``fact`` to ``tail`` is what a pattern took."""

    start: int
    fact: int
    tail: int
    end: int
    assertions: tuple[Assertion, ...]
    is_weaker: bool

    @property
    def fits(self) -> bool:
        """Whether a pattern took it."""
        return self.tail > self.fact


def _by_first_word() -> tuple[dict[str, tuple[Pattern, ...]], tuple[Pattern, ...]]:
    """Return the patterns by a word that they may begin with, and those that may begin with a blank."""
    words: dict[str, list[Pattern]] = {}
    others = tuple(pattern for pattern in PATTERNS if pattern.form.first_words is None)
    for pattern in PATTERNS:
        for word in pattern.form.first_words or ():
            words.setdefault(word, []).append(pattern)
    return {word: tuple(patterns) for word, patterns in words.items()}, others


_BEGINNING, _OTHERS = _by_first_word()


def parts(tokens: Sequence[Token], *, is_question: bool, now: datetime) -> tuple[Part, ...]:
    """Return the parts of a sentence without fillers, in order; ``now`` is aware."""
    pieces = list(_pieces(Phrase(tokens, now)))
    taken = {at for piece in pieces for at in range(piece.start, piece.tail) if piece.fits}
    found = list(moods(tokens, taken, is_question=is_question))
    whole = next((mood for mood in found if mood.scope is Scope.SENTENCE), None)
    if whole is not None:
        return (Part(0, len(tokens), (), whole.reason),)
    return tuple(_judged(tokens, pieces, found))


def _pieces(phrase: Phrase) -> Iterator[_Piece]:
    """Yield the pieces of a sentence; what is over ``MAX_PARTS`` is one piece that fits nothing."""
    tokens, at, count = phrase.tokens, 0, 0
    while at < len(tokens):
        if _is_joint(tokens, at):
            at += 1
            continue
        count += 1
        piece = _longest(phrase, at, _past_factive(tokens, at)) if count < MAX_PARTS else None
        if piece is None:
            end = _next_joint(tokens, at) if count < MAX_PARTS else len(tokens)
            piece = _Piece(at, at, at, end, (), is_weaker=False)
        yield piece
        at = piece.end


def _longest(phrase: Phrase, start: int, fact: int) -> _Piece | None:
    """Return the piece of the pattern that reaches furthest from ``fact``; of two, the first in the table."""
    tokens = phrase.tokens
    if fact >= len(tokens):
        return None
    best: _Piece | None = None

    def ends_at(end: int) -> bool:
        return end > fact and (end == len(tokens) or _is_joint(tokens, end) or tokens[end].word in TAILS)

    for pattern in (*_BEGINNING.get(tokens[fact].word, ()), *_OTHERS):
        match = pattern.form.match(phrase, fact, ends_at)
        if match is None or (best is not None and match.end <= best.tail):
            continue
        try:
            assertions = tuple(pattern.make(match.captured))
        except ValidationError:  # longer than an assertion may be, say
            continue
        end = match.end if match.end == len(tokens) or _is_joint(tokens, match.end) else _next_joint(tokens, match.end)
        best = _Piece(start, fact, match.end, end, assertions, pattern.is_weaker(match.captured))
    return best


def _past_factive(tokens: Sequence[Token], at: int) -> int:
    """Return where the fact begins after words such as "verified that"."""
    begin = at + 2 if [token.word for token in tokens[at : at + 2]] == ["can", "confirm"] else at
    if begin == at and tokens[at].word in FACTIVE:
        begin = at + 1
    if begin == at or begin >= len(tokens) or tokens[begin].word in {"out", "in"}:
        return at
    return begin + 1 if tokens[begin].word in {"that", ":"} else begin


def _is_joint(tokens: Sequence[Token], at: int) -> bool:
    if tokens[at].kind == "quoted" or tokens[at].word not in JOINTS:
        return False
    return not (tokens[at].word == "but" and at > 0 and tokens[at - 1].word in NO_JOINT_BEFORE_BUT)


def _next_joint(tokens: Sequence[Token], at: int) -> int:
    """Return the first joint after ``at``, or the end."""
    end = at + 1
    while end < len(tokens) and not _is_joint(tokens, end):
        end += 1
    return end


def _judged(tokens: Sequence[Token], pieces: Sequence[_Piece], found: Sequence[Mood]) -> Iterator[Part]:
    """Yield the parts, each with the moods that reach it."""
    onward: Reason | None = None
    remaining = list(found)
    for piece in pieces:
        if piece.start > 0 and tokens[piece.start - 1].word == "but":
            onward = None
        own: list[Mood] = []
        while remaining and remaining[0].at < piece.end:
            own.append(remaining.pop(0))
        asked = not piece.fits and is_request(tokens[piece.start])
        here = [mood for mood in own if mood.scope is not Scope.AFTER]
        reason = Reason.REQUEST if asked and not here else here[0].reason if here else None
        label = next((True for token in tokens[piece.tail : piece.end] if token.word == ":"), False)
        if reason is not None or onward is not None:
            yield Part(piece.start, piece.end, (), reason or onward)
        else:
            yield from _plain(tokens, piece)
        if asked or any(mood.scope is Scope.ONWARD for mood in own):
            onward = reason
        elif any(mood.scope is Scope.AFTER for mood in own):
            onward = onward or Reason.SUBORDINATE
        elif label:
            onward = onward or Reason.HEADING


def _plain(tokens: Sequence[Token], piece: _Piece) -> Iterator[Part]:
    """Yield a part that no mood reaches, and what is left of it."""
    if not piece.fits:
        reason = Reason.VAGUE if tokens[piece.start].word in PRONOUNS else Reason.NO_PATTERN
        yield Part(piece.start, piece.end, (), reason)
        return
    yield Part(piece.start, piece.tail, piece.assertions, Reason.WEAKER if piece.is_weaker else None)
    if piece.tail < piece.end:
        yield Part(piece.tail, piece.end, (), Reason.REMAINDER)
