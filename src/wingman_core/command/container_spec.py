"""What ``run`` and ``create`` say of the container that they make: one field for each flag that the engine hears of."""

from typing import Literal

from wingman_core.command.frozen import Frozen, Pairs
from wingman_core.command.limits import Device, Ulimit
from wingman_core.command.mounts import Mount, Tmpfs, Volume
from wingman_core.command.network import Exposed, Network, Port

Rates = tuple[tuple[str, int], ...]


class ContainerSpec(Frozen):
    """A container of an image that the engine has."""

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
