"""Whether an assertion that something else than a pattern made says nothing the text does not.

Guarantees: every name, path, number, moment and text of a grounded assertion stands in the text literally, as a
whole word, so that a translation can neither invent what to look at nor look at something else. Does not: judge
whether the text means it so; ``covers`` says at least whether everything in it that could be looked at was taken.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from wingman_core.assertions import Assertion
from wingman_core.sentences.tokens import Line

INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})"
)
CASELESS: Final = frozenset({"commit", "sha256"})
"""Fields in hex digits, which a text may write in upper case."""

_JOINED_BEFORE: Final = re.compile(r"[\w/~.@:-]$")
_JOINED_AFTER: Final = re.compile(r"[\w/@-]|[.:]\w")
_DISTINCT: Final = re.compile(r"[\w-]*[0-9/_=@][\w./:@=-]*|\w+\.\w[\w.]*")


def ungrounded(assertion: Assertion, text: str) -> str | None:
    """Return the first field of ``assertion`` whose value does not stand in ``text``; None where all do."""
    for name, value in assertion:
        if name != "kind" and value is not None and not _stands(name, value, text):
            return name
    return None


def covers(assertions: Sequence[Assertion], text: str) -> bool:
    """Whether each quoted text, path, address, number and name with a digit in ``text`` is in some assertion."""
    said = "\0".join(_written(value) for assertion in assertions for _, value in assertion if value is not None)
    return bool(assertions) and all(piece in said for piece in _distinct(text))


def _stands(name: str, value: object, text: str) -> bool:
    if isinstance(value, datetime):
        return any(value == moment for moment in _moments(text))
    wanted = _written(value)
    if name in CASELESS:
        wanted, text = wanted.lower(), text.lower()
    at = text.find(wanted)
    while at >= 0:
        end = at + len(wanted)
        if not _JOINED_BEFORE.match(text[at - 1 : at]) and not _JOINED_AFTER.match(text[end : end + 2]):
            return True
        at = text.find(wanted, at + 1)
    return False


def _written(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _moments(text: str) -> Iterator[datetime]:
    for found in INSTANT.finditer(text):
        try:
            yield datetime.fromisoformat(found[0])
        except ValueError:
            continue


def _distinct(text: str) -> Iterator[str]:
    """Yield what in a text is more than a plain word."""
    for start, end in ((match.start(), match.end()) for match in re.finditer(r"[^\r\n]+", text)):
        for token in Line(text, start, end).tokens():
            if token.kind == "quoted" or (token.kind == "word" and _DISTINCT.fullmatch(token.text)):
                yield token.text
