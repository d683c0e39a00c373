"""The objects an operation names, for the engine to resolve and for approval to bind.

Does not: know what a prune removes; that is what the engine has no use for, found when the command is resolved.
"""

from collections.abc import Iterator

from wingman_core.command import operations as ops
from wingman_core.command.images import kind_of
from wingman_core.command.network import container_of
from wingman_core.command.object_operations import Prune
from wingman_core.target import Reference


def references(op: ops.Operation) -> tuple[Reference, ...]:  # noqa: C901, PLR0911, PLR0912 - one case a kind of verb
    """Return each object the operation names, once, in the command's canonical order."""
    match op:
        case ops.PsOperation() | ops.ImagesOperation() | ops.VolumeLsOperation() | ops.NetworkLsOperation():
            return ()
        case ops.ComposeLsOperation():
            return ()
        case ops.Compose():
            return (Reference("project", op.project),)
        case ops.InfoOperation() | ops.VersionOperation() | ops.SystemDfOperation() | Prune():
            return ()
        case ops.InspectOperation():
            return tuple(Reference(kind_of(name, op.type), name) for name in op.names)
        case ops.LogsOperation() | ops.TopOperation() | ops.ExecOperation() | ops.PortOperation() | ops.DiffOperation():
            return (Reference("container", op.container),)
        case ops.RenameOperation():
            return Reference("container", op.container), Reference("container", op.name, "new")
        case ops.HistoryOperation():
            return (Reference("image", op.image),)
        case ops.TagOperation():
            return Reference("image", op.source), Reference("image", op.target, "tag")
        case ops.RmiOperation():
            return tuple(Reference("image", name) for name in op.images)
        case ops.VolumeCreateOperation():
            return (Reference("volume", op.name, "peer"),) if op.name else ()
        case ops.VolumeRmOperation():
            return tuple(Reference("volume", name) for name in op.volumes)
        case ops.NetworkCreateOperation():
            return (Reference("network", op.name, "new"),)
        case ops.NetworkConnectOperation():
            linked = dict.fromkeys(Reference("container", name, "peer") for name, _ in op.links)
            return Reference("network", op.network), Reference("container", op.container), *linked
        case ops.NetworkDisconnectOperation():
            return Reference("network", op.network), Reference("container", op.container)
        case ops.NetworkRmOperation():
            return tuple(Reference("network", name) for name in op.networks)
        case ops.PullOperation():
            return (Reference("image", op.image, "fetch"),)
        case ops.ContainerSpec():
            return tuple(dict.fromkeys(_of_spec(op)))
        case _:
            return tuple(Reference("container", name) for name in op.containers)


def _of_spec(op: ops.ContainerSpec) -> Iterator[Reference]:
    """Yield the new name, then every peer: images, containers joined or read from, networks, named volumes."""
    if op.name:
        yield Reference("container", op.name, "new")
    mounted = [mount.source for mount in op.mounts if mount.type == "image"]
    yield from (Reference("image", name, "peer") for name in (op.image, *mounted))
    yield from (Reference("container", name, "peer") for name in _containers(op))
    yield from (Reference("network", network.name, "peer") for network in op.networks if network.is_user_defined)
    yield from (Reference("volume", name, "peer") for name in _volumes(op))


def _containers(op: ops.ContainerSpec) -> Iterator[str]:
    for mode in (op.pid, op.ipc, *(network.name for network in op.networks)):
        if name := container_of(mode):
            yield name
    yield from (name for name, _ in (*op.links, *op.volumes_from))


def _volumes(op: ops.ContainerSpec) -> Iterator[str]:
    yield from (volume.source for volume in op.volumes if volume.source and not volume.is_bind)
    yield from (mount.source for mount in op.mounts if mount.type == "volume" and mount.source)
