"""Rows of ``docker ps``, ``docker images``, ``docker stats`` and ``docker top``, in the docker binary's words.

Compared with Docker CLI 28: times are UTC, and IPv6 addresses of ports are bracketed on every engine.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from wingman_gateway.engine.connection import JSON
from wingman_gateway.engine.tables import binary_size, ellipsis, human_duration, human_size, quoted

SHORT_ID: Final = 12
COMMAND_WIDTH: Final = 20
NONE: Final = "<none>"

CONTAINER_COLUMNS: Final = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "Ports": "PORTS",
    "Names": "NAMES",
}
IMAGE_COLUMNS: Final = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "Size": "SIZE",
}
STATS_COLUMNS: Final = {
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}


def container_row(container: JSON, now: datetime, *, full: bool) -> dict[str, str]:
    """Return one container of ``GET /containers/json`` by field; ``full`` leaves nothing cut (--no-trunc)."""
    created = datetime.fromtimestamp(container["Created"], UTC)
    labels = container.get("Labels") or {}
    networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
    mounts = container.get("Mounts") or ()
    return {
        "Command": quoted(container["Command"] if full else ellipsis(container["Command"], COMMAND_WIDTH)),
        "CreatedAt": _local_time(created),
        "ID": container["Id"] if full else container["Id"][:SHORT_ID],
        "Image": _image_name(container, full=full),
        "Labels": ",".join(f"{key}={labels[key]}" for key in sorted(labels)),
        "LocalVolumes": str(sum(mount.get("Driver") == "local" for mount in mounts)),
        "Mounts": ",".join(_mount_name(mount, full=full) for mount in mounts),
        "Names": ",".join(_names(container, full=full)),
        "Networks": ",".join(sorted(networks)),
        "Ports": displayable_ports(container.get("Ports") or ()),
        "RunningFor": f"{human_duration((now - created).total_seconds())} ago",
        "Size": _container_size(container),
        "State": container["State"],
        "Status": container["Status"],
    }


def image_rows(image: JSON, now: datetime, *, full: bool, digests: bool) -> Iterator[dict[str, str]]:
    """Yield one row per tag of an image of ``GET /images/json``, or per digest where ``digests`` asks for them."""
    created = datetime.fromtimestamp(image["Created"], UTC)
    ago = f"{human_duration((now - created).total_seconds())} ago" if image["Created"] else "N/A"
    for repository, tag, digest in _image_names(image, digests=digests):
        yield {
            "Containers": "N/A",
            "CreatedAt": _local_time(created),
            "CreatedSince": ago,
            "Digest": digest,
            "ID": image["Id"] if full else image["Id"].removeprefix("sha256:")[:SHORT_ID],
            "Repository": repository,
            "SharedSize": "N/A",
            "Size": human_size(image["Size"]),
            "Tag": tag,
            "UniqueSize": "N/A",
            "VirtualSize": human_size(image["Size"], precision=4),
        }


def stats_row(stats: JSON, *, full: bool) -> dict[str, str]:
    """Return one sample of ``GET /containers/{id}/stats?stream=0`` by field."""
    memory = stats.get("memory_stats") or {}
    used, limit = _memory_used(memory), memory.get("limit", 0)
    networks = (stats.get("networks") or {}).values()
    received, sent = (sum(each[key] for each in networks) for key in ("rx_bytes", "tx_bytes"))
    read, written = _block_io(stats)
    return {
        "BlockIO": f"{human_size(read)} / {human_size(written)}",
        "CPUPerc": f"{_cpu_percent(stats):.2f}%",
        "Container": stats["name"].removeprefix("/"),
        "ID": stats["id"] if full else stats["id"][:SHORT_ID],
        "MemPerc": f"{used / limit * 100 if limit else 0.0:.2f}%",
        "MemUsage": f"{binary_size(used)} / {binary_size(limit)}",
        "Name": stats["name"].removeprefix("/"),
        "NetIO": f"{human_size(received)} / {human_size(sent)}",
        "PIDs": str((stats.get("pids_stats") or {}).get("current", 0)),
    }


def displayable_ports(ports: Sequence[JSON]) -> str:
    """Return ports as ``docker ps`` groups them, such as ``0.0.0.0:80-81->80-81/tcp, 443/tcp``."""
    groups: dict[tuple[str, str], list[int]] = {}
    lines, mapped = [], []
    for port in sorted(
        ports,
        key=lambda each: (each["PrivatePort"], host_of(each.get("IP", "")), each.get("PublicPort", 0), each["Type"]),
    ):
        private, public, host, kind = (
            port["PrivatePort"],
            port.get("PublicPort", 0),
            host_of(port.get("IP", "")),
            port["Type"],
        )
        if host and public != private:
            mapped.append(f"{host}:{public}->{private}/{kind}")
            continue
        group = groups.get((host, kind))
        if group is not None and private == group[1] + 1:
            group[1] = private
            continue
        if group is not None:
            lines.append(_port_group(host, kind, *group))
        groups[host, kind] = [private, private]
    lines += [_port_group(host, kind, *group) for (host, kind), group in groups.items()]
    return ", ".join(lines + mapped)


def _port_group(host: str, kind: str, first: int, last: int) -> str:
    ports = str(first) if first == last else f"{first}-{last}"
    return f"{host}:{ports}->{ports}/{kind}" if host else f"{ports}/{kind}"


def host_of(address: str) -> str:
    """Return an address as it stands before a port."""
    return f"[{address}]" if ":" in address else address


def _image_name(container: JSON, *, full: bool) -> str:
    name: str = container["Image"] or "<no image>"
    if full:
        return name
    short = container["ImageID"].removeprefix("sha256:")[:SHORT_ID]
    return short if name.removeprefix("sha256:")[:SHORT_ID] == short else name.split("@", 1)[0]


def _mount_name(mount: JSON, *, full: bool) -> str:
    name = str(mount.get("Name") or mount.get("Source") or "")
    return name if full else ellipsis(name, 15)


def _names(container: JSON, *, full: bool) -> list[str]:
    names = [name.removeprefix("/") for name in container.get("Names") or ()]
    return names if full else [name for name in names if "/" not in name]


def _container_size(container: JSON) -> str:
    size = human_size(container.get("SizeRw") or 0)
    total = container.get("SizeRootFs") or 0
    return f"{size} (virtual {human_size(total)})" if total > 0 else size


def _image_names(image: JSON, *, digests: bool) -> Iterator[tuple[str, str, str]]:
    """Yield (repository, tag, digest), with <none> for what is missing, as ``docker images`` pairs them."""
    tags = [_split(each, ":") for each in image.get("RepoTags") or () if each != "<none>:<none>"]
    known = [_split(each, "@") for each in image.get("RepoDigests") or () if each != "<none>@<none>"]
    if not tags and not known:
        yield NONE, NONE, NONE
    for repository, tag in tags:
        own = [digest for name, digest in known if name == repository] if digests else []
        for digest in own or [NONE]:
            yield repository, tag, digest
    for repository, digest in known:
        if repository not in {name for name, _ in tags}:
            yield repository, NONE, digest if digests else NONE


def _split(reference: str, mark: str) -> tuple[str, str]:
    name, _, rest = reference.rpartition(mark)
    return name, rest


def _local_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S +0000 UTC")


def _memory_used(memory: Mapping[str, JSON | int]) -> int:
    """Return usage without the page cache, as the binary does (cgroup v1 and v2 name it differently)."""
    usage, detail = memory.get("usage", 0), memory.get("stats") or {}
    assert isinstance(usage, int)  # noqa: S101 - narrows the union
    assert isinstance(detail, dict)  # noqa: S101
    for key in ("total_inactive_file", "inactive_file"):
        if detail.get(key, usage) < usage:
            return usage - int(detail[key])
    return usage


def _cpu_percent(stats: JSON) -> float:
    now, before = stats.get("cpu_stats") or {}, stats.get("precpu_stats") or {}
    busy = _cpu(now) - _cpu(before)
    total = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    cores = now.get("online_cpus") or len((now.get("cpu_usage") or {}).get("percpu_usage") or ())
    return busy / total * cores * 100.0 if busy > 0 and total > 0 else 0.0


def _cpu(sample: JSON) -> int:
    return int((sample.get("cpu_usage") or {}).get("total_usage", 0))


def _block_io(stats: JSON) -> tuple[int, int]:
    entries = (stats.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    read, written = (sum(each["value"] for each in entries if each["op"][:1].lower() == op) for op in "rw")
    return read, written
