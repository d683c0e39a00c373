"""What the engine adapter says while it works: closed unions of frozen values, and the ports it calls back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

Note = Callable[[str, str], Awaitable[None]]
"""Makes one fact (name, value) durable before it returns; called before the step that the fact identifies."""


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes of the command's output, not yet redacted of free-form secrets nor capped."""

    stream: Literal["stdout", "stderr"]
    data: bytes


@dataclass(frozen=True, slots=True)
class Progress:
    """One line about what is going on, such as a layer of a pull; no part of the output."""

    text: str


@dataclass(frozen=True, slots=True)
class Exit:
    """The last event: the exit code the docker binary would have ended with."""

    code: int


Event = Output | Progress | Exit


Outcome = Literal["SUCCEEDED", "FAILED", "UNKNOWN", "RUNNING"]
Finding = tuple[Outcome, int | None, dict[str, Any]]
"""Outcome, exit code, and the evidence for both."""


@dataclass(frozen=True, slots=True)
class Testimony:
    """What Docker can say, afterwards, about an execution whose outcome nobody saw."""

    outcome: Outcome
    """RUNNING: it has not ended yet; ask again later."""
    exit_code: int | None
    evidence: str
    """One JSON object: what was asked and what the engine answered."""
