"""Who else feels it when a container stops or goes: read from what the engine knows of the other containers."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from wingman_gateway.engine.connection import JSON, Connection, EngineRefused

MOST_LOOKED_AT: Final = 100
DEPENDS_ON_LABEL: Final = "com.docker.compose.depends_on"
PROJECT_LABEL: Final = "com.docker.compose.project"
SERVICE_LABEL: Final = "com.docker.compose.service"
SHARED_BY_ALL: Final = frozenset({"bridge", "host", "none", "podman"})


async def find_dependents(connection: Connection, affected: Sequence[JSON]) -> tuple[str, ...]:
    """Return one line per running container that depends on an affected one, and why; sorted."""
    ids = {container["Id"] for container in affected}
    listed = [each for each in await connection.ask("GET", "containers/json") if each["Id"] not in ids]
    others = await asyncio.gather(*(_inspect(connection, each["Id"]) for each in listed[:MOST_LOOKED_AT]))
    lines = {line for other in others if other is not None for target in affected for line in _reasons(other, target)}
    if len(listed) > MOST_LOOKED_AT:
        lines.add(f"{len(listed) - MOST_LOOKED_AT} further containers were not looked at")
    return tuple(sorted(lines))


async def _inspect(connection: Connection, container_id: str) -> JSON | None:
    try:
        found: JSON = await connection.ask("GET", f"containers/{container_id}/json")
    except EngineRefused as error:
        if not error.not_found:
            raise
        return None  # gone since the list was made
    return found


def _reasons(other: JSON, target: JSON) -> Iterator[str]:
    host = other["HostConfig"]
    name, on = name_of(other), name_of(target)
    for key, what in (("NetworkMode", "network"), ("PidMode", "process"), ("IpcMode", "ipc")):
        if host.get(key) in {f"container:{target['Id']}", f"container:{on}"}:
            yield f"{name} lives in the {what} namespace of {on}"
    sources = {source.split(":", 1)[0] for source in host.get("VolumesFrom") or ()}
    if sources & {on, target["Id"], target["Id"][:12]}:
        yield f"{name} uses the volumes of {on}"
    if any(link.split(":", 1)[0] == f"/{on}" for link in host.get("Links") or ()):
        yield f"{name} is linked to {on}"
    if _compose_depends(other, target):
        yield f"{name} depends on {on} (compose)"
    mine, its = _networks(other), _networks(target)
    for network in mine.keys() & its.keys() - {""}:
        yield f"{name} is a peer of {on} on the network {min(mine[network], its[network], key=len)}"


def _compose_depends(other: JSON, target: JSON) -> bool:
    mine, its = labels_of(other), labels_of(target)
    if not its.get(PROJECT_LABEL) or mine.get(PROJECT_LABEL) != its[PROJECT_LABEL]:
        return False
    services = {entry.split(":", 1)[0] for entry in mine.get(DEPENDS_ON_LABEL, "").split(",")}
    return its.get(SERVICE_LABEL, "") in services - {""}


def _networks(container: JSON) -> dict[str, str]:
    """Return the networks somebody created: name by id (a container that joined by id shows the id as the name)."""
    networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
    return {each.get("NetworkID", ""): name for name, each in networks.items() if name not in SHARED_BY_ALL}


def name_of(container: JSON) -> str:
    """Return the container's name as people know it."""
    return str(container["Name"]).removeprefix("/")


def labels_of(container: JSON) -> dict[str, str]:
    """Return the container's labels."""
    return (container.get("Config") or {}).get("Labels") or {}
