"""The flags of ``docker run``, all of them: typed, or refused by name with the reason.

Source: docker/cli v28.2.2 ``command/container/opts.go`` and ``run.go``, Linux engines.
"""

from collections.abc import Callable
from typing import Any, Final, cast

from wingman_core.command import limits, mounts, network, quantities, signals, values
from wingman_core.command.flags import Flag
from wingman_core.command.quantities import MAX_INTEGER, between
from wingman_core.command.tables import (
    NO_CLIENT_FILES,
    Fields,
    by_name,
    distinct,
    distinct_names,
    ignored,
    in_order,
    refused,
    setting,
    several,
    switch,
    unique,
)
from wingman_core.command.values import BadValue, matching, optional

_Reader = Callable[[str], object]

_INT: Final = 2**31 - 1
_WINDOWS: Final = "it is for Windows alone"
_CPU_SET: Final = matching(r"(?:[0-9]{1,5}(?:-[0-9]{1,5})?(?:,[0-9]{1,5}(?:-[0-9]{1,5})?)*)?", "0-3 or 0,1")
_PLUGIN: Final = matching(r"(?:[a-zA-Z0-9][a-zA-Z0-9_./:@-]*)?", "a driver's name")
_RUNTIME: Final = matching(r"(?:[a-zA-Z0-9/][a-zA-Z0-9_./-]*)?", "a runtime's name")
_CGROUP: Final = matching(r"(?:[a-zA-Z0-9_/][a-zA-Z0-9_./:@-]*)?", "a cgroup's path")
_SYSCTL: Final = matching(
    r"(?:kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)"
    r"|net(?:\.[a-zA-Z0-9_-]+)+|fs\.mqueue(?:\.[a-z0-9_]+)+)=[ -~]*",
    "net.core.somaxconn=1024",
)
_DNS_OPTION: Final = matching(r"[a-zA-Z0-9][a-zA-Z0-9:_.-]*", "ndots:2")


def _dns_search(text: str) -> str:
    """Read a search domain; a dot alone means none."""
    return text if text == "." else values.domain(text)


def _stream(text: str) -> str:
    if text.lower() == "stdin":
        raise BadValue("there is no input to attach")
    return values.one_of("stdout", "stderr")(text.lower())


def _sysctl(text: str) -> tuple[str, str]:
    return values.pair(_SYSCTL(text))


def _pull(text: str) -> str:
    if text == "always":
        raise BadValue("run takes the image the engine has; pull it first, with docker pull")
    return values.one_of("missing", "never")(text)


def _rates(name: str, field: str, read: _Reader, show: Callable[[Any], str]) -> Flag:
    return several(name, field, read, distinct_names, show=show)


def _number(name: str, field: str, low: int = 0, high: int = MAX_INTEGER, short: str = "") -> Flag:
    return setting(name, field, between(low, high), short)


def _size(name: str, field: str, short: str = "") -> Flag:
    return setting(name, field, quantities.size, short, show=quantities.show_size)


def _duration(name: str, field: str) -> Flag:
    return setting(name, field, quantities.duration, show=quantities.show_duration)


def _text(name: str, field: str, read: _Reader, short: str = "") -> Flag:
    return setting(name, field, read, short)


def _pairs(name: str, field: str, read: _Reader, short: str = "") -> Flag:
    return several(name, field, read, by_name, short, show=values.show_pair)


RUN_FLAGS: Final = (
    several("add-host", "extra_hosts", network.extra_host, in_order, show=network.show_extra_host),
    _pairs("annotation", "annotations", values.pair),
    several("attach", "attach", _stream, unique(), "a"),
    setting("blkio-weight", "blkio_weight", limits.weight),
    _rates("blkio-weight-device", "blkio_weight_devices", limits.device_weight, limits.show_device_number),
    several("cap-add", "cap_add", signals.capability, unique()),
    several("cap-drop", "cap_drop", signals.capability, unique()),
    _text("cgroup-parent", "cgroup_parent", _CGROUP),
    _text("cgroupns", "cgroupns", network.namespace("host", "private")),
    refused("cidfile", NO_CLIENT_FILES),
    refused("cpu-count", _WINDOWS),
    refused("cpu-percent", _WINDOWS),
    _number("cpu-period", "cpu_period"),
    _number("cpu-quota", "cpu_quota", low=-1),
    _number("cpu-rt-period", "cpu_rt_period"),
    _number("cpu-rt-runtime", "cpu_rt_runtime"),
    _number("cpu-shares", "cpu_shares", short="c"),
    setting("cpus", "cpus", quantities.nano_cpus, show=quantities.show_nano_cpus),
    _text("cpuset-cpus", "cpuset_cpus", _CPU_SET),
    _text("cpuset-mems", "cpuset_mems", _CPU_SET),
    switch("detach", "detach", "d"),
    several("device", "devices", limits.device, unique(limits.show_device), show=limits.show_device),
    several("device-cgroup-rule", "device_cgroup_rules", limits.device_rule, unique()),
    _rates("device-read-bps", "device_read_bps", limits.device_bytes, limits.show_device_bytes),
    _rates("device-read-iops", "device_read_iops", limits.device_operations, limits.show_device_number),
    _rates("device-write-bps", "device_write_bps", limits.device_bytes, limits.show_device_bytes),
    _rates("device-write-iops", "device_write_iops", limits.device_operations, limits.show_device_number),
    ignored("disable-content-trust", values.one_of("true", "1", "t", "T", "TRUE", "True"), switch=True),
    several("dns", "dns", values.address, in_order),
    several("dns-option", "dns_options", _DNS_OPTION, in_order, aliases=("dns-opt",)),
    several("dns-search", "dns_search", _dns_search, in_order),
    _text("domainname", "domainname", optional(values.host)),
    _text("entrypoint", "entrypoint", values.free),
    _pairs("env", "env", values.variable, "e"),
    refused("env-file", NO_CLIENT_FILES),
    several("expose", "expose", network.exposed, unique(network.show_exposed), show=network.show_exposed),
    refused("gpus", "it hands out devices of the host"),
    several("group-add", "group_add", values.group, unique()),
    _text("health-cmd", "health_cmd", values.free),
    _duration("health-interval", "health_interval"),
    _number("health-retries", "health_retries", high=_INT),
    _duration("health-start-interval", "health_start_interval"),
    _duration("health-start-period", "health_start_period"),
    _duration("health-timeout", "health_timeout"),
    refused("help", "it only prints usage", switch=True),
    _text("hostname", "hostname", optional(values.host), "h"),
    switch("init", "init"),
    refused("io-maxbandwidth", _WINDOWS),
    refused("io-maxiops", _WINDOWS),
    _text("ip", "ip", values.address_v4),
    _text("ip6", "ip6", values.address_v6),
    _text("ipc", "ipc", network.namespace("none", "private", "host", "shareable", of_container=True)),
    refused("isolation", _WINDOWS),
    refused("kernel-memory", "kernels no longer support it"),
    _pairs("label", "labels", values.label, "l"),
    refused("label-file", NO_CLIENT_FILES),
    several("link", "links", network.link, unique(network.show_link), show=network.show_link),
    several("link-local-ip", "link_local_ips", values.address, unique()),
    _text("log-driver", "log_driver", _PLUGIN),
    _pairs("log-opt", "log_options", values.pair),
    _text("mac-address", "mac_address", optional(values.mac_address)),
    _size("memory", "memory", "m"),
    _size("memory-reservation", "memory_reservation"),
    setting("memory-swap", "memory_swap", quantities.size_or_unlimited, show=quantities.show_size),
    _number("memory-swappiness", "memory_swappiness", low=-1, high=100),
    several("mount", "mounts", mounts.mount, distinct(mounts.show_mount), show=mounts.show_mount),
    _text("name", "name", optional(values.new_name)),
    several("network", "networks", network.network, in_order, show=network.show_network, aliases=("net",)),
    several("network-alias", "network_aliases", values.host, unique(), aliases=("net-alias",)),
    switch("no-healthcheck", "no_healthcheck"),
    switch("oom-kill-disable", "oom_kill_disable"),
    _number("oom-score-adj", "oom_score_adj", low=-1000, high=1000),
    _text("pid", "pid", network.namespace("host", of_container=True)),
    _number("pids-limit", "pids_limit", low=-1, high=_INT),
    _text("platform", "platform", optional(values.full_platform)),
    switch("privileged", "privileged"),
    several("publish", "ports", network.port, distinct(network.show_port), "p", show=network.show_port),
    switch("publish-all", "publish_all", "P"),
    ignored("pull", _pull),
    ignored("quiet", values.boolean, "q", switch=True),
    switch("read-only", "read_only"),
    _text("restart", "restart", limits.restart_policy),
    switch("rm", "rm"),
    _text("runtime", "runtime", _RUNTIME),
    several("security-opt", "security_options", limits.security_option, unique()),
    _size("shm-size", "shm_size"),
    refused("sig-proxy", "no signal reaches Wingman's end of it", switch=True),
    _text("stop-signal", "stop_signal", optional(signals.signal)),
    _number("stop-timeout", "stop_timeout", high=86_400),
    _pairs("storage-opt", "storage_options", limits.storage_option),
    _pairs("sysctl", "sysctls", _sysctl),
    several("tmpfs", "tmpfs", mounts.tmpfs, mounts.tmpfs_map, show=mounts.show_tmpfs),
    several("ulimit", "ulimits", limits.ulimit, limits.ulimits, show=limits.show_ulimit),
    refused("use-api-socket", "it hands Docker's own socket to the container", switch=True),
    _text("user", "user", optional(values.user), "u"),
    _text("userns", "userns", network.namespace("host")),
    _text("uts", "uts", network.namespace("host")),
    several("volume", "volumes", mounts.volume, distinct(mounts.show_volume), "v", show=mounts.show_volume),
    _text("volume-driver", "volume_driver", _PLUGIN),
    several("volumes-from", "volumes_from", mounts.volumes_from, in_order, show=mounts.show_volumes_from),
    _text("workdir", "workdir", optional(values.path), "w"),
)

_HEALTH: Final = ("health_cmd", "health_interval", "health_retries", "health_start_interval", "health_start_period")


def run_rules(fields: Fields) -> None:
    """Raise ``BadValue`` for flags that contradict each other, as Docker's client does."""
    if fields.get("rm") and fields.get("restart", "no") != "no":
        raise BadValue("--rm and --restart contradict each other")
    if fields.get("detach") and fields.get("attach"):
        raise BadValue("--detach and --attach contradict each other")
    if fields.get("no_healthcheck") and any(fields.get(name) for name in (*_HEALTH, "health_timeout")):
        raise BadValue("--no-healthcheck contradicts --health-*")
    if fields.get("log_driver") == "none" and fields.get("log_options"):
        raise BadValue("the log driver none takes no options")
    _network_rules(fields)


def _network_rules(fields: Fields) -> None:
    networks = cast("tuple[network.Network, ...]", fields.get("networks", ()))
    if len({each.name for each in networks}) < len(networks):
        raise BadValue("the same network twice")
    if len({each.is_user_defined for each in networks}) > 1:
        raise BadValue("networks of users and predefined ones cannot be joined together")
    aliases = bool(fields.get("network_aliases"))
    if any(each.aliases for each in networks) and aliases:
        raise BadValue("--network-alias stands beside aliases inside --network")
    for name in ("ip", "ip6", "mac_address", "link_local_ips"):
        if fields.get(name) and any(getattr(each, name) for each in networks[:1]):
            raise BadValue(f"--{name.replace('_', '-').removesuffix('s')} stands beside the same inside --network")
    user_defined = bool(networks) and networks[0].is_user_defined
    if not user_defined and (aliases or any(each.aliases for each in networks)):
        raise BadValue("aliases are for networks that somebody created")
