"""Facts about one container that can be read without running anything: values that gateway and API share.

Guarantees: nothing here holds an argument, an environment value, output or a file's content. Programs are known by
the names the kernel keeps, which end after ``KERNEL_NAME`` bytes.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

KERNEL_NAME: Final = 15

Status = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]
Health = Literal["none", "starting", "healthy", "unhealthy"]
PathKind = Literal["absent", "file", "directory", "link", "other"]


@dataclass(frozen=True, slots=True)
class ContainerState:
    """What the engine says of a container now."""

    name: str
    status: Status
    exit_code: int
    """Of its last run; 0 while there is none."""
    started_at: datetime | None
    """None: it was never started."""
    restart_count: int
    """Restarts by the engine's own restart policy."""
    image: str
    """The reference it was made from."""
    image_id: str
    """``sha256:`` and 64 hex digits."""
    health: Health
    """``none``: it has no health check."""


@dataclass(frozen=True, slots=True)
class ContainerProcesses:
    """The names of what runs in one container, sorted, each once; empty where the container does not run."""

    container: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProcessLists:
    """The processes of one container, or of several; ``complete``: of all that were meant."""

    containers: tuple[ContainerProcesses, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class PathState:
    """What is at one path inside a container; a link is not followed."""

    kind: PathKind
    size: int
    """Bytes; 0 where nothing is there."""
    modified_at: datetime | None
    sha256: str
    """64 lowercase hex digits of a regular file; empty for all else, and for a file over the gateway's cap."""
