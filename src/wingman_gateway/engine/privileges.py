"""Each way in which an object of the engine already holds the host, read from what ``inspect`` says of it.

The counterpart, for objects that exist, of the facts a command carries. What cannot be told is stated as present
(I4), with three exceptions: a container's cgroup namespace, whose default differs between engines, its log driver,
which its administrator chose, and the engine's own bridge. Variables are judged as if a command gave them, but those
that only a runtime's hooks would read (docs/decisions/0033).
"""

from collections.abc import Iterator
from typing import Final

from wingman_core.command.frozen import Pairs
from wingman_core.command.network_options import network_options
from wingman_core.command.object_privileges import network_driver
from wingman_core.command.privileges import (
    inherited_environment,
    is_ordinary_memory,
    mount_over_kernel,
    tmpfs_privileges,
    working_directory,
)
from wingman_gateway.engine.connection import JSON

HARMLESS_SECURITY_OPTIONS: Final = frozenset({"no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"})
PLAIN_RUNTIMES: Final = frozenset({"runc", "io.containerd.runc.v2"})
"""These run no hook that reads a container's variables."""
MASKED: Final = frozenset({"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"})
READ_ONLY: Final = frozenset({"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"})
"""What every engine masks, or lets be read alone."""
HARMLESS_MOUNTS: Final = frozenset({"volume", "tmpfs"})
BRIDGE: Final = "bridge"
"""The engine's own network, set up by its administrator; no other can have the name."""
NO_NETWORK: Final = "null"
BY_THE_ENGINE: Final = frozenset(
    {
        "com.docker.network.driver.overlay.vxlanid_list",
        "com.docker.network.enable_ipv4",
        "com.docker.network.enable_ipv6",
    }
)
"""Options that an engine writes down by itself."""


def container_privileges(container: JSON) -> tuple[str, ...]:
    """Return what ``GET /containers/{id}/json`` (API 1.41) shows, apart from volumes: see ``volume_privileges``."""
    host = container.get("HostConfig") or {}
    config = container.get("Config") or {}
    found = {*_flags(host), *_ground(host), *_namespaces(host), *_endpoints(container), *_mounts(container)}
    found |= {*working_directory(str(config.get("WorkingDir") or ""))}
    found |= {*inherited_environment(_variables(config), plain=host.get("Runtime") in PLAIN_RUNTIMES)}
    return tuple(sorted(found))


def image_privileges(image: JSON, *, plain: bool) -> tuple[str, ...]:
    """Return what ``GET /images/{name}/json`` shows of how its containers begin (CVE-2024-21626 and others).

    ``plain`` says that the engine's default runtime is one of ``PLAIN_RUNTIMES``.
    """
    config = image.get("Config") or {}
    places = (mount_over_kernel(str(target)) for target in config.get("Volumes") or ())
    workdir = working_directory(str(config.get("WorkingDir") or ""))
    variables = inherited_environment(_variables(config), plain=plain)
    return tuple(sorted({f"the image has {line}" for lines in (*places, workdir, variables) for line in lines}))


def network_privileges(network: JSON) -> tuple[str, ...]:
    """Return what ``GET /networks/{id}`` shows that whoever joins it is given of the host."""
    name, driver = str(network.get("Name", "")), str(network.get("Driver", ""))
    if driver == NO_NETWORK:
        return ()
    options = () if name == BRIDGE else _pairs(network.get("Options"))
    own = network_driver(driver, tuple(pair for pair in options if pair[0] not in BY_THE_ENGINE))
    return tuple(sorted({f"the network {name} has {line}" for line in own}))


def volume_privileges(volume: JSON) -> tuple[str, ...]:
    """Return what ``GET /volumes/{name}`` shows: a local volume with a device is a mount of the host in disguise."""
    name = volume.get("Name", "")
    if volume.get("Driver", "local") != "local":
        return (f"volume {name} of driver {volume['Driver']}",)
    options = volume.get("Options") or {}
    # The kernel ignores the type of a bind: only a tmpfs that binds nothing is memory.
    memory = options.get("type") == options.get("device") == "tmpfs" and is_ordinary_memory(str(options.get("o", "")))
    if "device" in options and not memory:
        return (f"volume {name} mounts {options['device']}",)
    return ()


def _flags(host: JSON) -> Iterator[str]:
    if host.get("Privileged"):
        yield "privileged"
    # Absent where the container is privileged, and the engine's own where it says nothing.
    for key, least in (("MaskedPaths", MASKED), ("ReadonlyPaths", READ_ONLY)):
        if (paths := host.get(key)) is not None and not least <= set(paths):
            yield "unmasked kernel paths"
    for capability in host.get("CapAdd") or ():
        yield f"capability {capability}"
    for device in host.get("Devices") or ():
        yield f"device {device.get('PathOnHost', '')}"
    for rule in host.get("DeviceCgroupRules") or ():
        yield f"device rule {rule}"
    for request in host.get("DeviceRequests") or ():
        yield f"devices of driver {request.get('Driver', '')}"
    for option in host.get("SecurityOpt") or ():
        if option not in HARMLESS_SECURITY_OPTIONS:
            yield f"security-opt {option}"


def _variables(config: JSON) -> Pairs:
    return tuple((name, value) for name, _, value in (str(each).partition("=") for each in config.get("Env") or ()))


def _pairs(options: dict[str, str] | None) -> Pairs:
    return tuple((options or {}).items())


def _ground(host: JSON) -> Iterator[str]:
    if (runtime := str(host.get("Runtime") or "")) not in {"", *PLAIN_RUNTIMES}:
        yield f"runtime {runtime}"
    if parent := host.get("CgroupParent"):
        yield f"cgroup parent {parent}"
    for group in host.get("GroupAdd") or ():
        yield f"group {group}"


def _namespaces(host: JSON) -> Iterator[str]:
    for key, name in (
        ("NetworkMode", "network"),
        ("PidMode", "pid"),
        ("IpcMode", "ipc"),
        ("UTSMode", "uts"),
        ("UsernsMode", "user"),
    ):
        mode = str(host.get(key) or "").lower()
        if mode == "host" or mode.startswith("container:"):
            yield f"{name} namespace of {mode}"


def _endpoints(container: JSON) -> Iterator[str]:
    for endpoint in ((container.get("NetworkSettings") or {}).get("Networks") or {}).values():
        yield from network_options(_pairs((endpoint or {}).get("DriverOpts")))


def _mounts(container: JSON) -> Iterator[str]:
    for target, options in ((container.get("HostConfig") or {}).get("Tmpfs") or {}).items():
        yield from tmpfs_privileges(target, options)
        yield from mount_over_kernel(target)
    for mount in container.get("Mounts") or ():
        yield from mount_over_kernel(str(mount.get("Destination", "")))
        if mount.get("Type") not in HARMLESS_MOUNTS:
            yield f"{mount.get('Type')} {mount.get('Source', '')} on {mount.get('Destination', '')}"
