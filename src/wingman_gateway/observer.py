"""One fact about a container for the verification of claims: judged like the read that shows as much, then looked up.

Guarantees: what policy would not let a worker read with nobody's approval is not told; a path is only looked at in a
container that holds nothing of the host, since its files could be the host's; every wait is bounded. Nothing is
changed, nothing runs, and nothing is recorded: as a preview, it leaves no trace in the audit log.
Does not: tell anything of containers that policy keeps from view but that there are some (``complete`` is false).
"""

import asyncio
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from wingman_core.command import InspectOperation, LogsOperation, Operation, TopOperation
from wingman_core.command.values import BadValue, container
from wingman_core.errors import Code, PolicyRefused, TargetRefused, WingmanError
from wingman_core.observation import ContainerProcesses, ContainerState, PathState, ProcessLists
from wingman_core.target import Target
from wingman_gateway.judgement import Judge, within

OBSERVE_SECONDS: Final = 10.0
"""For one observation, the judging included."""
MOST_CONTAINERS: Final = 64
"""Whose processes are listed in one answer, the newest first."""
MOST_NAMES: Final = 2048
"""Different names of processes that are told of one container."""
AT_ONCE: Final = 8
"""Process lists that are asked for at the same time, over all callers: each is a ``ps`` of the engine's."""
DIGESTS_AT_ONCE: Final = 2
"""Paths that are looked at at the same time, over all callers."""
PATH_LIMIT: Final = 4096


class Engine(Protocol):
    """The engine, as far as facts go."""

    async def state(self, target: Target) -> ContainerState:
        """Return how a container is."""
        ...

    async def processes(self, target: Target) -> frozenset[str]:
        """Return the names of what runs in it."""
        ...

    async def path(self, target: Target, path: str) -> PathState:
        """Return what is at a path inside it."""
        ...

    async def running(self, limit: int) -> tuple[tuple[str, ...], bool]:
        """Return the ids of at most ``limit`` running containers, and whether these are all."""
        ...


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom, and of which environment."""

    worker: str
    environment: str


class Observer:
    """Looks at containers for one environment; every method raises what refuses it."""

    def __init__(self, judge: Judge, engine: Engine) -> None:
        """Take who judges, and the engine."""
        self._judge = judge
        self._engine = engine
        self._lists = asyncio.Semaphore(AT_ONCE)
        self._digests = asyncio.Semaphore(DIGESTS_AT_ONCE)

    async def state(self, asker: Asker, name: str) -> ContainerState:
        """Return how the container is; judged like ``docker inspect``."""
        async with within(OBSERVE_SECONDS):
            target = await self._judged(asker, InspectOperation(type="container", names=(_name(name),)))
            return await self._engine.state(target)

    async def path(self, asker: Asker, name: str, path: str) -> PathState:
        """Return what is at ``path`` in the container; judged like ``docker logs``: it is the container's own word."""
        if not path.startswith("/") or "\0" in path or len(path.encode()) > PATH_LIMIT:
            raise WingmanError(
                Code.REQUEST_INVALID,
                f"the path is not absolute, or longer than {PATH_LIMIT} bytes",
                hint="give an absolute path inside the container",
            )
        async with within(OBSERVE_SECONDS):
            target = await self._judged(asker, LogsOperation(container=_name(name)))
            if target.privileges:
                raise PolicyRefused(
                    Code.POLICY_FORBIDS,
                    "The container holds the host, so its files may be the host's; they are not looked at.",
                    hint="nobody can approve this",
                )
            async with self._digests:
                return await self._engine.path(target, path)

    async def processes(self, asker: Asker, name: str) -> ProcessLists:
        """Return what runs in the container, or with an empty name in each that may be seen; like ``docker top``."""
        async with within(OBSERVE_SECONDS):
            if name:
                return _together([await self._list(asker, _name(name))], complete=True)
            ids, complete = await self._engine.running(MOST_CONTAINERS)
            seen = await asyncio.gather(*(self._listed(asker, each) for each in ids))
        lists = [each for each in seen if isinstance(each, _List)]
        return _together(lists, complete=complete and "kept out" not in seen)

    async def _listed(self, asker: Asker, container_id: str) -> "_List | Literal['gone', 'kept out']":
        """Return one of many, or why there is none: it is ``gone`` by now, or ``kept out``."""
        try:
            return await self._list(asker, container_id)
        except TargetRefused:
            return "gone"
        except PolicyRefused:
            return "kept out"
        except WingmanError as error:
            if error.code is Code.ENGINE_REFUSED:  # such as a process list that broke; the others are told
                return "kept out"
            raise

    async def _list(self, asker: Asker, name: str) -> "_List":
        async with self._lists:
            target = await self._judged(asker, TopOperation(container=name))
            return _List(target.name, await self._engine.processes(target))

    async def _judged(self, asker: Asker, op: Operation) -> Target:
        (target,) = await self._judge.judge_read(op, asker.worker, asker.environment)
        return target


@dataclass(frozen=True, slots=True)
class _List:
    container: str
    names: frozenset[str]


def _together(lists: list[_List], *, complete: bool) -> ProcessLists:
    return ProcessLists(
        tuple(ContainerProcesses(each.container, tuple(sorted(each.names)[:MOST_NAMES])) for each in lists),
        complete=complete and all(len(each.names) <= MOST_NAMES for each in lists),
    )


def _name(text: str) -> str:
    try:
        return container(text)
    except BadValue as error:
        raise WingmanError(
            Code.REQUEST_INVALID, "the request names no container", hint="give a container's name or id"
        ) from error
