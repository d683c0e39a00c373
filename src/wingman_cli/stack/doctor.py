"""The privilege boundary proof: judged from outside, then tried from inside each container, as root there.

Guarantees: what tries is a short-lived container in the tested one's namespaces that may read its file system and
nothing of the engine's; it is removed, whatever happens. Only the execution gateway may reach an engine; a container in
which nothing can be tried counts as a violation.
"""

import asyncio
import contextlib
import json
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, Final

from wingman_cli.engine import DockerEngine
from wingman_cli.pki import Authority
from wingman_core.errors import WingmanError
from wingman_gateway.boundary import HOLDER, PROJECT, SERVICE, Finding, Member, Report, judge
from wingman_gateway.engine import Engine
from wingman_gateway.engine.fleet import Fleet

GATEWAY_PORT: Final = 8200
ENGINE_PORTS: Final = (2375, 2376)
PATHS: Final = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/user/1000/docker.sock",
    "~root/.orbstack/run/docker.sock",
    "~root/.colima/default/docker.sock",
    "~root/.docker/run/docker.sock",
    "/run/host-services/docker.proxy.sock",
    "/run/podman/podman.sock",
    "/run/user/1000/podman/podman.sock",
    "/run/containerd/containerd.sock",
)
"""Docker, rootless, OrbStack, Colima, Docker Desktop, podman, containerd; ``~root`` is where the container says.
Other sockets are found by looking."""
RIGHTS: Final = ("SYS_PTRACE", "SYS_CHROOT", "DAC_OVERRIDE")
"""To see another process's root directory, and to be root in it."""
LIMIT: Final = 60.0
FIXES: Final[Mapping[str, str]] = {
    "unix": "find who put the socket there: a mount, or a volume shared with a proxy",
    "tcp": "have no engine listen on TCP, and no proxy to one run: dockerd -H, docker ps",
    "gateway": "the gateway must ask for a certificate of its own CA: look at WINGMAN_TLS_CA",
}


@dataclass(frozen=True, slots=True)
class Proof:
    """The whole verdict."""

    project: str
    members: tuple[Member, ...]
    findings: tuple[Finding, ...]
    tried: int
    """In how many containers it was tried from inside."""

    @property
    def passed(self) -> bool:
        """Whether only the gateway reaches an engine."""
        return not self.findings


def prove(address: str, project: str, *, inside: bool) -> Proof:
    """Look, and with ``inside`` try; raise ``Unavailable`` where the engine does not answer."""
    fleet = asyncio.run(_fleet(address))
    report = judge(fleet, project)
    if not inside or not report.holder:  # what is tried inside needs an image of the project
        return Proof(project, report.members, report.findings, 0)
    running = [member for member in report.members if member.running]
    tested = {each["Id"]: each for each in fleet.containers}
    with foreign_certificate() as certificate, ThreadPoolExecutor(4) as pool, DockerEngine(address) as engine:
        asked = _asked(fleet, project, certificate)
        found = list(pool.map(lambda member: _try(engine, tested[member.id], member, fleet, project, asked), running))
    tries = [finding for each in found for finding in each]
    return Proof(project, report.members, (*report.findings, *not_allowed(tries, report)), len(running))


async def _fleet(address: str) -> Fleet:
    engine = await Engine.connect(address)
    try:
        return await engine.fleet()
    finally:
        await engine.close()


@contextlib.contextmanager
def foreign_certificate() -> Iterator[str]:
    """Yield certificate and key, in PEM, of a CA that nobody trusts."""
    with tempfile.TemporaryDirectory() as place:
        leaf = Authority(Path(place), "test", now=datetime.now(UTC)).issue("api")
        yield leaf.certificate.read_text() + leaf.key.read_text()


def _asked(fleet: Fleet, project: str, certificate: str) -> dict[str, Any]:
    """Return what is tried everywhere: addresses of the host and of whoever shares a network with the project."""
    hosts = {"127.0.0.1"}
    gateways: list[tuple[str, int]] = []
    for network in fleet.networks:
        hosts |= {each["Gateway"] for each in (network.get("IPAM") or {}).get("Config") or () if each.get("Gateway")}
    for container in fleet.containers:
        labels = (container.get("Config") or {}).get("Labels") or {}
        addresses = {
            each["IPAddress"]
            for each in ((container.get("NetworkSettings") or {}).get("Networks") or {}).values()
            if each.get("IPAddress")
        }
        hosts |= addresses
        if labels.get(PROJECT) == project and labels.get(SERVICE) == HOLDER:
            gateways += [(each, GATEWAY_PORT) for each in sorted(addresses)]
    return {
        "hosts": sorted(hosts),
        "ports": ENGINE_PORTS,
        "gateways": gateways,
        "paths": PATHS,
        "certificate": certificate,
        "root": "/proc/1/root",
    }


def _try(  # noqa: PLR0913, PLR0917 - where, in what, and what for
    engine: DockerEngine, container: dict[str, Any], member: Member, fleet: Fleet, project: str, asked: dict[str, Any]
) -> list[Finding]:
    """Try from inside one container; return what led somewhere."""
    try:
        found = _run(engine, container, _image(fleet, project), asked)
    except (WingmanError, ValueError) as error:
        why = error.message if isinstance(error, WingmanError) else str(error)
        return [Finding(member.service, member.container, "NOT_TRIED", f"could not be tried: {why}", "try again")]
    return [
        Finding(
            member.service,
            member.container,
            f"REACHED_{each['kind'].upper()}",
            f"reaches {each['where']} ({each['said']})",
            FIXES[each["kind"]],
        )
        for each in found
    ]


def not_allowed(tries: list[Finding], report: Report) -> list[Finding]:
    """Return the findings of everybody but the one gateway, whose socket is its own."""
    return [finding for finding in tries if (finding.container, finding.code) != (report.holder, "REACHED_UNIX")]


def _image(fleet: Fleet, project: str) -> str:
    """Return an image that has Python: the API's, or the gateway's."""
    images = {
        (each["Config"].get("Labels") or {}).get(SERVICE): str(each["Image"])
        for each in fleet.containers
        if (each["Config"].get("Labels") or {}).get(PROJECT) == project
    }
    return images.get("api") or images[HOLDER]


def _run(engine: DockerEngine, container: dict[str, Any], image: str, asked: dict[str, Any]) -> list[dict[str, str]]:
    """Run the probe in a container's namespaces; return what it says."""
    program = resources.files("wingman_cli.stack").joinpath("probe.py").read_text("utf-8")
    space = f"container:{container['Id']}"
    body = {
        "Image": image,
        "User": "0:0",
        "Entrypoint": ["python3", "-I", "-c"],
        "Cmd": [program, json.dumps(asked)],
        "Tty": True,  # its log is then plain text
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "NetworkMode": space,
            "PidMode": space,
            "CapDrop": ["ALL"],
            "CapAdd": list(RIGHTS),
            "SecurityOpt": ["no-new-privileges:true"],
            "ReadonlyRootfs": True,
            "Tmpfs": {"/tmp": "size=1m"},  # noqa: S108 - the container's own
        },
    }
    name = f"wingman-probe-{secrets.token_hex(6)}"
    made = str(engine.call("POST", f"/containers/create?name={name}", json=body).json()["Id"])
    try:
        engine.call("POST", f"/containers/{made}/start")
        code = engine.call("POST", f"/containers/{made}/wait", timeout=LIMIT).json()["StatusCode"]
        said = engine.call("GET", f"/containers/{made}/logs?stdout=true&stderr=true").text.strip()
    finally:
        engine.call("DELETE", f"/containers/{made}?force=true&v=true")
    if code != 0:
        raise ValueError(said.splitlines()[-1] if said else f"exit code {code}")
    found: list[dict[str, str]] = json.loads(said.splitlines()[-1])
    return found
