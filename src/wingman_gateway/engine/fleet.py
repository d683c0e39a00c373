"""Everything of one engine that the privilege boundary is judged by, as the engine describes it.

Guarantees: stopped containers are among them; one that goes away meanwhile is left out. Does not: act.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from wingman_gateway.engine.connection import JSON, Connection, EngineRefused

AT_ONCE: Final = 8
"""Containers that are inspected at the same time."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """What ``inspect`` says of each object (Engine API 1.41)."""

    containers: tuple[JSON, ...]
    networks: tuple[JSON, ...]
    volumes: tuple[JSON, ...]
    data_root: str
    """The engine's own directory on its host."""


async def fleet_of(connection: Connection) -> Fleet:
    """Look at all of them; raise ``Unavailable``."""
    listed = await connection.ask("GET", "containers/json", params={"all": "true"})
    turns = asyncio.Semaphore(AT_ONCE)

    async def inspect(container_id: str) -> JSON | None:
        async with turns:
            try:
                found: JSON = await connection.ask("GET", f"containers/{container_id}/json")
            except EngineRefused as error:
                if error.not_found:
                    return None
                raise
        return found

    containers = await asyncio.gather(*(inspect(each["Id"]) for each in listed))
    networks = await connection.ask("GET", "networks")
    volumes = await connection.ask("GET", "volumes")
    info = await connection.ask("GET", "info")
    return Fleet(
        tuple(each for each in containers if each is not None),
        tuple(networks),
        tuple(volumes.get("Volumes") or ()),
        str(info.get("DockerRootDir") or "/var/lib/docker"),
    )
