"""Each way in which ``run`` and ``exec`` reach for the host, as lines for people and sets for policy.

Fails towards present (I4): what is listed as harmless is a closed list, everything else counts. Two choices to know:
a user's name other than root does not count, since leaving ``--user`` out gives the image's own user, root in most
images; ``no-new-privileges`` does not count, since it only takes away.
"""

import posixpath
import re
from collections.abc import Iterator
from typing import Final

from wingman_core.command import container_operations as containers
from wingman_core.command.container_spec import ContainerSpec
from wingman_core.command.frozen import Pairs
from wingman_core.command.limits import Ulimit
from wingman_core.command.mounts import Mount, show_volume
from wingman_core.command.network import container_of
from wingman_core.command.network_options import network_options
from wingman_core.command.shell_words import variables

_LOCAL_LOG_DRIVERS: Final = frozenset({"", "none", "local", "json-file", "journald"})
_LOCAL_LOG_OPTIONS_WORDS: Final = """
    cache-compress cache-disabled cache-max-file cache-max-size compress env env-regex labels labels-regex max-
    buffer-size max-file max-size mode tag
"""
_LOCAL_LOG_OPTIONS: Final = frozenset(_LOCAL_LOG_OPTIONS_WORDS.split())
_ORDINARY_TMPFS_WORDS: Final = """
    ro rw exec noexec nosuid nodev size mode uid gid nr_blocks nr_inodes sync async dirsync atime noatime diratime
    nodiratime relatime norelatime strictatime nostrictatime defaults
"""
_ORDINARY_TMPFS: Final = frozenset(_ORDINARY_TMPFS_WORDS.split())
_ORDINARY_ULIMITS: Final = {"rtprio": 0, "nice": 20}
"""Up to here no real-time priority, and no nice value below 0 (20 less the limit)."""
_KERNEL_PLACES: Final = ("/proc", "/sys", "/dev")
_MEMORY_PLACES: Final = ("/dev/shm", "/dev/mqueue")  # noqa: S108 - a container's own, as every other directory
_ENGINE_SOCKETS: Final = ("docker", "containerd", "podman", "crio", "cri-", "buildkit", "balena", "dockershim")
_ENGINE_DIRECTORIES: Final = frozenset({"/", "/run", "/var", "/var/run"})
_ENGINE_VARIABLES_WORDS: Final = """
    BUILDKIT_HOST CONTAINERD_ADDRESS CONTAINER_HOST CONTAINER_RUNTIME_ENDPOINT DOCKER_CERT_PATH DOCKER_CONFIG
    DOCKER_CONTEXT DOCKER_HOST DOCKER_TLS_VERIFY IMAGE_SERVICE_ENDPOINT
"""
_ENGINE_VARIABLES: Final = frozenset(_ENGINE_VARIABLES_WORDS.split())
_DEVICE_VARIABLES: Final = re.compile(r"NVIDIA_.+|.+_VISIBLE_DEVICES")
"""By these, runtimes of devices hand them out to whoever asks, without any flag."""


def exec_privileges(op: containers.ExecOperation) -> tuple[str, ...]:
    """Return every line that holds of ``exec``, sorted, once."""
    privileged = {"--privileged"} if op.privileged else set()
    return tuple(sorted({*privileged, *_user(op.user), *_environment(op.env), *working_directory(op.workdir)}))


def run_privileges(op: ContainerSpec) -> tuple[str, ...]:
    """Return every line that holds of ``run``, sorted, once."""
    found = [*_kernel(op), *_namespaces(op), *_devices(op), *_storage(op), *_engine(op)]
    return tuple(sorted({*found, *_user(op.user), *_environment(op.env), *working_directory(op.workdir)}))


def update_privileges(op: containers.UpdateOperation) -> tuple[str, ...]:
    """Return every line that holds of ``update``."""
    return ("real-time scheduling",) if op.cpu_rt_runtime or op.cpu_rt_period else ()


def mount_lines(op: ContainerSpec) -> tuple[str, ...]:
    """Return what ``run`` mounts, one line each: ``bind /etc:/host:ro``, ``volume data:/srv``, ``tmpfs /tmp``."""
    lines = [f"{'bind' if volume.is_bind else 'volume'} {show_volume(volume)}" for volume in op.volumes]
    for mount in op.mounts:
        source = f"{mount.source}:" if mount.source else ""
        lines.append(f"{mount.type} {source}{mount.target}{':ro' if mount.read_only else ''}")
    lines += [f"tmpfs {tmpfs.target}" for tmpfs in op.tmpfs]
    lines += [f"volumes-from {name}" for name, _ in op.volumes_from]
    return tuple(lines)


def working_directory(path: str) -> Iterator[str]:
    """Yield it where it is the kernel's: behind a descriptor of the runtime is the host (CVE-2024-21626)."""
    if _is_kernels(path):
        yield f"working directory {path}"


def mount_over_kernel(target: str) -> Iterator[str]:
    """Yield a mount over what the runtime masks and reads (CVE-2019-16884, CVE-2019-19921, CVE-2025-31133)."""
    if _is_kernels(target):
        yield f"a mount over {target}"


def is_engines_address(variable: str) -> bool:
    """Whether programs find an engine, or the keys to one, by the variable of this name."""
    return variable.upper() in _ENGINE_VARIABLES


def inherited_environment(env: Pairs, *, plain: bool) -> Iterator[str]:
    """Yield what the variables that an image or a container has by itself reach for.

    Under a ``plain`` runtime no more than an engine's address does: code that they have loaded is the image's own, in
    the container, and nobody hands out devices. Another runtime's hooks read the same variables on the host's side
    (CVE-2025-23266), and there they count as those that a command gives.
    """
    given = tuple((name, value) for name, value in env if value)
    if plain:
        given = tuple((name, value) for name, value in given if is_engines_address(name))
    yield from _environment(given)
    yield from variables(given)


def is_ordinary_memory(options: str) -> bool:
    """Whether a tmpfs with these mount options is memory, and no more than that."""
    return not any(tmpfs_privileges("", options))


def tmpfs_privileges(target: str, options: str) -> Iterator[str]:
    """Yield each option of a tmpfs that makes it more than memory: devices, set-user-id programs, binds."""
    for option in filter(None, options.split(",")):
        if option.partition("=")[0] not in _ORDINARY_TMPFS:
            yield f"tmpfs option {option} on {target}"


def _user(user: str) -> Iterator[str]:
    if any(_is_root(part) for part in user.split(":")):
        yield f"user {user}"


def _environment(env: Pairs) -> Iterator[str]:
    yield from (f"engine's address in {name}" for name, _ in env if is_engines_address(name))
    yield from (f"devices of the host by {name}" for name, _ in env if _DEVICE_VARIABLES.fullmatch(name.upper()))


def _kernel(op: ContainerSpec) -> Iterator[str]:
    if op.privileged:
        yield "--privileged"
    yield from (f"capability {name}" for name in op.cap_add)
    yield from (f"security option {option}" for option in op.security_options if option != "no-new-privileges")
    yield from (f"group {name}" for name in op.group_add if _is_root(name))
    if op.oom_kill_disable:
        yield "never killed when memory runs out"
    if op.oom_score_adj < 0:
        yield "killed later than others when memory runs out"
    if op.cpu_rt_runtime or op.cpu_rt_period:
        yield "real-time scheduling"
    yield from (f"scheduling before others by ulimit {limit.name}" for limit in op.ulimits if _outranks(limit))


def _namespaces(op: ContainerSpec) -> Iterator[str]:
    modes = (("pid", op.pid), ("ipc", op.ipc), ("uts", op.uts), ("userns", op.userns), ("cgroupns", op.cgroupns))
    for name, mode in (*modes, *(("network", network.name) for network in op.networks)):
        if mode == "host" or container_of(mode):
            yield f"{name} namespace of {mode}"
    for network in op.networks:
        yield from network_options(network.driver_options)


def _devices(op: ContainerSpec) -> Iterator[str]:
    yield from (f"device {device.source}" for device in op.devices)
    yield from (f"device rule {rule}" for rule in op.device_cgroup_rules)


def _storage(op: ContainerSpec) -> Iterator[str]:
    binds = [volume.source for volume in op.volumes if volume.is_bind]
    binds += [mount.source for mount in op.mounts if mount.type == "bind"]
    for source in binds:
        yield f"bind mount of {source}"
        if _holds_engine_socket(source):
            yield f"Docker socket in {source}"
    for tmpfs in op.tmpfs:
        yield from tmpfs_privileges(tmpfs.target, tmpfs.options)
    targets = (*(each.target for each in op.volumes), *(each.target for each in op.mounts))
    for target in (*targets, *(each.target for each in op.tmpfs)):
        yield from mount_over_kernel(target)
    yield from (f"volume driver or options in the mount of {mount.target}" for mount in op.mounts if _is_driven(mount))
    if op.volume_driver not in {"", "local"}:
        yield f"volume driver {op.volume_driver}"


def _engine(op: ContainerSpec) -> Iterator[str]:
    if op.runtime:
        yield f"runtime {op.runtime}"
    if op.cgroup_parent:
        yield f"cgroup {op.cgroup_parent}"
    yield from (f"annotation {name} for the runtime" for name, _ in op.annotations)
    if op.log_driver not in _LOCAL_LOG_DRIVERS:
        yield f"log driver {op.log_driver}"
    yield from (f"log option {name}" for name, _ in op.log_options if name not in _LOCAL_LOG_OPTIONS)


def _outranks(limit: Ulimit) -> bool:
    """Whether a process may raise itself above others (setrlimit(2)): the soft limit may go up to the hard one."""
    ordinary = _ORDINARY_ULIMITS.get(limit.name)
    return ordinary is not None and not 0 <= limit.hard <= ordinary


def _is_kernels(path: str) -> bool:
    """Whether a path in a container, in whatever spelling, is in a file system of the kernel's."""
    path = "/" + posixpath.normpath(path).lstrip("/") if path else ""
    return _is_in(path, _KERNEL_PLACES) and not _is_in(path, _MEMORY_PLACES)


def _is_in(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def _is_root(part: str) -> bool:
    return part.casefold() == "root" or (part.isdigit() and int(part) == 0)


def _is_driven(mount: Mount) -> bool:
    return bool(mount.volume_options) or mount.volume_driver not in {"", "local"}


def _holds_engine_socket(source: str) -> bool:
    name = posixpath.basename(source).casefold()
    return source in _ENGINE_DIRECTORIES or any(name.startswith(engine) for engine in _ENGINE_SOCKETS)
