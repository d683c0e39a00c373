"""Compose projects by their labels: a project that the Compose binary started, read and taken down by Wingman."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import BUSYBOX
from tests.gateway.engine.conftest import Docker, perform
from tests.gateway.engine.sides import HEX, MASKS
from wingman_core.command import parse
from wingman_core.errors import Code, TargetRefused
from wingman_gateway.engine import Engine

FILE = """
services:
  db: {image: "{image}", command: ["sh", "-c", "echo one; echo two; sleep 1000"], stop_grace_period: 0s}
  web:
    image: "{image}"
    command: [sleep, "1000"]
    stop_grace_period: 0s
    depends_on: [db]
    ports: ["127.0.0.1:0:80"]
    volumes: ["data:/data"]
volumes: {data: {}}
"""
BINARY = shutil.which("docker-compose", path=str(Path(sys.executable).parent))


class Project:
    """One project, and the Compose binary on it."""

    def __init__(self, docker: Docker, place: Path) -> None:
        self._docker = docker
        self.name = docker.name("p")
        self._file = place / "compose.yml"
        self._file.write_text(FILE.replace("{image}", docker.image), encoding="utf-8")

    def __call__(self, *words: str) -> str:
        assert BINARY, "make setup installs the Compose binary"
        done = subprocess.run(
            [BINARY, "-p", self.name, "-f", str(self._file), *words],
            env={**os.environ, "DOCKER_HOST": self._docker.url},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def states(self) -> dict[str, str]:
        """The state of each service's container."""
        listed = self._docker(
            "ps", "-a", "--filter", f"label=com.docker.compose.project={self.name}", "--format", "{{.Names}} {{.State}}"
        )
        words = [line.split() for line in listed.splitlines()]
        return {name.removeprefix(f"{self.name}-").removesuffix("-1"): state for name, state in words}


@pytest.fixture
def project(docker: Docker, tmp_path: Path) -> Iterator[Project]:
    running = Project(docker, tmp_path)
    running("up", "-d", "--quiet-pull")
    yield running
    running("down", "-v")


def neutral(text: str) -> list[str]:
    """The lines without ids, times and free ports, and without how columns are padded."""
    text = HEX.sub("ID", text)
    for mask, word in MASKS:
        text = mask.sub(word, text)
    return [re.sub(r" {2,}", "  ", line).rstrip() for line in text.splitlines()]


async def test_what_compose_reads_wingman_reads(engine: Engine, project: Project, docker: Docker) -> None:
    prefix = f"docker compose -p {project.name}"
    docker("tag", BUSYBOX, f"a-name-before/{project.name}:1")  # an image is called what its container was made from
    for command in (
        "ps",
        "ps -a",
        "ps -q",
        "ps --services",
        "ps web",
        "images",
        "images -q",
        "logs db",
        "logs -n 1 db",
    ):
        ran = await perform(engine, f"{prefix} {command}")
        wanted = project(*(command.replace("logs", "logs --no-color").split()))
        assert (ran.code, sorted(neutral(ran.stdout))) == (0, sorted(neutral(wanted))), command
    docker("rmi", f"a-name-before/{project.name}:1")
    ran = await perform(engine, f"{prefix} logs --no-log-prefix --tail 1 db")
    assert ran.stdout == "two\n"
    ran = await perform(engine, f"docker compose ls --filter name={project.name}")
    assert neutral(ran.stdout) == neutral(project("ls", "--filter", f"name={project.name}"))
    ran = await perform(engine, f"docker compose ls --filter name={project.name} --format json")
    assert json.loads(ran.stdout) == json.loads(project("ls", "--filter", f"name={project.name}", "--format", "json"))
    assert (await perform(engine, f"docker compose ls -q --filter name={project.name}")).stdout == f"{project.name}\n"
    ran = await perform(engine, f"{prefix} top web")
    assert ran.stdout.startswith(f"{project.name}-web-1\nUID")
    rows = (await perform(engine, f"{prefix} ps --format json")).stdout.splitlines()
    assert [json.loads(row)["Service"] for row in rows] == ["db", "web"]
    assert json.loads((await perform(engine, f"{prefix} images --format json web")).stdout)["Tag"] == "1"


async def test_a_projects_life(engine: Engine, project: Project) -> None:
    prefix = f"docker compose --project-name {project.name}"
    for command, states in (
        ("pause web", {"db": "running", "web": "paused"}),
        ("unpause", None),
        ("restart -t 0", {"db": "running", "web": "running"}),
        ("stop -t 0 web", {"db": "running", "web": "exited"}),
        ("rm -f", {"db": "running"}),
        ("kill", {"db": "exited"}),
        ("start", {"db": "running"}),
        ("rm --stop", {}),
    ):
        ran = await perform(engine, f"{prefix} {command}")
        if states is None:
            assert ran.code == 1  # they are not paused
            continue
        assert ran.code == 0, (command, ran.stderr)
        if command != "kill":
            assert project.states() == states, command
    down = parse(f"{prefix} down")
    targets = await engine.resolve(down)
    assert [target.reference.kind for target in targets] == ["project", "network"]


async def test_what_goes_is_shown_in_order_bound_and_told_afterwards(
    engine: Engine, project: Project, docker: Docker
) -> None:
    command = f"docker compose -p {project.name} down --volumes"
    op = parse(command)
    targets = await engine.resolve(op)
    named = [target.reference.name for target in targets]
    assert named == [
        project.name,
        *(f"{project.name}-{service}-1" for service in ("web", "db")),  # what depends goes first
        f"{project.name}_default",
        f"{project.name}_data",
    ]
    radius = await engine.blast_radius(op, targets)
    assert f"Removes the network {project.name}_default." in radius.summary
    assert f"everything in the volume {project.name}_data" in radius.data_lost
    assert not radius.reversible
    assert any("127.0.0.1:" in port for port in radius.ports_dropped)
    since = (await engine.state(targets[1])).started_at
    assert since is not None
    stop = parse(f"docker compose -p {project.name} stop")
    assert (await engine.testify(stop, await engine.resolve(stop), "exe_t", since, {})).outcome != "SUCCEEDED"
    assert (await engine.testify(op, targets, "exe_t", since, {})).outcome == "RUNNING"
    assert (await perform(engine, command, targets=targets)).code == 0
    assert (await engine.testify(op, targets, "exe_t", since, {})).outcome == "SUCCEEDED"
    assert project.states() == {}
    assert docker("volume", "ls", "-q", "--filter", f"name={project.name}") == ""


async def test_a_start_begins_with_what_is_depended_on(engine: Engine, project: Project) -> None:
    targets = await engine.resolve(parse(f"docker compose -p {project.name} start"))
    assert [target.reference.name.split("-")[-2] for target in targets[1:]] == ["db", "web"]


@pytest.mark.parametrize("command", ["-p no-such-project stop", "-p {0} stop no-such-service"])
async def test_what_there_is_not_is_refused(command: str, engine: Engine, project: Project) -> None:
    with pytest.raises(TargetRefused) as refused:
        await engine.resolve(parse(f"docker compose {command.format(project.name)}"))
    assert refused.value.code is Code.TARGET_NOT_FOUND
