"""What the verbs on images, volumes, networks and the whole engine would do, for the person who approves it."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, assert_never

from wingman_core.command import (
    CreateOperation,
    NetworkConnectOperation,
    NetworkCreateOperation,
    NetworkDisconnectOperation,
    NetworkRmOperation,
    Prune,
    RenameOperation,
    RmiOperation,
    SystemPruneOperation,
    TagOperation,
    UpdateOperation,
    VolumeCreateOperation,
    VolumeRmOperation,
)
from wingman_core.target import Target
from wingman_core.verdict import BlastRadius
from wingman_gateway.engine.connection import JSON, Connection
from wingman_gateway.engine.image_names import named_by_id, tags_of
from wingman_gateway.engine.object_acts import ObjectAct, update_body

MOST_NAMED: Final = 50
"""Lines of one list of a preview; how many more there are is said."""
LOST: Final = {
    "container": "the writable layer and the log of {0}",
    "volume": "everything in the volume {0}",
    "image": "the image {0}, if no registry has it",
}


async def preview_objects(connection: Connection, op: ObjectAct | Prune, targets: Sequence[Target]) -> BlastRadius:
    """Say what is made, moved and lost, and whether it can be undone; raise ``Unavailable``."""
    match op:
        case RmiOperation():
            return await _of_rmi(connection, targets)
        case VolumeRmOperation():
            return _of_removal("Removes for good the volume", targets, await _users(connection, "volume", targets))
        case NetworkRmOperation():
            dependents = await _users(connection, "network", targets)
            names = ", ".join(target.name for target in targets)
            return BlastRadius(f"Removes the network {names}.", reversible=not targets, dependents=dependents)
        case Prune():
            return _of_prune(op, targets)
        case NetworkDisconnectOperation():
            network, container = targets
            return BlastRadius(
                f"Takes {container.name} off the network {network.name}: whoever reached it there no longer does.",
                reversible=True,
                dependents=await _users(connection, "network", [network], but=container.id),
            )
        case _:
            return BlastRadius(_made(op, targets), reversible=True)


def _made(  # noqa: PLR0911 - one return a verb
    op: CreateOperation
    | RenameOperation
    | UpdateOperation
    | TagOperation
    | VolumeCreateOperation
    | NetworkCreateOperation
    | NetworkConnectOperation,
    targets: Sequence[Target],
) -> str:
    match op:
        case CreateOperation():
            name = f"the container {op.name}" if op.name else "a container"
            return f"Creates {name} of {op.image}, and does not start it."
        case RenameOperation():
            return f"Renames {targets[0].name} to {op.name}: whoever finds it by its old name no longer does."
        case UpdateOperation():
            names = ", ".join(target.name for target in targets)
            return f"Changes {', '.join(sorted(update_body(op)))} of {names}, at once where it runs."
        case TagOperation():
            source, target = targets
            moved = f"; the name is now taken from {target.id[:19]}" if target.id not in {"", source.id} else ""
            return f"Names {source.id[:19]} {op.target} as well{moved}."
        case VolumeCreateOperation():
            if targets and targets[0].id:
                return f"The volume {op.name} exists already; nothing changes."
            return f"Creates the volume {op.name or 'of a random name'}."
        case NetworkCreateOperation():
            return f"Creates the {'internal ' if op.internal else ''}network {op.name} ({op.driver})."
        case NetworkConnectOperation():
            return f"Puts {targets[1].name} on the network {targets[0].name}: the two can reach each other."
        case _:
            assert_never(op)


async def _of_rmi(connection: Connection, targets: Sequence[Target]) -> BlastRadius:
    """Say which images go, and of which only a name does."""
    found = await asyncio.gather(*(connection.ask("GET", f"images/{target.id}/json") for target in targets))
    taken = {target.reference.name for target in targets}
    gone: list[Target] = []
    named: list[Target] = []
    for target, image in zip(targets, found, strict=True):
        others = [each for each in tags_of(image) if each not in taken]
        (named if others and not named_by_id(image, target.reference.name) else gone).append(target)
    users = await _users(connection, "image", targets)
    radius = _of_removal("Deletes the image", gone, users) if gone else BlastRadius("", reversible=True)
    names = ", ".join(target.reference.name for target in named)
    more = f"Takes the name {names} off its image, which has others." if named else ""
    return BlastRadius(
        " ".join(filter(None, (radius.summary, more))),
        reversible=not gone,
        dependents=users,
        data_lost=radius.data_lost,
    )


def _of_removal(what: str, targets: Sequence[Target], dependents: tuple[str, ...]) -> BlastRadius:
    names = ", ".join(target.reference.name for target in targets)
    lost = tuple(LOST[target.reference.kind].format(target.reference.name) for target in targets)
    return BlastRadius(f"{what} {names}.", reversible=False, dependents=dependents, data_lost=lost)


def _of_prune(op: Prune, targets: Sequence[Target]) -> BlastRadius:
    """Name what goes: it is resolved already, and what becomes unused later stays."""
    verb = str(getattr(op, "verb", ""))
    cache = " and the unused build cache" if isinstance(op, SystemPruneOperation) else ""
    if not targets:
        nothing = "nothing but the unused build cache" if cache else "nothing"
        return BlastRadius(f"Nothing is unused now: docker {verb} removes {nothing}.", reversible=True)
    counted = [
        f"{number} {kind}{'s' if number > 1 else ''}"
        for kind in ("container", "network", "volume", "image")
        if (number := sum(target.reference.kind == kind for target in targets))
    ]
    lost = [LOST[kind].format(_called(each)) for each in targets if (kind := each.reference.kind) in LOST]
    return BlastRadius(
        f"Removes for good {', '.join(counted)}{cache}: {', '.join(_cut([_called(each) for each in targets]))}.",
        reversible=not lost,
        data_lost=tuple(_cut(lost)),
    )


def _called(target: Target) -> str:
    others = ", ".join(target.names[1:])
    return f"{target.name} (also {others})" if others else target.name


def _cut(lines: Sequence[str]) -> list[str]:
    more = len(lines) - MOST_NAMED
    return [*lines[:MOST_NAMED], *([f"{more} more"] if more > 0 else [])]


async def _users(connection: Connection, kind: str, targets: Sequence[Target], *, but: str = "") -> tuple[str, ...]:
    """Return a line per container that uses one of the targets, running or not."""
    listed: list[JSON] = await connection.ask("GET", "containers/json", params={"all": "1"})
    lines = [
        f"{each['Names'][0].removeprefix('/')} ({each['State']}) uses the {kind} {target.name}"
        for each in listed
        if each["Id"] != but
        for target in targets
        if target.id in set(_used(kind, each))
    ]
    return tuple(_cut(sorted(lines)))


def _used(kind: str, container: JSON) -> Iterable[str]:
    match kind:
        case "image":
            return [container["ImageID"]]
        case "volume":
            return [mount.get("Name", "") for mount in container.get("Mounts") or ()]
        case _:
            networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
            return [each.get("NetworkID", "") for each in networks.values()]
