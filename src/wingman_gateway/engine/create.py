"""From ``run`` and ``create`` to the body of ``POST /containers/create``, as docker/cli 28 builds it.

Guarantees: every field of the operation goes into the body, and peers go in by the id they were resolved to (I10).
A test compares the body with the docker binary's own for every flag.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from wingman_core.command import CreateOperation, Mount, Network, RunOperation, Volume
from wingman_core.command.network import container_of
from wingman_core.target import Target
from wingman_gateway.engine.connection import JSON

Spec = RunOperation | CreateOperation
ENDPOINT_ADDRESSES: Final = (1, 44)
"""From here on the address of an interface belongs to the network alone."""
EXECUTION_LABEL: Final = "wingman.execution"
"""Carries the execution's id on what Wingman creates, so that it can be found after a crash."""


class Peers:
    """The ids of what a command names, by kind and name."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self._ids: Mapping[tuple[str, str], str] = {
            (target.reference.kind, target.reference.name): target.id for target in targets
        }

    def container(self, name: str) -> str:
        """Return the container's full id; KeyError where it was not resolved."""
        return self._ids["container", name]

    def image(self, name: str) -> str:
        """Return the image's id; KeyError where it was not resolved."""
        return self._ids["image", name]

    def network(self, name: str) -> str:
        """Return the network's id, and predefined modes as they are."""
        if joined := container_of(name):
            return f"container:{self.container(joined)}"
        return self._ids.get(("network", name), name)

    def namespace(self, mode: str) -> str:
        """Return a namespace mode with the id of the container it names."""
        joined = container_of(mode)
        return f"container:{self.container(joined)}" if joined else mode


def create_body(op: Spec, targets: Sequence[Target], execution_id: str, version: tuple[int, int]) -> JSON:
    """Return the configuration of the container, for an API of this version (1.41 or later)."""
    peers = Peers(targets)
    return {
        "Hostname": op.hostname,
        "Domainname": op.domainname,
        "User": op.user,
        "AttachStdout": "stdout" in _attached(op),
        "AttachStderr": "stderr" in _attached(op),
        "Env": [f"{name}={value}" for name, value in op.env],
        "Cmd": list(op.command) or None,
        "Entrypoint": None if op.entrypoint is None else [op.entrypoint],
        "Image": peers.image(op.image),
        "Volumes": {volume.target: {} for volume in op.volumes if not volume.source},
        "WorkingDir": op.workdir,
        "Labels": {**dict(op.labels), EXECUTION_LABEL: execution_id},
        "StopSignal": op.stop_signal,
        "StopTimeout": op.stop_timeout,
        "MacAddress": op.mac_address if version < ENDPOINT_ADDRESSES else "",
        "Healthcheck": _healthcheck(op),
        "ExposedPorts": {port: {} for port in _exposed(op)},
        "HostConfig": {**_host(op, peers), **_resources(op)},
        "NetworkingConfig": {"EndpointsConfig": _endpoints(op, peers)},
    }


def _attached(op: Spec) -> tuple[str, ...]:
    if isinstance(op, RunOperation) and op.detach:
        return ()
    return op.attach or ("stderr", "stdout")


def _host(op: Spec, peers: Peers) -> JSON:
    unmasked = "systempaths=unconfined" in op.security_options
    name, _, retries = op.restart.partition(":")
    return {
        "Annotations": dict(op.annotations),
        "AutoRemove": op.rm,
        "Binds": [_bind(volume) for volume in op.volumes if volume.source],
        "CapAdd": list(op.cap_add),
        "CapDrop": list(op.cap_drop),
        "CgroupnsMode": op.cgroupns,
        "Dns": list(op.dns),
        "DnsOptions": list(op.dns_options),
        "DnsSearch": list(op.dns_search),
        "ExtraHosts": [f"{host}:{address}" for host, address in op.extra_hosts],
        "GroupAdd": list(op.group_add),
        "Init": op.init,
        "IpcMode": peers.namespace(op.ipc),
        "Links": [f"{peers.container(container)}:{alias}" for container, alias in op.links],
        "LogConfig": {"Type": op.log_driver, "Config": dict(op.log_options)},
        **({"MaskedPaths": [], "ReadonlyPaths": []} if unmasked else {}),
        "Mounts": [_mount(mount, peers) for mount in op.mounts],
        "NetworkMode": peers.network(op.networks[0].name) if op.networks else "default",
        "OomScoreAdj": op.oom_score_adj,
        "PidMode": peers.namespace(op.pid),
        "PortBindings": _port_bindings(op),
        "Privileged": op.privileged,
        "PublishAllPorts": op.publish_all,
        "ReadonlyRootfs": op.read_only,
        "RestartPolicy": {"Name": name, "MaximumRetryCount": int(retries or 0)},
        "Runtime": op.runtime,
        "SecurityOpt": [option for option in op.security_options if not option.startswith("systempaths=")],
        "ShmSize": op.shm_size,
        "StorageOpt": dict(op.storage_options),
        "Sysctls": dict(op.sysctls),
        "Tmpfs": {tmpfs.target: tmpfs.options for tmpfs in op.tmpfs},
        "UTSMode": op.uts,
        "UsernsMode": op.userns,
        "VolumeDriver": op.volume_driver,
        "VolumesFrom": [":".join(filter(None, (peers.container(name), mode))) for name, mode in op.volumes_from],
    }


def _resources(op: Spec) -> JSON:
    return {
        "BlkioDeviceReadBps": _rates(op.device_read_bps),
        "BlkioDeviceReadIOps": _rates(op.device_read_iops),
        "BlkioDeviceWriteBps": _rates(op.device_write_bps),
        "BlkioDeviceWriteIOps": _rates(op.device_write_iops),
        "BlkioWeight": op.blkio_weight,
        "BlkioWeightDevice": [{"Path": path, "Weight": weight} for path, weight in op.blkio_weight_devices],
        "CgroupParent": op.cgroup_parent,
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
        "Memory": op.memory,
        "MemoryReservation": op.memory_reservation,
        "MemorySwap": op.memory_swap,
        "MemorySwappiness": op.memory_swappiness,
        "NanoCpus": op.cpus,
        "OomKillDisable": op.oom_kill_disable,
        "PidsLimit": op.pids_limit,
        "Ulimits": [{"Name": each.name, "Soft": each.soft, "Hard": each.hard} for each in op.ulimits],
    }


def _bind(volume: Volume) -> str:
    return ":".join(filter(None, (volume.source, volume.target, ",".join(volume.modes))))


def _rates(rates: Iterable[tuple[str, int]]) -> list[JSON]:
    return [{"Path": path, "Rate": rate} for path, rate in rates]


def _healthcheck(op: Spec) -> JSON | None:
    if op.no_healthcheck:
        return {"Test": ["NONE"]}
    settings = {
        "Interval": op.health_interval,
        "Timeout": op.health_timeout,
        "StartPeriod": op.health_start_period,
        "StartInterval": op.health_start_interval,
        "Retries": op.health_retries,
    }
    if not op.health_cmd and not any(settings.values()):
        return None
    test = {"Test": ["CMD-SHELL", op.health_cmd]} if op.health_cmd else {}
    return {**test, **{name: value for name, value in settings.items() if value}}


def _exposed(op: Spec) -> list[str]:
    published = [key for port in op.ports for key, _, _ in port.bindings()]
    return published + [f"{port}/{each.protocol}" for each in op.expose for port in range(each.first, each.last + 1)]


def _port_bindings(op: Spec) -> JSON:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in op.ports:
        for key, address, host_port in port.bindings():
            bindings.setdefault(key, []).append({"HostIp": address, "HostPort": host_port})
    return bindings


def _mount(mount: Mount, peers: Peers) -> JSON:
    body: JSON = {"Type": mount.type, "Target": mount.target}
    if mount.source:
        body["Source"] = peers.image(mount.source) if mount.type == "image" else mount.source
    if mount.read_only:
        body["ReadOnly"] = True
    if mount.consistency:
        body["Consistency"] = mount.consistency
    options = {"BindOptions": _bind_options, "VolumeOptions": _volume_options, "TmpfsOptions": _tmpfs_options}
    body.update({name: found for name, read in options.items() if (found := read(mount))})
    if mount.image_subpath:
        body["ImageOptions"] = {"Subpath": mount.image_subpath}
    return body


def _bind_options(mount: Mount) -> JSON:
    recursive = {
        "disabled": "NonRecursive",
        "writable": "ReadOnlyNonRecursive",
        "readonly": "ReadOnlyForceRecursive",
    }
    options: JSON = {"Propagation": mount.bind_propagation} if mount.bind_propagation else {}
    return {**options, recursive[mount.bind_recursive]: True} if mount.bind_recursive in recursive else options


def _volume_options(mount: Mount) -> JSON:
    driver = {"Name": mount.volume_driver, "Options": dict(mount.volume_options)}
    options: JSON = {
        "NoCopy": mount.volume_nocopy,
        "Labels": dict(mount.volume_labels),
        "DriverConfig": {name: value for name, value in driver.items() if value},
        "Subpath": mount.volume_subpath,
    }
    return {name: value for name, value in options.items() if value}


def _tmpfs_options(mount: Mount) -> JSON:
    options: JSON = {"SizeBytes": mount.tmpfs_size, "Mode": int(mount.tmpfs_mode or "0", 8)}
    return {name: value for name, value in options.items() if value}


def _endpoints(op: Spec, peers: Peers) -> JSON:
    networks = op.networks or (Network(name="default"),)
    endpoints = {}
    for number, network in enumerate(networks):
        endpoint = _endpoint(network, op if number == 0 else RunOperation(image=op.image), peers)
        if endpoint or len(networks) > 1:
            endpoints[peers.network(network.name)] = endpoint
    return endpoints


def _endpoint(network: Network, op: Spec, peers: Peers) -> JSON:
    """Return one network's settings; the flags beside ``--network`` are the first network's."""
    addresses: JSON = {
        "IPv4Address": network.ip or op.ip,
        "IPv6Address": network.ip6 or op.ip6,
        "LinkLocalIPs": list(network.link_local_ips or op.link_local_ips),
    }
    links = [f"{peers.container(container)}:{alias}" for container, alias in op.links]
    settings: JSON = {
        "Aliases": list(network.aliases or op.network_aliases),
        "DriverOpts": dict(network.driver_options),
        "GwPriority": network.gateway_priority,
        "IPAMConfig": {name: value for name, value in addresses.items() if value},
        "Links": links if network.name != "default" else [],
        "MacAddress": network.mac_address or op.mac_address,
    }
    return {name: value for name, value in settings.items() if value}
