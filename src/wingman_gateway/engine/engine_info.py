"""What the engine says of itself, as ``docker info`` and ``docker version`` print their server's part.

Source: docker/cli v28.2.2 ``cli/command/system``.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from wingman_gateway.engine.connection import JSON
from wingman_gateway.engine.tables import binary_size


def info_text(info: JSON) -> str:
    """Return the part of ``docker info`` that begins with ``Server:``."""
    lines = ["Server:", *_counts(info), *_plugins(info), *_runtimes(info), *_host(info), *_network(info), ""]
    return "".join(f"{line}\n" for line in lines)


def version_text(version: JSON) -> str:
    """Return the part of ``docker version`` that begins with ``Server:``."""
    platform = (version.get("Platform") or {}).get("Name", "")
    lines = [f"Server: {platform}" if platform else "Server:"]
    for component in version.get("Components") or ():
        lines.append(f" {component['Name']}:")
        rows = _engine_rows(component) if component["Name"] == "Engine" else _other_rows(component)
        lines += [f"  {f'{key}:':<18}{value}" for key, value in rows]
    return "".join(f"{line}\n" for line in lines)


def _engine_rows(component: JSON) -> Iterator[tuple[str, str]]:
    details = component.get("Details") or {}
    yield "Version", component["Version"]
    yield "API version", f"{details.get('ApiVersion', '')} (minimum version {details.get('MinAPIVersion', '')})"
    yield "Go version", details.get("GoVersion", "")
    yield "Git commit", details.get("GitCommit", "")
    yield "Built", _built(details.get("BuildTime", ""))
    yield "OS/Arch", f"{details.get('Os', '')}/{details.get('Arch', '')}"
    yield "Experimental", details.get("Experimental", "")


def _other_rows(component: JSON) -> Iterator[tuple[str, str]]:
    details = component.get("Details") or {}
    yield "Version", component["Version"]
    yield from ((key, details[key]) for key in sorted(details))


def _built(stamp: str) -> str:
    """Return RFC 3339 as the binary reformats it: ``Mon Jan  2 15:04:05 2006``, in UTC; other texts as they are."""
    try:
        moment = datetime.fromisoformat(re.sub(r"\.[0-9]+", "", stamp)).astimezone(UTC)
    except ValueError:
        return stamp
    return f"{moment:%a %b} {moment.day:2d} {moment:%H:%M:%S %Y}"


def _counts(info: JSON) -> Iterator[str]:
    yield f" Containers: {info['Containers']}"
    for key in ("Running", "Paused", "Stopped"):
        yield f"  {key}: {info[f'Containers{key}']}"
    yield f" Images: {info['Images']}"
    yield from _some(info, ("Server Version", "ServerVersion"), ("Storage Driver", "Driver"))
    yield from (f"  {key}: {value}" for key, value in info.get("DriverStatus") or ())
    yield from _some(
        info,
        ("Logging Driver", "LoggingDriver"),
        ("Cgroup Driver", "CgroupDriver"),
        ("Cgroup Version", "CgroupVersion"),
    )


def _plugins(info: JSON) -> Iterator[str]:
    plugins = info.get("Plugins") or {}
    yield " Plugins:"
    for key in ("Volume", "Network"):
        yield f"  {key}: {' '.join(plugins.get(key) or ())}"
    if plugins.get("Authorization"):
        yield f"  Authorization: {' '.join(plugins['Authorization'])}"
    yield f"  Log: {' '.join(plugins.get('Log') or ())}"
    if info.get("CDISpecDirs"):
        yield " CDI spec directories:"
        yield from (f"  {each}" for each in info["CDISpecDirs"])


def _runtimes(info: JSON) -> Iterator[str]:
    yield f" Swarm: {(info.get('Swarm') or {}).get('LocalNodeState', 'inactive')}"
    if info.get("Runtimes"):
        yield f" Runtimes: {' '.join(sorted(info['Runtimes']))}"
        yield f" Default Runtime: {info.get('DefaultRuntime', '')}"
    if info.get("OSType") == "linux":
        yield f" Init Binary: {info.get('InitBinary', '')}"
        for name in ("containerd", "runc", "init"):
            yield f" {name} version: {(info.get(f'{name.capitalize()}Commit') or {}).get('ID', '')}"
        yield from _security(info.get("SecurityOptions") or ())


def _security(options: Sequence[str]) -> Iterator[str]:
    if options:
        yield " Security Options:"
    for option in options:
        for part in option.split(","):
            key, _, value = part.partition("=")
            if key == "name":
                yield f"  {value}"
            elif key == "profile":
                yield f"   Profile: {value}"


def _host(info: JSON) -> Iterator[str]:
    yield from _some(
        info,
        ("Kernel Version", "KernelVersion"),
        ("Operating System", "OperatingSystem"),
        ("OSType", "OSType"),
        ("Architecture", "Architecture"),
    )
    yield f" CPUs: {info['NCPU']}"
    yield f" Total Memory: {binary_size(info['MemTotal'])}"
    yield from _some(info, ("Name", "Name"), ("ID", "ID"))
    yield f" Docker Root Dir: {info['DockerRootDir']}"
    yield f" Debug Mode: {_truth(info.get('Debug'))}"
    if info.get("Debug"):
        for name, key in (
            ("File Descriptors", "NFd"),
            ("Goroutines", "NGoroutines"),
            ("System Time", "SystemTime"),
            ("EventsListeners", "NEventsListener"),
        ):
            yield f"  {name}: {info.get(key, '')}"
    yield from _some(info, ("HTTP Proxy", "HttpProxy"), ("HTTPS Proxy", "HttpsProxy"), ("No Proxy", "NoProxy"))


def _network(info: JSON) -> Iterator[str]:
    if info.get("Labels"):
        yield " Labels:"
        yield from (f"  {each}" for each in info["Labels"])
    yield f" Experimental: {_truth(info.get('ExperimentalBuild'))}"
    registries = info.get("RegistryConfig") or {}
    indexes = [name for name, each in (registries.get("IndexConfigs") or {}).items() if not each.get("Secure")]
    if registries.get("IndexConfigs") or registries.get("InsecureRegistryCIDRs"):
        yield " Insecure Registries:"
        yield from (f"  {each}" for each in (*indexes, *(registries.get("InsecureRegistryCIDRs") or ())))
    if registries.get("Mirrors"):
        yield " Registry Mirrors:"
        yield from (f"  {each}" for each in registries["Mirrors"])
    yield f" Live Restore Enabled: {_truth(info.get('LiveRestoreEnabled'))}"
    if info.get("ProductLicense"):
        yield f" Product License: {info['ProductLicense']}"
    if info.get("DefaultAddressPools"):
        yield " Default Address Pools:"
        yield from (f"   Base: {each['Base']}, Size: {each['Size']}" for each in info["DefaultAddressPools"])


def _some(info: JSON, *rows: tuple[str, str]) -> Iterator[str]:
    """Yield the rows that say something."""
    yield from (f" {name}: {info[key]}" for name, key in rows if info.get(key))


def _truth(value: object) -> str:
    return "true" if value else "false"
