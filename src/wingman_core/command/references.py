"""The objects an operation names, for the engine to resolve and for approval to bind.

Does not: know what a prune removes; that is what the engine has no use for, found when the command is resolved.
"""

from collections.abc import Iterator

from wingman_core.command import compose_operations as compose
from wingman_core.command import container_operations as containers
from wingman_core.command import object_operations as objects
from wingman_core.command.container_spec import ContainerSpec
from wingman_core.command.images import kind_of
from wingman_core.command.network import container_of
from wingman_core.command.object_operations import Prune
from wingman_core.command.operations import Operation
from wingman_core.target import Reference


def references(op: Operation) -> tuple[Reference, ...]:  # noqa: C901, PLR0911, PLR0912 - one case a kind of verb
    """Return each object the operation names, once, in the command's canonical order."""
    match op:
        case (
            containers.PsOperation()
            | objects.ImagesOperation()
            | objects.VolumeLsOperation()
            | objects.NetworkLsOperation()
        ):
            return ()
        case compose.ComposeLsOperation():
            return ()
        case compose.Compose():
            return (Reference("project", op.project),)
        case objects.InfoOperation() | objects.VersionOperation() | objects.SystemDfOperation() | Prune():
            return ()
        case containers.InspectOperation():
            return tuple(Reference(kind_of(name, op.type), name) for name in op.names)
        case (
            containers.LogsOperation()
            | containers.TopOperation()
            | containers.ExecOperation()
            | containers.PortOperation()
            | containers.DiffOperation()
        ):
            return (Reference("container", op.container),)
        case containers.RenameOperation():
            return Reference("container", op.container), Reference("container", op.name, "new")
        case objects.HistoryOperation():
            return (Reference("image", op.image),)
        case objects.TagOperation():
            return Reference("image", op.source), Reference("image", op.target, "tag")
        case objects.RmiOperation():
            return tuple(Reference("image", name) for name in op.images)
        case objects.VolumeCreateOperation():
            return (Reference("volume", op.name, "peer"),) if op.name else ()
        case objects.VolumeRmOperation():
            return tuple(Reference("volume", name) for name in op.volumes)
        case objects.NetworkCreateOperation():
            return (Reference("network", op.name, "new"),)
        case objects.NetworkConnectOperation():
            linked = dict.fromkeys(Reference("container", name, "peer") for name, _ in op.links)
            return Reference("network", op.network), Reference("container", op.container), *linked
        case objects.NetworkDisconnectOperation():
            return Reference("network", op.network), Reference("container", op.container)
        case objects.NetworkRmOperation():
            return tuple(Reference("network", name) for name in op.networks)
        case objects.PullOperation():
            return (Reference("image", op.image, "fetch"),)
        case ContainerSpec():
            return tuple(dict.fromkeys(_of_spec(op)))
        case _:
            return tuple(Reference("container", name) for name in op.containers)


def _of_spec(op: ContainerSpec) -> Iterator[Reference]:
    """Yield the new name, then every peer: images, containers joined or read from, networks, named volumes."""
    if op.name:
        yield Reference("container", op.name, "new")
    mounted = [mount.source for mount in op.mounts if mount.type == "image"]
    yield from (Reference("image", name, "peer") for name in (op.image, *mounted))
    yield from (Reference("container", name, "peer") for name in _containers(op))
    yield from (Reference("network", network.name, "peer") for network in op.networks if network.is_user_defined)
    yield from (Reference("volume", name, "peer") for name in _volumes(op))


def _containers(op: ContainerSpec) -> Iterator[str]:
    for mode in (op.pid, op.ipc, *(network.name for network in op.networks)):
        if name := container_of(mode):
            yield name
    yield from (name for name, _ in (*op.links, *op.volumes_from))


def _volumes(op: ContainerSpec) -> Iterator[str]:
    yield from (volume.source for volume in op.volumes if volume.source and not volume.is_bind)
    yield from (mount.source for mount in op.mounts if mount.type == "volume" and mount.source)
