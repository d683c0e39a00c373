"""One execution from its first request to its exit code, within its time limit."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Final

from wingman_core.command import (
    ComposeAct,
    ComposeDownOperation,
    ComposeFiles,
    ComposeLsOperation,
    ComposeRead,
    ComposeRemoval,
    ComposeRestartOperation,
    ComposeRmOperation,
    ComposeStopOperation,
    ExecOperation,
    Operation,
    Prune,
    PullOperation,
    RestartOperation,
    RunOperation,
    StopOperation,
)
from wingman_core.errors import Code, WingmanError
from wingman_core.target import Target
from wingman_gateway.engine.act import act_on_containers, execute_in, pull, refusal
from wingman_gateway.engine.compose import act_on_project, only
from wingman_gateway.engine.compose_reads import read_project
from wingman_gateway.engine.compose_up import ComposeProjects
from wingman_gateway.engine.connection import JSON, Connection, EngineRefused
from wingman_gateway.engine.events import Event, Exit, Note
from wingman_gateway.engine.object_acts import ObjectAct, act_on_objects
from wingman_gateway.engine.object_reads import ObjectRead, read_objects
from wingman_gateway.engine.observe import ReadOperation, observe
from wingman_gateway.engine.prune import prune
from wingman_gateway.engine.run import kill_what_ran, run

DEFAULT_STOP_SECONDS: Final = 10
LIMITS: Final = {
    "ps": 20.0,
    "inspect": 20.0,
    "images": 20.0,
    "top": 20.0,
    "stats": 30.0,
    "logs": 60.0,
    "start": 60.0,
    "stop": 60.0,
    "restart": 90.0,
    "kill": 30.0,
    "pause": 30.0,
    "unpause": 30.0,
    "rm": 120.0,
    "exec": 600.0,
    "run": 600.0,
    "pull": 1800.0,
    **dict.fromkeys(("port", "diff", "history", "info", "version", "volume ls", "network ls"), 20.0),
    **dict.fromkeys(("create", "rename", "update", "tag", "volume create", "volume rm"), 60.0),
    **dict.fromkeys(("network create", "network connect", "network disconnect", "network rm"), 60.0),
    "rmi": 120.0,
    **dict.fromkeys(("compose ls", "compose ps", "compose top", "compose images"), 30.0),
    **dict.fromkeys(("compose start", "compose stop", "compose restart", "compose kill"), 180.0),
    **dict.fromkeys(("compose pause", "compose unpause", "compose logs"), 120.0),
    **dict.fromkeys(("compose rm", "compose down"), 300.0),
    **dict.fromkeys(("compose up", "compose pull"), 1800.0),
    "system df": 120.0,
    "wait": 600.0,
    **dict.fromkeys(("container prune", "image prune", "network prune", "volume prune", "system prune"), 600.0),
}
"""Seconds each verb may take, beside the time that ``stop`` and ``restart`` give the containers themselves."""


Stopping = (
    StopOperation
    | RestartOperation
    | ComposeStopOperation
    | ComposeRestartOperation
    | ComposeRmOperation
    | ComposeDownOperation
)


class Performer:
    """Performs operations on one engine."""

    def __init__(
        self,
        connection: Connection,
        projects: ComposeProjects,
        *,
        now: Callable[[], datetime],
        limits: Mapping[str, float],
    ) -> None:
        self._connection = connection
        self._projects = projects
        self._now = now
        self._limits = limits

    async def perform(
        self, op: Operation, targets: Sequence[Target], execution_id: str, note: Note
    ) -> AsyncGenerator[Event]:
        """Yield what happens, ``Exit`` last; raise ``WingmanError`` DEADLINE_EXCEEDED, or ``Unavailable``."""
        begun = asyncio.get_running_loop().time()
        seconds = self._limits[op.verb] + await _grace(self._connection, op, targets)
        deadline = begun + seconds
        async with aclosing(self._events(op, targets, execution_id, note)) as events:
            while True:
                try:
                    async with asyncio.timeout_at(deadline):
                        event = await anext(events)
                except StopAsyncIteration:
                    return
                except EngineRefused as error:
                    yield refusal(error)
                    yield Exit(1)
                    return
                except TimeoutError as error:
                    raise await _overdue(self._connection, op, execution_id, seconds) from error
                yield event

    def _events(  # noqa: C901, PLR0911 - one return a family of verbs
        self, op: Operation, targets: Sequence[Target], execution_id: str, note: Note
    ) -> AsyncGenerator[Event]:
        connection = self._connection
        match op:
            case ExecOperation():
                return execute_in(connection, op, targets[0], note)
            case RunOperation():
                return run(connection, op, targets, execution_id)
            case PullOperation():
                return pull(connection, op, targets[0])
            case Prune():
                return prune(connection, op, targets)
        if isinstance(op, ComposeLsOperation | ComposeRead):
            return read_project(connection, op, targets, self._now)
        if isinstance(op, ComposeFiles):
            return self._projects.act(op, targets, note)
        if isinstance(op, ComposeAct | ComposeRemoval):
            return act_on_project(connection, op, targets)
        if isinstance(op, ReadOperation):
            return observe(connection, op, targets, self._now)
        if isinstance(op, ObjectRead):
            return read_objects(connection, op, targets, self._now)
        if isinstance(op, ObjectAct):
            return act_on_objects(connection, op, targets, execution_id)
        return act_on_containers(connection, op, targets)


async def _grace(connection: Connection, op: Operation, targets: Sequence[Target]) -> float:
    """Return how long the containers may take to stop, in seconds: the command's word, else their own."""
    if not isinstance(op, Stopping):
        return 0.0
    containers = only(targets, "container")
    own = None if isinstance(op, ComposeRmOperation) else op.time
    if own is not None:
        return float(own * len(containers))
    found = await asyncio.gather(*(connection.ask("GET", f"containers/{target.id}/json") for target in containers))
    return float(sum(own_stop_seconds(each) for each in found))


def own_stop_seconds(container: JSON) -> int:
    """Return how long a container has to stop where the command does not say, in seconds."""
    own: int | None = container["Config"].get("StopTimeout")
    return DEFAULT_STOP_SECONDS if own is None else own


async def _overdue(connection: Connection, op: Operation, execution_id: str, seconds: float) -> WingmanError:
    """Say that the time is over; what an attached ``run`` left running ends with it."""
    killed = ""
    if isinstance(op, RunOperation) and not op.detach:
        killed = ", ".join(await kill_what_ran(connection, execution_id))
    return WingmanError(
        Code.DEADLINE_EXCEEDED,
        f"docker {op.verb} did not end within {seconds:g} s"
        + (f"; the container {killed} was killed" if killed else ""),
        hint="see docker ps -a for what it left; run long work with --detach" if killed else "see docker ps -a",
        seconds=f"{seconds:g}",
    )
