"""What ``docker compose up`` and ``pull`` would do, for the person who approves it: services, images, ports, files."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from wingman_core.command import ComposeFiles, ComposePullOperation, ComposeUpOperation, RmOperation
from wingman_core.target import Target
from wingman_core.verdict import BlastRadius
from wingman_gateway.engine.compose import containers_of, only, service_of
from wingman_gateway.engine.compose_model import Model
from wingman_gateway.engine.compose_up import ComposeProjects, changes, meant
from wingman_gateway.engine.connection import JSON, Connection
from wingman_gateway.engine.preview import preview

WORDS: Final = ("creates", "recreates", "starts", "leaves")


async def preview_files(
    connection: Connection, projects: ComposeProjects, op: ComposeFiles, targets: Sequence[Target]
) -> BlastRadius:
    """Say what would be created, recreated, started, left and removed, and from which files; changes nothing."""
    model = await projects.model(op.project)
    files = f" Files: {', '.join(f'{path} sha256:{sha}' for path, sha in model.files)}."
    images = _images(targets)
    if isinstance(op, ComposePullOperation):
        return BlastRadius(f"The project {op.project}: {images or 'Fetches nothing.'}{files}", reversible=True)
    services = meant(model, op)
    hashes = await projects.hashes(model)
    there = [each for each in await containers_of(connection, op.project) if _is_meant(each, targets)]
    done = {name: changes(op, name, hashes.get(name, ""), there, targets) for name in services}
    gone = [each for each in there if done.get(service_of(each), "recreates") == "recreates"]
    orphans = sorted(_name(each) for each in gone if service_of(each) not in done)
    parts = [f"{word} {', '.join(names)}" for word in WORDS if (names := [each for each in done if done[each] == word])]
    parts += [f"removes {', '.join(orphans)}"] if orphans else []
    radius = BlastRadius("", reversible=True)
    if gone:
        ids = {each["Id"] for each in gone}
        ending = tuple(target for target in only(targets, "container") if target.id in ids)
        remove = RmOperation(force=True, volumes=False, containers=tuple(target.reference.name for target in ending))
        radius = await preview(connection, remove, ending)
    return replace(
        radius, summary=f"The project {op.project}: {'; '.join(parts)}.{_more(model, op, done)} {images}{files}"
    )


def _more(model: Model, op: ComposeUpOperation, done: dict[str, str]) -> str:
    ports = [port for name in done for port in _ports(name, model.service(name))]
    shells = model.shell([name for name in done if done[name] in {"creates", "recreates"}])
    text = f" Publishes {', '.join(ports)}." if ports else ""
    text += f" Started or checked through a shell, as the files have it: {', '.join(shells)}." if shells else ""
    return text + (" Waits until they run or are healthy." if op.wait else "")


def _ports(name: str, service: JSON) -> Iterator[str]:
    for port in service.get("ports") or ():
        host = port.get("host_ip") or "0.0.0.0"  # noqa: S104 - what Docker itself would bind
        published = port.get("published") or "0"
        free = "a free port" if published == "0" else published
        yield f"{host}:{free}->{port['target']}/{port.get('protocol', 'tcp')} ({name})"


def _images(targets: Sequence[Target]) -> str:
    fetched = [
        f"{target.name} ({target.image_digest or 'a digest the registry did not name in time'})"
        for target in only(targets, "image")
        if target.reference.role == "fetch"
    ]
    return f"Fetches {', '.join(fetched)}." if fetched else ""


def _is_meant(container: JSON, targets: Sequence[Target]) -> bool:
    return container["Id"] in {target.id for target in only(targets, "container")}


def _name(container: JSON) -> str:
    return str(container["Names"][0]).removeprefix("/")
