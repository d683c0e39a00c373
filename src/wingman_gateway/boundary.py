"""The privilege boundary, judged from what the engine says of every container: the gateway alone may reach the engine.

Looked at are the containers of the compose project, whatever shares a network or a volume with them, and whoever holds
the engine's socket and can be connected to, at a port of the host or in a namespace of theirs. Guarantees: pure; each
finding names who, what (options without the secrets that are recognised, I16), and the way out; what cannot be told is
stated as present, and a project without a gateway that holds the socket is none whose boundary is whole: it is another
one's name, or nothing that is looked at.
Does not: try anything from inside (``wingman doctor boundary`` does), nor see what an image's own files hold.
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wingman_core.command.privileges import is_engines_address
from wingman_core.redaction import redact_text
from wingman_gateway.engine.fleet import Fleet
from wingman_gateway.engine.privileges import container_privileges, volume_privileges

JSON = dict[str, Any]

HOLDER: Final = "execution-gateway"
SERVICES: Final = frozenset({"api", HOLDER, "telegram-bot", "postgres", "migrate"})
PROJECT: Final = "com.docker.compose.project"
SERVICE: Final = "com.docker.compose.service"
KEYS: Final = "/run/wingman"
"""Where each container is given its own keys."""
SOCKET_NAMES: Final = frozenset(
    {"docker.sock", "docker.raw.sock", "docker-cli.sock", "podman.sock", "containerd.sock", "crio.sock"}
)
SOCKETS: Final = (
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
)
KERNEL: Final = ("/proc", "/sys", "/dev")
OWN_VARIABLE: Final = "WINGMAN_DOCKER_HOST"
SAID_ABOVE: Final = ("bind ", "engine's address ")
LOOPBACK: Final = ("127.", "::1")


@dataclass(frozen=True, slots=True)
class Finding:
    """One way across the boundary."""

    service: str
    container: str
    code: str
    what: str
    """Goes on after the service's name: ``has DOCKER_HOST set``."""
    fix: str

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.service} {self.what}"


@dataclass(frozen=True, slots=True)
class Member:
    """One container that was looked at."""

    service: str
    container: str
    id: str
    running: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What a look found."""

    members: tuple[Member, ...]
    findings: tuple[Finding, ...]
    holder: str = ""
    """The container that may hold the socket; empty where there is none."""


def judge(fleet: Fleet, project: str) -> Report:
    """Judge every container that belongs to ``project`` or can be reached from it."""
    mine = [each for each in fleet.containers if _labels(each).get(PROJECT) == project]
    holder = _holder(mine)
    near = [each for each in fleet.containers if each in mine or _shares(each, mine, fleet, project)]
    scene = _Scene(fleet, project, mine, holder, _key_places(mine))
    findings = [*scene.nobody(), *(finding for each in near for finding in scene.findings(each))]
    findings += [finding for each in fleet.containers if each not in near for finding in scene.stranger(each)]
    members = tuple(Member(_service(each), _name(each), each["Id"], _running(each)) for each in near)
    return Report(members, tuple(findings), _name(holder) if holder else "")


def _holder(mine: Sequence[JSON]) -> JSON | None:
    """Return the one container that may hold the socket: of those that say so, the one that was created first."""
    claiming = [each for each in mine if _labels(each).get(SERVICE) == HOLDER]
    return min(claiming, key=lambda each: str(each.get("Created", "")), default=None)


def _shares(container: JSON, mine: Sequence[JSON], fleet: Fleet, project: str) -> bool:
    """Return whether a container is on a network, or has a volume, of the project or of one of its containers."""
    networks = {each["Name"] for each in fleet.networks if (each.get("Labels") or {}).get(PROJECT) == project}
    volumes = {each["Name"] for each in fleet.volumes if (each.get("Labels") or {}).get(PROJECT) == project}
    networks |= {name for each in mine for name in _networks(each)}
    volumes |= {name for each in mine for name in _volume_names(each)}
    return bool(_networks(container) & networks or _volume_names(container) & volumes)


def _key_places(mine: Sequence[JSON]) -> dict[str, str]:
    """Return by service the directory of the host that its keys are in."""
    places: dict[str, str] = {}
    for each in sorted(mine, key=lambda found: str(found.get("Created", ""))):
        for source, target in _binds(each):
            if target == KEYS:
                places.setdefault(_service(each), source)
    return places


@dataclass(frozen=True, slots=True)
class _Scene:
    """What a container is judged against."""

    fleet: Fleet
    project: str
    mine: Sequence[JSON]
    holder: JSON | None
    keys: Mapping[str, str]

    def nobody(self) -> Iterator[Finding]:
        """Yield the lack of a gateway that holds the engine's socket: there is nothing to be whole."""
        if self.holder is None or not any(self._is_socket(source) for source, _ in _binds(self.holder)):
            where = f"of the project {self.project} is not on the engine, or holds no socket of it"
            fix = "start it (docker compose up), or name the project that it is in: --project, WINGMAN_BOUNDARY_PROJECT"
            yield Finding(HOLDER, _name(self.holder) if self.holder else "", "NO_GATEWAY", where, fix)

    def findings(self, container: JSON) -> Iterator[Finding]:
        """Yield each way across the boundary that one near container has."""
        is_holder = container is self.holder
        for code, what, fix in self._ways(container, is_holder=is_holder):
            yield Finding(_service(container), _name(container), code, what, fix)

    def stranger(self, container: JSON) -> Iterator[Finding]:
        """Yield what a container of somebody else's offers: the engine's socket where others can connect to it."""
        if not any(self._is_socket(source) for source, _ in _binds(container)):
            return
        places = ["the host's network"] if _host_mode(container, "NetworkMode") else list(_published(container))
        where = f"at {', '.join(places)}" if places else ""
        if joined := _joined(container, self.mine):
            where = f"from {joined}, whose namespace it is in"
        if where:
            what = f"holds the engine's socket and can be reached {where}"
            yield Finding(_name(container), _name(container), "PROXY", what, f"docker rm -f {_name(container)}")

    def _ways(self, container: JSON, *, is_holder: bool) -> Iterator[tuple[str, str, str]]:
        service = _service(container)
        if not is_holder:
            yield from self._socket(container)
            for name in _variables(container):
                if name == OWN_VARIABLE or is_engines_address(name):
                    yield "ENGINE_VARIABLE", f"has {name} set", f"remove {name} from its environment"
        yield from self._keys(container)
        for found in container_privileges(container):
            if not found.startswith((*SAID_ABOVE, "group ") if is_holder else SAID_ABOVE):
                what = f"runs with {redact_text(found)}"
                yield "PRIVILEGED", what, "take it out of the compose file, and recreate the container"
        yield from self._volumes(container)
        if _labels(container).get(PROJECT) == self.project and service in SERVICES:
            yield from _looseness(container)
            for where in _published(container):
                if service != "api" or not where.startswith(LOOPBACK):
                    yield "PUBLISHED", f"publishes {where}", "publish the API alone, on 127.0.0.1"

    def _volumes(self, container: JSON) -> Iterator[tuple[str, str, str]]:
        mounted = _volume_names(container)
        for volume in self.fleet.volumes:
            if volume["Name"] in mounted:
                for found in volume_privileges(volume):
                    what = f"has a {redact_text(found)}"
                    yield "HOST_VOLUME", what, f"docker volume rm {volume['Name']}, and use a plain one"

    def _socket(self, container: JSON) -> Iterator[tuple[str, str, str]]:
        again = _service(container) == HOLDER and self.holder is not None
        for source, target in _binds(container):
            if self._is_socket(source):
                what = f"has the engine's socket {source} mounted at {target}"
                if again:
                    what = f"is there a second time ({_name(container)}) and {what}"
                yield "SOCKET_MOUNTED", what, "remove the mount and recreate the container"
            elif self._holds_socket(source):
                what = f"has {source} mounted at {target}, which holds the engine's socket or files"
                yield "SOCKET_DIRECTORY", what, "mount what it needs, and nothing above it"
            elif any(_is_within(source, place) for place in KERNEL):
                yield "KERNEL_MOUNTED", f"has the host's {source} mounted at {target}", "remove the mount"

    def _engine_sockets(self) -> set[str]:
        """Return where sockets of engines are on the host, the gateway's own among them."""
        own = {source for source, target in _binds(self.holder or {}) if posixpath.basename(target) in SOCKET_NAMES}
        return {*SOCKETS, *own}

    def _is_socket(self, source: str) -> bool:
        return posixpath.basename(source) in SOCKET_NAMES or source in self._engine_sockets()

    def _holds_socket(self, source: str) -> bool:
        root = _real(self.fleet.data_root)
        sockets = self._engine_sockets()
        return any(_is_within(each, source) for each in (*sockets, root)) or _is_within(source, root)

    def _keys(self, container: JSON) -> Iterator[tuple[str, str, str]]:
        """Yield mounts of keys that are another service's, or the whole deployment's."""
        service = _service(container)
        own = self.keys.get(service) if container is self.holder or service != HOLDER else None
        above = {posixpath.dirname(place) for place in self.keys.values()}
        public = {f"{place}/{name}" for place in above for name in ("token-keys", "policies")}
        for source, target in _binds(container):
            if source == own and target == KEYS:
                continue
            owners = [
                name
                for name, place in self.keys.items()
                if name != service and (_is_within(source, place) or _is_within(place, source))
            ]
            if owners:
                what = f"has {source} mounted at {target}: keys of {', '.join(owners)}"
                yield "KEY_MOUNTED", what, "remove the mount, then rotate these keys"
            elif source not in public and any(_is_within(source, place) for place in above):
                what = f"has {source} mounted at {target}: the deployment's own keys"
                yield "KEY_MOUNTED", what, "remove the mount, then rotate these keys"


def _looseness(container: JSON) -> Iterator[tuple[str, str, str]]:
    """Yield what a container of Wingman's was not denied."""
    host = container.get("HostConfig") or {}
    options = {str(option).replace("=", ":") for option in host.get("SecurityOpt") or ()}
    if not options & {"no-new-privileges", "no-new-privileges:true"}:
        yield "NEW_PRIVILEGES", "may gain privileges", "security_opt: no-new-privileges:true"
    if "ALL" not in {str(name).upper() for name in host.get("CapDrop") or ()}:
        yield "CAPABILITIES", "keeps capabilities", "cap_drop: [ALL]"
    if str((container.get("Config") or {}).get("User") or "0").partition(":")[0] in {"0", "root"}:
        yield "ROOT", "runs as root", "run it as its own user"


def _labels(container: JSON) -> Mapping[str, str]:
    return (container.get("Config") or {}).get("Labels") or {}


def _name(container: JSON) -> str:
    return str(container.get("Name") or container["Id"][:12]).removeprefix("/")


def _service(container: JSON) -> str:
    """Return the service that a container says it is, else its name."""
    return _labels(container).get(SERVICE) or _name(container)


def _running(container: JSON) -> bool:
    return bool((container.get("State") or {}).get("Running"))


def _mounts(container: JSON) -> Sequence[JSON]:
    return container.get("Mounts") or ()


def _volume_names(container: JSON) -> set[str]:
    return {str(mount["Name"]) for mount in _mounts(container) if mount.get("Name")}


def _networks(container: JSON) -> set[str]:
    """Return the networks that a container is on; nobody meets anybody on ``none``."""
    return {*((container.get("NetworkSettings") or {}).get("Networks") or {})} - {"none"}


def _joined(container: JSON, mine: Sequence[JSON]) -> str:
    """Return the service whose namespace a container runs in, empty where it is in none of the project's."""
    for key in ("NetworkMode", "PidMode", "IpcMode"):
        kind, _, whom = str((container.get("HostConfig") or {}).get(key) or "").partition(":")
        for each in mine:
            if kind == "container" and whom and (each["Id"].startswith(whom) or _name(each) == whom):
                return _service(each)
    return ""


def _binds(container: JSON) -> Iterator[tuple[str, str]]:
    """Yield source on the host and target of each bind."""
    for mount in _mounts(container):
        if mount.get("Type") != "volume" and mount.get("Source"):
            yield _real(str(mount["Source"])), str(mount.get("Destination", ""))


def _variables(container: JSON) -> Iterator[str]:
    for each in (container.get("Config") or {}).get("Env") or ():
        name, _, value = str(each).partition("=")
        if value:
            yield name


def _host_mode(container: JSON, key: str) -> bool:
    return str((container.get("HostConfig") or {}).get(key) or "") == "host"


def _published(container: JSON) -> Iterator[str]:
    """Yield ``address:port`` of each port of the host that leads here."""
    host = container.get("HostConfig") or {}
    if host.get("PublishAllPorts"):
        yield "0.0.0.0:a free port"
    bindings = host.get("PortBindings") or {}
    for places in bindings.values():
        for place in places or ():
            port = place.get("HostPort")
            yield f"{place.get('HostIp') or '0.0.0.0'}:{'a free port' if port in (None, '', '0') else port}"  # noqa: S104


def _real(path: str) -> str:
    """Return a path without dots and double slashes; ``/var/run`` is ``/run`` on every Linux."""
    clean = posixpath.normpath(path)
    return clean.removeprefix("/var") if clean == "/var/run" or clean.startswith("/var/run/") else clean


def _is_within(path: str, directory: str) -> bool:
    """Return whether ``path`` is ``directory`` or beneath it."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")
