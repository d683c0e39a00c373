"""Which lines are headings: the one grammar of how people and language models begin a section.

Guarantees: a section's name in a sentence is no heading, whatever stands around it; each line is read once, in
time linear in its length. ``docs/instruction-gate.md`` lists the forms with an example of each.
"""

import re
from enum import StrEnum
from typing import Final, NamedTuple


class Section(StrEnum):
    """The ten sections, in the order in which they are reported."""

    DELIVERABLES = "DELIVERABLES"
    SUCCESS_CRITERIA = "SUCCESS_CRITERIA"
    BOUNDARIES = "BOUNDARIES"
    DEPENDENCIES = "DEPENDENCIES"
    MITIGATION = "MITIGATION"
    TEST_PROCESS = "TEST_PROCESS"
    TEST_RESULTS_FORMAT = "TEST_RESULTS_FORMAT"
    RESOURCE_REQUIREMENTS = "RESOURCE_REQUIREMENTS"
    RISK_ASSESSMENT = "RISK_ASSESSMENT"
    QUALITY_METRICS = "QUALITY_METRICS"

    __hash__ = str.__hash__  # the enumeration's own is many times slower, and equal values hash alike either way


NAME_PARTS: Final = tuple(max(section.lower().split("_"), key=len) for section in Section)
"""A line without one of these, in lower case, names no section."""
LABEL: Final = 7
"""The level of a heading without Markdown's ``#``: deeper than all of them."""
BARE: Final = 8
"""The level of a name in capitals alone on its line: a heading only where it stands apart from what is above."""
_DEEPEST_MARGIN: Final = 3
"""Spaces before a heading, as CommonMark has it: four make a line code."""


class Heading(NamedTuple):
    """A line that begins something: a section, or (``section`` None) another part of the text."""

    section: Section | None
    level: int
    """1 to 6 as in Markdown; ``LABEL`` for a bold name, ``NAME:`` and the like; ``BARE``."""
    rest: str
    """What stands behind the name on the same line: the section's first line."""


_SEPARATOR: Final = r"(?:\\?_|[ \u00a0-])"
_NAMES: Final = "|".join(re.escape(section).replace("_", _SEPARATOR) for section in Section)
_NAME: Final = rf"(?P<name>(?ai:{_NAMES}))"
_NUMBER: Final = (
    r"(?:(?:[Ss]ection[ ])?\(?[0-9]{1,2}(?:\.[0-9]{1,2}){0,3}[.):]?|[A-Za-z][.)]|[IVX]{1,5}[.)])[ \t]{1,8}+"
)
_ASIDE: Final = r"(?:[ \t]{1,8}+\([^()]{1,80}+\))?"
_COLON: Final = r"[ \t]{0,8}+[:\uff1a]"
_PICTURE: Final = r"(?:[^\x00-\x7f\w\s]{1,4}[ \t]{1,4}+)?"
"""An emoji, as language models put before headings."""
_MARK: Final = r"(?P<mark>\*{1,3}|_{1,3}|`)"

_SECTION_LINE: Final = re.compile(
    rf"""
    (?:(?P<hashes>\#{{1,6}})[ \t]{{0,8}}+ | (?P<bullet>[-*+\u2022])[ \t]{{1,8}}+(?:\[[ xX]\][ ])? )?
    {_PICTURE} (?P<number>{_NUMBER})?
    (?: {_MARK} (?:{_NUMBER})? )?
    {_NAME} {_ASIDE}
    (?P<colon>{_COLON})?
    (?P<closed>(?P=mark))? {_ASIDE}
    (?P<late_colon>{_COLON})?
    (?P<dash>[ \t]{{1,8}}[-\u2013\u2014](?=[ \t]))?
    (?P<rest>.*)
    """,
    re.VERBOSE | re.DOTALL,
)
_STRONG: Final = frozenset({"**", "***", "__", "___"})
"""Marks that make a name a heading without a colon; one star or a backtick only quotes it."""
_MARKDOWN: Final = re.compile(r"(#{1,6})(?:[ \t]|$)")
_ANYWHERE: Final = re.compile(rf"\b{_NAME}(?![A-Za-z0-9_])")
SECTIONS: Final = tuple(Section)
_SECTIONS: Final = {section.value: section for section in Section}
_KEYS: Final = str.maketrans({"\\": "", " ": "_", "\u00a0": "_", "-": "_"})


def heading_of(line: str) -> Heading | None:
    """Return the heading that ``line`` (without its end and its common margin) is; None for any other line."""
    bare = line.lstrip("#")
    name, colon, behind = bare.strip(" ").partition(":")
    section, hashes = _SECTIONS.get(name), len(line) - len(bare)
    if section is not None and line[0] != " " and hashes < LABEL and (colon or hashes):
        return Heading(section, hashes or LABEL, behind.strip())  # the plainest forms, without the grammar
    text = line.lstrip(" ")
    if not text or len(line) - len(text) > _DEEPEST_MARGIN:
        return None
    match = _SECTION_LINE.match(text)
    if match and (rest := _rest(match)) is not None:
        return Heading(_section(match["name"]), len(match["hashes"] or "") or LABEL, rest)
    if match and _is_bare(match) and not match["mark"] and match["name"].isupper():
        return Heading(_section(match["name"]), BARE, "")
    other = _MARKDOWN.match(text) if text[0] == "#" else None
    return Heading(None, len(other[1]), "") if other else None


def bare_name_of(line: str) -> Section | None:
    """Return the section whose name is all that stands in ``line``: a heading where the next line underlines it."""
    match = _SECTION_LINE.match(line.lstrip(" "))
    return _section(match["name"]) if match and _is_bare(match) else None


def names_in(text: str) -> frozenset[Section]:
    """Return the sections that are named anywhere in ``text``, headings or not."""
    return frozenset(_section(match["name"]) for match in _ANYWHERE.finditer(text))


def _rest(match: re.Match[str]) -> str | None:
    """Return what follows the name; None where the line is a sentence or a list that only begins with it."""
    rest, mark = match["rest"].strip(), match["mark"] or ""
    if match["colon"] or (match["late_colon"] and (match["closed"] or not mark)):
        return rest
    if mark and not match["closed"]:
        return None
    if match["hashes"] or mark in _STRONG:
        return rest if match["dash"] else None if rest.strip("#") else ""
    if rest or mark or match["bullet"]:
        return None
    number = (match["number"] or "").rstrip()
    return "" if number.endswith((".", ")", ":")) or "." in number else None


def _is_bare(match: re.Match[str]) -> bool:
    """Tell whether nothing but the name, perhaps marked or numbered, stands in the line."""
    return not (match["hashes"] or match["bullet"] or match["rest"].strip())


def _section(name: str) -> Section:
    return Section(name.upper().translate(_KEYS))


PLAINEST: Final = {
    line: heading_of(line)
    for section in Section
    for line in (*(f"{'#' * level} {section}" for level in range(1, LABEL)), f"{section}:", f"**{section}**")
}
"""Lines as most instructions have them, which need no reading."""
