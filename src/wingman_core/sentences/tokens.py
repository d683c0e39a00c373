"""A line of prose as tokens: words, quoted texts, punctuation.

Guarantees: linear in the line's length; each token knows where it stands in the text; what a quoted token holds
is untouched; a word keeps its spelling and carries a lower-case form, contractions taken apart (``isn't`` is two
tokens). Does not: fold, trim or correct anything inside a name or a path.
"""

import re
from bisect import bisect_left
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

CLOSERS: Final[Mapping[str, str]] = {
    '"': '"',
    "'": "'",
    "`": "`",
    "\N{LEFT DOUBLE QUOTATION MARK}": "\N{RIGHT DOUBLE QUOTATION MARK}",
    "\N{DOUBLE LOW-9 QUOTATION MARK}": "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}",
    "\N{SINGLE LOW-9 QUOTATION MARK}": "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}",
    "\N{LEFT SINGLE QUOTATION MARK}": "\N{RIGHT SINGLE QUOTATION MARK}",
    "\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}": "\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}",
}
"""Which characters end a text that begins with each."""
OPENING: Final = "(["
CLOSING: Final = ")]"
TRAILING: Final = ",.;:!?…"
DASHES: Final = frozenset({"-", "--", "\N{EN DASH}", "\N{EM DASH}", "->", "=>", "\N{RIGHTWARDS ARROW}"})
BOLD: Final = "**"

_CHUNK: Final = re.compile(r"\S+")
_SHORT: Final[Mapping[str, tuple[str, ...]]] = {
    "won't": ("will", "not"),
    "can't": ("can", "not"),
    "cannot": ("can", "not"),
    "shan't": ("shall", "not"),
    "i'm": ("i", "am"),
    "let's": ("let", "us"),
    **{f"{who}'s": (who, "is") for who in ("it", "that", "there", "here", "he", "she", "what", "who")},
    **{f"{who}'re": (who, "are") for who in ("we", "you", "they")},
}
_ENDINGS: Final[Mapping[str, str]] = {"n't": "not", "'ve": "have", "'ll": "will", "'d": "would"}

Kind = Literal["word", "quoted", "mark"]


@dataclass(frozen=True, slots=True)
class Token:
    """One token; ``start`` and ``end`` are its place in the whole text, quotes included."""

    kind: Kind
    text: str
    """As it was written, without quotes."""
    word: str
    """In lower case, for words and punctuation; empty for a quoted text, which is never a word of the language."""
    start: int
    end: int
    follows_filler: bool = False
    """Whether a word that says nothing, such as "the" or "I", stood before it and was left out."""


class Line:
    """One line of a text, from ``start`` to ``end``."""

    def __init__(self, text: str, start: int, end: int) -> None:
        """Read nothing yet; quoted texts do not cross the line's ends."""
        self._text = text
        self._start = start
        self._end = end
        self._ends: dict[str, list[int]] = {}

    def tokens(self) -> Iterator[Token]:
        """Yield the line's tokens in order."""
        at, chunk_end, quote_ended, is_bold = self._start, self._start, -1, False
        while True:
            if at >= chunk_end:
                chunk = _CHUNK.search(self._text, at, self._end)
                if chunk is None:
                    return
                at, chunk_end = chunk.span()
            around = TRAILING + CLOSING if at == quote_ended else OPENING
            while at < chunk_end and self._text[at] in around:
                yield self._mark(at)
                at += 1
            if self._text.startswith(BOLD, at, chunk_end):
                at, is_bold = at + len(BOLD), not is_bold
            if at >= chunk_end:
                continue
            closed = self._closed(at)
            if closed is not None:
                yield Token("quoted", self._text[at + 1 : closed], "", at, closed + 1)
                at = quote_ended = closed + 1
                if is_bold and self._text.startswith(BOLD, at, self._end):
                    at = quote_ended = at + len(BOLD)
                    is_bold = False
            else:
                is_bold = yield from self._word(at, chunk_end, is_bold=is_bold)
                at = chunk_end

    def _closed(self, at: int) -> int | None:
        """Return where the text quoted from ``at`` on ends; None if nothing is quoted there, or it never ends."""
        ends = CLOSERS.get(self._text[at])
        if ends is None:
            return None
        known = self._ends.get(ends)
        if known is None:
            known = self._ends[ends] = [
                place
                for place in range(self._start, self._end)
                if self._text[place] in ends and not self._text[place + 1 : min(place + 2, self._end)].isalnum()
            ]
        later = bisect_left(known, at + 2)  # an empty text is no text
        return known[later] if later < len(known) else None

    def _word(self, start: int, end: int, *, is_bold: bool) -> Generator[Token, None, bool]:
        """Yield a chunk without spaces as a word and the punctuation after it; return whether bold goes on."""
        stop = end
        while stop > start and self._is_trailing(start, stop):
            stop -= 1
        text_end = stop
        if is_bold and self._text.endswith(BOLD, start, stop):
            text_end, is_bold = stop - len(BOLD), False
            while text_end > start and self._is_trailing(start, text_end):
                text_end -= 1  # as in **Done:**
        text = self._text[start:text_end]
        if text in DASHES:
            yield Token("mark", text, "-", start, text_end)
        elif text:
            for word in _words(text):
                yield Token("word", text, word, start, text_end)
        for place in range(text_end, end):
            if self._text[place] != "*":
                yield self._mark(place)
        return is_bold

    def _is_trailing(self, start: int, stop: int) -> bool:
        """Whether the chunk's last character is punctuation after it; a bracket that the chunk opened is its own."""
        last = self._text[stop - 1]
        return last in TRAILING or (last in CLOSING and self._text.find(OPENING[CLOSING.index(last)], start, stop) < 0)

    def _mark(self, at: int) -> Token:
        text = self._text[at]
        return Token("mark", text, "." if text == "…" else text, at, at + 1)


def _words(text: str) -> tuple[str, ...]:
    """Return the lower-case words that a chunk stands for."""
    word = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    if word in _SHORT:
        return _SHORT[word]
    for ending, meaning in _ENDINGS.items():
        if word.endswith(ending) and len(word) > len(ending):
            return (word.removesuffix(ending), meaning)
    return (word,)
