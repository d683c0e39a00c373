"""A canonical command as people and the audit log see it: values that are surely secrets are hidden, and which is told.

Guarantees: each word is looked at by itself, and only a value of harmless characters inside one word is hidden, never
anything that could run, split words or reach for something, and never a word that names what the command acts on;
everything else stays as it is. A flag's value as the next word is one among the program's own words alone, behind a
flag that is known to take a secret, and with a digit in it: a word of letters may be what the program does. What is
hidden shows as ``[REDACTED sha256:<8 hex digits>]``, so that two values are told apart and a known one is recognised.
Digests cover the command as it is, not as it is shown.

Does not: recognise every secret. A name that says so (``DB_PASSWORD=``, ``--password``), a password in a URL and the
formats of well-known tokens are.
"""

import hashlib
import re
from typing import Final

from wingman_core.command.parser import parse
from wingman_core.command.render import positional_words, render
from wingman_core.errors import CommandRefused
from wingman_core.secret_forms import places_in, secrets_in

_HARMLESS: Final = re.compile(rb"(?!/)[A-Za-z0-9._+/=:@-]+")
"""No path either: it tells where a secret is, and is none."""
_MARK: Final = re.compile(r"\[REDACTED sha256:([0-9a-f]{8})\]")
_WORD: Final = re.compile(rf"(?:{_MARK.pattern}|'[^']*'|\\.|[^ '\\])+")
"""A word as ``quote`` writes it, or with a mark in it."""


_TAKES_A_SECRET: Final = re.compile(
    r"--?(?:(?:access|admin|api|auth|bearer|client|db|mysql|pg|postgres|redis|root|user)[-_])?"
    r"(?:pass|passwd|password|requirepass|masterauth|token|secret|api[-_]?key|access[-_]?key|secret[-_]?key|key)"
)


def hide(command: str) -> str:
    """Return the canonical command, or a part of one, with the values of recognised secrets hidden."""
    if not places_in(command.encode()):
        return command
    words = [match[0] for match in _WORD.finditer(command)]
    if " ".join(words) != command:
        return _in_word(command)
    named, program = _last_words(command, len(words))
    shown = [_in_word(word) if not named <= index < program else word for index, word in enumerate(words)]
    for index in range(program + 1, len(words)):
        if _TAKES_A_SECRET.fullmatch(words[index - 1]) and any(map(str.isdigit, words[index])):
            shown[index] = _marked(words[index].encode()).decode()
    return " ".join(shown)


def parseable(hidden: str) -> str:
    """Return a hidden command as one that parses, with a stand-in for each value: to ask about it, never to run it."""
    return _MARK.sub(r"REDACTED-\1", hidden)


def _last_words(command: str, count: int) -> tuple[int, int]:
    """Return at which word the names of what is acted on begin, and the program's own; 0 where it is no command."""
    text = parseable(command)
    try:
        operation = parse(text)
    except CommandRefused:
        return 0, 0
    if render(operation) != text:
        return 0, 0
    named, program = positional_words(operation)
    return count - len(program) - len(named), count - len(program)


def _in_word(word: str) -> str:
    line = word.encode()
    pieces: list[bytes] = []
    at = 0
    for secret in secrets_in(line):
        pieces += [line[at : secret.value], _marked(line[secret.value : secret.end])]
        at = secret.end
    return b"".join([*pieces, line[at:]]).decode()


def _marked(value: bytes) -> bytes:
    """Return the mark that stands for a value, or the value where it is not harmless."""
    if _HARMLESS.fullmatch(value) is None:
        return value
    return f"[REDACTED sha256:{hashlib.sha256(value).hexdigest()[:8]}]".encode()
