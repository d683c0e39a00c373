"""The resolved model of a project: its services, and each way in which they reach for the host.

Guarantees (I4): read from what Compose itself made of the files; every option goes through the facts of ``docker run``,
``volume create`` and ``network create``; an option that is neither read here nor listed as harmless counts as present.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wingman_core.canonical import digest
from wingman_core.command import facts, parse_argv
from wingman_core.command.shell_words import shell_words
from wingman_core.errors import Code, CommandRefused, TargetRefused
from wingman_gateway.engine.connection import JSON

MODEL_DOMAIN: Final = "wingman/compose-model/v1"
_HARMLESS_WORDS: Final = """
    attach blkio_config cap_drop command container_name cpu_count cpu_percent cpu_period cpu_quota cpu_shares cpus
    cpuset depends_on dns dns_opt dns_search domainname entrypoint expose extra_hosts healthcheck hostname image
    init links mac_address mem_limit mem_reservation mem_swappiness memswap_limit pids_limit platform ports
    profiles pull_policy read_only restart scale shm_size stdin_open stop_grace_period stop_signal tty
"""
_HARMLESS: Final = frozenset(_HARMLESS_WORDS.split())
_REPEATED: Final = {
    "cap_add": "cap-add",
    "device_cgroup_rules": "device-cgroup-rule",
    "group_add": "group-add",
    "security_opt": "security-opt",
    "tmpfs": "tmpfs",
}
_SINGLE: Final = {
    "cgroup": "cgroupns",
    "cgroup_parent": "cgroup-parent",
    "cpu_rt_period": "cpu-rt-period",
    "cpu_rt_runtime": "cpu-rt-runtime",
    "ipc": "ipc",
    "network_mode": "network",
    "oom_kill_disable": "oom-kill-disable",
    "oom_score_adj": "oom-score-adj",
    "pid": "pid",
    "privileged": "privileged",
    "runtime": "runtime",
    "user": "user",
    "userns_mode": "userns",
    "uts": "uts",
    "working_dir": "workdir",
}
_DEPLOY: Final = frozenset(
    {"mode", "replicas", "labels", "restart_policy", "update_config", "rollback_config", "endpoint_mode", "resources"}
)
_RESOURCES: Final = frozenset({"cpus", "memory", "pids"})
_CONTENT: Final = frozenset({"name", "content", "environment"})
_NETWORK: Final = frozenset({"name", "ipam", "internal", "attachable", "labels", "enable_ipv4", "enable_ipv6"})


@dataclass(frozen=True, slots=True)
class Model:
    """What Compose made of a project's files."""

    project: str
    directory: str
    text: bytes
    """As Compose wrote it, and as it is given back to act on."""
    document: JSON
    """The same, read, with ``$$`` as the ``$`` that it stands for."""
    files: tuple[tuple[str, str], ...]
    """Each file's path and SHA-256."""

    @property
    def digest(self) -> str:
        """What an approval binds: model and files."""
        files = [list(each) for each in self.files]
        return f"sha256:{digest(MODEL_DOMAIN, [self.directory, self.text.decode(), files])}"

    def service(self, name: str) -> JSON:
        """Return one service."""
        found: JSON = self.document["services"][name]
        return found

    def services(self, named: Sequence[str], *, dependencies: bool) -> tuple[str, ...]:
        """Return the services that are meant, sorted; raise ``TargetRefused`` for one that is not there."""
        known = self.document.get("services") or {}
        left = list(named or known)
        meant: set[str] = set()
        while left:
            name = left.pop()
            if name not in known:
                raise TargetRefused(
                    Code.TARGET_NOT_FOUND,
                    f"the files of the project {self.project!a} have no service {name!a}",
                    hint=f"they have {', '.join(sorted(known)) or 'none'}",
                    reference=name,
                )
            if name not in meant:
                meant.add(name)
                on = (known[name].get("depends_on") or {}) if dependencies else ()
                left += [each for each in on if each in known]
        return tuple(sorted(meant))

    def of(self, kind: str, services: Sequence[str]) -> dict[str, JSON]:
        """Return the networks or volumes that services use, by their keys."""
        used: set[str] = set()
        for service in map(self.service, services):
            entries = service.get(kind) or ()
            used |= {each["source"] for each in entries if each.get("source")} if kind == "volumes" else set(entries)
        return {key: value or {} for key, value in (self.document.get(kind) or {}).items() if key in used}

    def privileges(self, services: Sequence[str]) -> tuple[str, ...]:
        """Return each way in which services reach for the host, sorted."""
        lines = {f"{name}: {line}" for name in services for line in self._of_service(self.service(name))}
        for key, network in self.of("networks", services).items():
            lines |= {f"network {key}: {line}" for line in _of_network(network)}
        for key, volume in self.of("volumes", services).items():
            lines |= {f"volume {key}: {line}" for line in _of_volume(volume)}
        return tuple(sorted(lines))

    def shell(self, services: Sequence[str]) -> tuple[str, ...]:
        """Return what services start through a shell or an interpreter: written in the files, not by the worker."""
        return tuple(name for name in services if _starts_shell(self.service(name)))

    def _of_service(self, service: JSON) -> Iterator[str]:
        for option, value in service.items():
            if value in (None, "", [], {}, False) or option in _HARMLESS:
                continue
            yield from self._of_option(option, value)

    def _of_option(  # noqa: C901, PLR0912 - one case an option
        self,
        option: str,
        value: Any,  # noqa: ANN401 - any JSON
    ) -> Iterator[str]:
        match option:
            case _ if option in _REPEATED:
                for each in value if isinstance(value, list) else (value,):
                    yield from _run(f"--{_REPEATED[option]}={each}")
            case _ if option in _SINGLE:
                yield from _run(f"--{_SINGLE[option]}={str(value).lower() if value is True else value}")
            case "environment":
                for name in value:
                    yield from _run(f"--env={name}=")
            case "labels":
                for name in value:
                    yield from _run(f"--label={name}=")
            case "ulimits":
                for name, limit in value.items():
                    both = f"{limit.get('soft')}:{limit.get('hard')}" if isinstance(limit, dict) else limit
                    yield from _run(f"--ulimit={name}={both}")
            case "sysctls":
                for name, each in value.items():
                    yield from _run(f"--sysctl={name}={each}")
            case "logging":
                yield from _of_logging(value)
            case "volumes":
                for mount in value:
                    yield from _of_mount(mount)
            case "networks":
                for name, joined in value.items():
                    if (joined or {}).get("driver_opts"):
                        yield f"options of the driver in network {name}"
            case "deploy":
                yield from _of_deploy(value)
            case "configs" | "secrets":
                for each in value:
                    yield from self._of_content(option, each["source"])
            case _:
                yield f"the option {option}"

    def _of_content(self, kind: str, name: str) -> Iterator[str]:
        defined = (self.document.get(kind) or {}).get(name) or {}
        if defined.get("file"):
            yield f"bind mount of {defined['file']}"
        elif set(defined) - _CONTENT or not defined:
            yield f"the {kind} {name}, which cannot be read here"


def _run(*flags: str) -> Iterator[str]:
    """Yield the facts of ``docker run`` with these flags."""
    yield from _facts("run", *flags, "image")


def _facts(*words: str) -> Iterator[str]:
    try:
        yield from facts(parse_argv(("docker", *words))).privileges
    except CommandRefused as error:
        yield f"{' '.join(words[1:-1])}, which is refused: {error.message}"


def _of_logging(logging: JSON) -> Iterator[str]:
    if driver := logging.get("driver"):
        yield from _run(f"--log-driver={driver}")
    for name, value in (logging.get("options") or {}).items():
        yield from _run(f"--log-opt={name}={value}")


def _of_mount(mount: JSON) -> Iterator[str]:
    match mount.get("type"):
        case "bind":
            yield from _run(f"--volume={mount.get('source')}:{mount.get('target')}")
        case "volume" | "tmpfs":
            yield from _run(f"--volume={mount.get('target')}")
        case other:
            yield f"a mount of type {other}"


def _of_deploy(deploy: JSON) -> Iterator[str]:
    yield from (f"the option deploy.{name}" for name in sorted(set(deploy) - _DEPLOY))
    for kind, limits in (deploy.get("resources") or {}).items():
        yield from (f"the option deploy.resources.{kind}.{name}" for name in sorted(set(limits or {}) - _RESOURCES))


def _of_network(network: JSON) -> Iterator[str]:
    name = str(network.get("name", ""))
    if network.get("external"):
        yield from _run(f"--network={name}")
        return
    options = [f"--opt={key}={value}" for key, value in (network.get("driver_opts") or {}).items()]
    driver = (f"--driver={network['driver']}",) if network.get("driver") else ()
    labels = [f"--label={key}=" for key in network.get("labels") or ()]
    yield from _facts("network", "create", *driver, *options, *labels, name)
    known = _NETWORK | {"driver", "driver_opts"}
    yield from (f"the option {each}" for each in sorted(set(network) - known))
    if (network.get("ipam") or {}).get("driver", "default") != "default" or (network.get("ipam") or {}).get("options"):
        yield "an address driver or its options"


def _of_volume(volume: JSON) -> Iterator[str]:
    if volume.get("external"):
        return  # it exists: it is resolved, and judged by what it is
    options = [f"--opt={key}={value}" for key, value in (volume.get("driver_opts") or {}).items()]
    driver = (f"--driver={volume['driver']}",) if volume.get("driver") else ()
    labels = [f"--label={key}=" for key in volume.get("labels") or ()]
    yield from _facts("volume", "create", *driver, *options, *labels, str(volume.get("name", "")))


def _starts_shell(service: JSON) -> bool:
    words = [*(service.get("entrypoint") or ()), *(service.get("command") or ())]
    health = (service.get("healthcheck") or {}).get("test") or ()
    if health[:1] == ["CMD-SHELL"]:
        return True
    return bool(shell_words(tuple(words)))
