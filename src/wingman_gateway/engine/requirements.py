"""What of a command an older engine would silently leave out: refused, since what was shown is what must run (I2).

The Engine API ignores fields it does not know, so the docker binary refuses by version, and so does this.
"""

from collections.abc import Iterator
from typing import Final

from wingman_core.command import (
    CreateOperation,
    Mount,
    NetworkConnectOperation,
    Operation,
    RestartOperation,
    RunOperation,
    StopOperation,
)

Version = tuple[int, int]

SIGNAL: Final = (1, 42)
ANNOTATIONS: Final = (1, 43)
ENDPOINTS: Final = (1, 44)
SUBPATH: Final = (1, 45)
IMAGE_MOUNT: Final = (1, 48)


def unsupported(op: Operation, version: Version) -> str:
    """Return a sentence about the first part of the command that needs a newer API, or nothing."""
    for part, needed in _needs(op):
        if version < needed:
            return f"{part} needs API {needed[0]}.{needed[1]}, and the engine speaks {version[0]}.{version[1]}"
    return ""


def _needs(op: Operation) -> Iterator[tuple[str, Version]]:
    match op:
        case StopOperation() | RestartOperation() if op.signal:
            yield "--signal", SIGNAL
        case RunOperation() | CreateOperation():
            yield from _run_needs(op)
        case NetworkConnectOperation() if op.gateway_priority:
            yield "--gw-priority", IMAGE_MOUNT
        case _:
            return


def _run_needs(op: RunOperation | CreateOperation) -> Iterator[tuple[str, Version]]:
    if op.annotations:
        yield "--annotation", ANNOTATIONS
    if op.health_start_interval:
        yield "--health-start-interval", ENDPOINTS
    if len(op.networks) > 1:
        yield "a second --network", ENDPOINTS
    if any(network.mac_address for network in op.networks):
        yield "a mac-address inside --network", ENDPOINTS
    if any(network.gateway_priority for network in op.networks):
        yield "a gw-priority inside --network", IMAGE_MOUNT
    for mount in op.mounts:
        yield from _mount_needs(mount)


def _mount_needs(mount: Mount) -> Iterator[tuple[str, Version]]:
    if mount.bind_recursive == "readonly":
        yield "bind-recursive=readonly", ENDPOINTS
    if mount.volume_subpath:
        yield "volume-subpath", SUBPATH
    if mount.type == "image":
        yield "a mount of type image", IMAGE_MOUNT
