"""The output of one execution on its way to the caller: redacted, capped, digested, with an excerpt to keep.

Guarantees: nothing leaves unredacted; at most ``stream`` bytes leave; the digest covers every redacted byte,
also those past the limit, in the order they came; memory does not grow with the output.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from wingman_core.audit_record import excerpt_of
from wingman_core.redaction import Redactor
from wingman_gateway.engine.events import Output

CHUNK: Final = 32 << 10
"""Bytes in one message to the caller, at most."""

Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True, slots=True)
class OutputLimits:
    """Bytes that may leave, and characters that the audit record keeps."""

    stream: int
    excerpt: int


class Capture:
    """Feed what the engine said, take what the caller may see."""

    def __init__(self, limits: OutputLimits) -> None:
        """Take the limits."""
        self._limit = limits.stream
        self._excerpt_limit = limits.excerpt
        self._excerpt = bytearray()
        self._digest = hashlib.sha256()
        self._size = 0
        self._redactors: dict[Stream, Redactor] = {"stdout": Redactor(), "stderr": Redactor()}

    def feed(self, output: Output) -> Iterator[Output]:
        """Yield what may leave now; a line is held until it is complete."""
        yield from self._pass(output.stream, self._redactors[output.stream].feed(output.data))

    def close(self) -> Iterator[Output]:
        """Yield what was held."""
        for stream, redactor in self._redactors.items():
            yield from self._pass(stream, redactor.close())

    @property
    def truncated(self) -> bool:
        """Whether there was more than may leave."""
        return self._size > self._limit

    @property
    def digest(self) -> str:
        """SHA-256 over all redacted output, 64 hex digits."""
        return self._digest.hexdigest()

    @property
    def excerpt(self) -> str:
        """The beginning of the output, as text that a record can hold."""
        return excerpt_of(bytes(self._excerpt), self._excerpt_limit)

    def _pass(self, stream: Stream, data: bytes) -> Iterator[Output]:
        self._digest.update(data)
        self._excerpt += data[: self._excerpt_limit - len(self._excerpt)]
        visible = data[: max(0, self._limit - self._size)]
        self._size += len(data)
        for start in range(0, len(visible), CHUNK):
            yield Output(stream, visible[start : start + CHUNK])
