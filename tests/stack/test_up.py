"""From a clean clone to a healthy TEST environment, what its containers may, and the demo's story through it."""

import asyncio
import json
import secrets
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.stack.running import BIN, Stack
from wingman_cli.client import Client, open_http
from wingman_cli.demo_containers import Containers
from wingman_cli.engine import DockerEngine, EngineSource
from wingman_cli.screen import Screen
from wingman_cli.session import OPERATOR, WORKER
from wingman_cli.stack.secrets_file import PASSWORDS
from wingman_cli.story import Cast, Story
from wingman_cli.thief import Thief

SERVICES = ("api", "execution-gateway", "telegram-bot", "postgres")


def test_the_first_start_makes_the_secrets_and_says_where_everything_is(bare: Stack):
    for word in (
        bare.api,
        ".env.test",
        "config/test/keys",
        "data/test/claims_audit.jsonl",
        "set BOT_TOKEN",
        "made just now",
    ):
        assert word in bare.said
    assert stat.S_IMODE(bare.secrets_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(bare.environment.config.stat().st_mode) == 0o700
    assert httpx.get(f"{bare.api}/health", trust_env=False).json()["status"] == "healthy"
    passwords = [line.split("=", 1)[1] for line in bare.secrets_file.read_text().splitlines() if line.startswith("DB_")]
    images = bare.docker("history", "--no-trunc", "wingman-api") + bare.docker(
        "history", "--no-trunc", "wingman-gateway"
    )
    logs = bare.compose("logs")
    for password in passwords:
        assert password not in bare.said + images + logs


def test_plain_compose_works_with_the_file_and_the_project_alone(stack: Stack):
    assert stack.compose("config", "--quiet") == ""
    rows = [json.loads(line) for line in stack.compose("ps", "--format", "json").splitlines() if line.startswith("{")]
    assert {row["Service"]: (row["Name"], row["Health"]) for row in rows} == {
        "api": ("wingman-api-test", "healthy"),
        "execution-gateway": ("wingman-gateway-test", "healthy"),
        "telegram-bot": ("wingman-telegram-test", "healthy"),
        "postgres": ("wingman-postgres-test", "healthy"),
    }
    before = {service: stack.inspected(service)["Id"] for service in SERVICES}
    stack.compose("up", "-d", "--build")
    assert {service: stack.inspected(service)["Id"] for service in SERVICES} == before, "nothing had changed"
    last = stack.compose("logs", "--no-log-prefix", "--tail", "1", "execution-gateway").splitlines()[-1]
    assert json.loads(last)["level"] == "info"


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_has_no_more_than_it_needs(stack: Stack, service: str):
    found = stack.inspected(service)
    host, config = found["HostConfig"], found["Config"]
    assert host["ReadonlyRootfs"]
    assert not host["Privileged"]
    assert host["CapDrop"] == ["ALL"]
    assert host["CapAdd"] is None
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0
    assert host["NanoCpus"] > 0
    assert host["LogConfig"]["Config"] == {"max-file": "3", "max-size": "10m"}
    uid = stack.inside(service, "id", "-u").strip()
    assert uid == config["User"].partition(":")[0] != "0"
    status = stack.inside(service, "cat", "/proc/1/status")
    caps = dict(line.split(":\t", 1) for line in status.splitlines() if line.startswith(("Cap", "NoNew", "Uid")))
    assert caps["Uid"].split() == [uid] * 4
    assert {int(value, 16) for name, value in caps.items() if name.startswith("Cap")} == {0}
    assert caps["NoNewPrivs"] == "1"
    assert "Read-only file system" in stack.inside(service, "touch", "/written", code=1)
    published = {} if service != "api" else {"8100/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(stack.port)}]}
    assert {port: where for port, where in found["NetworkSettings"]["Ports"].items() if where} == published
    networks = {name.removeprefix("wingman-test_") for name in found["NetworkSettings"]["Networks"]}
    assert (
        networks
        == {
            "api": {"edge", "control", "data", "door"},
            "execution-gateway": {"control", "data"},
            "telegram-bot": {"edge", "internet"},
            "postgres": {"data"},
        }[service]
    )


def test_the_idle_stack_is_small(stack: Stack):
    """Resident memory of everything but Postgres, as the engine counts it: under 350 MB, with room."""
    names = [stack.environment.container(service) for service in SERVICES if service != "postgres"]
    said = stack.docker("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *names)
    used = {line.split()[0]: float(line.split()[1].removesuffix("MiB")) for line in said.splitlines()}
    assert set(used) == set(names)
    assert sum(used.values()) < 350 / 1.048576, used


def test_the_database_asks_for_a_password_inside_tls(stack: Stack):
    """A client without TLS is refused, and so is one without a password; psql as the guide has it works."""
    connect = "import asyncio,asyncpg,sys; asyncio.run(asyncpg.connect(sys.argv[1], password='wrong', ssl=sys.argv[2]))"
    address = "postgresql://wingman_api@postgres/wingman_test"
    plain = stack.inside("api", "python3", "-c", connect, address, "disable", code=1)
    assert "no pg_hba.conf entry for host" in plain
    assert "no encryption" in plain
    wrong = stack.inside("api", "python3", "-c", connect, address, "require", code=1)
    assert "password authentication failed" in wrong
    asked = ("psql", "-U", "wingman_test", "-d", "wingman_test", "-Atc")
    assert stack.inside("postgres", *asked, "SHOW password_encryption").strip() == "scram-sha-256"
    granted = "SELECT string_agg(privilege_type, ',') FROM information_schema.table_privileges WHERE grantee="
    of_api = f"{granted}'wingman_api' AND table_name='execution_audit'"
    assert stack.inside("postgres", *asked, of_api).strip() == "SELECT"


async def test_the_story_of_the_demo_goes_through_the_stack(stack: Stack, busybox_here: str, engine_url: str):
    with DockerEngine(engine_url) as engine:
        containers = Containers(engine)
        engine.call("POST", f"/images/{busybox_here}/tag?repo=busybox&tag=stack")
        containers.find_image(EngineSource({}), private=True)
        try:
            with through(stack, "execution-gateway", 8200) as port:
                await asyncio.to_thread(play, stack, containers, f"localhost:{port}")
        finally:
            containers.clean()


def play(stack: Stack, containers: Containers, gateway: str) -> None:
    before = len(records(stack))

    def key(name: str) -> str:
        return stack.instance.api_key_file(name).read_text()

    with Client(open_http(stack.api, key(WORKER))) as worker, Client(open_http(stack.api, key(OPERATOR))) as operator:
        cast = Cast(
            worker,
            operator,
            containers,
            Thief(stack.instance, gateway),
            verify=lambda: stack.inside(
                "api", "wingman", "audit", "verify", "--verifier-key", "/run/wingman/checkpoint.vkey"
            ).strip(),
            records=lambda: [(row["kind"], row["reason"]) for row in records(stack)[before:]],
        )
        assert Story(cast, Screen(), "stack-web").play()


def test_prd_starts_on_strong_secrets_and_nobody_is_anonymous_there(stack: Stack, machine: dict[str, str]):
    prd = Stack(stack.clone, machine, "prd")
    strong = "".join(f"{name}={secrets.token_urlsafe(24)}\n" for name in PASSWORDS)
    prd.secrets_file.write_text(f"{strong}WINGMAN_TELEGRAM=off\n")
    prd.secrets_file.chmod(0o600)
    try:
        assert "PRD is up and healthy." in prd.make("prd-env")
        assert httpx.get(f"{prd.api}/health", trust_env=False).json()["status"] == "healthy"
        assert httpx.get(f"{prd.api}/approvals/pending", trust_env=False).status_code == 401
        assert json.loads(prd.wingman("pending", "--json"))["count"] == 0
        prd.compose("up", "--detach", "--no-build")
        names = prd.docker("ps", "--all", "--format", "{{.Names}}", "--filter", "name=prd").split()
        assert sorted(names) == [f"wingman-{each}-prd" for each in ("api", "gateway", "migrate", "postgres")], "no bot"
        assert "PASS: wingman-prd" in prd.run(BIN / "wingman", "doctor", "boundary", "--project", "wingman-prd")
        assert "its data are kept" in prd.make("prd-env-down")
        for words in (("rotate", "certificates"), ("backup", "create"), ("dr", "drill")):
            said = prd.run(BIN / "wingman", *words, "--env", "prd", code=4)
            assert "DATABASE_UNAVAILABLE: PRD does not run (postgres)" in said
    finally:
        prd.compose("down", "--volumes", "--timeout", "3")
        prd.secrets_file.unlink()


def records(stack: Stack) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads(stack.inside("api", "wingman", "audit", "tail", "-n", "10000", "--json"))
    return rows


@contextmanager
def through(stack: Stack, service: str, port: int) -> Iterator[int]:
    """A port of loopback that leads to a container's, where the certificate's name is right."""
    networks = stack.inspected(service)["NetworkSettings"]["Networks"].values()
    address = (next(network["IPAddress"] for network in networks), port)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    done = threading.Event()

    def pump(source: socket.socket, target: socket.socket) -> None:
        with source, target:
            try:
                while piece := source.recv(65536):
                    target.sendall(piece)
            except OSError:
                return

    def accept() -> None:
        while not done.is_set():
            try:
                near, _ = listener.accept()
            except TimeoutError:
                continue
            far = socket.create_connection(address)
            for pair in ((near, far), (far, near)):
                threading.Thread(target=pump, args=tuple(each.dup() for each in pair), daemon=True).start()
            near.close()
            far.close()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        done.set()
        thread.join()
        listener.close()
