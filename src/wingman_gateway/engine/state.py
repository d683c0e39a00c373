"""How a container is, and what runs in it: facts, without arguments, environment or output.

Guarantees: reads by full id; a process is its kernel name alone, and one that has ended and is only not yet waited
for does not count. Does not: say which processes of the host are not in containers.
"""

from typing import Final, get_args

from wingman_core.audit_record import exit_code_of
from wingman_core.errors import Code, TargetRefused, Unavailable
from wingman_core.observation import ContainerState, Health, Status
from wingman_core.target import Target
from wingman_gateway.engine.connection import JSON, Connection, EngineRefused
from wingman_gateway.engine.stamps import engine_time

PS_COLUMNS: Final = "-eo pid,stat,comm"
"""What ``ps`` is asked for, on every system: the engine insists on the first, the last holds the name."""
NOT_RUNNING: Final = 409
NEVER: Final = 1
"""The year of the engine's zero time."""
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
HEALTHS: Final[tuple[Health, ...]] = get_args(Health)


async def state_of(connection: Connection, target: Target) -> ContainerState:
    """Return how the container is; raise ``TargetRefused`` if it is gone, ``Unavailable``."""
    container = await ask_of(connection, target, "json")
    state = container["State"]
    status = next((known for known in STATUSES if known == state["Status"]), None)
    if status is None:
        raise Unavailable(Code.ENGINE_UNAVAILABLE, f"the engine says a state that is none: {state['Status']!a}")
    started = engine_time(state["StartedAt"])
    health = (state.get("Health") or {}).get("Status", "none")
    return ContainerState(
        name=container["Name"].removeprefix("/"),
        status=status,
        exit_code=exit_code_of(int(state["ExitCode"])),
        started_at=None if started.year == NEVER else started,
        restart_count=int(container.get("RestartCount", 0)),
        image=(container.get("Config") or {}).get("Image", ""),
        image_id=container["Image"],
        health=next((known for known in HEALTHS if known == health), "none"),
    )


async def processes_of(connection: Connection, target: Target) -> frozenset[str]:
    """Return the names of what runs in it, nothing where it does not run; raise as ``state_of`` does."""
    try:
        answer = await ask_of(connection, target, "top", {"ps_args": PS_COLUMNS})
    except EngineRefused as error:
        if error.status == NOT_RUNNING:
            return frozenset()
        raise
    rows = (row for row in answer["Processes"] or () if len(row) == len(answer["Titles"]))
    return frozenset(row[-1] for row in rows if not row[1].startswith("Z"))


async def running_containers(connection: Connection, limit: int) -> tuple[tuple[str, ...], bool]:
    """Return the ids of running containers, the newest first and at most ``limit``, and whether these are all."""
    listed = await connection.ask("GET", "containers/json")
    ids = tuple(each["Id"] for each in listed)
    return ids[:limit], len(ids) <= limit


async def ask_of(connection: Connection, target: Target, what: str, params: dict[str, str] | None = None) -> JSON:
    """Return what the engine says of a container under ``what``; raise ``TargetRefused`` if it is gone."""
    try:
        found: JSON = await connection.ask("GET", f"containers/{target.id}/{what}", params=params)
    except EngineRefused as error:
        if not error.not_found:
            raise
        raise TargetRefused(
            Code.TARGET_NOT_FOUND,
            f"the container {target.reference.name!a} went away while it was looked at",
            hint="see docker ps -a, and ask again",
            reference=target.reference.name,
        ) from error
    return found
