"""Redaction of secrets from what containers print, before it is stored or streamed (I16).

Replaced by ``[redacted]``: the values of names that look secret (``DB_PASSWORD=x``, ``"api_key": "x"``,
``Authorization: x``, ``--token x``), passwords in URLs, tokens of well-known formats, and private keys.

Guarantees: whole lines come out, the same bytes however the output was cut into chunks; at most ``MAX_HELD``
bytes are held; of a secret inside one line, or one PEM block, no part is emitted; time is linear. Not
guaranteed: secrets without a telling name or format, spread over lines, or encoded are not recognised.
Redaction limits accidents. It is no boundary against a container that wants to leak.
"""

import re
from collections import deque
from collections.abc import Iterable, Sequence
from enum import Enum, auto
from typing import Any, Final, assert_never

from wingman_core.secret_forms import (
    MARK,
    PEM_BEGIN,
    PEM_END,
    Secret,
    is_telling_flag,
    opens_quote,
    places_in,
    secrets_in,
)

MARKER: Final = MARK.decode("ascii")
MAX_HELD: Final = 65_536
"""Bytes of a line without an end that are held until a part of it is emitted."""
TAIL: Final = 4_096
"""Bytes that stay held then, since a secret may begin among them: more than any name or format is long."""
MAX_PEM: Final = 32_768
"""Bytes of a private key without an end that are dropped until output goes on."""

_LINE_END: Final = re.compile(rb"[\r\n]")


class _State(Enum):
    """What happens to the next bytes."""

    SHOW = auto()
    DROP_LINE = auto()
    """A secret fills the rest of an over-long line; its marker is out."""
    DROP_KEY = auto()
    """A private key goes on over lines; its marker is out."""


class Redactor:
    """One stream's redaction: feed it chunks, close it at the end."""

    def __init__(self) -> None:
        self._held = b""
        self._state = _State.SHOW
        self._dropped = 0
        self._quoted = False
        """A double quote is open in what was shown of an over-long line."""

    def feed(self, chunk: bytes) -> bytes:
        """Return what can be shown now; the rest stays held until its line ends."""
        shown: list[bytes] = []
        data, at = self._held + chunk, 0
        telling = deque(places_in(data))
        while True:
            if self._state is _State.SHOW and not self._quoted:
                # Whole lines without anything that could tell of a secret need no look of their own.
                while telling and telling[0] < at:
                    telling.popleft()
                begins = _begin_of_line(data, at, telling[0] if telling else len(data))
                shown.append(data[at:begins])
                at = begins
            end = _end_of_line(data, at)
            if end:
                shown.append(self._line(data[at:end]))
                at = end
            elif len(data) - at > MAX_HELD:
                part, used = self._part(data[at : at + MAX_HELD])
                shown.append(part)
                at += used
            else:
                self._held = data[at:]
                return b"".join(shown)

    def close(self) -> bytes:
        """Return what was still held; the stream is over."""
        held, self._held = self._held, b""
        return self._line(held)

    def _line(self, line: bytes) -> bytes:
        """Return a line (with its end, except the last) as it may be shown."""
        text = line.rstrip(b"\r\n")
        quoted, self._quoted = self._quoted, False
        match self._state:
            case _State.DROP_LINE:
                self._state = _State.SHOW
                return line[len(text) :]
            case _State.DROP_KEY:
                end = PEM_END.search(text)
                if end is None and self._drop(len(line)):
                    return b""
                self._state = _State.SHOW
                return self._line(line[end.end() if end else 0 :])
            case _State.SHOW:
                begins = [match.end() for match in PEM_BEGIN.finditer(text)]
                if begins and not PEM_END.search(text, begins[-1]):
                    self._state, self._dropped = _State.DROP_KEY, 0
                return _replace(text, secrets_in(text, quoted=quoted)) + line[len(text) :]
            case _ as never:
                assert_never(never)

    def _part(self, window: bytes) -> tuple[bytes, int]:
        """Return what of an over-long line may be shown, and how many bytes of ``window`` that settles."""
        if self._state is _State.DROP_LINE or (self._state is _State.DROP_KEY and self._drop(len(window))):
            return b"", len(window)
        self._state = _State.SHOW
        secrets, cut = secrets_in(window, quoted=self._quoted), len(window) - TAIL
        for secret in reversed(secrets):
            if secret.start < cut < secret.end:
                cut = secret.start
        if cut == 0:
            self._state = _State.DROP_LINE
            return MARK, len(window)
        self._quoted ^= opens_quote(window[:cut])
        return _replace(window[:cut], [secret for secret in secrets if secret.end <= cut]), cut

    def _drop(self, count: int) -> bool:
        """Count what is dropped of a private key; tell whether it may still be one."""
        self._dropped += count
        return self._dropped <= MAX_PEM


def redact_text(text: str) -> str:
    """Return a whole text as it may be shown."""
    redactor = Redactor()
    shown = redactor.feed(text.encode("utf-8", "surrogatepass")) + redactor.close()
    return shown.decode("utf-8", "replace")


def redact_json(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a JSON value with what its texts show of secrets hidden; its keys stay as they are."""
    match value:
        case str():
            return redact_text(value)
        case dict():
            return {key: redact_json(each) for key, each in value.items()}
        case list() if all(isinstance(each, str) for each in value):
            return [redact_text(each) for each in redact_words(value)]
        case list():
            return [redact_json(each) for each in value]
        case _:
            return value


def redact_environment(entries: Iterable[str]) -> list[str]:
    """Return ``NAME=value`` entries with every value replaced, whatever its name."""
    parted = [entry.partition("=") for entry in entries]
    return [name + separator + (MARKER if separator else "") for name, separator, _ in parted]


def redact_words(words: Sequence[str]) -> list[str]:
    """Return an argument vector with each word behind a telling flag replaced."""
    before = ("", *words)
    return [MARKER if is_telling_flag(flag) else word for flag, word in zip(before, words, strict=False)]


def _replace(text: bytes, secrets: Sequence[Secret]) -> bytes:
    """Return ``text`` with each secret's value replaced by its mark."""
    pieces: list[bytes] = []
    at = 0
    for secret in secrets:
        pieces += [text[at : secret.value], secret.mark]
        at = secret.end
    return b"".join([*pieces, text[at:]])


def _begin_of_line(data: bytes, start: int, at: int) -> int:
    """Return where the line begins that ``at`` is in; at the earliest ``start``, where one begins."""
    return max(data.rfind(b"\n", start, at), data.rfind(b"\r", start, at), start - 1) + 1


def _end_of_line(data: bytes, start: int) -> int:
    """Return where the line that begins at ``start`` is over, end included; 0 where that is not known yet."""
    end = _LINE_END.search(data, start, start + MAX_HELD)
    return end.end() if end else 0
