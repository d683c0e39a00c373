"""What the docker client asks of the engine for an operation: an independent reading, for comparing with the real one.

Bodies are pruned of empty values, as ``record_docker_cli.pruned`` does. Deliberately plain; the gateway's own engine
adapter is other code.
"""

import ipaddress
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, assert_never

from wingman_core.command import (
    ContainerPruneOperation,
    CreateOperation,
    DiffOperation,
    ExecOperation,
    HistoryOperation,
    ImagePruneOperation,
    ImagesOperation,
    InfoOperation,
    InspectOperation,
    KillOperation,
    LogsOperation,
    Mount,
    Network,
    NetworkConnectOperation,
    NetworkCreateOperation,
    NetworkDisconnectOperation,
    NetworkLsOperation,
    NetworkPruneOperation,
    NetworkRmOperation,
    Operation,
    PauseOperation,
    PortOperation,
    Prune,
    PsOperation,
    PullOperation,
    RenameOperation,
    RestartOperation,
    RmiOperation,
    RmOperation,
    RunOperation,
    StartOperation,
    StatsOperation,
    StopOperation,
    SystemDfOperation,
    SystemPruneOperation,
    TagOperation,
    TopOperation,
    UnpauseOperation,
    UpdateOperation,
    VersionOperation,
    Volume,
    VolumeCreateOperation,
    VolumeLsOperation,
    VolumePruneOperation,
    VolumeRmOperation,
    WaitOperation,
)
from wingman_core.command.images import qualified, repository

Request = dict[str, Any]
POINTERS = ("Init", "StopTimeout")


def engine_requests(op: Operation) -> list[Request]:  # noqa: C901, PLR0911, PLR0912, PLR0915 - one case a verb
    """Return the requests that do what the operation says, without the look-ups before them."""
    match op:
        case PsOperation():
            flags = {"all": op.all, "size": op.size}
            query = {**_ones(flags), **_filters(op.filters)} | ({"limit": str(op.last)} if op.last > 0 else {})
            return [_request("GET", "/containers/json", query)]
        case ImagesOperation():
            filters = [*op.filters, *([("reference", op.repository)] if op.repository else [])]
            return [_request("GET", "/images/json", {**_ones({"all": op.all}), **_filters(filters)})]
        case InspectOperation():
            kind = "images" if op.type == "image" else "containers"
            if op.type in {"network", "volume"}:
                return [_request("GET", f"/{op.type}s/{name}") for name in op.names]
            return [_request("GET", f"/{kind}/{name}/json", _ones({"size": op.size})) for name in op.names]
        case LogsOperation():
            return [_request("GET", "/logs", _logs(op))]
        case TopOperation():
            query = {"ps_args": " ".join(op.ps_options)} if op.ps_options else {}
            return [_request("GET", f"/containers/{op.container}/top", query)]
        case StatsOperation():
            if not op.containers:
                return [_request("GET", "/containers/json", _ones({"all": op.all}))]
            return [_request("GET", f"/containers/{name}/stats", {"stream": "0"}) for name in op.containers]
        case StopOperation() | RestartOperation():
            query = {"t": str(op.time)} if op.time is not None else {}
            query |= {"signal": op.signal} if op.signal else {}
            return [_request("POST", f"/containers/{name}/{op.verb}", query) for name in op.containers]
        case KillOperation():
            return [_request("POST", f"/containers/{name}/kill", {"signal": op.signal}) for name in op.containers]
        case StartOperation() | PauseOperation() | UnpauseOperation():
            return [_request("POST", f"/containers/{name}/{op.verb}") for name in op.containers]
        case RmOperation():
            query = _ones({"force": op.force, "v": op.volumes})
            return [_request("DELETE", f"/containers/{name}", query) for name in op.containers]
        case ExecOperation():
            return [_request("POST", f"/containers/{op.container}/exec", body=_exec(op))]
        case PullOperation():
            return [_request("POST", "/images/create", _pull(op))]
        case PortOperation():
            return [_request("GET", f"/containers/{op.container}/json")]
        case DiffOperation():
            return [_request("GET", f"/containers/{op.container}/changes")]
        case WaitOperation():
            return [_request("POST", f"/containers/{name}/wait") for name in op.containers]
        case RenameOperation():
            return [_request("POST", f"/containers/{op.container}/rename", {"name": op.name})]
        case UpdateOperation():
            return [_request("POST", f"/containers/{name}/update", body=_update(op)) for name in op.containers]
        case HistoryOperation():
            return [_request("GET", f"/images/{op.image}/history")]
        case TagOperation():
            name, _, tag = op.target.rpartition(":")
            return [_request("POST", f"/images/{op.source}/tag", {"repo": repository(name), "tag": tag})]
        case RmiOperation():
            query = _ones({"force": op.force, "noprune": op.no_prune})
            return [_request("DELETE", f"/images/{name}", query) for name in op.images]
        case VolumeLsOperation():
            return [_request("GET", "/volumes", _filters(op.filters))]
        case VolumeCreateOperation():
            return [_request("POST", "/volumes/create", body=_volume(op))]
        case VolumeRmOperation():
            return [_request("DELETE", f"/volumes/{name}", _ones({"force": op.force})) for name in op.volumes]
        case NetworkLsOperation():
            return [_request("GET", "/networks", _filters(op.filters))]
        case NetworkCreateOperation():
            return [_request("POST", "/networks/create", body=_network(op))]
        case NetworkConnectOperation():
            body = {"Container": op.container, **_some({"EndpointConfig": _connection(op)})}
            return [_request("POST", f"/networks/{op.network}/connect", body=body)]
        case NetworkDisconnectOperation():
            body = _some({"Container": op.container, "Force": op.force})
            return [_request("POST", f"/networks/{op.network}/disconnect", body=body)]
        case NetworkRmOperation():
            return [_request("DELETE", f"/networks/{name}") for name in op.networks]
        case InfoOperation() | VersionOperation():
            return []  # the recorder does not write down what the client always asks
        case SystemDfOperation():
            return [_request("GET", "/system/df")]
        case Prune():
            return _prunes(op)
        case RunOperation() | CreateOperation():
            query = _some({"name": op.name, "platform": op.platform})
            return [_request("POST", "/containers/create", query, _create(op))]
        case _:
            assert_never(op)


def _request(method: str, path: str, query: dict[str, str] | None = None, body: Request | None = None) -> Request:
    return {"method": method, "path": path, "query": query or {}, "body": body}


def _ones(flags: dict[str, bool]) -> dict[str, str]:
    return {name: "1" for name, value in flags.items() if value}


def _some(values: dict[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in values.items() if key in POINTERS or each not in (None, "", 0, [], {})}


def _filters(filters: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, dict[str, bool]] = {}
    for name, value in filters:
        found.setdefault(name, {})[value] = True
    return {"filters": json.dumps(found, sort_keys=True, separators=(",", ":"))} if found else {}


def _logs(op: LogsOperation) -> dict[str, str]:
    query = {"stderr": "1", "stdout": "1", "tail": "all" if op.tail < 0 else str(op.tail)}
    query |= _ones({"timestamps": op.timestamps, "details": op.details})
    return query | _some({"since": _moment(op.since), "until": _moment(op.until)})


def _moment(text: str) -> str:
    if "T" not in text:
        return text
    moment = datetime.fromisoformat(text)
    return f"{int(moment.timestamp())}.{moment.microsecond:06d}000"


def _exec(op: ExecOperation) -> Request:
    attached = not op.detach
    return _some(
        {
            "AttachStdout": attached,
            "AttachStderr": attached,
            "Cmd": list(op.command),
            "Detach": op.detach,
            "Env": ["=".join(pair) for pair in op.env],
            "Privileged": op.privileged,
            "User": op.user,
            "WorkingDir": op.workdir,
        }
    )


def _pull(op: PullOperation) -> dict[str, str]:
    name = repository(op.image)
    if op.all_tags:
        return _some({"fromImage": name, "platform": op.platform})
    tag = qualified(op.image).removeprefix(name)
    tag = tag.partition("@")[2] or tag.removeprefix(":")
    return _some({"fromImage": name, "tag": tag, "platform": op.platform})


def _create(op: RunOperation | CreateOperation) -> Request:
    attached = isinstance(op, CreateOperation) or not op.detach
    config = {
        "Hostname": op.hostname,
        "Domainname": op.domainname,
        "User": op.user,
        "AttachStdout": attached and (not op.attach or "stdout" in op.attach),
        "AttachStderr": attached and (not op.attach or "stderr" in op.attach),
        "ExposedPorts": _exposed(op),
        "Env": sorted("=".join(pair) for pair in op.env),
        "Cmd": list(op.command),
        "Healthcheck": _health(op),
        "Image": op.image,
        "Volumes": {volume.target: {} for volume in op.volumes if not volume.source},
        "WorkingDir": op.workdir,
        "Entrypoint": None if op.entrypoint is None else [op.entrypoint],
        "Labels": dict(op.labels),
        "StopSignal": op.stop_signal,
        "HostConfig": _host(op),
        "NetworkingConfig": _some({"EndpointsConfig": _endpoints(op)}),
    }
    return _some({**config, **({"StopTimeout": op.stop_timeout} if op.stop_timeout is not None else {})})


def _exposed(op: RunOperation | CreateOperation) -> dict[str, Any]:
    published = {port: {} for each in op.ports for port, _, _ in each.bindings()}
    exposed = {f"{port}/{each.protocol}": {} for each in op.expose for port in range(each.first, each.last + 1)}
    return {**published, **exposed}


def _health(op: RunOperation | CreateOperation) -> dict[str, Any]:
    if op.no_healthcheck:
        return {"Test": ["NONE"]}
    return _some(
        {
            "Test": ["CMD-SHELL", op.health_cmd] if op.health_cmd else None,
            "Interval": op.health_interval,
            "Timeout": op.health_timeout,
            "StartPeriod": op.health_start_period,
            "StartInterval": op.health_start_interval,
            "Retries": op.health_retries,
        }
    )


def _host(op: RunOperation | CreateOperation) -> dict[str, Any]:
    policy, _, retries = op.restart.partition(":")
    bindings: dict[str, list[dict[str, str]]] = {}
    for each in op.ports:
        for port, ip, host in each.bindings():
            bindings.setdefault(port, []).append(_some({"HostIp": ip, "HostPort": host}))
    host = {
        "Annotations": dict(op.annotations),
        "AutoRemove": op.rm,
        "Binds": sorted(_bind(volume) for volume in op.volumes if volume.source),
        "BlkioDeviceReadBps": [{"Path": path, "Rate": rate} for path, rate in op.device_read_bps],
        "BlkioDeviceReadIOps": [{"Path": path, "Rate": rate} for path, rate in op.device_read_iops],
        "BlkioDeviceWriteBps": [{"Path": path, "Rate": rate} for path, rate in op.device_write_bps],
        "BlkioDeviceWriteIOps": [{"Path": path, "Rate": rate} for path, rate in op.device_write_iops],
        "BlkioWeight": op.blkio_weight,
        "BlkioWeightDevice": [{"Path": path, "Weight": weight} for path, weight in op.blkio_weight_devices],
        "CapAdd": sorted(op.cap_add),
        "CapDrop": sorted(op.cap_drop),
        "CgroupParent": op.cgroup_parent,
        "CgroupnsMode": op.cgroupns,
        "ConsoleSize": [0, 0],
        "CpuPeriod": op.cpu_period,
        "CpuQuota": op.cpu_quota,
        "CpuRealtimePeriod": op.cpu_rt_period,
        "CpuRealtimeRuntime": op.cpu_rt_runtime,
        "CpuShares": op.cpu_shares,
        "CpusetCpus": op.cpuset_cpus,
        "CpusetMems": op.cpuset_mems,
        "DeviceCgroupRules": list(op.device_cgroup_rules),
        "Devices": [
            {"PathOnHost": each.source, "PathInContainer": each.target, "CgroupPermissions": each.permissions}
            for each in op.devices
        ],
        "Dns": list(op.dns),
        "DnsOptions": list(op.dns_options),
        "DnsSearch": list(op.dns_search),
        "ExtraHosts": [":".join(pair) for pair in op.extra_hosts],
        "GroupAdd": sorted(op.group_add),
        "Init": op.init,
        "IpcMode": op.ipc,
        "Links": [":".join(pair) for pair in op.links],
        "LogConfig": _some({"Type": op.log_driver, "Config": dict(op.log_options)}),
        "Memory": op.memory,
        "MemoryReservation": op.memory_reservation,
        "MemorySwap": op.memory_swap,
        "MemorySwappiness": op.memory_swappiness,
        "Mounts": [_mount(mount) for mount in op.mounts],
        "NanoCpus": op.cpus,
        "NetworkMode": op.networks[0].name if op.networks else "default",
        "OomKillDisable": op.oom_kill_disable,
        "OomScoreAdj": op.oom_score_adj,
        "PidMode": op.pid,
        "PidsLimit": op.pids_limit,
        "PortBindings": bindings,
        "Privileged": op.privileged,
        "PublishAllPorts": op.publish_all,
        "ReadonlyRootfs": op.read_only,
        "RestartPolicy": _some({"Name": policy, "MaximumRetryCount": int(retries or 0)}),
        "Runtime": op.runtime,
        "SecurityOpt": sorted(each for each in op.security_options if each != "systempaths=unconfined"),
        "ShmSize": op.shm_size,
        "StorageOpt": dict(op.storage_options),
        "Sysctls": dict(op.sysctls),
        "Tmpfs": {each.target: each.options for each in op.tmpfs},
        "UTSMode": op.uts,
        "Ulimits": [_some({"Name": each.name, "Hard": each.hard, "Soft": each.soft}) for each in op.ulimits],
        "UsernsMode": op.userns,
        "VolumeDriver": op.volume_driver,
        "VolumesFrom": [":".join(part for part in pair if part) for pair in op.volumes_from],
    }
    return {key: value for key, value in _some(host).items() if key != "Init" or value is not None}


def _bind(volume: Volume) -> str:
    return ":".join([volume.source, volume.target, *([",".join(volume.modes)] if volume.modes else [])])


def _mount(mount: Mount) -> dict[str, Any]:
    driver = _some({"Name": mount.volume_driver, "Options": dict(mount.volume_options)})
    volume = {"NoCopy": mount.volume_nocopy, "Subpath": mount.volume_subpath, "Labels": dict(mount.volume_labels)}
    bind = {
        "Propagation": mount.bind_propagation,
        "NonRecursive": mount.bind_recursive == "disabled",
        "ReadOnlyNonRecursive": mount.bind_recursive == "writable",
        "ReadOnlyForceRecursive": mount.bind_recursive == "readonly",
    }
    tmpfs = {"SizeBytes": mount.tmpfs_size, "Mode": int(mount.tmpfs_mode or "0", 8)}
    return _some(
        {
            "Type": mount.type,
            "Source": mount.source,
            "Target": mount.target,
            "ReadOnly": mount.read_only,
            "Consistency": mount.consistency,
            "BindOptions": _some(bind),
            "VolumeOptions": _some({**volume, "DriverConfig": driver}),
            "ImageOptions": _some({"Subpath": mount.image_subpath}),
            "TmpfsOptions": _some(tmpfs),
        }
    )


def _endpoints(op: RunOperation | CreateOperation) -> dict[str, Any]:
    networks = op.networks or (Network(name="default"),)
    found = {}
    for position, network in enumerate(networks):
        first = position == 0
        endpoint = _endpoint(network, op if first else None)
        if endpoint or len(networks) > 1 or not op.networks:
            found[network.name] = endpoint
    return {name: endpoint for name, endpoint in found.items() if endpoint}


def _endpoint(network: Network, op: RunOperation | CreateOperation | None) -> dict[str, Any]:
    local = network.link_local_ips or (op.link_local_ips if op else ())
    addresses = {
        "IPv4Address": network.ip or (op.ip if op else ""),
        "IPv6Address": network.ip6 or (op.ip6 if op else ""),
        "LinkLocalIPs": list(local),
    }
    links = [":".join(pair) for pair in op.links] if op and network.is_user_defined else []
    return _some(
        {
            "IPAMConfig": _some(addresses),
            "Links": links,
            "Aliases": sorted(network.aliases or (op.network_aliases if op else ())),
            "MacAddress": network.mac_address or (op.mac_address if op else ""),
            "DriverOpts": dict(network.driver_options),
            "GwPriority": network.gateway_priority,
        }
    )


def _update(op: UpdateOperation) -> Request:
    name, _, retries = op.restart.partition(":")
    policy = _some({"Name": name, "MaximumRetryCount": int(retries or 0)})
    return _some(
        {
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
            "RestartPolicy": policy,
        }
    )


def _volume(op: VolumeCreateOperation) -> Request:
    return _some({"Name": op.name, "Driver": op.driver, "DriverOpts": dict(op.options), "Labels": dict(op.labels)})


def _network(op: NetworkCreateOperation) -> Request:
    configs = []
    for subnet in op.subnets:
        net = ipaddress.ip_network(subnet)
        config = {"Subnet": subnet}
        for key, places in (("IPRange", op.ip_ranges), ("Gateway", op.gateways)):
            config.update((key, each) for each in places if ipaddress.ip_network(each)[0] in net)
        aux = {name: each for name, each in op.aux_addresses if ipaddress.ip_address(each) in net}
        configs.append({**config, **_some({"AuxiliaryAddresses": aux})})
    return _some(
        {
            "Name": op.name,
            "Driver": op.driver,
            "Internal": op.internal,
            "Attachable": op.attachable,
            "EnableIPv6": op.ipv6,
            "IPAM": _some({"Driver": op.ipam_driver, "Options": dict(op.ipam_options), "Config": configs}),
            "Options": dict(op.options),
            "Labels": dict(op.labels),
        }
    )


def _connection(op: NetworkConnectOperation) -> Request:
    addresses = _some({"IPv4Address": op.ip, "IPv6Address": op.ip6, "LinkLocalIPs": list(op.link_local_ips)})
    return _some(
        {
            "Aliases": list(op.aliases),
            "DriverOpts": dict(op.driver_options),
            "GwPriority": op.gateway_priority,
            "IPAMConfig": addresses,
            "Links": [":".join(each) for each in op.links],
        }
    )


def _prunes(op: Prune) -> list[Request]:
    match op:
        case ContainerPruneOperation():
            return [_request("POST", "/containers/prune", _filters(op.filters))]
        case NetworkPruneOperation():
            return [_request("POST", "/networks/prune", _filters(op.filters))]
        case VolumePruneOperation():
            every = [("all", "true")] if op.all else []
            return [_request("POST", "/volumes/prune", _filters([*op.filters, *every]))]
        case ImagePruneOperation():
            return [_request("POST", "/images/prune", _filters([*op.filters, _dangling(op)]))]
        case SystemPruneOperation():
            plain = [each for each in op.filters if each[0] != "until"]
            return [
                _request("POST", "/containers/prune", _filters(op.filters)),
                _request("POST", "/networks/prune", _filters(op.filters)),
                *([_request("POST", "/volumes/prune", _filters(plain))] if op.volumes else []),
                _request("POST", "/images/prune", _filters([*op.filters, _dangling(op)])),
                _request("POST", "/build/prune", {**_ones({"all": op.all}), **_filters(op.filters)}),
            ]
        case _:
            raise AssertionError(op)


def _dangling(op: ImagePruneOperation | SystemPruneOperation) -> tuple[str, str]:
    return "dangling", "false" if op.all else "true"
