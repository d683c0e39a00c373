"""The names of an image: those it has, whether a command means it by one of them, and those that go with it.

Guarantees: where ``docker rmi --force`` names an image by its id, each of its names is a reference of its own, so that
it is shown, judged and bound (I9) as if the command named it.
"""

import asyncio

from wingman_core.command import RmiOperation, references
from wingman_core.target import Reference
from wingman_gateway.engine.connection import JSON, Connection, EngineRefused, segment


def tags_of(image: JSON) -> list[str]:
    """Return the tags that people know an image by."""
    return [each for each in image.get("RepoTags") or () if each != "<none>:<none>"]


def named_by_id(image: JSON, name: str) -> bool:
    """Whether ``name`` is the image's id, or a part of it; a tag that looks like one is a tag."""
    digits = str(image["Id"]).removeprefix("sha256:")
    return digits.startswith(name.removeprefix("sha256:")) and not {name, f"{name}:latest"} & set(tags_of(image))


def repository_and_tag(image: str) -> tuple[str, str]:
    """Split ``registry:5000/name:tag`` or ``name@sha256:...``; the tag is ``latest`` where there is none."""
    name, at, digest = image.partition("@")
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        head, tag = name, "latest"
    return head, digest if at else tag


def with_tag(name: str) -> str:
    """Return an image's name with its tag; an engine that deletes takes a bare word that begins an id for the id."""
    repository, tag = repository_and_tag(name)
    return name if "@" in name else f"{repository}:{tag}"


def names_of(image: JSON) -> list[str]:
    """Return all that an image is called: its tags, and digests in repositories where it has no tag."""
    tags = tags_of(image)
    tagged = {tag.rpartition(":")[0] for tag in tags}
    digests = [each for each in image.get("RepoDigests") or () if each != "<none>@<none>"]
    return [*tags, *(each for each in digests if each.partition("@")[0] not in tagged)]


async def names_that_go(connection: Connection, op: RmiOperation) -> tuple[Reference, ...]:
    """Return what the command takes away; by an id, the engine takes all names of its image if it is forced to."""
    named = references(op)
    if not op.force:
        return named  # by the id of an image that has several names, the engine refuses
    found = await asyncio.gather(*(_names(connection, reference) for reference in named))
    return tuple(dict.fromkeys(each for names in found for each in names))


async def _names(connection: Connection, reference: Reference) -> list[Reference]:
    try:
        image = await connection.ask("GET", f"images/{segment(reference.name)}/json")
    except EngineRefused:
        return [reference]  # resolving it says what is wrong
    if not named_by_id(image, reference.name):
        return [reference]
    return [Reference("image", name) for name in names_of(image)] or [reference]
