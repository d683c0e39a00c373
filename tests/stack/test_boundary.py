"""The boundary proof: it passes on the stack, and fails, naming service and reason, for each fault that is planted."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from socket import AF_UNIX, create_server, socket
from typing import Any

import httpx
import pytest

from tests.stack.running import Stack
from tests.stack.test_up import records
from wingman_cli.stack.doctor import PATHS, foreign_certificate

PROBE = resources.files("wingman_cli.stack").joinpath("probe.py").read_text("utf-8")
Plant = Callable[[str, dict[str, Any]], None]
SOCKET = "${WINGMAN_DOCKER_SOCKET}"


def doctor(stack: Stack, *options: str, code: int = 0) -> str:
    return stack.run(stack.clone / "tools" / "verify_test_privilege_removal.sh", *options, code=code)


def try_from_inside(stack: Stack, service: str, certificate: str, *, user: str = "0") -> list[dict[str, str]]:
    """What the probe finds as that user of a container; the engine's addresses and the gateway's are tried."""
    networks = stack.inspected("execution-gateway")["NetworkSettings"]["Networks"].values()
    own = stack.inspected(service)["NetworkSettings"]["Networks"].values()
    asked = {
        "hosts": [each["Gateway"] for each in (*networks, *own) if each["Gateway"]],
        "ports": [2375, 2376],
        "gateways": [(each["IPAddress"], 8200) for each in networks],
        "paths": PATHS,
        "certificate": certificate,
        "root": "",
    }
    found: list[dict[str, str]] = json.loads(
        stack.inside(service, "python3", "-I", "-", json.dumps(asked), user=user, stdin=PROBE)
    )
    return found


@pytest.fixture(scope="module")
def planted(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """Recreates one service with a change to its part of the compose file, and mends the one before."""
    override = tmp_path_factory.mktemp("planted") / "override.json"
    up = ("up", "--detach", "--no-build", "--no-deps", "--timeout", "1")
    changed: set[str] = set()

    def plant(service: str, change: dict[str, Any]) -> None:
        override.write_text(json.dumps({"services": {service: change}}))
        if mended := changed - {service}:
            stack.compose(*up, *mended)
            changed.clear()
        changed.add(service)
        stack.compose("-f", str(override), *up, service)

    yield plant
    stack.compose(*up, "--wait", *changed)


@contextmanager
def container(stack: Stack, *arguments: str) -> Iterator[None]:
    """A container for as long as the context lasts."""
    made = stack.docker("run", "--detach", "--rm", *arguments).split()[-1]
    try:
        yield
    finally:
        stack.docker("rm", "--force", made)


def test_the_proof_passes_and_says_so_in_two_forms(stack: Stack):
    said = doctor(stack)
    for service in ("api", "execution-gateway", "telegram-bot", "postgres"):
        assert f"PASS: {service} (" in said
    assert "tried from inside" in said
    assert "FAIL" not in said
    document = json.loads(doctor(stack, "--json"))
    assert (document["passed"], document["tried_inside"], document["findings"]) == (True, 4, [])
    assert not stack.docker("ps", "--all", "--quiet", "--filter", "name=wingman-probe").strip()


@pytest.mark.parametrize("service", ["api", "telegram-bot"])
def test_nothing_is_found_by_root_inside(stack: Stack, service: str):
    with foreign_certificate() as certificate:
        assert try_from_inside(stack, service, certificate) == []


def test_the_probe_sees_what_there_is_to_see(stack: Stack):
    """Where the gateway itself looks there is a socket, and the API's own certificate is served."""
    sockets = [each["where"] for each in try_from_inside(stack, "execution-gateway", "", user="10002")]
    assert "/var/run/docker.sock" in sockets
    leaf = [(stack.instance.pki / name).read_text() for name in ("api.crt", "api.key")]
    assert {each["kind"] for each in try_from_inside(stack, "api", "".join(leaf))} == {"gateway"}


def test_the_bot_reaches_neither_database_nor_gateway(stack: Stack):
    connect = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)"
    for service, port in (("postgres", "5432"), ("execution-gateway", "8200")):
        networks = stack.inspected(service)["NetworkSettings"]["Networks"].values()
        for address in (service, *(each["IPAddress"] for each in networks)):
            said = stack.inside("telegram-bot", "python3", "-c", connect, address, port, user="0", code=1)
            assert "rror: " in said


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO execution_audit SELECT * FROM execution_audit",
        "UPDATE execution_audit SET worker = 'nobody'",
        "DELETE FROM execution_audit",
        "TRUNCATE execution_audit",
    ],
)
def test_the_api_cannot_change_the_audit_log(stack: Stack, statement: str):
    program = (
        "import asyncio,asyncpg,os,sys\n"
        "async def go():\n"
        " c = await asyncpg.connect(os.environ['WINGMAN_DATABASE_URL'], password=os.environ['DB_PASSWORD'])\n"
        " await c.execute(sys.argv[1])\n"
        "asyncio.run(go())"
    )
    said = stack.inside("api", "python3", "-c", program, statement, code=1)
    assert "permission denied for table execution_audit" in said


def test_an_engine_on_tcp_is_found_from_inside(stack: Stack):
    """The bot's way to the internet leads over its bridge's address, where a proxy on the host takes connections."""
    networks = stack.inspected("telegram-bot")["NetworkSettings"]["Networks"]
    address = networks["wingman-test_internet"]["Gateway"]
    with create_server((address, 2375)) as listener:
        threading.Thread(target=forward, args=(listener, stack.environ["DOCKER_HOST"]), daemon=True).start()
        said = doctor(stack, code=1)
        listener.shutdown(2)
    assert f"FAIL: telegram-bot reaches {address}:2375 (takes connections)" in said


def forward(listener: socket, engine: str) -> None:
    """Pass one request at a time on to the engine."""
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        with near, socket(AF_UNIX) as far:
            far.connect(engine.removeprefix("unix://"))
            near.settimeout(2)
            try:
                far.sendall(near.recv(65536))
                near.sendall(far.recv(65536))
            except OSError:
                continue


def test_a_second_gateway_and_proxies_are_named(stack: Stack, busybox_here: str):
    socket_path = stack.environ["DOCKER_HOST"].removeprefix("unix://")
    mount = ("--volume", f"{socket_path}:/var/run/docker.sock")
    labels = [f"--label=com.docker.compose.{name}" for name in ("project=wingman-test", "service=execution-gateway")]
    sleep = (busybox_here, "sleep", "600")
    with container(stack, "--name", "twin", *labels, *mount, *sleep):
        said = doctor(stack, "--outside-only", code=1)
        assert "FAIL: execution-gateway is there a second time (twin) and has the engine's socket" in said
        assert "PASS: execution-gateway (wingman-gateway-test)" in said
    proxy = "import socket,threading\n" + PROXY
    with container(
        stack, "--name", "proxy", "--network", "wingman-test_edge", "--user", "0", *mount,
        "--entrypoint", "python3", "wingman-api", "-c", proxy,
    ):  # fmt: skip
        found = json.loads(doctor(stack, "--json", code=1))["findings"]
        assert {"SOCKET_MOUNTED"} <= {each["code"] for each in found if each["service"] == "proxy"}
        reached = [each for each in found if each["service"] == "telegram-bot"]
        assert [each["code"] for each in reached] == ["REACHED_TCP"]
    with container(stack, "--name", "stranger", "--publish", "127.0.0.1:0:9999", *mount, *sleep):
        said = doctor(stack, "--outside-only", code=1)
        assert "FAIL: stranger holds the engine's socket and can be reached at 127.0.0.1" in said


PROXY = """
def pump(a, b):
    while data := a.recv(65536): b.sendall(data)
listener = socket.create_server(("", 2375))
while True:
    near, _ = listener.accept()
    far = socket.socket(socket.AF_UNIX); far.connect("/var/run/docker.sock")
    for pair in ((near, far), (far, near)): threading.Thread(target=pump, args=pair, daemon=True).start()
"""


def test_the_gateway_records_its_own_looks_and_the_api_tells_a_violation(stack: Stack, busybox_here: str):
    def looks() -> list[tuple[str, str]]:
        return [(row["outcome"], row["reason"]) for row in records(stack) if row["kind"] == "BOUNDARY"]

    assert looks()[0] == ("SUCCEEDED", "")
    key = stack.instance.api_key_file("operator").read_text()
    with container(
        stack, "--name", "watched", "--network", "wingman-test_edge", "--pid", "host", busybox_here, "sleep", "600"
    ):
        with httpx.stream(
            "GET", f"{stack.api}/events", headers={"Authorization": f"Bearer {key}"}, timeout=120, trust_env=False
        ) as events:
            data = (json.loads(line.removeprefix("data:")) for line in events.iter_lines() if line.startswith("data:"))
            told = next(each for each in data if each["type"] == "boundary.violated" and "watched" in each["reason"])
        assert told["reason"] == "PRIVILEGED: watched runs with pid namespace of host"
        assert looks()[-1] == ("FAILED", "PRIVILEGED: watched runs with pid namespace of host")


@pytest.mark.parametrize(
    ("service", "change", "said"),
    [
        ("api", {"volumes": [f"{SOCKET}:/var/run/docker.sock"]}, "has the engine's socket"),
        ("telegram-bot", {"volumes": [f"{SOCKET}:/tmp2/letters"]}, "mounted at /tmp2/letters"),
        ("telegram-bot", {"volumes": ["/run:/host-run:ro"]}, "which holds the engine's socket"),
        ("telegram-bot", {"environment": {"DOCKER_HOST": "tcp://engine:2375"}}, "has DOCKER_HOST set"),
        ("telegram-bot", {"privileged": True}, "runs with privileged"),
        ("telegram-bot", {"pid": "host"}, "runs with pid namespace of host"),
        ("telegram-bot", {"volumes": ["../../config/test/gateway:/keys:ro"]}, "keys of execution-gateway"),
        ("telegram-bot", {"volumes": ["../../config/test/pki/api.key:/keys/api.key:ro"]}, "the deployment's own keys"),
    ],
    ids=["socket", "another path", "parent", "DOCKER_HOST", "privileged", "pid", "gateway's key", "the CA's directory"],
)
def test_a_planted_fault_is_named(stack: Stack, planted: Plant, service: str, change: dict[str, Any], said: str):
    planted(service, change)
    failed = [line for line in doctor(stack, "--outside-only", code=1).splitlines() if line.startswith("FAIL: ")]
    assert any(line.startswith(f"FAIL: {service} ") and said in line for line in failed), failed
    assert all(line.startswith((f"FAIL: {service} ", "FAIL: wingman-test: ")) for line in failed), failed


def test_a_socket_under_any_name_is_found_from_inside(stack: Stack, planted: Plant):
    """A directory of the host with another name for the socket: nothing but trying tells."""
    there = Path(stack.environ["DOCKER_HOST"].removeprefix("unix://"))
    hidden = there.parent / "letterbox"
    hidden.mkdir(exist_ok=True)
    (hidden / "post").unlink(missing_ok=True)
    (hidden / "post").hardlink_to(there)
    planted("telegram-bot", {"volumes": [f"{hidden}:/letters"]})
    assert "FAIL: telegram-bot reaches /letters/post (answers /_ping)" in doctor(stack, code=1)
