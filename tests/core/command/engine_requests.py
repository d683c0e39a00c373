"""What the docker client asks of the engine for an operation: an independent reading, for comparing with the real one.

Bodies are pruned of empty values, as ``record_docker_cli.pruned`` does. Deliberately plain; the gateway's own engine
adapter is other code.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, assert_never

from wingman_core.command import (
    ExecOperation,
    ImagesOperation,
    InspectOperation,
    KillOperation,
    LogsOperation,
    Mount,
    Network,
    Operation,
    PauseOperation,
    PsOperation,
    PullOperation,
    RestartOperation,
    RmOperation,
    RunOperation,
    StartOperation,
    StatsOperation,
    StopOperation,
    TopOperation,
    UnpauseOperation,
    Volume,
)
from wingman_core.command.images import qualified, repository

Request = dict[str, Any]
POINTERS = ("Init", "StopTimeout")


def engine_requests(op: Operation) -> list[Request]:  # noqa: C901, PLR0911, PLR0912 - one case a verb
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
        case RunOperation():
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


def _create(op: RunOperation) -> Request:
    config = {
        "Hostname": op.hostname,
        "Domainname": op.domainname,
        "User": op.user,
        "AttachStdout": not op.detach and (not op.attach or "stdout" in op.attach),
        "AttachStderr": not op.detach and (not op.attach or "stderr" in op.attach),
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


def _exposed(op: RunOperation) -> dict[str, Any]:
    published = {port: {} for each in op.ports for port, _, _ in each.bindings()}
    exposed = {f"{port}/{each.protocol}": {} for each in op.expose for port in range(each.first, each.last + 1)}
    return {**published, **exposed}


def _health(op: RunOperation) -> dict[str, Any]:
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


def _host(op: RunOperation) -> dict[str, Any]:
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


def _endpoints(op: RunOperation) -> dict[str, Any]:
    networks = op.networks or (Network(name="default"),)
    found = {}
    for position, network in enumerate(networks):
        first = position == 0
        endpoint = _endpoint(network, op if first else None)
        if endpoint or len(networks) > 1 or not op.networks:
            found[network.name] = endpoint
    return {name: endpoint for name, endpoint in found.items() if endpoint}


def _endpoint(network: Network, op: RunOperation | None) -> dict[str, Any]:
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
