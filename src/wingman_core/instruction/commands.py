"""The commands that an instruction's text holds, wherever they stand: in prose, in code, behind a prompt.

Guarantees: words are cut as a reader sees them (quotes dropped, lines that end in a backslash joined, look-alike
dashes and full-width letters folded, invisible characters inside words dropped), each with its line; time is linear. It
overlooks rather than invents: this reads text for a gate, and is no parser of a shell. What runs is parsed by
``wingman_core.command``, and by nothing else.
"""

import re
from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from wingman_core.instruction.needles import lower_case
from wingman_core.instruction.vocabulary import words

_HIDDEN: Final = re.compile("(?<=[!-~])[\u00ad\u200b\u200c\u200d\u2060\ufeff]{1,64}+(?=[!-~])")
"""Invisible characters inside ASCII words; elsewhere they join the letters and pictures of languages."""
_FOLDED: Final[dict[int, int | str | None]] = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2015, 0x2212), "-"),
    **dict.fromkeys((0x2018, 0x2019), "'"),
    **dict.fromkeys((0x201C, 0x201D), '"'),
    0x0B: " ",
}
_JOINED: Final = "\v"
"""Stands for the end of a line that a backslash joined to the next."""
_LINE_END: Final = re.compile(f"[\n{_JOINED}]")

_TOKEN: Final = re.compile(r"""(?P<operator>\|\|?|&&?|[;`()<>]|\$\()|(?P<word>(?:[^\s`"'|;&()<>\[\]{},$]|\$(?!\())+)""")
_TRAILING: Final = ".:!?"
_SENTENCE_END: Final = frozenset(".!?")
_STOP: Final = words(
    "after afterwards and are as because before but by else for from if in instead into is it must nor of on or "
    "shall should so that the then this to until when where which while will with without"
)
"""English words that end a command written into a sentence."""

_GROUPS: Final = words("builder buildx compose container context image network node plugin stack swarm system volume")
_WITH_VALUE: Final = words(
    "-C -H -c -f -l -p --config --context --env-file --file --git-dir --host --log-level --profile "
    "--project-directory --project-name --work-tree"
)
"""Flags of docker, compose and git before the subcommand whose next word is their value."""


class Word(NamedTuple):
    """A word of a command, and where it stands in ``Script.text``. A tuple, since texts have many."""

    text: str
    """Without quotes, and without the punctuation of a sentence behind it."""
    name: str
    """The command it would name: without directory and case."""
    start: int
    end: int
    ends_sentence: bool


NO_WORD: Final = Word("", "", 0, 0, ends_sentence=False)
"""Stands beside the first and the last word."""


@dataclass(frozen=True, slots=True)
class Segment:
    """The words between two operators (``|``, ``;``, a backtick, a parenthesis, a line's end)."""

    words: tuple[Word, ...]
    before: str
    """The operator in front; empty at a line's start."""

    def arguments(self, at: int, until: Container[str] = ()) -> Iterator[Word]:
        """Yield what follows the word at ``at``, as far as it can belong to its command; names in ``until`` end it."""
        for index in range(at + 1, len(self.words)):
            word = self.words[index]
            if word.name in _STOP or word.name in until:
                return
            yield word
            if word.ends_sentence:
                return


class Script:
    """An instruction's text, and its fold in which commands can be looked for, character for character as long."""

    def __init__(self, text: str) -> None:
        """Fold ``text``; its lines may end in CR LF, CR or LF."""
        plain = text.removeprefix("\ufeff")
        if "\r" in plain:
            plain = plain.replace("\r\n", "\n").replace("\r", "\n")
        is_ascii = plain.isascii()
        self.plain: Final = plain if is_ascii else _HIDDEN.sub("", plain.encode("utf-8", "replace").decode("utf-8"))
        """With lines that end in LF."""
        folded = self.plain if is_ascii and "\v" not in plain else self.plain.translate(_FOLDED)
        folded = folded.replace("\t", " ")
        self.text: Final = folded.replace("\\\n", " " + _JOINED) if "\\\n" in folded else folded
        self._segments: dict[tuple[int, int], list[Segment]] = {}

    @cached_property
    def lower(self) -> str:
        """The text in lower case, character for character."""
        return lower_case(self.text)

    @cached_property
    def _line_ends(self) -> list[int]:
        return [match.start() for match in _LINE_END.finditer(self.text)]

    def line_of(self, at: int) -> int:
        """Return the line, from 1, of the character at ``at``."""
        return 1 + bisect_left(self._line_ends, at)

    def bounds(self, at: int) -> tuple[int, int]:
        """Return where the line around ``at`` begins and ends, joined ones as one."""
        end = self.text.find("\n", at)
        return self.text.rfind("\n", 0, at) + 1, len(self.text) if end < 0 else end

    def lines_at(self, places: Iterable[int]) -> Iterator[tuple[int, int]]:
        """Yield the bounds of the lines around ``places``, in order and each once."""
        end = -1
        for at in sorted(places):
            if at > end:
                bounds = self.bounds(at)
                end = bounds[1]
                yield bounds

    def segments(self, bounds: tuple[int, int]) -> list[Segment]:
        """Return the segments of a line; a line that is asked for again is not cut again."""
        known = self._segments.get(bounds)
        if known is None:
            known = self._segments[bounds] = self._cut(bounds)
        return known

    def _cut(self, bounds: tuple[int, int]) -> list[Segment]:
        segments: list[Segment] = []
        words: list[Word] = []
        before = ""
        for token in _TOKEN.finditer(self.text, *bounds):
            if token.lastgroup == "word":
                words.append(_word(token))
                continue
            segments.append(Segment(tuple(words), before))
            words, before = [], token["operator"]
        return [*segments, Segment(tuple(words), before)]


def subcommand(arguments: Iterable[Word]) -> Iterator[Word]:
    """Yield ``arguments`` from the subcommand on: without flags, their values, and groups such as ``container``."""
    is_value, is_found = False, False
    for word in arguments:
        if not is_found and (is_value or word.text.startswith("-") or word.name in _GROUPS):
            is_value = not is_value and word.text in _WITH_VALUE
            continue
        is_found = True
        yield word


def flags_of(words: Iterable[Word]) -> Iterator[tuple[Word, str]]:
    """Yield the flags among ``words``: each long one whole, each letter of a bundle of short ones."""
    for word in words:
        text = word.text
        if text == "--":
            return
        if text.startswith("--"):
            yield word, text.partition("=")[0]
        elif text.startswith("-"):
            for letter in text[1:].partition("=")[0]:
                yield word, f"-{letter}"


def _word(token: re.Match[str]) -> Word:
    whole = token[2]
    text = whole.rstrip(_TRAILING) or whole
    start = token.start()
    name = text.lower() if text.isalpha() else text.rpartition("/")[2].lstrip("\\").lower()
    ends_sentence = len(text) < len(whole) and whole[len(text)] in _SENTENCE_END
    return Word(text, name, start, start + len(text), ends_sentence)
