"""Where a text's headings stand: the lines that could matter are looked up first, the rest is never visited.

Guarantees: no heading inside a fenced code block, a quotation or an HTML comment; time is linear. An ordinary
line of prose costs nothing but a few searches over the whole text, since every check of an instruction comes here.
"""

import re
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from typing import Final, NamedTuple

from wingman_core.instruction.headings import BARE, NAME_PARTS, PLAINEST, Heading, bare_name_of, heading_of

_FENCE: Final = re.compile(r"(?:(?:[-*+\u2022]|[0-9]{1,2}[.)])[ \t]{1,8}+)?(`{3,}+(?=[^`]*\Z)|~{3,}+)")
_CLOSES: Final = re.compile(r"[ \t]*(`{3,}|~{3,})[ \t]*")
_UNDERLINE: Final = re.compile(r"(?:={2,}|-{2,})[ \t]*")
_UNDERLINES: Final = frozenset({"==", "--"})
_COMMENT: Final = "<!--"
_MARKS: Final = ("#", "```", "~~~", _COMMENT, ">")
NEEDLES: Final = (*NAME_PARTS, *_MARKS, "\n==", "\n--")
"""In lower case; a line without one, and not above one, is no heading and changes no other."""
_SPECIAL: Final = frozenset("`~<>-*+\u20220123456789")
"""What a fence, a quotation or a comment may begin with."""


class Kind(Enum):
    """What a line is to a reader of Markdown."""

    OPEN = auto()
    """Text, where a heading may stand."""
    CLOSED = auto()
    """Text in a code block or a quotation."""
    SILENT = auto()
    """A fence, or a comment: nothing to read."""


class Mark(NamedTuple):
    """A line that begins something, or that says nothing: where it stands, as offsets into the text."""

    heading: Heading | None
    """None for a line that says nothing."""
    start: int
    end: int
    """Behind the line end of its last line."""


def marks_of(text: str, places: Iterable[int]) -> Iterator[Mark]:
    """Yield the headings and silent lines of a text, in order.

    Lines end in LF; ``places`` are where ``NEEDLES`` stand in the text's lower case.
    """
    reader, body, end = Reader(), 0, -1
    for at in sorted(places):
        if at < end:  # in the line before
            continue
        start = text.rfind("\n", 0, at) + 1
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end]
        plain = PLAINEST.get(line)
        if plain and start >= body and reader.is_outside and text[end + 1 : end + 3] not in _UNDERLINES:
            body = end + 1
            yield Mark(plain, start, body)
            continue
        kind = reader.kind_of(line)
        if start < body:  # the underline of the heading before
            continue
        if kind is Kind.OPEN:
            heading, last = None, end
            if text[end + 1 : end + 3] in _UNDERLINES:
                heading, last = _underlined(text, line, end)
            heading = heading or heading_of(line)
            if heading is not None and (heading.level != BARE or start == body or _is_after_blank(text, start)):
                body = last + 1
                yield Mark(heading, start, body)
        elif kind is Kind.SILENT:
            yield Mark(None, start, end + 1)


class Reader:
    """Knows of each line in turn what fences, quotations and comments make of it.

    Only lines with one of ``_MARKS`` can change what it knows; others may be left out.
    """

    def __init__(self) -> None:
        """Begin at the first line."""
        self._fence = ""
        self._in_comment = False

    @property
    def is_outside(self) -> bool:
        """Whether no fence and no comment is open."""
        return not (self._fence or self._in_comment)

    def kind_of(self, line: str) -> Kind:
        """Return what the next line is."""
        if self._fence or self._in_comment:
            return self._inside(line)
        text = line.lstrip()
        if text[:1] not in _SPECIAL:
            return Kind.OPEN
        if text.startswith(_COMMENT):
            _, end, rest = text.partition("-->")
            self._in_comment = not end
            return Kind.CLOSED if rest.strip() else Kind.SILENT
        opens = _FENCE.match(text)
        if opens:
            self._fence = opens[1]
            return Kind.SILENT
        return Kind.CLOSED if text.startswith(">") else Kind.OPEN

    def _inside(self, line: str) -> Kind:
        """Return what a line inside a code block or a comment is."""
        if self._in_comment:
            self._in_comment = "-->" not in line
            return Kind.SILENT
        closes = _CLOSES.fullmatch(line)
        if closes is None or not closes[1].startswith(self._fence):
            return Kind.CLOSED
        self._fence = ""
        return Kind.SILENT


def _underlined(text: str, line: str, end: int) -> tuple[Heading | None, int]:
    """Return the heading that ``line``, which ends at ``end``, is if the next underlines it, and where that ends."""
    last = text.find("\n", end + 1)
    last = len(text) if last < 0 else last
    is_top = text[end + 1] == "="
    section = bare_name_of(line)
    if _UNDERLINE.fullmatch(text, end + 1, last) and (section is not None or (is_top and line.strip())):
        return Heading(section, 1 if is_top else 2, ""), last
    return None, end


def _is_after_blank(text: str, start: int) -> bool:
    """Tell whether the line before the one at ``start`` is blank."""
    return not text[text.rfind("\n", 0, start - 1) + 1 : start].strip()
