"""What a claim says, in a form that can be checked: one closed union, one frozen model a kind of fact.

Guarantees: an assertion is about one observable thing, holds nothing that is executed, and carries no verdict.
``wingman_core.sentences`` makes them from text; a caller may send them itself. Does not: say whether they are
true, or whether a probe may look there.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from wingman_core.command.frozen import Frozen

Path = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00\r\n]+$")]
"""An absolute path, or one relative to the first allowed root."""
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@:/+-]{0,254}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Moment = Annotated[AwareDatetime, Field(strict=False)]
"""RFC 3339, with an offset."""


class FileExists(Frozen):
    """There is a file (or directory) at ``path``."""

    kind: Literal["file_exists"] = "file_exists"
    path: Path


class FileGone(Frozen):
    """There is nothing at ``path``."""

    kind: Literal["file_gone"] = "file_gone"
    path: Path


class FileChanged(Frozen):
    """The file at ``path`` was modified at or after ``since``."""

    kind: Literal["file_changed"] = "file_changed"
    path: Path
    since: Moment


class FileContains(Frozen):
    """The file at ``path`` holds ``text``, byte for byte in UTF-8."""

    kind: Literal["file_contains"] = "file_contains"
    path: Path
    text: Annotated[str, StringConstraints(min_length=1, max_length=4096)]


class FileDigest(Frozen):
    """The SHA-256 of the file at ``path`` is ``sha256`` (64 lowercase hex digits)."""

    kind: Literal["file_digest"] = "file_digest"
    path: Path
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class ProcessRunning(Frozen):
    """A process of that name runs on the host or, with ``container``, in that container."""

    kind: Literal["process_running"] = "process_running"
    name: Name
    container: Name | None = None


class ProcessGone(Frozen):
    """No process of that name runs there."""

    kind: Literal["process_gone"] = "process_gone"
    name: Name
    container: Name | None = None


class PortListening(Frozen):
    """Something on this host listens on TCP ``port``."""

    kind: Literal["port_listening"] = "port_listening"
    port: Port


class PortClosed(Frozen):
    """Nothing on this host listens on TCP ``port``."""

    kind: Literal["port_closed"] = "port_closed"
    port: Port


class HttpAnswer(Frozen):
    """A GET of ``url`` answers with ``status`` (without one: 200 to 299) and, where given, a body with ``contains``."""

    kind: Literal["http_answer"] = "http_answer"
    url: Annotated[str, StringConstraints(max_length=2048, pattern=r"^https?://[!-~]+$")]
    status: Annotated[int, Field(ge=100, le=599)] | None = None
    contains: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None


class ContainerRunning(Frozen):
    """The container runs."""

    kind: Literal["container_running"] = "container_running"
    container: Name


class ContainerStopped(Frozen):
    """The container is there and does not run, or is not there any more."""

    kind: Literal["container_stopped"] = "container_stopped"
    container: Name


class ContainerHealthy(Frozen):
    """The container's own health check says healthy."""

    kind: Literal["container_healthy"] = "container_healthy"
    container: Name


class ContainerImage(Frozen):
    """The container was made from ``image``: a reference or an id."""

    kind: Literal["container_image"] = "container_image"
    container: Name
    image: Name


class ContainerRestarted(Frozen):
    """The container was started at or after ``since``."""

    kind: Literal["container_restarted"] = "container_restarted"
    container: Name
    since: Moment


class GitBranch(Frozen):
    """The work tree at ``path`` is on ``branch``."""

    kind: Literal["git_branch"] = "git_branch"
    path: Path
    branch: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/+-]{0,254}$")]


class GitCommit(Frozen):
    """HEAD of the work tree at ``path`` is ``commit``: 7 to 64 hex digits."""

    kind: Literal["git_commit"] = "git_commit"
    path: Path
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{7,64}$")]


class GitClean(Frozen):
    """The work tree at ``path`` has no uncommitted change and no untracked file."""

    kind: Literal["git_clean"] = "git_clean"
    path: Path


class PackageInstalled(Frozen):
    """A package of that name is installed here, in ``version`` where given (Debian or Python)."""

    kind: Literal["package_installed"] = "package_installed"
    name: Name
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.:+~!_-]{0,127}$")] | None = None


Assertion = Annotated[
    FileExists
    | FileGone
    | FileChanged
    | FileContains
    | FileDigest
    | ProcessRunning
    | ProcessGone
    | PortListening
    | PortClosed
    | HttpAnswer
    | ContainerRunning
    | ContainerStopped
    | ContainerHealthy
    | ContainerImage
    | ContainerRestarted
    | GitBranch
    | GitCommit
    | GitClean
    | PackageInstalled,
    Field(discriminator="kind"),
]
