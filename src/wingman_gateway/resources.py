"""The objects an operation touches, as the policy sees them (Cedar entities).

Guarantees: never empty; an image that is named by its id is judged under each of its names (I4); what ``run`` would
create is judged like a container that exists, with the name and the labels the command gives it; a name without an
object is judged by that name.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, assert_never

from wingman_core.command import (
    ContainerSpec,
    NetworkCreateOperation,
    Operation,
    RenameOperation,
    VolumeCreateOperation,
    references,
)
from wingman_core.command.frozen import Pairs
from wingman_core.target import Reference, Target

PROJECT_LABEL: Final = "com.docker.compose.project"


@dataclass(frozen=True, slots=True)
class Entity:
    """One Cedar entity; ``key`` tells it from the others: an object under two names is judged for each."""

    type: Literal["Worker", "Container", "Image", "Volume", "Network", "Project", "Engine"]
    key: str
    attributes: tuple[tuple[str, str | tuple[str, ...]], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def uid(self) -> dict[str, str]:
        """How a question names it."""
        return {"type": self.type, "id": self.key}

    def json(self) -> dict[str, Any]:
        """Return Cedar's entity JSON."""
        attributes = {name: list(value) if isinstance(value, tuple) else value for name, value in self.attributes}
        entity: dict[str, Any] = {"uid": self.uid, "attrs": attributes, "parents": []}
        return {**entity, "tags": dict(self.tags)} if self.tags else entity


def unresolved(op: Operation) -> tuple[Target, ...]:
    """Return targets that carry the names alone, for judging a command where no engine is at hand."""
    return tuple(Target(reference, id="", name=reference.name) for reference in references(op))


def resources_of(op: Operation, targets: Sequence[Target]) -> tuple[Entity, ...]:
    """Return each object to judge, in the command's order; the whole engine where the command names none."""
    judged = list(targets)
    match op:
        case ContainerSpec():
            judged = [*(target for target in targets if target.reference.role != "new"), _to_be_created(op)]
        case RenameOperation():
            old, new = targets
            judged = [old, replace(old, reference=new.reference, name=op.name)]
        case VolumeCreateOperation() | NetworkCreateOperation():
            judged = [_labelled(target, op.labels) for target in targets]
        case _:
            pass
    if not judged:
        return (Entity("Engine", "engine"),)
    called = (replace(target, name=name) for target in judged for name in target.names or (target.name,))
    return tuple(dict.fromkeys(map(_entity, called)))


def _labelled(target: Target, labels: Pairs) -> Target:
    """Return what would be created with the labels that the command gives it; what exists keeps its own."""
    if target.id:
        return target
    given = tuple(sorted(labels))
    return replace(target, labels=given, project=dict(given).get(PROJECT_LABEL, ""))


def _to_be_created(op: ContainerSpec) -> Target:
    labels = dict(op.labels)
    target = Target(Reference("container", op.name, "new"), id="", name=op.name, image=op.image)
    return replace(target, labels=tuple(sorted(labels.items())), project=labels.get(PROJECT_LABEL, ""))


def _entity(target: Target) -> Entity:
    name = target.name or target.reference.name
    key = f"{target.reference.role}:{name}:{target.id}"
    match target.reference.kind:
        case "container":
            attributes: tuple[tuple[str, str | tuple[str, ...]], ...] = (
                ("name", name),
                ("id", target.id),
                ("image", target.image),
                ("project", target.project),
                ("state", target.state),
                ("privileges", target.privileges),
            )
            return Entity("Container", key, attributes, target.labels)
        case "image":
            return Entity("Image", key, (("name", name), ("id", target.id)), target.labels)
        case "volume":
            attributes = (("name", name), ("project", target.project), ("privileges", target.privileges))
            return Entity("Volume", key, attributes, target.labels)
        case "network":
            attributes = (("name", name), ("id", target.id), ("project", target.project))
            return Entity("Network", key, attributes, target.labels)
        case "project":
            return Entity("Project", key, (("name", name), ("privileges", target.privileges)))
        case other:
            assert_never(other)
