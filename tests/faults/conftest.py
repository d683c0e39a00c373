"""What the fault tests share: the gateway's fixtures, and containers that tell how often something happened."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from secrets import token_hex

import pytest

from tests.conftest import Database
from tests.faults.site import Site
from tests.gateway.conftest import Minter, minter, outage, settings
from wingman_cli.pki import Authority
from wingman_gateway.engine import Engine
from wingman_gateway.settings import Settings

__all__ = ["minter", "outage", "settings"]

KILLS = int(os.environ.get("KILLS", "1"))
"""How often each fault is made; ``make faults`` makes 20."""
LONG = KILLS > 1

SERVER = """
echo ready
trap 'echo stopping; sleep 3; exit 0' TERM
while :; do sleep 0.1; done
"""
"""A program that says when it is asked to stop, and takes three seconds."""

JOB = """#!/bin/sh
echo run >> /count
sleep 3
exit 7
"""
"""A job that counts its runs, takes three seconds, and fails with 7; ``QUICK`` takes no time."""
QUICK = JOB.replace("sleep 3\n", "")


@dataclass(frozen=True)
class Container:
    """A container of the test's own, and what the administrator sees of it."""

    name: str
    docker: Callable[..., str]

    def logs(self) -> str:
        return self.docker("logs", self.name)

    def state(self) -> str:
        return self.docker("inspect", "--format", "{{.State.Status}}", self.name).strip()

    def runs(self) -> int:
        """How often the job began."""
        return self.docker("exec", self.name, "sh", "-c", "cat /count 2>/dev/null || true").count("run")


@pytest.fixture
def container(engine_url: str, busybox: str) -> Iterator[Container]:
    """A running container with ``SERVER``, ``JOB`` as /job and ``QUICK`` as /quick."""

    def docker(*arguments: str, text: str | None = None) -> str:
        done = subprocess.run(
            [shutil.which("docker") or "docker", "-H", engine_url, *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    name = f"faults-{token_hex(4)}"
    docker("run", "-d", "--name", name, busybox, "sh", "-c", SERVER)
    for path, job in (("/job", JOB), ("/quick", QUICK)):
        docker("exec", "-i", name, "sh", "-c", f"cat > {path} && chmod +x {path}", text=job)
    yield Container(name, docker)
    docker("rm", "-f", name)


@pytest.fixture
async def site(
    settings: Settings, database: Database, pki: Authority, minter: Minter, engine_url: str
) -> AsyncIterator[Site]:
    """A deployment on the session's database and engine."""
    engine = await Engine.connect(engine_url)
    yield Site(settings.model_copy(update={"docker_host": engine_url}), database, pki, minter, engine)
    await engine.close()
