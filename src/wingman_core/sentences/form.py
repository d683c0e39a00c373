"""How a pattern is written down, and how a sentence is held against it.

A form is words: ``created [file|files] {paths}`` has one of several words as ``a|b``, one that may be missing in
brackets, and a blank (see ``slots``) in braces. Guarantees: matching takes at most two ways per optional word, so a
form costs a constant number of steps besides what its blanks take.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from wingman_core.sentences.slots import SLOTS, Taken
from wingman_core.sentences.tokens import Token

Captured = Mapping[str, tuple[str, ...]]
"""What each blank took."""


@dataclass(frozen=True, slots=True)
class Element:
    """One place of a form: some words or a blank."""

    words: frozenset[str]
    slot: str
    is_optional: bool


class Phrase:
    """The tokens of a sentence, and what each blank takes at each place, worked out once."""

    def __init__(self, tokens: Sequence[Token], now: datetime) -> None:
        """Take the tokens without fillers; ``now`` is aware."""
        self.tokens: Final = tokens
        self._now = now
        self._taken: dict[tuple[str, int], Taken] = {}

    def take(self, slot: str, at: int) -> Taken:
        """Return what the blank takes at ``at``; None for nothing."""
        key = slot, at
        if key not in self._taken:
            self._taken[key] = SLOTS[slot](self.tokens, at, self._now)
        return self._taken[key]


@dataclass(frozen=True, slots=True)
class Match:
    """A form fits the tokens up to ``end``."""

    end: int
    captured: Captured


class Form:
    """A form, compiled."""

    def __init__(self, text: str) -> None:
        """Compile; raise ``KeyError`` for an unknown blank."""
        self.text: Final = text
        self._elements: Final = tuple(_element(part) for part in text.split())

    @property
    def first_words(self) -> frozenset[str] | None:
        """The words that a fitting part begins with; None where it may begin with a blank."""
        words: set[str] = set()
        for element in self._elements:
            if element.slot:
                return None
            words |= element.words
            if not element.is_optional:
                break
        return frozenset(words)

    def match(self, phrase: Phrase, at: int, ends_at: Callable[[int], bool]) -> Match | None:
        """Return the first way in which the form fits from ``at`` to an end that ``ends_at`` takes."""
        return self._match(phrase, at, 0, {}, ends_at)

    def _match(
        self, phrase: Phrase, at: int, n: int, captured: Captured, ends_at: Callable[[int], bool]
    ) -> Match | None:
        if n == len(self._elements):
            return Match(at, captured) if ends_at(at) else None
        element = self._elements[n]
        step = _step(element, phrase, at) if at < len(phrase.tokens) else None
        if step is not None:
            end, value = step
            more = {**captured, element.slot: value} if element.slot else captured
            found = self._match(phrase, end, n + 1, more, ends_at)
            if found is not None:
                return found
        return self._match(phrase, at, n + 1, captured, ends_at) if element.is_optional else None


def _element(part: str) -> Element:
    inner = part.strip("[]")
    if inner.startswith("{"):
        slot = inner.strip("{}")
        if slot not in SLOTS:
            raise KeyError(slot)
        return Element(frozenset(), slot, part.startswith("["))
    return Element(frozenset(inner.split("|")), "", part.startswith("["))


def _step(element: Element, phrase: Phrase, at: int) -> Taken:
    """Return where one element ends and what it took; None where it does not fit."""
    if element.slot:
        return phrase.take(element.slot, at)
    token = phrase.tokens[at]
    return (at + 1, ()) if token.kind != "quoted" and token.word in element.words else None
