"""What the API knows of the execution gateway: a port, and the values that cross it."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from wingman_core.command import Facts
from wingman_core.observation import ContainerState, PathState, ProcessLists
from wingman_core.target import Target
from wingman_core.verdict import BlastRadius, Verdict

Stream = Literal["stdout", "stderr", "progress"]
Outcome = Literal["SUCCEEDED", "FAILED", "TIMED_OUT", "UNKNOWN"]
Part = Literal["", "engine"]
"""A part of the gateway with a health of its own; empty: all of it."""
Condition = Literal["serving", "not serving", "silent"]


@dataclass(frozen=True, slots=True)
class Preview:
    """A command as the gateway would run it now: what it is, what it names, what it does, what policy says."""

    canonical_command: str
    operation_digest: str
    targets: tuple[Target, ...]
    target_digest: str
    facts: Facts
    blast_radius: BlastRadius
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Accepted:
    """INTENT is durable at ``audit_position``: from here on the command counts as run."""

    execution_id: str
    audit_position: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some bytes of redacted output, or a line of progress in UTF-8."""

    stream: Stream
    data: bytes


@dataclass(frozen=True, slots=True)
class Finished:
    """How it ended; without an exit code where it had none. ``audit_position`` is None while the record waits."""

    outcome: Outcome
    exit_code: int | None
    duration_ms: int
    output_digest: str
    audit_position: int | None
    truncated: bool
    at: datetime


Event = Accepted | Chunk | Finished


class Gateway(Protocol):
    """The gateway, as its callers here see it; every method raises ``WingmanError`` with the gateway's own code."""

    async def preview(self, command: str, worker: str) -> Preview:
        """Return what ``command`` would do; run nothing."""
        ...

    def execute(self, token: str, command: str) -> AsyncGenerator[Event, None]:
        """Yield ``Accepted``, then output as it comes, then ``Finished``."""
        ...

    async def observe_state(self, container: str) -> ContainerState:
        """Return how a container is now, by name or id, where policy lets it be inspected."""
        ...

    async def observe_processes(self, container: str = "") -> ProcessLists:
        """Return what runs in a container, or without one in each running container that policy lets be seen."""
        ...

    async def observe_path(self, container: str, path: str) -> PathState:
        """Return what is at an absolute path inside a container."""
        ...

    async def metrics(self) -> bytes:
        """Return what the gateway counted and timed, in Prometheus's text format."""
        ...

    async def condition(self, part: Part) -> Condition:
        """Return what the gateway says of one of its parts, or that it says nothing."""
        ...
