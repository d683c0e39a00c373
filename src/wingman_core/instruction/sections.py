"""The ten sections of an instruction: where each begins, its text, or what is wrong with it.

Guarantees: a section is a heading (``headings``) with something to read under it, up to the next heading of its
own kind or above; what stands in a fenced code block, a quotation or an HTML comment begins no section. A
section that comes twice counts once, with both texts. Does not: judge whether the text makes sense.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from wingman_core.instruction.headings import SECTIONS, Heading, Section, names_in
from wingman_core.instruction.needles import Needles, lower_case
from wingman_core.instruction.outline import NEEDLES, Kind, Reader, marks_of

_NEEDLES: Final = Needles({None: NEEDLES})
_NOTHING: Final = " \t\n\u00a0\u200b\u200c\u200d\u2060\ufeff-*_#>|=~`:.+\u2022\u2026"
"""What a body may consist of without saying anything: rules, bullets, dots, invisible characters."""


class Part(NamedTuple):
    """What was found of one section. A tuple, since each check makes ten."""

    section: Section
    text: str
    """Empty where the section is missing."""
    line: int
    """Of its heading, from 1 (the first one with text); 0 where there is none."""
    spans: tuple[tuple[int, int], ...]
    """The first and the last line of each of its headings with its body."""
    problem: str
    """What is wrong; empty where nothing is."""

    @property
    def is_present(self) -> bool:
        """Whether it counts."""
        return not self.problem


class _Begun(NamedTuple):
    """A heading whose body is being read."""

    heading: Heading
    line: int
    body: int
    """Where its body begins."""


def sections_of(text: str, places: Iterable[int]) -> Mapping[Section, Part]:
    """Return each of the ten sections, in order.

    Lines end in LF; ``places`` are where ``outline.NEEDLES`` stand in the text's lower case.
    """
    plain = _without_margin(text)
    if plain is not text:
        places = _NEEDLES.find(lower_case(plain))[None]
    found: dict[Section, Part] = {}
    for part in _parts(plain, places):
        earlier = found.get(part.section)
        found[part.section] = _joined(earlier, part) if earlier else part
    if len(found) < len(SECTIONS):
        mentions = _mentions(plain)
        for section in SECTIONS:
            if section not in found:
                found[section] = Part(section, "", 0, (), mentions.get(section, f"no heading says {section}"))
    return {section: found[section] for section in SECTIONS}


def _parts(text: str, places: Iterable[int]) -> Iterator[Part]:
    """Yield a part for every heading of a section."""
    current: _Begun | None = None
    line, counted = 1, 0
    silent: list[tuple[int, int]] = []
    for heading, start, end in marks_of(text, places):
        if heading is None or (current and heading.section is None and heading.level > current.heading.level):
            silent.append((start, end))  # a heading that lies deeper belongs to the body, and says nothing by itself
            continue
        line += text.count("\n", counted, start)
        counted = start
        if current and current.heading.section:
            yield _part(current, current.heading.section, line - 1, text[current.body : start], silent)
        current = _Begun(heading, line, end)
        silent.clear()
    if current and current.heading.section:
        last = line + text.count("\n", counted)
        yield _part(current, current.heading.section, last, text[current.body :], silent)


def _part(begun: _Begun, section: Section, last: int, body: str, silent: Sequence[tuple[int, int]]) -> Part:
    """Return what a heading and its ``body``, up to the line ``last``, make; ``silent`` are offsets into the text."""
    line, rest = begun.line, begun.heading.rest
    spoken = _without(body, begun.body, silent) if silent else body
    if spoken.strip(_NOTHING) or (rest.strip(_NOTHING) and not rest.startswith("<!--")):
        return Part(section, f"{rest}\n{body}".strip(), line, ((line, last),), "")
    return Part(section, "", line, ((line, last),), f"there is no text under the heading on line {line}")


def _without(body: str, at: int, silent: Sequence[tuple[int, int]]) -> str:
    """Return a body, which begins at ``at``, without its fences, comments and headings of parts."""
    pieces: list[str] = []
    kept = 0
    for start, end in silent:
        pieces.append(body[kept : start - at])
        kept = end - at
    return "".join([*pieces, body[kept:]])


def _joined(one: Part, other: Part) -> Part:
    """Return a section that came twice: both texts, or the one there is."""
    spans = one.spans + other.spans
    if not (one.is_present and other.is_present):
        return (one if one.is_present else other)._replace(spans=spans)
    return one._replace(text=f"{one.text}\n\n{other.text}", spans=spans)


def _without_margin(text: str) -> str:
    """Return a text without the indentation that all its lines share (pasted from code)."""
    if text.lstrip("\n")[:1] not in {" ", "\t"}:
        return text
    lines = text.split("\n")
    filled = [line for line in lines if line.strip()]
    margin = min((len(line) - len(line.lstrip(" \t")) for line in filled), default=0)
    return "\n".join(line.removeprefix(filled[0][:margin]) for line in lines) if margin else text


def _mentions(text: str) -> Mapping[Section, str]:
    """Say of sections where they are named first, if they are."""
    found: dict[Section, str] = {}
    reader = Reader()
    for number, line in enumerate(text.split("\n"), 1):
        is_open = reader.kind_of(line) is Kind.OPEN
        where = "in a sentence" if is_open else "in a code block, a quotation or a comment"
        for section in names_in(line):
            found.setdefault(section, f"line {number} names it {where}: that is no heading")
    return found
