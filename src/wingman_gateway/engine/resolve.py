"""From the names in a command to the objects of the live engine.

Guarantees: one target per reference, in the command's order; nothing is resolved by guessing: no such object, more
than one, or a taken name is ``TargetRefused``. Between this and the act the object may still change its state; it
is acted on by id, so a name that moves changes nothing (I10).
"""

import asyncio
from collections.abc import Sequence
from typing import Final, assert_never

from wingman_core.errors import Code, TargetRefused, Unavailable
from wingman_core.target import Reference, Target
from wingman_gateway.engine.connection import JSON, Connection, EngineRefused, segment
from wingman_gateway.engine.image_names import named_by_id, names_of
from wingman_gateway.engine.privileges import (
    PLAIN_RUNTIMES,
    container_privileges,
    image_privileges,
    network_privileges,
    volume_privileges,
)

PROJECT_LABEL: Final = "com.docker.compose.project"
REGISTRY_SECONDS: Final = 5.0
"""How long a registry may take to name a digest before the pull is resolved without one."""


async def resolve(
    connection: Connection, references: Sequence[Reference], *, registry_seconds: float = REGISTRY_SECONDS
) -> tuple[Target, ...]:
    """Resolve all of them at once; raise ``TargetRefused``, or ``Unavailable`` where the engine does not answer."""
    if len(references) == 1:  # mostly; another task would only cost
        return (await _resolve(connection, references[0], registry_seconds),)
    return tuple(await asyncio.gather(*(_resolve(connection, each, registry_seconds) for each in references)))


async def _resolve(  # noqa: C901, PLR0911 - one case a kind of object
    connection: Connection, reference: Reference, registry_seconds: float
) -> Target:
    match reference.kind, reference.role:
        case (("container" | "network"), "new"):
            return await _new(connection, reference)
        case "image", "tag":
            return await _tag(connection, reference)
        case "image", "fetch":
            return await _fetched(connection, reference, registry_seconds)
        case "container", _:
            return await _container(connection, reference)
        case "image", _:
            return await _image(connection, reference)
        case "network", _:
            return await _network(connection, reference)
        case "volume", "peer":
            return await _volume_if_any(connection, reference)
        case "volume", _:
            return await _volume(connection, reference)
        case "project", _:
            return Target(reference, id=reference.name, name=reference.name, project=reference.name)
        case kind, _:
            assert_never(kind)


async def _container(connection: Connection, reference: Reference) -> Target:
    container = await _inspect(connection, "containers", reference)
    config = container.get("Config") or {}
    labels = _labels(config.get("Labels"))
    volumes = [mount["Name"] for mount in container.get("Mounts") or () if mount.get("Type") == "volume"]
    disguised = await asyncio.gather(*(_volume_privileges(connection, name) for name in volumes))
    return Target(
        reference,
        id=container["Id"],
        name=container["Name"].removeprefix("/"),
        image=await _known_as(connection, config.get("Image", ""), container["Image"]),
        image_digest=container["Image"],
        project=dict(labels).get(PROJECT_LABEL, ""),
        labels=labels,
        state=container["State"]["Status"],
        privileges=(*container_privileges(container), *(each for found in disguised for each in found)),
    )


async def _known_as(connection: Connection, name: str, image_id: str) -> str:
    """Return the name a container's image was given by; where that was its id, as ``run`` gives it, the image's own."""
    if not name or not image_id.removeprefix("sha256:").startswith(name.removeprefix("sha256:")):
        return name
    try:
        image = await connection.ask("GET", f"images/{segment(image_id)}/json")
    except EngineRefused as error:
        if error.not_found:
            return name
        raise
    return next(iter(_names(image, name)), name)


async def _new(connection: Connection, reference: Reference) -> Target:
    """Resolve a name that must be free; an id that begins like it does not take it."""
    kind = reference.kind
    suffix = "/json" if kind == "container" else ""
    try:
        found = await connection.ask("GET", f"{kind}s/{segment(reference.name)}{suffix}")
    except EngineRefused as error:
        if error.not_found or _ambiguous(error):
            return Target(reference, id="", name=reference.name)
        raise
    if found["Name"].removeprefix("/") != reference.name:
        return Target(reference, id="", name=reference.name)
    raise TargetRefused(
        Code.TARGET_EXISTS,
        f"a {kind} named {reference.name!a} exists already",
        hint=f"choose another name, or remove that {kind} first",
        reference=reference.name,
    )


async def _tag(connection: Connection, reference: Reference) -> Target:
    """Resolve a name that the command gives to an image: to the image that would lose it, if any.

    An image whose id begins with the name loses nothing.
    """
    try:
        image = await _inspect(connection, "images", reference)
    except TargetRefused:
        image = {}
    if not image or named_by_id(image, reference.name):
        return Target(reference, id="", name=reference.name)
    return await _image_of(connection, reference, image)


async def _image(connection: Connection, reference: Reference) -> Target:
    return await _image_of(connection, reference, await _inspect(connection, "images", reference))


async def _image_of(connection: Connection, reference: Reference, image: JSON) -> Target:
    names = _names(image, reference.name)
    return Target(
        reference,
        id=image["Id"],
        name=names[0] if names else reference.name,
        names=names,
        image_digest=_registry_digest(reference.name, image.get("RepoDigests") or ()),
        labels=_labels((image.get("Config") or {}).get("Labels")),
        privileges=await _brought_along(connection, image, runs=reference.role == "peer"),
    )


def _names(image: JSON, name: str) -> tuple[str, ...]:
    """Return all that an image is called where it is named by its id; nothing where by one of them."""
    return tuple(names_of(image)) if named_by_id(image, name) else ()


async def _brought_along(connection: Connection, image: JSON, *, runs: bool) -> tuple[str, ...]:
    """Return how an image reaches for the host; the engine's runtime is asked for where it makes a difference."""
    plain, other = (image_privileges(image, plain=plain) for plain in (True, False))
    if plain == other or not runs:
        return plain
    info = await connection.ask("GET", "info")
    return plain if info.get("DefaultRuntime") in PLAIN_RUNTIMES else other


def _registry_digest(name: str, known: Sequence[str]) -> str:
    """Return the digest under the repository the command names; other repositories' digests come and go."""
    for repository, _, digest in (each.partition("@") for each in known):
        if name == repository or name.startswith((f"{repository}:", f"{repository}@")):
            return digest
    return ""


async def _fetched(connection: Connection, reference: Reference, seconds: float) -> Target:
    """Resolve what a registry would deliver, to its digest where the registry says it in time."""
    digest = ""
    try:
        answer = await connection.ask("GET", f"distribution/{segment(reference.name)}/json", limit=seconds)
        digest = answer["Descriptor"]["digest"]
    except (EngineRefused, Unavailable, KeyError):
        await connection.negotiate()  # an engine that is gone is not the same as a registry that is
    return Target(reference, id="", name=reference.name, image_digest=digest)


async def _network(connection: Connection, reference: Reference) -> Target:
    network = await _inspect(connection, "networks", reference)
    labels = _labels(network.get("Labels"))
    project = dict(labels).get(PROJECT_LABEL, "")
    return Target(
        reference,
        id=network["Id"],
        name=network["Name"],
        project=project,
        labels=labels,
        privileges=network_privileges(network),
    )


async def _volume_if_any(connection: Connection, reference: Reference) -> Target:
    """Resolve a volume; one that does not exist yet is made by the command, and has no id."""
    try:
        return await _volume(connection, reference)
    except TargetRefused:
        return Target(reference, id="", name=reference.name)


async def _volume(connection: Connection, reference: Reference) -> Target:
    volume = await _inspect(connection, "volumes", reference)
    labels = _labels(volume.get("Labels"))
    return Target(
        reference,
        id=volume["Name"],
        name=volume["Name"],
        project=dict(labels).get(PROJECT_LABEL, ""),
        labels=labels,
        privileges=volume_privileges(volume),
    )


async def _volume_privileges(connection: Connection, name: str) -> tuple[str, ...]:
    try:
        return volume_privileges(await connection.ask("GET", f"volumes/{segment(name)}"))
    except EngineRefused:
        return (f"volume {name} that cannot be inspected",)


async def _inspect(connection: Connection, collection: str, reference: Reference) -> JSON:
    path = f"{collection}/{segment(reference.name)}"
    try:
        found: JSON = await connection.ask("GET", path if collection in {"networks", "volumes"} else f"{path}/json")
    except EngineRefused as error:
        if _ambiguous(error):
            raise TargetRefused(
                Code.TARGET_AMBIGUOUS,
                f"more than one {reference.kind} answers to {reference.name!a}",
                hint="give the full name, or more of the id",
                reference=reference.name,
            ) from error
        if not error.not_found:
            raise
        raise TargetRefused(
            Code.TARGET_NOT_FOUND,
            f"there is no {reference.kind} {reference.name!a}",
            hint="see docker ps -a" if reference.kind == "container" else f"see docker {reference.kind} ls",
            reference=reference.name,
        ) from error
    return found


def _ambiguous(error: EngineRefused) -> bool:
    """Tell Docker's wordings for an id prefix that fits several objects (20.10: 404 or 400, later 400)."""
    text = error.answer.lower()
    return "multiple ids found" in text or "ambiguous" in text or "more than one" in text


def _labels(labels: dict[str, str] | None) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((labels or {}).items()))
