"""The outermost layer: limits, correlation ids, log lines, and problems for everything."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import StreamingResponse

from tests.api.conftest import Api
from wingman_api import methods, problems
from wingman_api.app import LONGEST_HEADER
from wingman_api.edge import MAX_BODY, Edge
from wingman_api.metrics import Metrics
from wingman_core.errors import Code, WingmanError


async def test_a_body_over_the_limit_is_refused_whether_or_not_it_says_its_length(api: Api):
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * (MAX_BODY // 4)

    too_much = b"x" * (MAX_BODY + 1)
    for content in (too_much, chunks()):
        response = await api.call(
            "worker", "POST", "/approvals/request", content=content, headers={"content-type": "application/json"}
        )
        assert (response.status_code, response.json()["code"]) == (413, "REQUEST_TOO_LARGE")
        assert response.headers["content-type"] == "application/problem+json"
    big = {"worker_id": "agent-7", "task_name": "t", "instruction": "i" * 60_000, "commands": ["docker ps"]}
    exact = json.dumps(big).encode().ljust(MAX_BODY)
    allowed = await api.call(
        "worker", "POST", "/approvals/request", content=exact, headers={"content-type": "application/json"}
    )
    assert allowed.status_code == 200


async def test_every_answer_has_a_correlation_id_that_the_log_has_too(api: Api):
    first, second = [await api.call(None, "GET", path) for path in ("/", "/nowhere")]
    ids = [response.headers["x-correlation-id"] for response in (first, second)]
    assert ids[0] != ids[1]
    assert second.json()["correlation_id"] == ids[1]
    lines = {line["correlation_id"]: line for line in api.log if line["event"] == "request"}
    assert (lines[ids[0]]["route"], lines[ids[0]]["status"]) == ("/", 200)
    assert lines[ids[1]]["status"] == 404
    assert first.headers["cache-control"] == "no-store"
    assert first.headers["x-content-type-options"] == "nosniff"
    assert "server" not in first.headers


async def test_the_log_holds_no_key_and_no_query(api: Api):
    await api.call("worker", "GET", "/policy/explain?command=docker%20ps%20secretword")
    text = json.dumps(api.log, default=str)
    assert "secretword" not in text
    assert "wm_" not in text
    assert "/policy/explain" in text


async def test_the_log_names_the_code_of_a_refusal(api: Api):
    await api.ask(deployment_env="prd")
    line = next(line for line in api.log if line.get("route") == "/approvals/request")
    assert (line["status"], line["code"], "reason" in line) == (422, "ENVIRONMENT_MISMATCH", False)


async def test_headers_that_never_end_are_refused(api: Api):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Much: " + b"x" * (LONGEST_HEADER + 1))
    async with asyncio.timeout(10):
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()
    await writer.wait_closed()


async def test_unknown_paths_and_methods_are_problems(api: Api):
    for method, path, status, code in (
        ("GET", "/nowhere", 404, "NOT_FOUND"),
        ("GET", "/approvals/", 404, "NOT_FOUND"),
        ("DELETE", "/health", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/approvals/request", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/docs", 404, "NOT_FOUND"),
    ):
        response = await api.call("operator", method, path)
        assert (response.status_code, response.json()["code"]) == (status, code), path
        if status == 405:
            assert response.headers["allow"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/livez", "GET"),
        ("GET", "/approvals/request", "POST"),
        ("DELETE", "/approvals/request", "POST"),
        ("PUT", "/approvals/pending", "GET"),
        ("OPTIONS", "/events/consumers/telegram", "DELETE, GET, PUT"),
        ("PATCH", "/executions/exe_x/output", "GET"),
    ],
)
async def test_a_wrong_method_is_told_all_right_ones(api: Api, method: str, path: str, allowed: str):
    response = await api.call("operator", method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allowed)


SECRET = "hunter2-hunter2"
ASKED = "/approvals/request"
SENT: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a value": ("POST", ASKED, {"json": {"worker_id": f"{SECRET} "}}),
    "a value of another type": ("POST", ASKED, {"json": {"worker_id": "agent-7", "commands": SECRET}}),
    "one of several": ("POST", ASKED, {"json": {"worker_id": "agent-7", "commands": ["docker ps", {SECRET: SECRET}]}}),
    "a name": ("POST", ASKED, {"json": {SECRET: 1}}),
    "a name inside": ("POST", "/verify", {"json": {"assertions": [{"kind": "file_exists", SECRET: 1}]}}),
    "a choice": ("POST", ASKED, {"json": {"deployment_env": SECRET}}),
    "a tag": ("POST", "/verify", {"json": {"assertions": [{"kind": SECRET}]}}),
    "no JSON": ("POST", ASKED, {"content": f'{{"{SECRET}', "headers": {"Content-Type": "application/json"}}),
    "another media type": ("POST", ASKED, {"content": SECRET, "headers": {"Content-Type": SECRET}}),
    "a query": ("GET", f"/approvals?limit={SECRET}&status={SECRET}&cursor={SECRET}", {}),
    "a path": ("GET", f"/approvals/{SECRET}", {}),
    "a header": ("GET", f"/executions/exe_{'a' * 26}/output", {"headers": {"Last-Event-ID": SECRET}}),
}


@pytest.mark.parametrize(("method", "path", "options"), SENT.values(), ids=SENT.keys())
async def test_a_refusal_never_echoes_what_was_sent(api: Api, method: str, path: str, options: dict[str, Any]):
    response = await api.call("worker", method, path, **options)
    assert 400 <= response.status_code < 500
    assert SECRET not in response.text
    assert SECRET not in json.dumps(api.log, default=str)


async def test_a_field_that_is_spelt_wrong_is_named(api: Api):
    response = await api.call("worker", "POST", ASKED, json={"comands": ["docker ps"], "x" * 41: 1, "a\u202eb": 1})
    places = [place["where"] for place in response.json()["places"] if place["reason"].startswith("Extra")]
    assert places == ["body.comands", "body.(unknown)", "body.(unknown)"]


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_one_status(code: Code):
    assert code in problems.STATUS


@pytest.fixture
def broken() -> tuple[FastAPI, list[Any]]:
    """An application that fails in every way."""
    log: list[Any] = []

    def collect(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
        log.append(dict(event))
        raise structlog.DropEvent

    app = FastAPI()
    numbers = iter(range(1000))
    app.add_middleware(
        Edge,
        log=structlog.wrap_logger(None, processors=[collect]),
        metrics=Metrics(),
        new_id=lambda: f"id{next(numbers)}",
        clock=lambda: 0.0,
    )
    problems.install(app)

    @app.get("/unforeseen")
    async def unforeseen() -> None:
        raise RuntimeError("secret detail")

    @app.get("/internal")
    async def internal() -> None:
        raise WingmanError(Code.LOG_CORRUPT, "secret detail")

    @app.get("/late", response_class=StreamingResponse)
    async def late() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            yield b"begun"
            raise RuntimeError("secret detail")

        return StreamingResponse(body())

    return app, log


@pytest.mark.parametrize(
    ("path", "lines", "told"),
    [
        ("/unforeseen", ["request.failed", "request"], {}),
        ("/internal", ["request"], {"code": "LOG_CORRUPT", "reason": "secret detail"}),
    ],
)
async def test_what_nobody_foresaw_is_a_bare_500_and_the_log_knows_more(
    broken: tuple[FastAPI, list[Any]], path: str, lines: list[str], told: dict[str, str]
):
    app, log = broken
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        response = await client.get(path)
    assert (response.status_code, response.json()["code"]) == (500, "INTERNAL")
    assert "secret detail" not in response.text
    assert response.json()["correlation_id"] == response.headers["x-correlation-id"] == "id0"
    assert [line["event"] for line in log] == lines
    assert (log[-1]["status"], log[-1]["correlation_id"]) == (500, "id0")
    assert {name: log[-1][name] for name in told} == told


async def test_a_failure_after_the_answer_began_cuts_it_off(broken: tuple[FastAPI, list[Any]]):
    app, log = broken
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        with pytest.raises(RuntimeError, match="secret detail"):
            await client.get("/late")
    assert [line["event"] for line in log] == ["request.failed", "request"]


async def test_lifespan_events_pass(broken: tuple[FastAPI, list[Any]]):
    app, log = broken
    async with asyncio.timeout(5), app.router.lifespan_context(app):
        assert log == []


@pytest.mark.parametrize(
    "handler", [problems._refused, problems._invalid, problems.refused_by_framework, methods._answer(())]
)
async def test_a_handler_takes_its_own_errors_alone(handler: Callable[[Request, Exception], Awaitable[object]]):
    with pytest.raises(TypeError):
        await handler(Request({"type": "http"}), ValueError())
