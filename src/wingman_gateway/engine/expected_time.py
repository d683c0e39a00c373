"""How long a command is expected to take, for the person who approves it: a range, and in the same line its ground.

Guarantees: nothing is guessed: where the engine knows no ground for a figure, the line begins with ``unknown`` and says
why. Empty for what only reads. A figure is an expectation: a slow disk or a busy host may take longer.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from wingman_core.command import (
    ComposeLsOperation,
    ComposeRead,
    ComposeRemoval,
    ComposeRestartOperation,
    ComposeRmOperation,
    ComposeStartOperation,
    ExecOperation,
    NetworkRmOperation,
    Operation,
    Prune,
    PullOperation,
    RestartOperation,
    RmiOperation,
    RmOperation,
    RunOperation,
    StartOperation,
    SystemPruneOperation,
    VolumeRmOperation,
)
from wingman_core.target import Target
from wingman_gateway.engine.compose import only
from wingman_gateway.engine.connection import JSON, Connection, EngineRefused
from wingman_gateway.engine.dependents import name_of
from wingman_gateway.engine.object_reads import ObjectRead
from wingman_gateway.engine.observe import ReadOperation
from wingman_gateway.engine.perform import Stopping, own_stop_seconds
from wingman_gateway.engine.tables import human_size

REMOVAL_SECONDS: Final = 1
"""What the removal of one object rarely exceeds."""
HEALTH_SECONDS: Final = 30.0
"""Docker's own interval between health checks where none is given."""
EARLY_SECONDS: Final = 5.0
"""Docker's own interval within the start period, on engines that have one."""
MOST_NAMED: Final = 5

Starting = StartOperation | RestartOperation | ComposeStartOperation | ComposeRestartOperation


async def expected_time(  # noqa: PLR0911 - one return a family of verbs
    connection: Connection, op: Operation, targets: Sequence[Target]
) -> str:
    """Return the line; raise ``Unavailable``."""
    match op:
        case PullOperation():
            return await _of_pull(connection, op)
        case RunOperation() | ExecOperation():
            return "unknown: its program alone knows when it is ready, and when it ends"
        case RmiOperation() | VolumeRmOperation() | NetworkRmOperation() | RmOperation():
            return _of_removals(len(targets))
    if isinstance(op, ReadOperation | ObjectRead | ComposeLsOperation | ComposeRead):
        return ""
    if isinstance(op, Stopping | Starting):
        return await _of_containers(connection, op, targets)
    if isinstance(op, Prune):
        cache = ", and unknown for the build cache" if isinstance(op, SystemPruneOperation) else ""
        return f"{_of_removals(len(targets))}{cache}"
    return f"at once: docker {op.verb} waits for nothing"


async def _of_containers(connection: Connection, op: Stopping | Starting, targets: Sequence[Target]) -> str:
    found = await asyncio.gather(*(_inspect(connection, target) for target in only(targets, "container")))
    containers = [each for each in found if each is not None]
    parts = [_until_ended(op, containers)] if isinstance(op, Stopping) else []
    if isinstance(op, ComposeRemoval):
        parts.append(f"then {_of_removals(len(only(targets, 'container', 'network', 'volume')))}")
    if isinstance(op, Starting):
        parts += _named([_until_healthy(each) for each in containers])
    return "; ".join(parts)


async def _of_pull(connection: Connection, op: PullOperation) -> str:
    why = "unknown: it is up to the registry and the line"
    try:
        size = (await connection.ask("GET", f"images/{op.image}/json"))["Size"]
    except EngineRefused as error:
        if not error.not_found:
            raise
        return f"{why}; no such image is here to go by"
    return f"{why}; the image of this name here has {human_size(size, precision=3)}, of which new layers are fetched"


def _of_removals(count: int) -> str:
    if not count:
        return "0 s: there is nothing to remove"
    return f"0 to {count * REMOVAL_SECONDS} s: {_counted(count, 'object')}, rarely over {REMOVAL_SECONDS} s each"


def _until_ended(op: Stopping, containers: Sequence[JSON]) -> str:
    """Say how long the running ones may take to end, one after the other; then the engine kills them."""
    running = [each for each in containers if each["State"]["Running"]]
    if not running or (isinstance(op, ComposeRmOperation) and not op.stop):
        return "0 s: nothing of it has to end"
    given = None if isinstance(op, ComposeRmOperation) else op.time
    each = [own_stop_seconds(container) if given is None else given for container in running]
    if min(each) < 0:
        return "unknown: it is waited for however long it takes to end"
    grounds = [f"{name_of(container)} has {seconds} s" for container, seconds in zip(running, each, strict=True)]
    return f"0 to {sum(each)} s to end: {', '.join(_named(grounds))}, then killed"


def _until_healthy(container: JSON) -> str:
    """Say when its health check can first succeed, and when it should have at the latest."""
    name, check = name_of(container), container["Config"].get("Healthcheck") or {}
    if (check.get("Test") or ["NONE"])[0] == "NONE":
        return f"unknown when {name} serves: it has no health check"
    interval = _seconds(check, "Interval") or HEALTH_SECONDS
    period = _seconds(check, "StartPeriod")
    early = min(interval, _seconds(check, "StartInterval") or EARLY_SECONDS) if period else interval
    return (
        f"{name} healthy {early:g} to {period + interval:g} s after its start: "
        f"checked every {interval:g} s, start period {period:g} s"
    )


def _seconds(check: JSON, name: str) -> float:
    return float(check.get(name) or 0) / 1e9


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count > 1 else ''}"


def _named(lines: Sequence[str]) -> list[str]:
    more = len(lines) - MOST_NAMED
    return [*lines[:MOST_NAMED], *([f"{more} more"] if more > 0 else [])]


async def _inspect(connection: Connection, target: Target) -> JSON | None:
    try:
        found: JSON = await connection.ask("GET", f"containers/{target.id}/json")
    except EngineRefused as error:
        if not error.not_found:
            raise
        return None  # the preview of what it does says so
    return found
