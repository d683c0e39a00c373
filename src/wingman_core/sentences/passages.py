"""A text, cut into sentences: by punctuation, by list items and headings, by blank lines.

Guarantees: linear in the text's length; every character that is not space or list marking is in one sentence; a
sentence that a line break wraps stays one, with a joint where it broke. Fenced code and quoted lines come out
marked as such. Does not: judge what a sentence says.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, cast

from wingman_core.sentences.reading import Reason
from wingman_core.sentences.tokens import Line, Token

ENDS: Final = frozenset({".", "!", "?", ";"})
ABBREVIATIONS: Final = frozenset({"e.g", "i.e", "etc", "vs", "approx", "cf", "mr", "mrs", "dr", "incl", "resp"})
FENCES: Final = ("```", "~~~")

_LEAD: Final = re.compile(
    r"[^\S\n]*(?P<quote>>[>\s]*)?(?P<heading>#{1,6}\s+)?(?P<bullet>(?:[-*+•‣◦]|\d{1,3}[.)])\s+)?"
    r"(?P<box>\[[ xX]\]\s+)?(?P<sign>[✅✔☑✓❌✗✘☐⏳🚧]\N{VARIATION SELECTOR-16}?\s*)?"
)
_UNDONE: Final = {"❌": Reason.FAILURE, "✗": Reason.FAILURE, "✘": Reason.FAILURE}
_OPEN: Final = frozenset("☐⏳🚧")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, and what its lines say of it."""

    tokens: tuple[Token, ...]
    start: int
    end: int
    mood: Reason | None = None
    """Where the line alone rules a claim of fact out: quoted, code, an open check box."""
    is_question: bool = False
    is_item: bool = False
    is_heading: bool = False
    begins_paragraph: bool = False
    introduces: bool = False
    """It ends with a colon, at a line's end: what follows stands under it."""


def sentences(text: str) -> Iterator[Sentence]:
    """Yield the sentences of ``text`` in order."""
    cutter = _Cutter(text)
    for start, end in _lines(text):
        yield from cutter.line(start, end)
    yield from cutter.close()


class _Cutter:
    """What is open while a text is read line by line: a sentence, a block of code."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[Token] = []
        self._first = Sentence((), 0, 0)
        self._has_ended = False
        self._fence: tuple[str, int] | None = None
        self._was_blank = True

    def line(self, start: int, end: int) -> Iterator[Sentence]:
        """Take a line; yield the sentences that it completes."""
        line = self._text[start:end].strip()
        fence = next((mark for mark in FENCES if line.startswith(mark)), None)
        if fence is not None or self._fence is not None:
            yield from self._flush()
            yield from self._in_fence(fence, start, end)
            return
        lead, first = _first(self._text, start, end, begins_paragraph=self._was_blank)
        self._was_blank = not line
        if not line or first.is_item or first.is_heading or first.mood is not None or self._first.is_heading:
            yield from self._flush()
        elif self._tokens and not self._has_ended:
            self._tokens.append(Token("mark", "\n", "\n", start, start))
        at_start = True
        for token in Line(self._text, lead, end).tokens():
            yield from self._take(token, first, at_start=at_start)
            at_start = False
        if self._tokens and self._tokens[-1].word == ":":
            yield from self._flush()

    def close(self) -> Iterator[Sentence]:
        """Yield what is open at the text's end."""
        yield from self._flush()
        if self._fence is not None:
            yield Sentence((), self._fence[1], len(self._text), Reason.QUOTED)

    def _in_fence(self, mark: str | None, start: int, end: int) -> Iterator[Sentence]:
        if self._fence is None and mark is not None:
            self._fence = mark, start
        elif self._fence is not None and mark == self._fence[0]:
            yield Sentence((), self._fence[1], end, Reason.QUOTED)
            self._fence = None

    def _take(self, token: Token, first: Sentence, *, at_start: bool) -> Iterator[Sentence]:
        """Add a token; yield the sentence before it where that had ended."""
        is_end = token.kind == "mark" and token.word in ENDS
        if self._has_ended and not is_end:
            yield from self._flush()
        if not self._tokens:
            if is_end:
                return  # punctuation that ends nothing
            begins = first.begins_paragraph and at_start
            self._first = replace(first, start=token.start, begins_paragraph=begins)
        if not is_end or not _is_abbreviated(token, self._tokens):
            self._has_ended = is_end
            self._tokens.append(token)

    def _flush(self) -> Iterator[Sentence]:
        """Yield the open sentence without the punctuation at its end."""
        tokens, self._tokens, self._has_ended = self._tokens, [], False
        end = len(tokens)
        while end and tokens[end - 1].kind == "mark" and tokens[end - 1].word in ENDS:
            end -= 1
        if end == 0:
            return
        introduces = tokens[end - 1].kind == "mark" and tokens[end - 1].word == ":"
        yield replace(
            self._first,
            tokens=tuple(tokens[: end - 1 if introduces else end]),
            end=tokens[-1].end,
            is_question=any(token.word == "?" for token in tokens[end:]),
            introduces=introduces,
        )


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each line begins and ends, without its line end."""
    at = 0
    for line in text.splitlines(keepends=True):
        yield at, at + len(line.rstrip())
        at += len(line)


def _first(text: str, start: int, end: int, *, begins_paragraph: bool) -> tuple[int, Sentence]:
    """Return where a line's words begin, and its first sentence, still without them."""
    lead = cast("re.Match[str]", _LEAD.match(text, start, end))  # it matches nothing at all, too
    sign = (lead["sign"] or "")[:1]
    mood = _UNDONE.get(sign)
    if lead["quote"]:
        mood = Reason.QUOTED
    elif (lead["box"] or "").startswith("[ ]") or sign in _OPEN:
        mood = Reason.PLAN
    return lead.end(), Sentence(
        (),
        lead.end(),
        end,
        mood,
        is_item=lead["bullet"] is not None or lead["box"] is not None or bool(sign),
        is_heading=lead["heading"] is not None,
        begins_paragraph=begins_paragraph,
    )


def _is_abbreviated(token: Token, before: list[Token]) -> bool:
    """Whether this full stop belongs to an abbreviation."""
    return token.word == "." and bool(before) and before[-1].end == token.start and before[-1].word in ABBREVIATIONS
