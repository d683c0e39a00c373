"""What a command would do to the host, for the person who approves it: consequences, not strings."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, assert_never

from wingman_core.command import (
    ComposeAct,
    ComposeLsOperation,
    ComposeRead,
    ComposeRemoval,
    ExecOperation,
    KillOperation,
    PauseOperation,
    Prune,
    PruneOperation,
    PullOperation,
    RestartOperation,
    RmOperation,
    RunOperation,
    StartOperation,
    StopOperation,
    UnpauseOperation,
)
from wingman_core.errors import Code, TargetRefused
from wingman_core.target import Target
from wingman_core.verdict import BlastRadius
from wingman_gateway.engine.compose import as_containers, only
from wingman_gateway.engine.connection import JSON, Connection, EngineRefused
from wingman_gateway.engine.dependents import find_dependents, name_of
from wingman_gateway.engine.listings import host_of
from wingman_gateway.engine.object_acts import ObjectAct
from wingman_gateway.engine.object_previews import preview_objects
from wingman_gateway.engine.object_reads import ObjectRead
from wingman_gateway.engine.observe import ReadOperation
from wingman_gateway.engine.perform import DEFAULT_STOP_SECONDS

EndingOperation = StopOperation | RestartOperation | KillOperation | PauseOperation | RmOperation
Previewed = (
    ReadOperation
    | ObjectRead
    | ObjectAct
    | PruneOperation
    | ComposeLsOperation
    | ComposeRead
    | ComposeAct
    | ComposeRemoval
    | PullOperation
    | RunOperation
    | ExecOperation
    | StartOperation
    | UnpauseOperation
    | EndingOperation
)
"""Every operation but those on a project's files: see ``compose_preview``."""

ANONYMOUS: Final = 64
"""Volumes without a name of their own are called by 64 hex digits."""


async def preview(  # noqa: PLR0911 - one return a family of verbs
    connection: Connection, op: Previewed, targets: Sequence[Target]
) -> BlastRadius:
    """Say what would stop, which ports drop, who depends on it, what is lost, and whether it can be undone."""
    if isinstance(op, ComposeAct | ComposeRemoval):
        return await _of_project(connection, op, targets)
    if isinstance(op, ReadOperation | ObjectRead | ComposeLsOperation | ComposeRead):
        return BlastRadius(f"Reads only: docker {op.verb} changes nothing.", reversible=True)
    if isinstance(op, ObjectAct | Prune):
        return await preview_objects(connection, op, targets)
    match op:
        case PullOperation():
            return await _of_pull(connection, op, targets[0])
        case RunOperation():
            return _of_run(op)
        case ExecOperation():
            program = ascii(op.command[0])
            return BlastRadius(
                f"Runs {program} inside {targets[0].name}; what it changes there cannot be foreseen.", reversible=False
            )
        case StartOperation() | UnpauseOperation():
            names = ", ".join(target.name for target in targets)
            return BlastRadius(f"{op.verb.capitalize()}s {names}.", reversible=True)
        case StopOperation() | RestartOperation() | KillOperation() | PauseOperation() | RmOperation():
            return await _of_ending(connection, op, targets)
        case _:
            assert_never(op)


async def _of_project(
    connection: Connection, op: ComposeAct | ComposeRemoval, targets: Sequence[Target]
) -> BlastRadius:
    """Say what the same verb on the project's containers would do, and what else goes."""
    whole = as_containers(op, targets)
    radius = BlastRadius("Nothing of it is there.", reversible=True)
    if whole is not None:
        radius = await preview(connection, whole, only(targets, "container"))
    networks, volumes = only(targets, "network"), only(targets, "volume")
    gone = "".join(f" Removes the network {target.name}." for target in networks)
    lost = tuple(f"everything in the volume {target.name}" for target in volumes)
    return replace(
        radius,
        summary=f"The project {op.project}: {radius.summary}{gone}",
        reversible=radius.reversible and not lost,
        data_lost=(*radius.data_lost, *lost),
    )


async def _of_ending(connection: Connection, op: EndingOperation, targets: Sequence[Target]) -> BlastRadius:
    containers = await asyncio.gather(*(_inspect(connection, target) for target in targets))
    running = [container for container in containers if container["State"]["Running"]]
    lost = tuple(line for container in containers for line in _lost(op, container))
    return BlastRadius(
        _summary(op, containers, idle=not running),
        reversible=not lost,
        stops=tuple(f"{name_of(container)} ({_how_long(op, container)})" for container in running),
        ports_dropped=tuple(port for container in running for port in _ports(container)),
        dependents=await find_dependents(connection, running) if running else (),
        data_lost=lost,
    )


async def _of_pull(connection: Connection, op: PullOperation, target: Target) -> BlastRadius:
    digest = target.image_digest or "a digest the registry did not name in time"
    if op.all_tags:
        return BlastRadius(f"Fetches every tag of {op.image}; tags the engine has may move.", reversible=False)
    try:
        before = (await connection.ask("GET", f"images/{op.image}/json"))["Id"]
    except EngineRefused as error:
        if not error.not_found:
            raise
        return BlastRadius(f"Fetches {op.image} ({digest}).", reversible=True)
    return BlastRadius(
        f"Fetches {op.image} ({digest}); the tag now names {before[:19]} here and may move.", reversible=True
    )


def _of_run(op: RunOperation) -> BlastRadius:
    name = f"the container {op.name}" if op.name else "a container"
    ports = [
        f"{host_of(address) or '0.0.0.0'}:{port or 'a free port'}->{key}"  # noqa: S104 - what Docker itself would bind
        for each in op.ports
        for key, address, port in each.bindings()
    ]
    opened = f" and publishes {', '.join(ports)}" if ports else ""
    how = "detached" if op.detach else "until it ends"
    return BlastRadius(f"Creates and starts {name} of {op.image}, {how}{opened}.", reversible=True)


async def _inspect(connection: Connection, target: Target) -> JSON:
    try:
        found: JSON = await connection.ask("GET", f"containers/{target.id}/json")
    except EngineRefused as error:
        if not error.not_found:
            raise
        raise TargetRefused(
            Code.TARGET_CHANGED,
            f"the container {target.reference.name!a} went away while it was looked at",
            hint="see docker ps -a, and ask again",
        ) from error
    return found


def _removed(op: EndingOperation, container: JSON) -> bool:
    automatic = bool(container["HostConfig"].get("AutoRemove"))
    return isinstance(op, RmOperation) or (automatic and isinstance(op, StopOperation | KillOperation))


def _lost(op: EndingOperation, container: JSON) -> Iterator[str]:
    name = name_of(container)
    if not isinstance(op, PauseOperation) and container["State"]["Running"]:
        for path in container["HostConfig"].get("Tmpfs") or {}:
            yield f"the memory-backed {path} of {name}"
    if not _removed(op, container):
        return
    yield f"the writable layer and the log of {name}"
    if isinstance(op, RmOperation) and not op.volumes:
        return
    for mount in container.get("Mounts") or ():
        if mount["Type"] == "volume" and len(mount.get("Name", "")) == ANONYMOUS:
            yield f"the anonymous volume of {name} on {mount['Destination']}"


def _how_long(op: EndingOperation, container: JSON) -> str:
    match op:
        case RmOperation():
            return "for good" if op.force else "must be stopped first"
        case KillOperation():
            return f"gets {op.signal}"
        case PauseOperation():
            return "frozen until unpaused"
        case StopOperation() | RestartOperation():
            own = container["Config"].get("StopTimeout")
            seconds = op.time if op.time is not None else DEFAULT_STOP_SECONDS if own is None else own
            until = "until it is up again" if isinstance(op, RestartOperation) else "until it is started"
            return f"{until}; has {seconds} s to end"
        case _:
            assert_never(op)


def _summary(op: EndingOperation, containers: Sequence[JSON], *, idle: bool) -> str:
    words = {"stop": "Stops", "restart": "Restarts", "pause": "Freezes", "rm": "Removes for good", "kill": "Signals"}
    nothing = "; nothing of it is running" if idle and not isinstance(op, RestartOperation) else ""
    return f"{words[op.verb]} {', '.join(map(name_of, containers))}{nothing}."


def _ports(container: JSON) -> Iterator[str]:
    for key, bindings in sorted(((container.get("NetworkSettings") or {}).get("Ports") or {}).items()):
        for binding in bindings or ():
            yield f"{host_of(binding.get('HostIp', ''))}:{binding['HostPort']}->{key}"
