"""The Docker engine as the gateway sees it: resolve, preview, look at, execute once, testify afterwards.

The only package that imports the engine's client (I5). Guarantees: what acts, acts on the full ids of the targets
it is given (I10), never resolves a name again, and never repeats a mutation (I13).
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from wingman_core.command import Compose, ComposeFiles, Operation, Prune, RmiOperation, references
from wingman_core.observation import ContainerState, PathState
from wingman_core.target import Target
from wingman_core.verdict import BlastRadius
from wingman_gateway.engine.archive import path_state
from wingman_gateway.engine.compose import members
from wingman_gateway.engine.compose_binary import ComposeBinary
from wingman_gateway.engine.compose_preview import preview_files
from wingman_gateway.engine.compose_registry import Registered, read_registry
from wingman_gateway.engine.compose_up import ComposeProjects
from wingman_gateway.engine.connection import Connection, EngineRefused, Span, no_span
from wingman_gateway.engine.events import Event, Exit, Note, Output, Progress, Testimony
from wingman_gateway.engine.expected_time import expected_time
from wingman_gateway.engine.fleet import Fleet, fleet_of
from wingman_gateway.engine.image_names import names_that_go
from wingman_gateway.engine.perform import LIMITS, Performer
from wingman_gateway.engine.preview import preview
from wingman_gateway.engine.requirements import unsupported
from wingman_gateway.engine.resolve import resolve
from wingman_gateway.engine.selection import select
from wingman_gateway.engine.state import processes_of, running_containers, state_of
from wingman_gateway.engine.testify import testify

__all__ = [
    "LIMITS",
    "Engine",
    "EngineRefused",
    "Event",
    "Exit",
    "Note",
    "Output",
    "Progress",
    "Registered",
    "Testimony",
    "read_registry",
]

COMPOSE_BINARY: Final = Path("/usr/local/bin/docker-compose")
FILES_TIME: Final = "unknown: what is fetched, and when each service is ready, no engine knows before"
"""How long ``docker compose up`` and ``pull`` are expected to take."""
TOO_OLD: Final = 400
"""The status with which engines themselves refuse a version."""


class Engine:
    """One Docker engine."""

    def __init__(
        self,
        connection: Connection,
        *,
        now: Callable[[], datetime],
        limits: Mapping[str, float] = LIMITS,
        projects: ComposeProjects | None = None,
    ) -> None:
        self._connection = connection
        self._projects = projects or ComposeProjects(connection, {}, None)
        self._performer = Performer(connection, self._projects, now=now, limits=limits)

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        span: Span = no_span,
        projects: Mapping[str, Registered] | None = None,
        compose_binary: Path = COMPOSE_BINARY,
    ) -> Self:
        """Prepare for the engine at ``url``; it need not run yet, ``ping`` tells. Raises ``SettingInvalid``.

        ``span`` opens one for each request: its method and the kind of object, no more. ``projects`` are those whose
        files ``docker compose up`` and ``pull`` may use, through ``compose_binary``.
        """
        connection = Connection.open(url, span)
        binary = ComposeBinary(compose_binary, url)
        return cls(connection, now=now, projects=ComposeProjects(connection, projects or {}, binary))

    async def close(self) -> None:
        """Close every connection; streams that are still read end with ``Unavailable``."""
        await self._connection.close()

    async def ping(self) -> str:
        """Ask the engine for its API and agree on a version again; return it, such as ``1.41``.

        Raises ``Unavailable``.
        """
        major, minor = await self._connection.negotiate()
        return f"{major}.{minor}"

    async def resolve(self, op: Operation) -> tuple[Target, ...]:
        """Return what the command's names mean now, in its order.

        Raises ``TargetRefused``, ``Unavailable``, and ``EngineRefused`` where the engine is too old for the command.
        """
        if too_old := unsupported(op, await self._connection.version()):
            raise EngineRefused(TOO_OLD, too_old)
        if isinstance(op, Prune):
            return await resolve(self._connection, await select(self._connection, op))
        if isinstance(op, ComposeFiles):
            return await self._projects.resolve(op)
        if isinstance(op, Compose):
            return await resolve(self._connection, await members(self._connection, op))
        if isinstance(op, RmiOperation):
            return await resolve(self._connection, await names_that_go(self._connection, op))
        return await resolve(self._connection, references(op))

    async def blast_radius(self, op: Operation, targets: Sequence[Target]) -> BlastRadius:
        """Say what would stop, drop, depend, be lost, and how long; raise ``TargetRefused`` or ``Unavailable``."""
        if isinstance(op, ComposeFiles):
            radius = await preview_files(self._connection, self._projects, op, targets)
            return replace(radius, expected_time=FILES_TIME)
        radius = await preview(self._connection, op, targets)
        return replace(radius, expected_time=await expected_time(self._connection, op, targets))

    async def state(self, target: Target) -> ContainerState:
        """Return how a container is; raise ``TargetRefused`` if it is gone by now, or ``Unavailable``."""
        return await state_of(self._connection, target)

    async def processes(self, target: Target) -> frozenset[str]:
        """Return the names of what runs in a container; raise ``TargetRefused``, ``EngineRefused``, ``Unavailable``."""
        return await processes_of(self._connection, target)

    async def path(self, target: Target, path: str) -> PathState:
        """Return what is at an absolute path inside a container; raise as ``processes`` does."""
        return await path_state(self._connection, target, path)

    async def running(self, limit: int) -> tuple[tuple[str, ...], bool]:
        """Return the ids of at most ``limit`` running containers, and whether these are all; raise ``Unavailable``."""
        return await running_containers(self._connection, limit)

    async def fleet(self) -> Fleet:
        """Return every container, network and volume, as the boundary is judged by them; raise ``Unavailable``."""
        return await fleet_of(self._connection)

    def execute(self, op: Operation, targets: Sequence[Target], execution_id: str, note: Note) -> AsyncGenerator[Event]:
        """Do it, once: yield what happens, ``Exit`` last.

        What the engine refuses ends as the docker binary would end: a line on stderr and its exit code. Raises
        ``WingmanError`` DEADLINE_EXCEEDED once the verb's limit has passed, ``Unavailable`` where the engine went
        away: then nobody knows the outcome, and ``testify`` asks. Closing the iterator stops a read at once.
        """
        return self._performer.perform(op, targets, execution_id, note)

    async def testify(
        self,
        op: Operation,
        targets: Sequence[Target],
        execution_id: str,
        intent_at: datetime,
        notes: Mapping[str, str] | None,
    ) -> Testimony:
        """Ask what became of an execution that began after ``intent_at`` (aware); never acts. Raises ``Unavailable``.

        ``notes``: what ``execute`` noted before it was cut off, None where it noted elsewhere.
        """
        return await testify(self._connection, op, targets, execution_id, intent_at, notes)
