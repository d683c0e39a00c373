"""Typed operations on containers."""

from typing import Literal

from wingman_core.command.container_spec import ContainerSpec
from wingman_core.command.frozen import Frozen, Names, Pairs


class PsOperation(Frozen):
    """``docker ps``: list containers."""

    verb: Literal["ps"] = "ps"
    all: bool = False
    filters: Pairs = ()
    format: Literal["table", "json"] = "table"
    last: int = -1
    """At most so many, newest first, also stopped ones; -1 for no limit."""
    no_trunc: bool = False
    quiet: bool = False
    size: bool = False


class InspectOperation(Frozen):
    """``docker inspect`` of containers, images, networks and volumes."""

    verb: Literal["inspect"] = "inspect"
    format: Literal["", "json"] = ""
    """Empty: one indented JSON array. ``json``: one object a line."""
    size: bool = False
    type: Literal["", "container", "image", "network", "volume"] = ""
    """Empty: an image where the name can only be one (it has ``/``, ``:`` or ``@``), else a container."""
    names: Names


class LogsOperation(Frozen):
    """``docker logs`` without following."""

    verb: Literal["logs"] = "logs"
    details: bool = False
    since: str = ""
    """Empty, a duration before now, RFC 3339 with a zone, or Unix seconds."""
    tail: int = -1
    """The last so many lines; -1 for all."""
    timestamps: bool = False
    until: str = ""
    container: str


class TopOperation(Frozen):
    """``docker top``: the processes of a container."""

    verb: Literal["top"] = "top"
    container: str
    ps_options: tuple[str, ...] = ()
    """Empty for Docker's ``-ef``."""


class StatsOperation(Frozen):
    """``docker stats --no-stream``: one sample."""

    verb: Literal["stats"] = "stats"
    all: bool = False
    format: Literal["table", "json"] = "table"
    no_stream: Literal[True] = True
    no_trunc: bool = False
    containers: tuple[str, ...] = ()
    """Empty for all running ones."""


class StartOperation(Frozen):
    """``docker start``, not attached."""

    verb: Literal["start"] = "start"
    containers: Names


class StopOperation(Frozen):
    """``docker stop``."""

    verb: Literal["stop"] = "stop"
    signal: str = ""
    """Empty for the container's own stop signal."""
    time: int | None = None
    """Seconds before it is killed; None for the container's own."""
    containers: Names


class RestartOperation(Frozen):
    """``docker restart``."""

    verb: Literal["restart"] = "restart"
    signal: str = ""
    """Empty for the container's own stop signal."""
    time: int | None = None
    """Seconds before it is killed; None for the container's own."""
    containers: Names


class KillOperation(Frozen):
    """``docker kill``."""

    verb: Literal["kill"] = "kill"
    signal: str = "SIGKILL"
    containers: Names


class PauseOperation(Frozen):
    """``docker pause``."""

    verb: Literal["pause"] = "pause"
    containers: Names


class UnpauseOperation(Frozen):
    """``docker unpause``."""

    verb: Literal["unpause"] = "unpause"
    containers: Names


class RmOperation(Frozen):
    """``docker rm``."""

    verb: Literal["rm"] = "rm"
    force: bool = False
    volumes: bool = False
    """Anonymous volumes go with it."""
    containers: Names


class ExecOperation(Frozen):
    """``docker exec``, never interactive."""

    verb: Literal["exec"] = "exec"
    detach: bool = False
    env: Pairs = ()
    privileged: bool = False
    user: str = ""
    workdir: str = ""
    container: str
    command: Names


class RunOperation(ContainerSpec):
    """``docker run`` of an image that the engine has; attached without input, or detached."""

    verb: Literal["run"] = "run"
    detach: bool = False


class CreateOperation(ContainerSpec):
    """``docker create``: ``run`` without the start."""

    verb: Literal["create"] = "create"


class PortOperation(Frozen):
    """``docker port``: the published ports of a container, or of one of its ports."""

    verb: Literal["port"] = "port"
    container: str
    private: str = ""
    """Such as ``80/tcp``; empty for all."""


class DiffOperation(Frozen):
    """``docker diff``: what changed in a container's file system since its image."""

    verb: Literal["diff"] = "diff"
    container: str


class WaitOperation(Frozen):
    """``docker wait``: wait until the containers have ended, and tell their exit codes."""

    verb: Literal["wait"] = "wait"
    containers: Names


class RenameOperation(Frozen):
    """``docker rename``."""

    verb: Literal["rename"] = "rename"
    container: str
    name: str


class UpdateOperation(Frozen):
    """``docker update``: other limits for containers; zero and empty leave a limit as it is."""

    verb: Literal["update"] = "update"
    blkio_weight: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_rt_period: int = 0
    cpu_rt_runtime: int = 0
    cpu_shares: int = 0
    cpus: int = 0
    """Billionths of a CPU."""
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    memory: int = 0
    """Sizes are in bytes."""
    memory_reservation: int = 0
    memory_swap: int = 0
    """-1 for unlimited."""
    pids_limit: int = 0
    restart: str = ""
    containers: Names


ContainerOperation = (
    PsOperation
    | InspectOperation
    | LogsOperation
    | TopOperation
    | StatsOperation
    | StartOperation
    | StopOperation
    | RestartOperation
    | KillOperation
    | PauseOperation
    | UnpauseOperation
    | RmOperation
    | ExecOperation
    | RunOperation
    | CreateOperation
    | PortOperation
    | DiffOperation
    | WaitOperation
    | RenameOperation
    | UpdateOperation
)
