"""The verbs that change names, limits, images, volumes and networks, on the ids they are given (I10).

Guarantees: what is created carries the execution's id in a label, so that it can be found after a crash; several
objects are done one after the other, and what the engine refuses for one does not stop the others. An image's name
is taken off only while it leads to the image that was resolved: the Engine API knows no other way to name a name. All
names of an image go only while they are those that were resolved.
"""

import ipaddress
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final, assert_never

from wingman_core.command import (
    CreateOperation,
    NetworkConnectOperation,
    NetworkCreateOperation,
    NetworkDisconnectOperation,
    NetworkRmOperation,
    RenameOperation,
    RmiOperation,
    TagOperation,
    UpdateOperation,
    VolumeCreateOperation,
    VolumeRmOperation,
)
from wingman_core.command.subnets import subnet_of
from wingman_core.target import Target
from wingman_gateway.engine.act import refusal
from wingman_gateway.engine.connection import JSON, Connection, EngineRefused, segment
from wingman_gateway.engine.create import EXECUTION_LABEL, Peers, create_body
from wingman_gateway.engine.events import Event, Exit, Output
from wingman_gateway.engine.image_names import named_by_id, names_of, repository_and_tag, with_tag

ObjectAct = (
    CreateOperation
    | RenameOperation
    | UpdateOperation
    | TagOperation
    | RmiOperation
    | VolumeCreateOperation
    | VolumeRmOperation
    | NetworkCreateOperation
    | NetworkConnectOperation
    | NetworkDisconnectOperation
    | NetworkRmOperation
)
CONFLICT: Final = 409


async def act_on_objects(
    connection: Connection, op: ObjectAct, targets: Sequence[Target], execution_id: str
) -> AsyncGenerator[Event]:
    """Do it, and print what the docker binary prints; ``Exit`` last."""
    match op:
        case UpdateOperation():
            steps = _update(connection, op, targets)
        case RmiOperation():
            steps = _rmi(connection, op, targets)
        case VolumeRmOperation() | NetworkRmOperation():
            steps = _remove(connection, op, targets)
        case (
            CreateOperation()
            | RenameOperation()
            | TagOperation()
            | VolumeCreateOperation()
            | NetworkCreateOperation()
            | NetworkConnectOperation()
            | NetworkDisconnectOperation()
        ):
            steps = _one(connection, op, targets, execution_id)
        case _:
            assert_never(op)
    async for event in steps:
        yield event


async def _one(
    connection: Connection,
    op: CreateOperation
    | RenameOperation
    | TagOperation
    | VolumeCreateOperation
    | NetworkCreateOperation
    | NetworkConnectOperation
    | NetworkDisconnectOperation,
    targets: Sequence[Target],
    execution_id: str,
) -> AsyncGenerator[Event]:
    """One request, and the id or name it answers with."""
    stamp = {EXECUTION_LABEL: execution_id}
    said = ""
    match op:
        case CreateOperation():
            params = {**({"name": op.name} if op.name else {}), **({"platform": op.platform} if op.platform else {})}
            body = create_body(op, targets, execution_id, await connection.version())
            made = await connection.ask("POST", "containers/create", params=params, body=body, limit=None)
            for warning in made.get("Warnings") or ():
                yield Output("stderr", f"WARNING: {warning}\n".encode())
            said = made["Id"]
        case RenameOperation():
            await connection.ask("POST", f"containers/{targets[0].id}/rename", params={"name": op.name})
        case TagOperation():
            repository, tag = repository_and_tag(op.target)
            await connection.ask("POST", f"images/{targets[0].id}/tag", params={"repo": repository, "tag": tag})
        case VolumeCreateOperation():
            labels = {**dict(op.labels), **stamp}
            body = {"Name": op.name, "Driver": op.driver, "DriverOpts": dict(op.options), "Labels": labels}
            said = (await connection.ask("POST", "volumes/create", body=body, limit=None))["Name"]
        case NetworkCreateOperation():
            said = (await connection.ask("POST", "networks/create", body=network_body(op, stamp), limit=None))["Id"]
        case NetworkConnectOperation():
            body = {"Container": targets[1].id, "EndpointConfig": endpoint(op, targets)}
            await connection.ask("POST", f"networks/{targets[0].id}/connect", body=body, limit=None)
        case NetworkDisconnectOperation():
            body = {"Container": targets[1].id, "Force": op.force}
            await connection.ask("POST", f"networks/{targets[0].id}/disconnect", body=body, limit=None)
        case _:
            assert_never(op)
    if said:
        yield Output("stdout", f"{said}\n".encode())
    yield Exit(0)


async def _update(connection: Connection, op: UpdateOperation, targets: Sequence[Target]) -> AsyncGenerator[Event]:
    code = 0
    warnings: list[str] = []
    for target in targets:
        try:
            answer = await connection.ask("POST", f"containers/{target.id}/update", body=update_body(op))
        except EngineRefused as error:
            code = 1
            yield refusal(error)
        else:
            warnings += answer.get("Warnings") or ()
            yield Output("stdout", f"{target.reference.name}\n".encode())
    yield Output("stdout", "".join(f"{warning}\n" for warning in warnings).encode())
    yield Exit(code)


def update_body(op: UpdateOperation) -> JSON:
    """Return the limits to set; what is zero or empty stays as it is."""
    limits = {
        "BlkioWeight": op.blkio_weight,
        "CpuPeriod": op.cpu_period,
        "CpuQuota": op.cpu_quota,
        "CpuRealtimePeriod": op.cpu_rt_period,
        "CpuRealtimeRuntime": op.cpu_rt_runtime,
        "CpuShares": op.cpu_shares,
        "CpusetCpus": op.cpuset_cpus,
        "CpusetMems": op.cpuset_mems,
        "Memory": op.memory,
        "MemoryReservation": op.memory_reservation,
        "MemorySwap": op.memory_swap,
        "NanoCpus": op.cpus,
        "PidsLimit": op.pids_limit,
    }
    name, _, retries = op.restart.partition(":")
    policy: JSON = {"RestartPolicy": {"Name": name, "MaximumRetryCount": int(retries or 0)}} if name else {}
    return {key: value for key, value in limits.items() if value} | policy


async def _rmi(connection: Connection, op: RmiOperation, targets: Sequence[Target]) -> AsyncGenerator[Event]:
    code = 0
    named = {target.reference.name: target for target in targets}
    params = {"force": str(int(op.force)), "noprune": str(int(op.no_prune))}
    for name in op.images:
        try:
            meant = await _still_meant(connection, name, named)
            gone = await connection.ask("DELETE", f"images/{segment(meant)}", params=params, limit=None)
        except EngineRefused as error:
            code = 1
            yield refusal(error)
        else:
            yield Output("stdout", removed_lines(gone, "Untagged", "Deleted").encode())
    yield Exit(code)


async def _still_meant(connection: Connection, name: str, named: Mapping[str, Target]) -> str:
    """Return what is to be deleted: an image's name, or its id.

    Raises ``EngineRefused`` where that leads to another image by now (only its name could be deleted), and where an
    image meant by its id has other names than those that were shown as what goes.
    """
    found = await connection.ask("GET", f"images/{segment(name)}/json")
    target = named.get(name)  # none: an id, whose image's names are the targets
    if found["Id"] not in ({target.id} if target else {each.id for each in named.values()}):
        raise EngineRefused(CONFLICT, f"{name} names another image by now")
    if not named_by_id(found, name):
        return with_tag(name)
    if more := [each for each in names_of(found) if each not in (target.names if target else named)]:
        raise EngineRefused(CONFLICT, f"{name} is named {', '.join(more)} as well by now")
    return name


def removed_lines(gone: Sequence[JSON], untagged: str, deleted: str) -> str:
    """Return what the engine removed of an image, a line each."""
    words = {"Untagged": untagged, "Deleted": deleted}
    return "".join(f"{words[key]}: {value}\n" for each in gone for key, value in each.items())


async def _remove(
    connection: Connection, op: VolumeRmOperation | NetworkRmOperation, targets: Sequence[Target]
) -> AsyncGenerator[Event]:
    code = 0
    for target in targets:
        path = f"{target.reference.kind}s/{segment(target.id)}"
        params = {"force": str(int(op.force))} if isinstance(op, VolumeRmOperation) else None
        try:
            await connection.ask("DELETE", path, params=params, limit=None)
        except EngineRefused as error:
            code = 1
            yield refusal(error)
        else:
            yield Output("stdout", f"{target.reference.name}\n".encode())
    yield Exit(code)


def network_body(op: NetworkCreateOperation, stamp: dict[str, str]) -> JSON:
    """Return the configuration of a network, its addresses gathered by subnet (docker/cli ``createIPAMConfig``)."""
    subnets = tuple(map(ipaddress.ip_network, op.subnets))
    configs: dict[object, JSON] = {subnet: {"Subnet": str(subnet)} for subnet in subnets}
    for key, places in (("IPRange", op.ip_ranges), ("Gateway", op.gateways)):
        for place in places:
            configs[subnet_of(subnets, place)][key] = place
    for name, place in op.aux_addresses:
        configs[subnet_of(subnets, place)].setdefault("AuxiliaryAddresses", {})[name] = place
    return {
        "Name": op.name,
        "CheckDuplicate": True,
        "Driver": op.driver,
        "Internal": op.internal,
        "Attachable": op.attachable,
        "EnableIPv6": op.ipv6,
        "IPAM": {
            "Driver": op.ipam_driver,
            "Options": dict(op.ipam_options),
            "Config": list(configs.values()),
        },
        "Options": dict(op.options),
        "Labels": {**dict(op.labels), **stamp},
    }


def endpoint(op: NetworkConnectOperation, targets: Sequence[Target]) -> JSON:
    """Return how the container stands on the network; links go by the id they were resolved to."""
    peers = Peers(targets)
    addresses = {"IPv4Address": op.ip, "IPv6Address": op.ip6, "LinkLocalIPs": list(op.link_local_ips)}
    settings: JSON = {
        "Aliases": list(op.aliases),
        "DriverOpts": dict(op.driver_options),
        "GwPriority": op.gateway_priority,
        "IPAMConfig": {name: value for name, value in addresses.items() if value},
        "Links": [f"{peers.container(name)}:{alias}" for name, alias in op.links],
    }
    return {name: value for name, value in settings.items() if value}
