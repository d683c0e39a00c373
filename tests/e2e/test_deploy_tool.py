"""``examples/deploy_tool.py`` against a running Wingman, as its docstring says to use it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.cli.running import Up, environment, until, wingman
from tests.conftest import REPOSITORY
from wingman_cli.engine import DockerEngine

pytestmark = pytest.mark.timeout(600)
TOOL = REPOSITORY / "examples" / "deploy_tool.py"


@pytest.fixture(scope="module")
def up(engine_url: str, busybox: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A Wingman in front of one container, with what the tool needs."""
    with DockerEngine(engine_url) as docker:
        body = {"Image": busybox, "Cmd": ["sleep", "1000"], "HostConfig": {"Init": True}}
        container = docker.call("POST", "/containers/create?name=deployed", json=body).json()["Id"]
        docker.call("POST", f"/containers/{container}/start")
        running = Up(tmp_path_factory.mktemp("deploy") / "data", WINGMAN_DOCKER_HOST=engine_url).ready()
        wingman(running.data_dir, "pki", "issue", "tool/deploy")
        yield running
        assert running.stop() == 0
        docker.call("DELETE", f"/containers/{container}?force=true")


def tool(up: Up, *command: str) -> "subprocess.Popen[str]":
    said = json.loads((up.data_dir / "run" / "up.json").read_text())
    made = wingman(up.data_dir, "keys", "create", f"deploy{time.monotonic_ns()}", "--role", "worker", "--json")
    key = json.loads(made.stdout)
    variables = environment(
        up.data_dir,
        WINGMAN_API_URL=said["api"],
        WINGMAN_API_KEY=key["key"],
        WINGMAN_GATEWAY_ADDRESS=said["gateway"],
        WINGMAN_PKI=str(up.data_dir / "pki"),
        GRPC_VERBOSITY="ERROR",
        PYTHONUNBUFFERED="1",
    )
    return subprocess.Popen(
        [sys.executable, TOOL, "--worker", key["person"], *command],
        env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def pending(up: Up) -> list[str]:
    listed = json.loads(wingman(up.data_dir, "pending", "--json").stdout)["pending"]
    return [request["id"] for request in listed]


def test_a_read_needs_nobody_and_its_output_and_exit_code_come_through(up: Up):
    out, err = (process := tool(up, "docker", "ps", "--format", "json")).communicate(timeout=120)
    assert process.returncode == 0, err
    assert '"Names":"deployed"' in out
    assert "SUCCEEDED, exit code 0" in err


def test_a_change_waits_for_a_person(up: Up):
    process = tool(up, "docker", "exec", "deployed", "ls", "/nothing-here")
    until(lambda: pending(up))
    assert wingman(up.data_dir, "approve", pending(up)[0]).returncode == 0
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, ""), err
    assert "No such file or directory" in err
    assert "FAILED, exit code 1" in err


def test_a_rejection_and_a_forbidden_command_run_nothing(up: Up):
    process = tool(up, "docker", "restart", "deployed")
    until(lambda: pending(up))
    assert wingman(up.data_dir, "reject", pending(up)[0]).returncode == 0
    _, err = process.communicate(timeout=120)
    assert process.returncode == 125
    assert "is REJECTED" in err
    _, err = (process := tool(up, "docker", "exec", "deployed", "sh", "-c", "id")).communicate(timeout=120)
    assert process.returncode == 125
    assert "POLICY_FORBIDS" in err
