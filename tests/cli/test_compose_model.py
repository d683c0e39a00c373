"""What plain ``docker compose`` makes of an environment's files once ``wingman stack`` has written them."""

import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.progress import Progress, TaskID

from tests.cli.test_stack_secrets import BOT, STRONG, write
from tests.conftest import REPOSITORY
from wingman_cli import local
from wingman_cli.backup.progress import Amount
from wingman_cli.stack.compose import Compose
from wingman_cli.stack.database import ContainerPrograms, StackDatabase
from wingman_cli.stack.day_two import StackPlace
from wingman_cli.stack.environment import Environment
from wingman_cli.stack.starting import Stack
from wingman_core.command import parse
from wingman_core.errors import Code, LogCorrupt, SettingInvalid, Unavailable
from wingman_core.notes import VerifierKey
from wingman_core.verdict import Forbidden
from wingman_gateway.audit_store import BATCH, COMMIT_SECONDS
from wingman_gateway.otlp import EXPORT_SECONDS
from wingman_gateway.policy import Policy
from wingman_gateway.refusals import PAIRS
from wingman_gateway.resources import unresolved
from wingman_gateway.settings import Settings

COMPOSE = Path(sys.executable).with_name("docker-compose")
ALWAYS = {"api", "execution-gateway", "migrate", "postgres"}
PRDS = {name: value[::-1] for name, value in STRONG.items()}
WITH_BOT = ALWAYS | {"telegram-bot"}
DOCKER = """\
#!/bin/sh
echo "$@" >>"$CALLS"
case "$*" in *" ps "*) cat "$CALLS.rows" 2>/dev/null;; esac
exit 0
"""
VERIFYING = """\
#!/bin/sh
[ "$*" != "compose version" ] || exit 0
echo "Container wingman-test-migrate-run Creating" >&2
echo "1000 of 3000 records hold" >&2
for _ in $(seq 600); do [ -e "$CALLS" ] && break; sleep 0.05; done
[ -z "$WRONG" ] || { echo "$WRONG" >&2; exit 1; }
[ ! -e "$CALLS" ] || echo '{"checkpoint": "the newest"}'
"""


class World:
    """A clone on an engine that does whatever it is told."""

    def __init__(self, place: Path) -> None:
        self.root, self.calls = place / "clone", place / "calls"
        shutil.copytree(REPOSITORY / "deploy", self.root / "deploy", ignore=shutil.ignore_patterns(".env"))
        (place / "docker").write_text(DOCKER)
        (place / "docker").chmod(0o755)
        self.engine = place / "engine.sock"

    def stack(self, name: str, secrets: dict[str, str]) -> Stack:
        """An environment with these secrets."""
        environment = Environment.of(name, self.root)
        write(environment.secrets_file, secrets)
        environ = {**os.environ, "CALLS": str(self.calls)}
        return Stack(environment, environ, engine=f"unix://{self.engine}", tell=print)

    def database(self, **environ: str) -> StackDatabase:
        """A database whose log is verified, once somebody has seen how far that is."""
        (self.root.parent / "docker").write_text(VERIFYING)
        environment = Environment.of("test", self.root)
        environment.config.mkdir(parents=True, exist_ok=True)
        compose = Compose(environment, {**os.environ, "CALLS": str(self.calls), **environ}, engine="unix:///nowhere")
        return StackDatabase(compose, ContainerPrograms(environment, compose.environ))

    def model(self, name: str, *options: str) -> str:
        """What plain compose makes of an environment's file; it has nothing else."""
        environment = Environment.of(name, self.root)
        words = [COMPOSE, "-f", environment.compose_file, "-p", environment.project, "config", *options]
        done = subprocess.run(
            words, env={"PATH": os.environ["PATH"]}, check=True, capture_output=True, text=True, timeout=60
        )
        assert not done.stderr
        return done.stdout

    def services(self, name: str) -> set[str]:
        """What plain compose starts of an environment."""
        assert not self.model(name, "--quiet")
        return set(self.model(name, "--services").split())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    made = World(tmp_path)
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(made.engine))
        made.engine.chmod(0o660)
        yield made


def test_without_a_token_there_is_no_bot_and_each_environment_decides_for_itself(world: World):
    world.stack("test", STRONG).database_alone()
    assert world.services("test") == ALWAYS
    world.stack("prd", {**PRDS, **BOT, "BOT_TOKEN": "2:AAy"}).database_alone()
    assert (world.services("test"), world.services("prd")) == (ALWAYS, WITH_BOT)
    world.stack("test", {**STRONG, **BOT}).database_alone()
    assert (world.services("test"), world.services("prd")) == (WITH_BOT, WITH_BOT)
    world.stack("prd", {**PRDS, "WINGMAN_TELEGRAM": "off"}).database_alone()
    assert (world.services("test"), world.services("prd")) == (WITH_BOT, ALWAYS)


def test_both_environments_are_the_same_but_for_names_and_who_may_ask_without_a_key(world: World):
    world.stack("test", {**STRONG, **BOT}).database_alone()
    world.stack("prd", {**PRDS, **BOT, "BOT_TOKEN": "2:AAy"}).database_alone()
    test, prd = (world.model(name, "--format", "json", "--no-env-resolution") for name in ("test", "prd"))
    found = json.loads(test)
    assert found["services"]["api"]["environment"].pop("WINGMAN_ANONYMOUS_ROLE") == "worker"
    assert found == json.loads(prd.replace("prd", "test").replace('"5001"', '"8101"'))


def test_a_gateway_has_the_time_that_its_end_may_take():
    """Running mutations, then a count of refusals for each pair and for all others, then spans."""
    counts = math.ceil((PAIRS + 1) / BATCH) * COMMIT_SECONDS
    beyond = counts + 2 * EXPORT_SECONDS
    needed = Settings.model_fields["drain"].default + beyond
    services = (REPOSITORY / "deploy" / "compose" / "services.yml").read_text()
    given = re.search(r"^  execution-gateway:.*?stop_grace_period: (\d+)s", services, re.DOTALL | re.MULTILINE)
    assert given
    assert int(given[1]) > needed
    assert needed < local.GRACE
    guide = (REPOSITORY / "docs" / "operations.md").read_text()
    told = re.search(r"`WINGMAN_DRAIN`.*?`stop_grace_period` (\d+) seconds more", guide, re.DOTALL)
    assert told
    assert beyond < int(told[1]), "what an operator adds who sets another drain"


def test_a_bot_that_is_there_no_more_is_still_stopped_and_seen(world: World):
    stack = world.stack("test", STRONG)
    stack.down(volumes=False)
    stack.running()
    calls = [line for line in world.calls.read_text().splitlines() if line != "compose version"]
    assert [line.split()[-1] for line in calls] == ["down", "json"]
    assert all("--profile telegram-test" in line for line in calls)


async def test_nothing_is_restored_while_a_container_runs_or_starts_over_and_over(world: World):
    place = StackPlace(Environment.of("test", world.root), world.stack("test", STRONG))
    states = {"postgres": "running", "api": "exited", "execution-gateway": "restarting", "telegram-bot": "paused"}
    rows = [json.dumps({"Service": name, "State": state, "Health": ""}) for name, state in states.items()]
    world.calls.with_suffix(".rows").write_text("\n".join(rows))
    with pytest.raises(SettingInvalid, match=r"TEST runs \(execution-gateway, telegram-bot\)"):
        async with place.stopped():
            pass


async def test_what_needs_an_environment_that_runs_names_what_does_not(world: World):
    stack = world.stack("test", STRONG)
    rows = [json.dumps({"Service": name, "State": "running", "Health": ""}) for name in ("api", "execution-gateway")]
    world.calls.with_suffix(".rows").write_text("\n".join(rows))
    stack.require("api", "execution-gateway")
    with pytest.raises(Unavailable, match=r"TEST does not run \(postgres\)") as caught:
        async with StackPlace(Environment.of("test", world.root), stack).running():
            pass
    assert (caught.value.code, caught.value.hint) == (Code.DATABASE_UNAVAILABLE, "make test-env starts it")
    world.calls.with_suffix(".rows").unlink()
    with pytest.raises(Unavailable, match=r"\(api, execution-gateway\)") as caught:
        stack.require("execution-gateway", "api")
    assert caught.value.code is Code.GATEWAY_UNAVAILABLE


class Watching(Progress):
    """Somebody who looks how far it is."""

    def __init__(self, seen: Path) -> None:
        super().__init__(disable=True)
        self.seen = seen

    def update(self, task_id: TaskID, **fields: Any) -> None:  # noqa: ANN401 - as it is there
        """Look."""
        super().update(task_id, **fields)
        self.seen.touch()


def test_a_verification_in_a_container_tells_how_far_it_is(world: World):
    key = VerifierKey("log", bytes(32))
    progress = Watching(world.calls)
    assert world.database().goes_on_from("", key, progress) == "the newest"
    (task,) = progress.tasks
    assert (task.completed, task.total) == (1000, 3000)
    assert Amount().render(task).plain == "1000/3000 records"
    with pytest.raises(LogCorrupt, match="position 7") as caught:
        world.database(WRONG="LOG_CORRUPT: position 7 differs").goes_on_from("", key, progress)
    assert "hold" not in caught.value.message


def test_no_worker_renames_or_removes_what_the_services_start_from() -> None:
    services = yaml.safe_load((REPOSITORY / "deploy" / "compose" / "services.yml").read_text())["services"]
    images = {service["image"] for service in services.values() if not service["image"].startswith("$")}
    assert images == {"wingman-api", "wingman-gateway", "wingman-bot"}
    policy = Policy.load(REPOSITORY / "src" / "wingman_gateway" / "policies", "prd")
    for image in images:
        for command in (f"docker tag web {image}", f"docker rmi {image}:latest", f"docker pull localhost/{image}"):
            op = parse(command)
            verdict = policy.verdict(op, unresolved(op), "agent")
            assert isinstance(verdict, Forbidden), command
            assert "wingman-image" in verdict.policies
