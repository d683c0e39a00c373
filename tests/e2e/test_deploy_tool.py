"""``examples/deploy_tool.py`` against a running Wingman, as its docstring says to use it, and an API that is busy."""

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
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


def loaded() -> Any:  # noqa: ANN401 - a script
    spec = importlib.util.spec_from_file_location("deploy_tool", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Busy:
    """An API that gives one prepared answer after the other, and the last one for ever."""

    def __init__(self, *answers: Callable[[], httpx.Response]) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []
        self.tool = loaded()
        http = httpx.Client(base_url="http://api.test", transport=httpx.MockTransport(self.answer))
        self.api = self.tool.Api(http, pause=self.pauses.append)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])()


def says(status: int, code: str = "", **headers: str) -> Callable[[], httpx.Response]:
    body = {"code": code, "detail": "what happened", "hint": "what to do"} if code else {"status": "APPROVED"}
    return lambda: httpx.Response(status, json=body, headers={n.replace("_", "-"): v for n, v in headers.items()})


def lost() -> httpx.Response:
    raise httpx.ReadError("cut")


def test_what_got_no_answer_is_sent_again_as_it_was_after_the_time_the_api_says():
    busy = Busy(
        says(429, "LIMIT_EXCEEDED", Retry_After="7"),
        lost,
        says(503, "DATABASE_UNAVAILABLE", Retry_After="2"),
        says(409, "IDEMPOTENCY_RUNNING", Retry_After="1"),
        lambda: httpx.Response(503, text="a proxy's word"),
        says(200),
    )
    assert busy.api.call("POST", "/approvals/request", {"task_name": "t"}) == {"status": "APPROVED"}
    assert busy.pauses == [7, 2, 2, 1, 16]
    assert len(busy.requests) == 6
    assert len({(each.content, each.headers["idempotency-key"]) for each in busy.requests}) == 1
    again = Busy(says(200))
    again.api.call("POST", "/approvals/request", {"task_name": "t"})
    assert again.requests[0].headers["idempotency-key"] != busy.requests[0].headers["idempotency-key"]


@pytest.mark.parametrize(
    ("answer", "words", "sent"),
    [
        (says(422, "POLICY_FORBIDS"), "POLICY_FORBIDS: what happened", 1),
        (says(409, "APPROVAL_SPENT"), "APPROVAL_SPENT", 1),
        (says(429, "LIMIT_EXCEEDED", Retry_After="3000"), "LIMIT_EXCEEDED", 1),
        (says(503, "GATEWAY_UNAVAILABLE", Retry_After="2"), "GATEWAY_UNAVAILABLE", 7),
        (lost, "the API does not answer: cut", 7),
        (lambda: httpx.Response(502, text="a proxy's word"), "HTTP 502", 1),
    ],
)
def test_a_refusal_is_final_and_so_is_an_outage_that_lasts(answer: Callable[[], httpx.Response], words: str, sent: int):
    busy = Busy(answer)
    with pytest.raises(busy.tool.Refused, match=words):
        busy.api.call("POST", "/approvals/request", {})
    assert len(busy.requests) == sent
