"""The world that the OpenAPI document's examples speak of: its requests, executions and consumers, made in an API."""

# ruff: noqa: ANN401 - JSON is of any kind

from typing import Any, Final

import httpx

from tests.api.conftest import Api
from tests.api.documented import OPERATIONS, Operation
from tests.api.fake_gateway import Script
from wingman_rpc.v1 import gateway_pb2 as pb

SUFFIX: Final = "dbc7jx2mqvg5s3k2h6t4yw7raa"
APPROVAL: Final = f"apr_{SUFFIX}"
EXECUTION: Final = f"exe_{SUFFIX}"
RESTART: Final = "docker restart --time 10 web"
PENDING: Final = frozenset({"getApproval", "approveApproval", "rejectApproval", "cancelApproval"})
APPROVED: Final = frozenset({"startExecution", "mintToken"})
EXECUTED: Final = frozenset({"getExecution", "followExecutionOutput", "getReceipt"})
CONSUMED: Final = frozenset(
    name for name, each in OPERATIONS.items() if "/consumers/{name}" in each.path and name != "putEventConsumer"
) | {"followEvents"}
DECIDERS: Final = frozenset({"approveApproval", "rejectApproval"})


def caller_of(operation: Operation) -> str:
    """Somebody who may."""
    if operation.name in DECIDERS:
        return "alice"
    return "bot" if operation.path.startswith("/events") else "worker"


async def send(api: Api, name: str, number: int = 0, who: str | None = None, **changes: Any) -> httpx.Response:
    """Send an operation's examples, all of them; ``changes`` are other parts of the request."""
    operation = OPERATIONS[name]
    request = {
        "params": operation.parameters("query"),
        "headers": operation.parameters("header"),
        "json": operation.bodies[number],
        **changes,
    }
    if name == "followEvents":
        request["params"] |= {"follow": False}  # to its end, which there is none of otherwise
    url = request.pop("url", operation.url)
    return await api.call(who or caller_of(operation), operation.method, url, **request)


async def prepare(api: Api, name: str) -> None:
    """Make what the operation's examples name."""
    api.gateway.answers[RESTART] = of_a_real_engine
    if name in PENDING | APPROVED | EXECUTED:
        api.ids.wanted = [SUFFIX]
        asked = await send(api, "requestApproval", headers={})
        assert asked.json()["request"]["id"] == APPROVAL
    if name in APPROVED | EXECUTED:
        assert (await send(api, "approveApproval", headers={})).json()["status"] == "APPROVED"
    if name in EXECUTED:
        await execute(api)
    if name in CONSUMED:
        assert (await send(api, "putEventConsumer")).status_code == 200


async def execute(api: Api) -> httpx.Response:
    api.gateway.execution_ids[f"{APPROVAL}.0"] = EXECUTION
    api.gateway.scripts[RESTART] = Script(output=[("stdout", b"web\n")])
    started = await send(api, "startExecution", headers={})
    assert started.status_code == 202, started.text
    assert (await api.finished(EXECUTION))["state"] == "SUCCEEDED"
    return started


def of_a_real_engine(preview: pb.PreviewResponse) -> None:
    """Fill in what the fake gateway leaves empty."""
    (target,) = preview.targets
    target.image, target.image_digest = "nginx:1.29", f"sha256:{'9d' * 32}"
    target.project, target.state = "shop", "running"
    target.labels.clear()
    target.labels["com.docker.compose.project"] = "shop"
    preview.blast_radius.ports_dropped.append("127.0.0.1:8080/tcp")
