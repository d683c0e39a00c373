"""What ``run`` bounds or hands out: devices and their rates, ulimits, restart policies, security and log options.

Sources: docker/cli v28.2.2 ``command/container/opts.go`` and ``opts``, go-units v0.5 ``ulimit.go``.
"""

import re
from typing import Final

from wingman_core.command.frozen import Frozen
from wingman_core.command.quantities import decimal, natural, show_size, signed_decimal, size
from wingman_core.command.values import BadValue, boolean, straight_path

_DEVICE_RULE: Final = re.compile(r"[acb] (?:[0-9]{1,9}|\*):(?:[0-9]{1,9}|\*) [rwm]{1,3}")
_ULIMITS_WORDS: Final = """
    core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack
"""
_ULIMITS: Final = frozenset(_ULIMITS_WORDS.split())
_MIN_WEIGHT: Final = 10
_MAX_WEIGHT: Final = 1000
_MAX_RETRIES: Final = 2**31 - 1
_DEVICES: Final = "/dev/"


class Device(Frozen):
    """``--device source[:target][:permissions]``."""

    source: str
    target: str
    permissions: str = "rwm"


class Ulimit(Frozen):
    """``--ulimit name=soft[:hard]``; -1 is no limit."""

    name: str
    soft: int
    hard: int


def device(text: str) -> Device:
    """Read ``--device``."""
    match text.split(":"):
        case [source]:
            return Device(source=straight_path(source), target=straight_path(source))
        case [source, permissions] if _are_permissions(permissions):
            return Device(source=straight_path(source), target=straight_path(source), permissions=_sorted(permissions))
        case [source, target]:
            return Device(source=straight_path(source), target=straight_path(target))
        case [source, target, permissions] if _are_permissions(permissions):
            return Device(source=straight_path(source), target=straight_path(target), permissions=_sorted(permissions))
        case _:
            raise BadValue("not a device, such as /dev/fuse or /dev/sda:/dev/xvda:r")


def show_device(value: Device) -> str:
    """Write source, target and permissions in full."""
    return f"{value.source}:{value.target}:{value.permissions}"


def device_rule(text: str) -> str:
    """Read ``--device-cgroup-rule``, such as ``c 1:3 rwm``."""
    if _DEVICE_RULE.fullmatch(text) is None:
        raise BadValue("not a device rule, such as 'c 1:3 r'")
    return text


def device_weight(text: str) -> tuple[str, int]:
    """Read ``--blkio-weight-device``: device path and weight."""
    name, number = _device_number(text)
    return name, _weight(decimal(number))


def weight(text: str) -> int:
    """Read ``--blkio-weight``: 0 for none, or from 10 to 1000."""
    return _weight(natural(text))


def device_bytes(text: str) -> tuple[str, int]:
    """Read ``--device-read-bps``: device path and bytes a second."""
    name, number = _device_number(text)
    return name, size(number)


def device_operations(text: str) -> tuple[str, int]:
    """Read ``--device-read-iops``: device path and operations a second."""
    name, number = _device_number(text)
    return name, decimal(number)


def show_device_bytes(value: tuple[str, int]) -> str:
    """Write ``path:size``."""
    return f"{value[0]}:{show_size(value[1])}"


def show_device_number(value: tuple[str, int]) -> str:
    """Write ``path:number``."""
    return f"{value[0]}:{value[1]}"


def ulimit(text: str) -> Ulimit:
    """Read ``--ulimit``."""
    name, equals, limits = text.partition("=")
    numbers = [_limit(limit) for limit in limits.split(":")]
    if name not in _ULIMITS or not equals or len(numbers) > 2:  # noqa: PLR2004 - soft and hard
        raise BadValue("not a ulimit, such as nofile=1024:2048")
    soft, hard = numbers[0], numbers[-1]
    if hard != -1 and (soft == -1 or soft > hard):
        raise BadValue("the soft limit is above the hard one")
    return Ulimit(name=name, soft=soft, hard=hard)


def show_ulimit(value: Ulimit) -> str:
    """Write ``name=soft:hard``."""
    return f"{value.name}={value.soft}:{value.hard}"


def ulimits(values: tuple[Ulimit, ...]) -> tuple[Ulimit, ...]:
    """Gather ulimits: the last of a name counts, names are sorted."""
    return tuple(value for _, value in sorted({value.name: value for value in values}.items()))


def restart_policy(text: str) -> str:
    """Read ``--restart``: ``no``, ``always``, ``unless-stopped``, ``on-failure[:retries]``."""
    if not text:
        return "no"
    name, _, retries = text.partition(":")
    count = signed_decimal(retries) if retries else 0
    if name in {"no", "always", "unless-stopped"} and not count:
        return name
    if name == "on-failure" and 0 <= count <= _MAX_RETRIES:
        return f"on-failure:{count}" if count else "on-failure"
    raise BadValue("must be no, always, unless-stopped, on-failure or on-failure:<retries>")


def security_option(text: str) -> str:
    """Read ``--security-opt`` as ``name=value``; profiles in files of the client are refused."""
    name, separator, value = text.partition("=" if "=" in text else ":")
    if name == "no-new-privileges":
        return name if not separator or boolean(value) else f"{name}=false"
    if name not in {"apparmor", "label", "seccomp", "systempaths"} or not value:
        raise BadValue("not a security option, such as no-new-privileges")
    if name == "seccomp" and value not in {"builtin", "unconfined"}:
        raise BadValue("a seccomp profile is a file of Docker's client, which Wingman does not have")
    return f"{name}={value}"


def storage_option(text: str) -> tuple[str, str]:
    """Read ``--storage-opt``; the size of the writable layer is the one that containers have."""
    name, _, value = text.partition("=")
    if name != "size":
        raise BadValue("the only storage option of a container is size, such as size=10G")
    return name, show_size(size(value))


def _weight(value: int) -> int:
    if value and not _MIN_WEIGHT <= value <= _MAX_WEIGHT:
        raise BadValue("a weight is 0, or from 10 to 1000")
    return value


def _limit(text: str) -> int:
    return -1 if text == "-1" else decimal(text)


def _are_permissions(text: str) -> bool:
    return 0 < len(text) == len(set(text) & set("rwm"))


def _sorted(permissions: str) -> str:
    return "".join(letter for letter in "rwm" if letter in permissions)


def _device_number(text: str) -> tuple[str, str]:
    name, colon, number = text.partition(":")
    if not colon or not straight_path(name).startswith(_DEVICES):
        raise BadValue("not a device and a number, such as /dev/sda:10")
    return straight_path(name), number
