"""The gateway is killed while Compose acts: Compose ends too, the log says what Docker knows, nothing runs twice."""

import asyncio
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import psutil
import pytest

from tests.conftest import Database
from tests.faults.site import Site, execute_all
from tests.gateway.conftest import Minter, eventually, new_approval, refusal
from tests.gateway.engine.conftest import Docker, docker
from wingman_cli.pki import Authority
from wingman_core.audit_record import AuditRecord, RecordKind
from wingman_core.errors import Code
from wingman_gateway.engine import Engine, read_registry
from wingman_gateway.engine.private_place import PREFIX
from wingman_gateway.settings import Settings

__all__ = ["docker"]

pytestmark = pytest.mark.timeout(600)
INTENT, RESULT, RECONCILED = RecordKind.INTENT, RecordKind.RESULT, RecordKind.RECONCILED
BINARY = Path(shutil.which("docker-compose", path=str(Path(sys.executable).parent)) or "none")
FILE = """
services:
  db:
    image: {image}
    command: [sh, -c, "echo run >> /count; exec sleep 1000"]
    stop_grace_period: 0s
    healthcheck: {{test: [CMD, test, -f, /go], interval: 200ms, retries: 10000}}
  web:
    image: {image}
    command: [sleep, "1000"]
    stop_grace_period: 0s
    depends_on: {{db: {{condition: service_healthy}}}}
"""
"""Compose starts ``db``, and waits until somebody makes /go in it before it starts ``web``."""


class Shop:
    """A registered project, and what the administrator sees of it."""

    def __init__(self, docker: Docker, place: Path) -> None:
        self.docker, self.name = docker, docker.name("p")
        directory = place / "shop"
        directory.mkdir()
        (directory / "compose.yml").write_text(FILE.format(image=docker.image), encoding="utf-8")
        self.registry = place / "projects.toml"
        self.registry.write_text(f'[{self.name}]\ndirectory = "{directory}"\n', encoding="utf-8")

    def states(self) -> dict[str, str]:
        """Each service's state."""
        listed = self.docker(
            "ps", "-a", "--format", "json", "--filter", f"label=com.docker.compose.project={self.name}"
        )
        return {line["Names"].split("-")[-2]: line["State"] for line in map(json.loads, listed.splitlines())}

    def runs(self) -> int:
        """How often ``db`` began."""
        return self.docker("exec", f"{self.name}-db-1", "cat", "/count").count("run")

    def go(self) -> None:
        """Let ``db`` be healthy."""
        self.docker("exec", f"{self.name}-db-1", "touch", "/go")


@pytest.fixture
async def shop(docker: Docker, tmp_path: Path) -> AsyncIterator[Shop]:
    project = Shop(docker, tmp_path)
    yield project
    docker.clean()


@pytest.fixture
async def site(
    settings: Settings, database: Database, pki: Authority, minter: Minter, shop: Shop
) -> AsyncIterator[Site]:
    """A deployment that knows the project."""
    projects = read_registry(shop.registry, BINARY)
    url = shop.docker.url
    engine = await Engine.connect(url, projects=projects, compose_binary=BINARY)
    changes = {"docker_host": url, "compose_projects": shop.registry, "compose_binary": BINARY}
    yield Site(settings.model_copy(update=changes), database, pki, minter, engine)
    await engine.close()


async def its_compose(gateway: int) -> psutil.Process:
    """The gateway's Compose process."""
    found: list[psutil.Process] = []

    async def acts() -> bool:
        found[:] = [each for each in psutil.Process(gateway).children() if "up" in each.cmdline()]
        return bool(found)

    await eventually(acts)
    return found[0]


async def goes_on(site: Site, command: str, spent: str) -> list[AuditRecord]:
    """The log once a new gateway has settled it; neither the approval nor anything else makes it run again."""
    async with site.running() as gateway:
        await gateway.serving(site.pki)
        log = await site.settled(seconds=90)
        async with gateway.channel(site.pki) as channel:
            refused = await refusal(execute_all(channel, await site.token(command, spent), command))
    assert refused.reason == Code.APPROVAL_SPENT
    return log


async def test_killed_while_compose_waits_it_ends_too_and_what_is_half_done_is_unknown(site: Site, shop: Shop):
    command, approval = f"docker compose -p {shop.name} up", new_approval()
    async with site.running() as gateway, gateway.channel(site.pki) as channel:
        await gateway.serving(site.pki)
        call = asyncio.create_task(execute_all(channel, await site.token(command, approval), command))

        async def half() -> bool:
            return await asyncio.to_thread(shop.states) == {"db": "running", "web": "created"}

        await eventually(half, seconds=60)
        compose = await its_compose(gateway.process.pid)
        assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL

        async def is_gone() -> bool:
            return not compose.is_running() or compose.status() == psutil.STATUS_ZOMBIE

        await eventually(is_gone)
        with pytest.raises(grpc.aio.AioRpcError):
            await call
    left = f"{PREFIX}{gateway.process.pid}-*"
    assert list(Path(tempfile.gettempdir()).glob(left))
    shop.go()
    intent, reconciled = await goes_on(site, command, approval)
    assert (intent.kind, reconciled.kind, reconciled.outcome) == (INTENT, RECONCILED, "UNKNOWN")
    evidence = json.loads(reconciled.evidence)
    assert (evidence["as_wanted"], evidence["wanted"]) == (["db"], ["db", "web"])
    assert (shop.states(), shop.runs()) == ({"db": "running", "web": "created"}, 1)
    assert not list(Path(tempfile.gettempdir()).glob(left))
    # Asked for again, it does what was left, and that alone.
    async with site.running() as gateway, gateway.channel(site.pki) as channel:
        await gateway.serving(site.pki)
        events = await execute_all(channel, await site.token(command, again := new_approval()), command)
    assert events[-1].finished.exit_code == 0
    assert await site.story(again) == [(INTENT, "", None), (RESULT, "SUCCEEDED", 0)]
    assert (shop.states(), shop.runs()) == ({"db": "running", "web": "running"}, 1)


@pytest.mark.parametrize(
    ("point", "expected", "states"),
    [
        ("spend:end", "FAILED", {}),
        ("note:end", "UNKNOWN", {}),
        ("act:end", "SUCCEEDED", {"db": "running", "web": "running"}),
    ],
)
async def test_killed_before_and_after_compose_the_log_says_what_docker_knows(
    site: Site, shop: Shop, point: str, expected: str, states: dict[str, str]
):
    command, approval = f"docker compose -p {shop.name} up", new_approval()

    async def let_go() -> bool:
        return await asyncio.to_thread(lambda: shop.states().get("db") == "running" and shop.go() is None)

    async with site.faulty(point, signal.SIGKILL) as gateway, gateway.channel(site.pki) as channel:
        await gateway.serving(site.pki)
        call = asyncio.create_task(execute_all(channel, await site.token(command, approval), command))
        if states:
            await eventually(let_go, seconds=60)
        with pytest.raises(grpc.aio.AioRpcError):
            await call
        assert await gateway.process.wait() == -signal.SIGKILL
    _, reconciled = await goes_on(site, command, approval)
    assert (reconciled.kind, reconciled.outcome) == (RECONCILED, expected), reconciled.evidence
    assert shop.states() == states
    if states:
        assert shop.runs() == 1
