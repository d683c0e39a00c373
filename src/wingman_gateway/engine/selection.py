"""What a prune would remove now: found by Docker's own rules, so that people see it and the approval binds it.

Guarantees: the same rules as the engine's prune (moby v28 ``daemon/prune.go``, ``images/image_prune.go``,
``volume/service``), worked out here so that the objects can be judged one by one and removed by id: what became
unused after the approval stays. ``system prune`` is worked out in its order: what its removed containers used counts
as unused.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, assert_never

from wingman_core.command import (
    ContainerPruneOperation,
    ImagePruneOperation,
    NetworkPruneOperation,
    PruneOperation,
    SystemPruneOperation,
    VolumePruneOperation,
)
from wingman_core.errors import Code, TargetRefused
from wingman_core.target import Kind, Reference
from wingman_gateway.engine.connection import JSON, Connection, EngineRefused
from wingman_gateway.engine.image_names import tags_of
from wingman_gateway.engine.observe import timestamp
from wingman_gateway.engine.stamps import engine_time

ENDED: Final = frozenset({"created", "exited", "dead"})
PREDEFINED: Final = frozenset({"bridge", "host", "none"})
MOST: Final = 1000
"""Objects of one prune: all are shown to people, bound by the approval, and removed one by one."""
ANONYMOUS: Final = 64
"""Volumes without a name of their own are called by 64 hex digits."""


@dataclass(frozen=True, slots=True)
class _Filters:
    """The filters of a prune, read once."""

    until: datetime | None
    labels: tuple[str, ...] = field(default=())
    labels_not: tuple[str, ...] = field(default=())

    def take(self, labels: JSON | None, created: datetime | None) -> bool:
        """Whether an object with these labels, made then, is meant."""
        if self.until is not None and (created is None or created > self.until):
            return False
        known = labels or {}
        if not all(_has(known, each) for each in self.labels):
            return False
        # As the engine reads it: what has all of them is spared.
        return not self.labels_not or not all(_has(known, each) for each in self.labels_not)


async def select(connection: Connection, op: PruneOperation, *, most: int = MOST) -> tuple[Reference, ...]:
    """Return what the prune would remove, by full id (volumes by name), sorted by kind and id.

    Raises ``TargetRefused`` (TARGET_TOO_MANY) for more than ``most``.
    """
    filters = await _read(connection, op.filters)
    containers: list[JSON] = await connection.ask("GET", "containers/json", params={"all": "1"})
    match op:
        case ContainerPruneOperation():
            found = _references("container", _ended(containers, filters))
        case NetworkPruneOperation():
            found = _references("network", await _networks(connection, filters))
        case VolumePruneOperation():
            found = _references("volume", await _volumes(connection, filters, containers, everything=op.all))
        case ImagePruneOperation():
            found = _references("image", await _images(connection, filters, containers, everything=op.all))
        case SystemPruneOperation():
            gone = set(_ended(containers, filters))
            left = [each for each in containers if each["Id"] not in gone]
            plain = _Filters(None, filters.labels, filters.labels_not)
            volumes = await _volumes(connection, plain, left, everything=False) if op.volumes else ()
            found = (
                *_references("container", gone),
                *_references("network", await _networks(connection, filters)),
                *_references("volume", volumes),
                *_references("image", await _images(connection, filters, left, everything=op.all)),
            )
        case _:
            assert_never(op)
    if len(found) > most:
        raise TargetRefused(
            Code.TARGET_TOO_MANY,
            f"docker {op.verb} would remove {len(found)} objects, and one approval is for at most {most}",
            hint="choose some with --filter label=... or --filter until=..., and ask for the rest afterwards",
            count=str(len(found)),
        )
    return found


async def _read(connection: Connection, filters: Sequence[tuple[str, str]]) -> _Filters:
    """Read the filters; a time before now counts from the engine's clock."""
    named: dict[str, list[str]] = {}
    for name, value in filters:
        named.setdefault(name, []).append(value)
    until = None
    for moment in named.get("until", ()):
        now = engine_time((await connection.ask("GET", "info"))["SystemTime"])
        until = datetime.fromtimestamp(float(timestamp(moment, now)), UTC)
    return _Filters(until, tuple(named.get("label", ())), tuple(named.get("label!", ())))


def _has(labels: JSON, wanted: str) -> bool:
    """Whether the label ``key`` is there, or has the value of ``key=value``."""
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def _references(kind: Kind, ids: Iterable[str]) -> tuple[Reference, ...]:
    return tuple(Reference(kind, each) for each in sorted(ids))


def _ended(containers: Sequence[JSON], filters: _Filters) -> tuple[str, ...]:
    return tuple(
        each["Id"]
        for each in containers
        if each["State"] in ENDED and filters.take(each.get("Labels"), datetime.fromtimestamp(each["Created"], UTC))
    )


async def _networks(connection: Connection, filters: _Filters) -> tuple[str, ...]:
    """Find networks that somebody made and no running container is on."""
    listed = await connection.ask("GET", "networks")
    made = [each for each in listed if each["Name"] not in PREDEFINED and each.get("Scope", "local") == "local"]
    looked_at = await asyncio.gather(*(_one(connection, f"networks/{each['Id']}") for each in made))
    return tuple(
        each["Id"]
        for each in looked_at
        if each is not None
        and not each.get("Containers")
        and filters.take(each.get("Labels"), engine_time(each["Created"]))
    )


async def _volumes(
    connection: Connection, filters: _Filters, containers: Sequence[JSON], *, everything: bool
) -> tuple[str, ...]:
    """Find local volumes of no container, running or not; those with a name only where ``everything`` says so."""
    used = {mount.get("Name") for each in containers for mount in each.get("Mounts") or ()}
    listed = (await connection.ask("GET", "volumes")).get("Volumes") or ()
    return tuple(
        each["Name"]
        for each in listed
        if each["Name"] not in used
        and each.get("Driver") == "local"
        and (everything or len(each["Name"]) == ANONYMOUS)
        and filters.take(each.get("Labels"), None)
    )


async def _images(
    connection: Connection, filters: _Filters, containers: Sequence[JSON], *, everything: bool
) -> tuple[str, ...]:
    """Find images of no container, running or not; those with a tag only where ``everything`` says so.

    What is only a layer of another image has no name of its own, and goes with it.
    """
    used = {each["ImageID"] for each in containers}
    listed = await connection.ask("GET", "images/json")
    return tuple(
        each["Id"]
        for each in listed
        if each["Id"] not in used
        and (everything or not tags_of(each))
        and filters.take(each.get("Labels"), datetime.fromtimestamp(each["Created"], UTC))
    )


async def _one(connection: Connection, path: str) -> JSON | None:
    try:
        found: JSON = await connection.ask("GET", path)
    except EngineRefused as error:
        if not error.not_found:
            raise
        return None  # gone since the list was made
    return found
