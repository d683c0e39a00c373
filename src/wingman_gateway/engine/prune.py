"""The prunes: exactly the objects that were resolved and approved are removed, one by one and by id (I10).

Does not: remove what became unused since, as the engine's own prune would. Nothing is forced: what is in use again
is refused by the engine, told on stderr, and makes the exit code 1, where the docker binary would pass over it.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from wingman_core.command import NetworkPruneOperation, PruneOperation, SystemPruneOperation
from wingman_core.target import Kind, Target
from wingman_gateway.engine.act import refusal
from wingman_gateway.engine.connection import JSON, Connection, EngineRefused, segment
from wingman_gateway.engine.events import Event, Exit, Output
from wingman_gateway.engine.image_names import tags_of
from wingman_gateway.engine.object_acts import removed_lines
from wingman_gateway.engine.object_reads import filters_of
from wingman_gateway.engine.tables import human_size

TITLES: Final[dict[Kind, str]] = {
    "container": "Deleted Containers:",
    "network": "Deleted Networks:",
    "volume": "Deleted Volumes:",
    "image": "Deleted Images:",
}
"""In the order of ``docker system prune``: what a removed container used goes after it."""


async def prune(connection: Connection, op: PruneOperation, targets: Sequence[Target]) -> AsyncGenerator[Event]:
    """Remove the targets by kind; print what went, and the space it took."""
    code, reclaimed = 0, 0
    for kind, title in TITLES.items():
        meant = [target for target in targets if target.reference.kind == kind]
        before = await _sizes(connection, kind) if meant else {}
        lines = ""
        for target in meant:
            try:
                lines += await _remove(connection, target)
            except EngineRefused as error:
                code = 1
                yield refusal(error)
            else:
                reclaimed += before.get(target.id, 0)
        if kind == "image" and meant:
            reclaimed += before[""] - (await _sizes(connection, kind))[""]
        if lines:
            yield Output("stdout", f"{title}\n{lines}\n".encode())
    if isinstance(op, SystemPruneOperation) and not any(name.startswith("label") for name, _ in op.filters):
        # The build cache has no labels: where labels choose, none of it is meant.
        params = {"all": str(int(op.all)), **filters_of(op.filters)}
        answer = await connection.ask("POST", "build/prune", params=params, limit=None)
        reclaimed += answer.get("SpaceReclaimed") or 0
        if gone := answer.get("CachesDeleted"):
            yield Output(
                "stdout", "".join(f"{line}\n" for line in ("Deleted build cache objects:", *gone, "")).encode()
            )
    if not isinstance(op, NetworkPruneOperation):
        yield Output("stdout", f"Total reclaimed space: {human_size(reclaimed, precision=4)}\n".encode())
    yield Exit(code)


async def _remove(connection: Connection, target: Target) -> str:
    """Remove one object that nothing uses; return its lines."""
    kind = target.reference.kind
    if kind == "image":
        return await _remove_image(connection, target.id)
    await connection.ask("DELETE", f"{kind}s/{segment(target.id)}", limit=None)
    return f"{target.name if kind == 'network' else target.id}\n"


async def _remove_image(connection: Connection, image_id: str) -> str:
    """Remove an image by its names, or by its id where it has none; the last name takes the image with it."""
    found = await connection.ask("GET", f"images/{image_id}/json")
    names = tags_of(found)
    names += [each for each in found.get("RepoDigests") or () if each != "<none>@<none>"]
    gone: list[JSON] = []
    for name in names or [image_id]:
        try:
            gone += await connection.ask("DELETE", f"images/{segment(name)}", limit=None)
        except EngineRefused as error:
            if not (error.not_found and gone):
                raise  # a digest goes with the last tag
    return removed_lines(gone, "untagged", "deleted")


async def _sizes(connection: Connection, kind: Kind) -> dict[str, int]:
    """Return the space of each object by id; for images, whose layers are shared, of all layers under no id."""
    match kind:
        case "container":
            listed = await connection.ask("GET", "containers/json", params={"all": "1", "size": "1"}, limit=None)
            return {each["Id"]: each.get("SizeRw") or 0 for each in listed}
        case "volume":
            usage = await connection.ask("GET", "system/df", limit=None)
            return {each["Name"]: max(each["UsageData"]["Size"], 0) for each in usage.get("Volumes") or ()}
        case "image":
            return {"": (await connection.ask("GET", "system/df", limit=None)).get("LayersSize") or 0}
        case _:
            return {}
