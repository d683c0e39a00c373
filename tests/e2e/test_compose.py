"""``docker compose up`` from the request to the receipt, on a registered project; and a file that changes."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import Up, wingman
from tests.gateway.engine.conftest import Docker, docker
from wingman_cli.exits import Exit

__all__ = ["docker"]

pytestmark = pytest.mark.timeout(600)
BINARY = shutil.which("docker-compose", path=str(Path(sys.executable).parent)) or "none"
FILE = """
services:
  db: {{image: {image}, command: [sleep, "{seconds}"], stop_grace_period: 0s}}
  web: {{image: {image}, command: [sleep, "1000"], stop_grace_period: 0s, depends_on: [db]}}
"""


class Shop:
    """A project, and a Wingman that knows it."""

    def __init__(self, docker: Docker, place: Path) -> None:
        self.docker, self.name, self.file = docker, docker.name("p"), place / "shop" / "compose.yml"
        self.file.parent.mkdir()
        self.write(1000)
        registry = place / "projects.toml"
        registry.write_text(f'[{self.name}]\ndirectory = "{self.file.parent}"\n', encoding="utf-8")
        self.up = Up(
            place / "data",
            WINGMAN_DOCKER_HOST=docker.url,
            WINGMAN_COMPOSE_PROJECTS=str(registry),
            WINGMAN_COMPOSE_BINARY=BINARY,
        )

    def write(self, seconds: int) -> None:
        self.file.write_text(FILE.format(image=self.docker.image, seconds=seconds), encoding="utf-8")

    def wingman(self, *words: str) -> str:
        done = wingman(self.up.data_dir, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def approved(self, *words: str) -> str:
        """Ask for ``up``; return the request's id once it is approved."""
        command = ("docker", "compose", "-p", self.name, "up", *words)
        asked = json.loads(self.wingman("request", "--json", *command))["request"]
        assert asked["status"] == "PENDING"
        self.wingman("approve", asked["id"])
        return str(asked["id"])

    def running(self) -> set[str]:
        label = f"label=com.docker.compose.project={self.name}"
        return set(self.docker("ps", "--no-trunc", "--format", "{{.ID}} {{.Names}}", "--filter", label).splitlines())


@pytest.fixture
def shop(docker: Docker, tmp_path: Path) -> Iterator[Shop]:
    project = Shop(docker, tmp_path)
    try:
        project.up.ready()
        yield project
    finally:
        project.up.stop()
        docker.clean()


def test_up_from_the_request_to_the_receipt_and_nothing_of_a_file_that_changed(shop: Shop, tmp_path: Path):
    request = shop.approved()
    shown = shop.wingman("show", request)
    assert "creates db, web." in shown
    assert "compose.yml sha256:" in shown
    assert shop.running() == set()
    ran = wingman(shop.up.data_dir, "run", request, "--json")
    assert ran.returncode == 0, ran.stderr
    running = shop.running()
    assert {line.split()[1] for line in running} == {f"{shop.name}-db-1", f"{shop.name}-web-1"}

    records = [json.loads(line) for line in shop.wingman("audit", "export").splitlines()]
    intent, result = (record["record"] for record in records[-2:])
    assert (intent["kind"], result["kind"], result["outcome"], result["exit_code"]) == (
        "INTENT", "RESULT", "SUCCEEDED", 0,
    )  # fmt: skip
    assert intent["command"] == f"docker compose --project-name {shop.name} up --detach"
    shop.wingman("audit", "verify")
    receipt = tmp_path / "receipt.json"
    shop.wingman("audit", "receipt", intent["execution_id"], "--output", str(receipt))
    key = shop.up.data_dir / "checkpoint.vkey"
    assert wingman(tmp_path / "elsewhere", "audit", "check", str(receipt), "--verifier-key", str(key)).returncode == 0

    # Approved, and then the file says something else: nothing of it is done, and the approval is not spent.
    request = shop.approved("--force-recreate")
    shop.write(2000)
    refused = wingman(shop.up.data_dir, "run", request)
    assert (refused.returncode, refused.stderr.split(":")[0]) == (Exit.REFUSED, "TARGET_CHANGED"), refused.stderr
    assert shop.running() == running
    shop.write(1000)
    shop.wingman("run", request)
    assert shop.running() != running
    assert len(shop.running()) == 2
    shop.wingman("audit", "verify")
