"""The examples in the OpenAPI document are true: they are sent, and what the API answers is as they show it."""

# ruff: noqa: ANN401 - JSON is of any kind

import json
import re
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.api.conftest import Api
from tests.api.documented import OPERATIONS, Operation, violations
from tests.api.fake_gateway import VERIFIER, Script
from wingman_core.receipt import check_receipt
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
)
DECIDERS: Final = frozenset({"approveApproval", "rejectApproval"})
SENT: Final = [
    (name, number)
    for name, each in OPERATIONS.items()
    for number, body in enumerate(each.bodies)
    if body is not None or any(each.parameters(place) for place in ("path", "query", "header"))
]


def caller_of(operation: Operation) -> str:
    """Somebody who may."""
    if operation.name in DECIDERS:
        return "alice"
    return "bot" if "/consumers" in operation.path else "worker"


async def send(api: Api, name: str, number: int = 0, who: str | None = None, **changes: Any) -> httpx.Response:
    """Send an operation's examples, all of them; ``changes`` are other parts of the request."""
    operation = OPERATIONS[name]
    request = {
        "params": operation.parameters("query"),
        "headers": operation.parameters("header"),
        "json": operation.bodies[number],
        **changes,
    }
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


@pytest.mark.parametrize(("name", "number"), SENT, ids=[f"{name}-{number}" for name, number in SENT])
async def test_an_example_is_accepted(api: Api, name: str, number: int):
    await prepare(api, name)
    response = await send(api, name, number)
    assert response.is_success, response.text


def test_every_body_has_an_example_that_fits_its_schema():
    for operation in OPERATIONS.values():
        if "requestBody" in operation.said:
            schema = operation.said["requestBody"]["content"]["application/json"]["schema"]
            assert operation.bodies, operation.name
            for body in operation.bodies:
                assert violations(schema, body) == [], operation.name


def test_every_answer_has_an_example_that_fits_its_schema():
    for operation in OPERATIONS.values():
        if operation.answer is not None:
            assert violations(operation.answer["schema"], operation.answer["example"]) == [], operation.name


async def test_answers_are_as_the_examples_show_them(api: Api, tmp_path: Path):
    told = await story(api)
    place = tmp_path / "answers.json"
    place.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    shown = {name: each.answer["example"] for name, each in OPERATIONS.items() if each.answer is not None}
    assert set(told) == set(shown)
    for name, answer in told.items():
        assert masked(answer) == masked(shown[name]), f"{name}: see {place} for answers of today"


def test_the_receipt_of_the_example_holds():
    shown = OPERATIONS["getReceipt"].answer
    assert shown is not None
    checked = check_receipt(json.dumps(shown["example"]).encode(), [VERIFIER])
    assert (checked.request.id, checked.intent.execution_id) == (APPROVAL, EXECUTION)
    assert checked.outcome is not None


async def story(api: Api) -> dict[str, Any]:
    """Every answer in JSON, by operation, from one story that the examples tell."""
    told: dict[str, Any] = {}

    async def tell(name: str, who: str | None = None, **changes: Any) -> None:
        response = await send(api, name, who=who, **{"headers": {}, **changes})
        assert response.is_success, (name, response.text)
        told[name] = response.json()

    await prepare(api, "")
    for name in ("getWelcome", "getHealth", "getLiveness", "getReadiness", "getWhoAmI", "checkInstruction"):
        await tell(name)
    told["getWelcome"]["endpoints"] = told["getWelcome"]["endpoints"][:1]
    await tell("explainPolicy", params={"command": RESTART})
    for word, note in (("reject", "not during the sale"), ("cancel", "not needed any more")):
        sign_off = {"task_name": "Announce a maintenance", "instruction": "Tell the customers.", "commands": None}
        other = (await api.asked(**sign_off))["request"]["id"]
        await tell(f"{word}Approval", url=f"/approvals/{other}/{word}", json={"note": note})
    api.ids.wanted = [SUFFIX]
    await tell("requestApproval")
    await tell("listPendingApprovals", "alice")
    await tell("approveApproval")
    await tell("mintToken")
    told["startExecution"] = (await execute(api)).json()
    await tell("getApproval")
    await tell("listApprovals", params={"limit": 1})
    for name in ("getExecution", "getReceipt", "listAuditRecords", "getCheckpoint"):
        await tell(name)
    for name in ("logClaim", "verifyClaim", "getStatistics"):
        await tell(name)
    for name in ("putEventConsumer", "getEventConsumer", "listEventConsumers"):
        await tell(name)
    for name in ("listEventConsumerNotes", "getEventConsumerNote"):
        await tell(name)
    return told


VOLATILE: Final = (
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,}(Z|\+00:00)"), "<time>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<digest>"),
    (re.compile(r"\b(?!apr_dbc7|exe_dbc7)([a-z]{3}_)?[a-z2-7]{26}\b"), r"\1<id>"),
    (re.compile(r'(?<="at":)[0-9]+'), "<seconds>"),
    (re.compile(r"\beyJ\S+"), "<token>"),
    (re.compile(r"[A-Za-z0-9+/]{43,}={0,2}"), "<base64>"),
)
MOVING: Final = frozenset({"processing_time_ms", "mean_processing_time_ms", "key_id", "at", "behind"})
"""Fields whose values are different each time and say nothing more."""


def masked(value: Any, name: str = "") -> Any:
    """A value of which only the kind is left where it is different each time."""
    match value:
        case str() | int() | float() if name in MOVING:
            return type(value).__name__
        case dict():
            return {key: masked(each, key) for key, each in value.items()}
        case list():
            return [masked(each) for each in value]
        case str():
            for pattern, instead in VOLATILE:
                value = pattern.sub(instead, value)
            return value
        case _:
            return value
