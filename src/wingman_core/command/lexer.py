"""Text to tokens, and a token back to text: POSIX quoting without a shell.

Guarantees: an accepted text means the same to a POSIX shell as it means here, so that nobody approves one
command and reads another. No operator and no expansion stands outside quotes, nothing is invisible or
imitates another character, and nothing is trimmed or folded. ``tokenize(quote(t)) == (t,)`` for every token
that ``check_characters`` passes.

Does not: know Docker. What the tokens mean is the grammar's business.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, NoReturn

from wingman_core.characters import INVISIBLE
from wingman_core.errors import Code, CommandRefused
from wingman_core.redaction import redact_text

MAX_BYTES: Final = 4096
MAX_TOKENS: Final = 128

SHELL_CHARACTERS: Final = frozenset(";&|<>(){}$`*?[]~#!^")
"""Operators and expansions of common shells; they may stand in quotes only."""

_ESCAPABLE_IN_DOUBLE_QUOTES: Final = frozenset('$`"\\')
_SAFE: Final = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
_SHOWN: Final = 60

_REFUSED_CATEGORIES: Final = {
    "Cc": "a control character",
    "Cf": "an invisible format control",
    "Cs": "half a surrogate pair, which is not UTF-8",
    "Co": "a private-use character",
    "Cn": "an unassigned character",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
    "Zs": "a space that is not U+0020",
    "Pd": "a dash that is not U+002D",
    "Pi": "a typographic quote",
    "Pf": "a typographic quote",
}

# Characters that imitate the ASCII which carries meaning here, beyond those that Unicode's NFKC says are made of it.
_IMITATIONS: Final = frozenset(
    "\u02d7\u06d4\u1428\u2043\u2212\u2500\u2501\u2796\u2cba\u30fc"  # dashes outside category Pd
    "\u00b4\u02b9\u02ba\u02bb\u02bc\u02bd\u02be\u02bf\u02c8\u02ca\u02cb\u02ee\u02f4\u0374\u0384\u055a\u05f3\u05f4"
    "\u201a\u201b\u201e\u201f\u2032\u2033\u2034\u2035\u2036\u2037\u2057\u275b\u275c\u275d\u275e\u301d\u301e\u301f"
    "\u07f4\u3003\ua78c"  # more quotes
    "\u1735\u2044\u2215\u2571\u27cb\u2cc6\u29f8\u29f5\u29f9\u2216"  # slashes and backslashes
    "\u02d0\u02f8\u05c3\u0589\u205a\u2236\ua4fd\ua789\ufe13"  # colons
    "\u01c0\u2223\u23d0\u2758"  # bars
)
_FULL_WIDTH: Final = range(0xFF01, 0xFF5F)


def shown(text: str) -> str:
    """Return a worker's text as one short line of printable ASCII, for a message; no secret that it holds (I16)."""
    text = redact_text(text)  # before it is cut: what tells of a secret may stand behind it
    return ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def tokenize(text: str) -> tuple[str, ...]:
    """Split a command line at unquoted spaces; raise ``CommandRefused`` with the position of what is wrong."""
    _check_length(len(text))
    check_characters(text)
    _check_length(len(text.encode()))
    tokens = _Scanner(text).tokens()
    if not tokens:
        raise CommandRefused(Code.COMMAND_EMPTY, "there is no command", hint="write one, such as: docker ps")
    _check_count(len(tokens))
    return tokens


def check_argv(argv: Sequence[str]) -> tuple[str, ...]:
    """Return an argument vector as tokens, held to the same characters and limits as text."""
    _check_length(sum(len(token) + 1 for token in argv))
    for token in argv:
        check_characters(token)
    _check_length(sum(len(token.encode()) + 1 for token in argv))
    _check_count(len(argv))
    if not argv:
        raise CommandRefused(Code.COMMAND_EMPTY, "there is no command", hint="write one, such as: docker ps")
    return tuple(argv)


def check_characters(text: str) -> None:
    """Raise ``CommandRefused`` for a character that nobody can see, or that imitates another one."""
    if text.isascii() and text.isprintable():
        return
    for position, character in enumerate(text):
        if problem := _problem(character):
            _refuse(Code.COMMAND_CHARACTER, position, character, problem, "write it in plain, visible characters")


def quote(token: str) -> str:
    """Return the shortest POSIX spelling that ``tokenize`` reads back as this token."""
    if _SAFE.fullmatch(token):
        return token
    return "'" + token.replace("'", "'\\''") + "'"


def _check_length(octets: int) -> None:
    if octets > MAX_BYTES:
        raise CommandRefused(
            Code.COMMAND_TOO_LONG,
            f"the command, as written or in its canonical form, has more than {MAX_BYTES} bytes",
            hint="shorten it, or split it into several commands",
            bytes=str(octets),
        )


def _check_count(count: int) -> None:
    if count > MAX_TOKENS:
        raise CommandRefused(
            Code.COMMAND_TOO_LONG,
            f"the command, as written or in its canonical form, has more than {MAX_TOKENS} words",
            hint="split it into several commands",
            words=str(count),
        )


def _problem(character: str) -> str:
    if reason := _REFUSED_CATEGORIES.get(unicodedata.category(character), ""):
        # U+0020 and U+002D are the two that Wingman reads; U+002D is the only ASCII dash.
        return "" if character in " -" else reason
    if character in INVISIBLE:
        return "an invisible character"
    if character in _IMITATIONS or ord(character) in _FULL_WIDTH or _is_made_of_punctuation(character):
        return "a character that imitates another one"
    return ""


def _is_made_of_punctuation(character: str) -> bool:
    """Whether a character is ASCII punctuation, or has some in it, by its compatibility decomposition."""
    made_of = unicodedata.normalize("NFKC", character)
    return not character.isascii() and any(part.isascii() and not part.isalnum() for part in made_of)


def _refuse(code: Code, position: int, character: str, problem: str, hint: str) -> NoReturn:
    name = f"U+{ord(character):04X}"
    visible = f" {character!r}" if character.isascii() and character.isprintable() else ""
    raise CommandRefused(
        code,
        f"character {position + 1} ({name}{visible}) is {problem}",
        hint=hint,
        position=str(position),
        character=name,
    )


class _Scanner:
    """One pass over a text whose characters are checked."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def tokens(self) -> tuple[str, ...]:
        tokens: list[str] = []
        while self._at < len(self._text):
            if self._text[self._at] == " ":
                self._at += 1
            else:
                tokens.append(self._token())
        return tuple(tokens)

    def _token(self) -> str:
        parts: list[str] = []
        while self._at < len(self._text) and self._text[self._at] != " ":
            character = self._text[self._at]
            if character == "'":
                parts.append(self._single())
            elif character == '"':
                parts.append(self._double())
            elif character == "\\":
                parts.append(self._escaped())
            elif character in SHELL_CHARACTERS:
                _refuse(
                    Code.COMMAND_CHARACTER,
                    self._at,
                    character,
                    "a shell operator or expansion",
                    "Wingman has no shell; to mean the character itself, put it in single quotes",
                )
            else:
                parts.append(character)
                self._at += 1
        return "".join(parts)

    def _single(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            self._unbalanced("a single quote that is never closed")
        inside = self._text[self._at + 1 : end]
        self._at = end + 1
        return inside

    def _double(self) -> str:
        opening = self._at
        parts: list[str] = []
        self._at += 1
        while self._at < len(self._text):
            character = self._text[self._at]
            if character == '"':
                self._at += 1
                return "".join(parts)
            following = self._text[self._at + 1 : self._at + 2]
            if character == "\\" and following in _ESCAPABLE_IN_DOUBLE_QUOTES:
                parts.append(following)
                self._at += 2
                continue
            if character in "$`":
                _refuse(
                    Code.COMMAND_CHARACTER,
                    self._at,
                    character,
                    "an expansion, also inside double quotes",
                    "Wingman has no shell; to mean the character itself, use single quotes",
                )
            parts.append(character)
            self._at += 1
        self._at = opening
        return self._unbalanced("a double quote that is never closed")

    def _escaped(self) -> str:
        following = self._text[self._at + 1 : self._at + 2]
        if not following:
            self._unbalanced("a backslash with nothing after it")
        self._at += 2
        return following

    def _unbalanced(self, problem: str) -> NoReturn:
        _refuse(Code.COMMAND_QUOTING, self._at, self._text[self._at], problem, "balance the quotes")
