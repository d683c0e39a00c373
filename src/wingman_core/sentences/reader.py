"""Free text to assertions, by the documented patterns (``docs/claims.md``) and by nothing else.

The procedure: 1. cut the text into sentences. 2. Leave out what introduces facts or is mere courtesy. 3. What
stands under a heading, a label or a mark that is not known to introduce facts is not read. 4. Read each sentence's
parts. 5. Take back what a later part takes back. Guarantees: time linear in the text's length; whatever brought no
assertion, or not all it says, is in ``unread`` with a reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from wingman_core.assertions import Assertion
from wingman_core.sentences.moods import moods
from wingman_core.sentences.opposites import opposes
from wingman_core.sentences.parts import Part, parts
from wingman_core.sentences.passages import Sentence, sentences
from wingman_core.sentences.reading import MAX_SHOWN, Reading, Reason, Unread
from wingman_core.sentences.tokens import Token
from wingman_core.sentences.words import COURTESIES, FILLERS, LABELS, RETRACTIONS, listed

MAX_ASSERTIONS: Final = 32
MAX_UNREAD: Final = 64
MAX_SENTENCES: Final = 512
PLANNED: Final = listed("plan todo next expected goal goals requirements example examples proposal wanted")
"""Words of a heading under which nothing is a fact."""
UNFIT: Final = frozenset({Reason.NO_PATTERN, Reason.VAGUE})
UNREAL: Final = frozenset({Reason.PLAN, Reason.REQUEST, Reason.QUESTION, Reason.CONDITIONAL, Reason.HEDGED})


def read(text: str, now: datetime) -> Reading:
    """Return the assertions of ``text`` and its unread parts; ``now`` is aware, and what "ago" counts from."""
    reader = _Reader(text, now)
    for n, sentence in enumerate(sentences(text)):
        if n == MAX_SENTENCES or reader.is_full:
            reader.leave(sentence.start, len(text), Reason.TOO_MANY)
            break
        reader.take(sentence)
    return reader.close()


@dataclass(frozen=True, slots=True)
class _Found:
    """An assertion, and the part of the text that makes it."""

    assertion: Assertion
    start: int
    end: int


@dataclass(slots=True)
class _Intro:
    """The line under which the next ones stand, and why it is no fact by itself."""

    sentence: Sentence
    tokens: tuple[Token, ...]
    reason: Reason
    is_used: bool = False


class _Reader:
    """What was read so far, and what the next sentence stands under."""

    def __init__(self, text: str, now: datetime) -> None:
        self._text = text
        self._now = now
        self._found: list[_Found] = []
        self._unread: list[Unread] = []
        self._section: Reason | None = None
        self._intro: _Intro | None = None

    @property
    def is_full(self) -> bool:
        """Whether no more is taken in."""
        return len(self._found) >= MAX_ASSERTIONS or len(self._unread) >= MAX_UNREAD

    def take(self, sentence: Sentence) -> None:
        """Read one sentence."""
        if sentence.is_heading or (sentence.begins_paragraph and not sentence.is_item):
            self._end_intro()
        tokens = without_fillers(sentence.tokens)
        words = tuple(token.word for token in tokens if token.word not in {",", "-", "\n"})
        if sentence.is_heading:
            self._section = _planned(words, tokens)
        if words in RETRACTIONS and not sentence.is_question:
            self._retract()
        elif sentence.mood is not None or self._section is not None:
            self.leave(sentence.start, sentence.end, sentence.mood or self._section or Reason.HEADING)
        elif not _is_courtesy(words):
            self._read(sentence, _after_label(tokens))

    def close(self) -> Reading:
        """Return what was read."""
        self._end_intro()
        kept: dict[Assertion, None] = {}
        for n, found in enumerate(self._found):
            later = (other.assertion for other in self._found[n + 1 :])
            if any(opposes(other, found.assertion) for other in later):
                self.leave(found.start, found.end, Reason.SUPERSEDED)
            else:
                kept[found.assertion] = None
        return Reading(tuple(kept), tuple(dict.fromkeys(self._unread)))

    def leave(self, start: int, end: int, reason: Reason) -> None:
        """Note a part of the text as unread."""
        shown = " ".join(self._text[start : min(end, start + 2 * MAX_SHOWN)].split())[:MAX_SHOWN]
        self._unread.append(Unread(shown, reason))

    def _read(self, sentence: Sentence, tokens: Sequence[Token]) -> None:
        """Read a sentence's parts, together with the line that introduces it where there is one."""
        if self._intro is not None:
            self._read_under(self._intro, sentence, tokens)
            return
        found = parts(tokens, is_question=sentence.is_question, now=self._now)
        reason = next((part.reason for part in found if part.reason is not None), None)
        if sentence.introduces and reason is not None:
            self._intro = _Intro(sentence, tuple(tokens), reason)
        else:
            self._add(sentence, tokens, found)

    def _read_under(self, intro: "_Intro", sentence: Sentence, tokens: Sequence[Token]) -> None:
        """Read "Created these files:" and "/tmp/a" as one; leave the sentence where that is none."""
        together = (*intro.tokens, *tokens)
        found = parts(together, is_question=sentence.is_question, now=self._now)
        if _is_whole(found):
            intro.is_used = True
            self._add(sentence, together, found)
        else:
            reason = Reason.HEADING if intro.reason in UNFIT else intro.reason
            self.leave(sentence.start, sentence.end, reason)

    def _end_intro(self) -> None:
        intro, self._intro = self._intro, None
        if intro is not None and not intro.is_used:
            self.leave(intro.sentence.start, intro.sentence.end, intro.reason)

    def _add(self, sentence: Sentence, tokens: Sequence[Token], found: Sequence[Part]) -> None:
        """Take over what the parts of a sentence assert, and what they leave; as one where none of them fits."""
        if len(found) > 1 and all(part.reason in UNFIT for part in found):
            found = [Part(found[0].start, found[-1].end, (), Reason.NO_PATTERN)]
        for part in found:
            start = max(tokens[part.start].start, sentence.start)
            end = max(tokens[part.end - 1].end, start)
            words = tuple(token.word for token in tokens[part.start : part.end])
            if words in RETRACTIONS:
                self._retract()
            if not part.assertions and (words in RETRACTIONS or words in LABELS):
                continue
            room = MAX_ASSERTIONS - len(self._found)
            self._found += [_Found(assertion, start, end) for assertion in part.assertions[:room]]
            reason = Reason.TOO_MANY if len(part.assertions) > room else part.reason
            if reason is not None:
                self.leave(start, end, reason)

    def _retract(self) -> None:
        """Take back everything that was read before."""
        for found in self._found:
            self.leave(found.start, found.end, Reason.RETRACTED)
        self._found.clear()


def without_fillers(tokens: Sequence[Token]) -> tuple[Token, ...]:
    """Return the tokens that a pattern may look at."""
    kept: list[Token] = []
    follows_filler = False
    for token in tokens:
        if token.word in FILLERS:
            follows_filler = True
        else:
            kept.append(replace(token, follows_filler=True) if follows_filler else token)
            follows_filler = False
    return tuple(kept)


def _after_label(tokens: Sequence[Token]) -> Sequence[Token]:
    """Return what follows a label that introduces facts, such as "Status:"; all where there is none."""
    at = next((at for at, token in enumerate(tokens) if token.kind == "mark" and token.word == ":"), 0)
    return tokens[at + 1 :] if tuple(token.word for token in tokens[:at]) in LABELS else tokens


def _is_courtesy(words: tuple[str, ...]) -> bool:
    """Whether a sentence says nothing: a label or an interjection alone, thanks, an offer."""
    return not words or words in LABELS or any(words[: len(begin)] == begin for begin in COURTESIES)


def _is_whole(found: Sequence[Part]) -> bool:
    """Whether every part was read."""
    return bool(found) and all(part.reason is None for part in found)


def _planned(words: Sequence[str], tokens: Sequence[Token]) -> Reason | None:
    """Return why nothing under a heading of these words is a fact; None where it may be."""
    if PLANNED & set(words):
        return Reason.PLAN
    reasons = (mood.reason for mood in moods(tokens, (), is_question=False))
    return next((reason for reason in reasons if reason in UNREAL), None)
