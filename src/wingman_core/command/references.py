"""The objects an operation names, for the engine to resolve and for approval to bind."""

from collections.abc import Iterator

from wingman_core.command import operations as ops
from wingman_core.command.images import kind_of
from wingman_core.command.network import container_of
from wingman_core.target import Reference


def references(op: ops.Operation) -> tuple[Reference, ...]:
    """Return each object the operation names, once, in the command's canonical order."""
    match op:
        case ops.PsOperation() | ops.ImagesOperation():
            return ()
        case ops.InspectOperation():
            return tuple(Reference(kind_of(name, op.type), name) for name in op.names)
        case ops.LogsOperation() | ops.TopOperation() | ops.ExecOperation():
            return (Reference("container", op.container),)
        case ops.PullOperation():
            return (Reference("image", op.image, "fetch"),)
        case ops.RunOperation():
            return tuple(dict.fromkeys(_of_run(op)))
        case _:
            return tuple(Reference("container", name) for name in op.containers)


def _of_run(op: ops.RunOperation) -> Iterator[Reference]:
    """Yield the new name, then every peer: images, containers joined or read from, networks, named volumes."""
    if op.name:
        yield Reference("container", op.name, "new")
    mounted = [mount.source for mount in op.mounts if mount.type == "image"]
    yield from (Reference("image", name, "peer") for name in (op.image, *mounted))
    yield from (Reference("container", name, "peer") for name in _containers(op))
    yield from (Reference("network", network.name, "peer") for network in op.networks if network.is_user_defined)
    yield from (Reference("volume", name, "peer") for name in _volumes(op))


def _containers(op: ops.RunOperation) -> Iterator[str]:
    for mode in (op.pid, op.ipc, *(network.name for network in op.networks)):
        if name := container_of(mode):
            yield name
    yield from (name for name, _ in (*op.links, *op.volumes_from))


def _volumes(op: ops.RunOperation) -> Iterator[str]:
    yield from (volume.source for volume in op.volumes if volume.source and not volume.is_bind)
    yield from (mount.source for mount in op.mounts if mount.type == "volume" and mount.source)
