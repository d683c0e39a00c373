"""Typed operations: one frozen model per verb, joined in the union ``Operation``.

Guarantees: two equal operations do the same, have one canonical text and one digest; defaults are filled in,
sets are sorted, values are in their normal form. The parser is what makes them: a model checks types, the
grammar checks contents.
"""

from typing import Annotated, Literal

from pydantic import Field

from wingman_core.canonical import digest
from wingman_core.command.frozen import Frozen
from wingman_core.command.limits import Device, Ulimit
from wingman_core.command.mounts import Mount, Tmpfs, Volume
from wingman_core.command.network import Exposed, Network, Port

OPERATION_DOMAIN = "wingman/operation/v1"

Pairs = tuple[tuple[str, str], ...]
Rates = tuple[tuple[str, int], ...]
Names = Annotated[tuple[str, ...], Field(min_length=1)]


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
    """``docker inspect`` of containers and images."""

    verb: Literal["inspect"] = "inspect"
    format: Literal["", "json"] = ""
    """Empty: one indented JSON array. ``json``: one object a line."""
    size: bool = False
    type: Literal["", "container", "image"] = ""
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


class ImagesOperation(Frozen):
    """``docker images``: list images."""

    verb: Literal["images"] = "images"
    all: bool = False
    digests: bool = False
    filters: Pairs = ()
    format: Literal["table", "json"] = "table"
    no_trunc: bool = False
    quiet: bool = False
    repository: str = ""
    """A reference, or a pattern of one; empty for all."""


class PullOperation(Frozen):
    """``docker pull``."""

    verb: Literal["pull"] = "pull"
    all_tags: bool = False
    platform: str = ""
    quiet: bool = False
    image: str
    """With tag or digest, unless all tags are pulled."""


class RunOperation(Frozen):
    """``docker run`` of an image that the engine has; attached without input, or detached."""

    verb: Literal["run"] = "run"
    annotations: Pairs = ()
    attach: tuple[Literal["stderr", "stdout"], ...] = ()
    """Empty for both."""
    blkio_weight: int = 0
    blkio_weight_devices: Rates = ()
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    cgroup_parent: str = ""
    cgroupns: Literal["", "host", "private"] = ""
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_rt_period: int = 0
    cpu_rt_runtime: int = 0
    cpu_shares: int = 0
    cpus: int = 0
    """Billionths of a CPU; 0 for no limit."""
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    detach: bool = False
    device_cgroup_rules: tuple[str, ...] = ()
    device_read_bps: Rates = ()
    device_read_iops: Rates = ()
    device_write_bps: Rates = ()
    device_write_iops: Rates = ()
    devices: tuple[Device, ...] = ()
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    domainname: str = ""
    entrypoint: str | None = None
    """None: the image's; empty: none at all."""
    env: Pairs = ()
    expose: tuple[Exposed, ...] = ()
    extra_hosts: Pairs = ()
    """Name and address."""
    group_add: tuple[str, ...] = ()
    health_cmd: str = ""
    """For the shell of the container."""
    health_interval: int = 0
    """Durations are in nanoseconds; 0 for the image's or the engine's."""
    health_retries: int = 0
    health_start_interval: int = 0
    health_start_period: int = 0
    health_timeout: int = 0
    hostname: str = ""
    init: bool | None = None
    ip: str = ""
    ip6: str = ""
    ipc: str = ""
    labels: Pairs = ()
    link_local_ips: tuple[str, ...] = ()
    links: Pairs = ()
    """Container and alias."""
    log_driver: str = ""
    log_options: Pairs = ()
    mac_address: str = ""
    memory: int = 0
    """Sizes are in bytes; 0 for no limit."""
    memory_reservation: int = 0
    memory_swap: int = 0
    """-1 for unlimited."""
    memory_swappiness: int = -1
    mounts: tuple[Mount, ...] = ()
    name: str = ""
    network_aliases: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    no_healthcheck: bool = False
    oom_kill_disable: bool = False
    oom_score_adj: int = 0
    pid: str = ""
    pids_limit: int = 0
    platform: str = ""
    ports: tuple[Port, ...] = ()
    privileged: bool = False
    publish_all: bool = False
    read_only: bool = False
    restart: str = "no"
    rm: bool = False
    runtime: str = ""
    security_options: tuple[str, ...] = ()
    shm_size: int = 0
    stop_signal: str = ""
    stop_timeout: int | None = None
    storage_options: Pairs = ()
    sysctls: Pairs = ()
    tmpfs: tuple[Tmpfs, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    user: str = ""
    userns: Literal["", "host"] = ""
    uts: Literal["", "host"] = ""
    volume_driver: str = ""
    volumes: tuple[Volume, ...] = ()
    volumes_from: Pairs = ()
    """Container and mode, empty for its own."""
    workdir: str = ""
    image: str
    """A name, with or without tag or digest, or an id."""
    command: tuple[str, ...] = ()


Operation = Annotated[
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
    | ImagesOperation
    | PullOperation,
    Field(discriminator="verb"),
]


def operation_digest(op: Operation) -> str:
    """Return 64 hex digits over the canonical JSON of every field, in Wingman's own domain."""
    return digest(OPERATION_DOMAIN, op.model_dump(mode="json"))
