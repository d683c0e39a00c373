"""Compose projects by their labels: which objects a project has, and its verbs as verbs on those.

Guarantees: a verb on a project is the same verb on its containers, which are resolved, shown, judged and bound one by
one, in the order of their dependencies (``depends_on`` first to start, last to stop). No file is read.
"""

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Final, assert_never

from wingman_core.command import (
    Compose,
    ComposeAct,
    ComposeDownOperation,
    ComposeKillOperation,
    ComposePauseOperation,
    ComposeRemoval,
    ComposeRestartOperation,
    ComposeRmOperation,
    ComposeStartOperation,
    ComposeStopOperation,
    ComposeUnpauseOperation,
    KillOperation,
    PauseOperation,
    RestartOperation,
    RmOperation,
    StartOperation,
    StopOperation,
    UnpauseOperation,
)
from wingman_core.errors import Code, TargetRefused
from wingman_core.target import Reference, Target
from wingman_gateway.engine.act import ContainersOperation, act_on_containers, refusal
from wingman_gateway.engine.connection import JSON, Connection, EngineRefused, segment
from wingman_gateway.engine.dependents import DEPENDS_ON_LABEL, PROJECT_LABEL, SERVICE_LABEL
from wingman_gateway.engine.events import Event, Exit, Output

ONE_OFF_LABEL: Final = "com.docker.compose.oneoff"
RUNNING: Final = frozenset({"running", "paused", "restarting"})


async def members(connection: Connection, op: Compose) -> tuple[Reference, ...]:
    """Return the project and the objects of it that the verb is about; raise ``TargetRefused`` where there are none."""
    containers = ordered(await containers_of(connection, op.project))
    unknown = sorted(set(op.services) - {service_of(each) for each in containers})
    if unknown:
        raise TargetRefused(
            Code.TARGET_NOT_FOUND,
            f"the project {op.project!a} has no container of a service {unknown[0]!a}",
            hint=f"see docker compose --project-name {op.project} ps --all",
            reference=unknown[0],
        )
    meant = [each for each in containers if not op.services or service_of(each) in op.services]
    if isinstance(op, ComposeRmOperation) and not op.stop:
        meant = [each for each in meant if each["State"] not in RUNNING]
    if not isinstance(op, ComposeStartOperation | ComposeUnpauseOperation):
        meant.reverse()
    more = await _networks_and_volumes(connection, op) if isinstance(op, ComposeDownOperation) else ()
    if not containers and not more:
        raise TargetRefused(
            Code.TARGET_NOT_FOUND,
            f"there is no project {op.project!a}",
            hint="see docker compose ls --all",
            reference=op.project,
        )
    names = (each["Names"][0].removeprefix("/") for each in meant)
    return Reference("project", op.project), *(Reference("container", name) for name in names), *more


async def containers_of(connection: Connection, project: str) -> list[JSON]:
    """Return a project's containers, running or not, without those that were run once by hand."""
    labels = [f"{PROJECT_LABEL}={project}" if project else PROJECT_LABEL]
    params = {"all": "1", "filters": json.dumps({"label": labels})}
    found: list[JSON] = await connection.ask("GET", "containers/json", params=params)
    return [each for each in found if each["Labels"].get(ONE_OFF_LABEL, "False") != "True"]


def ordered(containers: Sequence[JSON]) -> list[JSON]:
    """Return containers in an order in which each comes after what it depends on, by name where that is open."""
    left = sorted(containers, key=lambda each: str(each["Names"][0]))
    done: list[JSON] = []
    while left:
        waiting = {service_of(each) for each in left}
        ready = [each for each in left if not (depends_on(each) - {service_of(each)}) & waiting]
        done += ready or left  # a circle has no order
        left = [each for each in left if ready and each not in ready]
    return done


def service_of(container: JSON) -> str:
    """Return the service that a listed container is of."""
    return str(container["Labels"].get(SERVICE_LABEL, ""))


def depends_on(container: JSON) -> set[str]:
    """Return the services that a listed container's service depends on."""
    entries = str(container["Labels"].get(DEPENDS_ON_LABEL, "")).split(",")
    return {entry.split(":", 1)[0] for entry in entries} - {""}


async def _networks_and_volumes(connection: Connection, op: ComposeDownOperation) -> tuple[Reference, ...]:
    if op.services:
        return ()
    params = {"filters": json.dumps({"label": [f"{PROJECT_LABEL}={op.project}"]})}
    networks = await connection.ask("GET", "networks", params=params)
    listed = (await connection.ask("GET", "volumes", params=params)).get("Volumes") or () if op.volumes else ()
    return (
        *(Reference("network", name) for name in sorted(each["Name"] for each in networks)),
        *(Reference("volume", name) for name in sorted(each["Name"] for each in listed)),
    )


def only(targets: Sequence[Target], *kinds: str) -> tuple[Target, ...]:
    """Return the targets of some kinds."""
    return tuple(target for target in targets if target.reference.kind in kinds)


def as_containers(  # noqa: PLR0911 - one return a verb
    op: ComposeAct | ComposeRemoval, targets: Sequence[Target]
) -> ContainersOperation | None:
    """Return the same verb on the project's containers; None where there are none."""
    names = tuple(target.reference.name for target in only(targets, "container"))
    if not names:
        return None
    match op:
        case ComposeStartOperation():
            return StartOperation(containers=names)
        case ComposeStopOperation():
            return StopOperation(time=op.time, containers=names)
        case ComposeRestartOperation():
            return RestartOperation(time=op.time, containers=names)
        case ComposePauseOperation():
            return PauseOperation(containers=names)
        case ComposeUnpauseOperation():
            return UnpauseOperation(containers=names)
        case ComposeKillOperation():
            return KillOperation(signal=op.signal, containers=names)
        case ComposeRmOperation():
            return RmOperation(force=op.stop, volumes=op.volumes, containers=names)
        case ComposeDownOperation():
            return RmOperation(force=True, volumes=op.volumes, containers=names)
        case _:
            assert_never(op)


async def act_on_project(
    connection: Connection, op: ComposeAct | ComposeRemoval, targets: Sequence[Target]
) -> AsyncGenerator[Event]:
    """Do it to one object after the other; print each name done."""
    code = 0
    for part in _parts(op, targets):
        async for event in act_on_containers(connection, part, only(targets, "container")):
            if isinstance(event, Exit):
                code = code or event.code
            else:
                yield event
    for target in only(targets, "network", "volume") if isinstance(op, ComposeDownOperation) else ():
        try:
            await connection.ask("DELETE", f"{target.reference.kind}s/{segment(target.id)}", limit=None)
        except EngineRefused as error:
            code = 1
            yield refusal(error)
        else:
            yield Output("stdout", f"{target.reference.name}\n".encode())
    yield Exit(code)


def _parts(op: ComposeAct | ComposeRemoval, targets: Sequence[Target]) -> tuple[ContainersOperation, ...]:
    """Return the verbs on containers that it takes: what is removed is stopped first, and has its time to end."""
    whole = as_containers(op, targets)
    if whole is None:
        return ()
    match op:
        case ComposeRmOperation(stop=True):
            return StopOperation(containers=whole.containers), whole
        case ComposeDownOperation():
            return StopOperation(time=op.time, containers=whole.containers), whole
        case _:
            return (whole,)
