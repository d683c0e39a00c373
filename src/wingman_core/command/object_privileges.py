"""Each way in which a volume or a network that a command makes reaches for the host.

Fails towards present (I4): drivers and options that are listed as harmless are closed lists, everything else counts.
"""

from collections.abc import Iterator
from typing import Final

from wingman_core.command import object_operations as objects
from wingman_core.command.frozen import Pairs
from wingman_core.command.network_options import network_options
from wingman_core.command.privileges import is_ordinary_memory

_HARMLESS_NETWORK_DRIVERS: Final = frozenset({"bridge", "overlay"})
_MEMORY: Final = "tmpfs"
_SIZES: Final = frozenset({"size", "o", "type", "device"})


def volume_privileges(op: objects.VolumeCreateOperation) -> tuple[str, ...]:
    """Return every line that holds of ``volume create``."""
    return tuple(_volume(op))


def network_privileges(op: objects.NetworkCreateOperation) -> tuple[str, ...]:
    """Return every line that holds of ``network create``."""
    return tuple(_network(op))


def network_driver(driver: str, options: Pairs) -> Iterator[str]:
    """Yield what a network's driver, and each of the options that it is given, reaches for."""
    if driver not in _HARMLESS_NETWORK_DRIVERS:
        yield f"network driver {driver}"
    yield from network_options(options)


def connect_privileges(op: objects.NetworkConnectOperation) -> tuple[str, ...]:
    """Return every line that holds of ``network connect``."""
    return tuple(network_options(op.driver_options))


def _volume(op: objects.VolumeCreateOperation) -> Iterator[str]:
    if op.driver != "local":
        yield f"volume driver {op.driver}"
    options = dict(op.options)
    memory = options.get("type") == options.get("device") == _MEMORY
    memory = memory and is_ordinary_memory(options.get("o", ""))
    for name, value in op.options:
        if memory and name in _SIZES:
            continue  # a size-limited file system in memory holds nothing of the host
        if name != "size":
            yield f"volume option {name}={value}"


def _network(op: objects.NetworkCreateOperation) -> Iterator[str]:
    yield from network_driver(op.driver, op.options)
    if op.ipam_driver != "default":
        yield f"address driver {op.ipam_driver}"
    yield from (f"address option {name}" for name, _ in op.ipam_options)
