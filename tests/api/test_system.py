"""What the API says of itself, and how it behaves while something it stands on is down."""

import asyncio
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import httpx
from grpc_health.v1 import health_pb2

from tests.api.conftest import NO_TLS, RESTART, Api, Clock, eventually, serve_api
from tests.api.fake_gateway import serve_gateway
from tests.conftest import Database
from wingman_api.settings import load
from wingman_cli.pki import Authority

DOWN = "127.0.0.1:1"


async def test_the_welcome_names_version_environment_and_endpoints(api: Api):
    answer = (await api.call(None, "GET", "/")).json()
    assert (answer["name"], answer["environment"]) == ("wingman", "test")
    listed = {(endpoint["method"], endpoint["path"]) for endpoint in answer["endpoints"]}
    document, again = [(await api.call(None, "GET", "/openapi.json")).json() for _ in range(2)]
    assert document == again
    assert listed == {(method.upper(), path) for path, ops in document["paths"].items() for method in ops}
    assert ("POST", "/approvals/{request_id}/approve") in listed
    operations = {op["operationId"] for ops in document["paths"].values() for op in ops.values()}
    assert {endpoint["operation"] for endpoint in answer["endpoints"]} == operations
    assert all(endpoint["summary"] for endpoint in answer["endpoints"])


async def test_healthy_when_all_is_well(api: Api):
    response = await api.call(None, "GET", "/health")
    assert response.status_code == 200
    assert response.json() == {
        "status": "healthy",
        "components": {"database": "healthy", "gateway": "healthy", "engine": "healthy", "feed": "healthy"},
    }
    for probe in ("/livez", "/readyz"):
        assert (await api.call(None, "GET", probe)).json() == {"status": "ok"}


async def test_degraded_when_the_gateway_says_its_engine_is_down(api: Api):
    for part in ("", "engine"):
        await api.gateway.conditions.set(part, health_pb2.HealthCheckResponse.NOT_SERVING)
    response = await api.call(None, "GET", "/health")
    assert response.status_code == 503
    assert response.json() == {
        "status": "degraded",
        "components": {"database": "healthy", "gateway": "degraded", "engine": "unhealthy", "feed": "healthy"},
    }
    assert (await api.call(None, "GET", "/readyz")).status_code == 200


async def test_without_a_gateway_previews_and_executions_say_so_and_decisions_go_on(environ: dict[str, str], api: Api):
    request_id = (await api.asked())["request"]["id"]
    environ["WINGMAN_GATEWAY_ADDRESS"] = DOWN
    async with serve_api(load(environ), api.clock, []) as (url, _):
        api.url = url
        health = (await api.call(None, "GET", "/health")).json()
        assert health["components"] == {
            "database": "healthy",
            "gateway": "unhealthy",
            "engine": "unhealthy",
            "feed": "healthy",
        }
        asked = await api.ask(task_name="new")
        assert (asked.status_code, asked.json()["code"]) == (503, "GATEWAY_UNAVAILABLE")
        assert asked.headers["retry-after"] == "2"
        assert (await api.ask(task_name="sign-off", commands=[])).status_code == 200
        assert (await api.decide("alice", request_id, "approve")).json()["status"] == "APPROVED"
        executed = await api.execute(request_id)
        assert (executed.status_code, executed.json()["code"]) == (503, "GATEWAY_UNAVAILABLE")


async def test_the_gateway_may_come_later_and_come_back(
    environ: dict[str, str], api: Api, database: Database, pki: Authority, token_keys: tuple[Path, Path, str]
):
    clock = Clock()
    async with asyncpg.create_pool(database.url("wingman_gateway"), min_size=0, max_size=2) as audit:
        async with serve_gateway(audit, pki, token_keys[1], clock.now) as first:
            port = first.port
        environ["WINGMAN_GATEWAY_ADDRESS"] = f"127.0.0.1:{port}"
        async with serve_api(load(environ), clock, []) as (url, _):
            api.url = url
            assert (await api.ask()).status_code == 503
            async with serve_gateway(audit, pki, token_keys[1], clock.now, port):
                deadline = time.monotonic() + 20
                while (status := (await api.ask()).status_code) != 200:
                    assert status == 503
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.1)


async def test_a_gateway_of_another_ca_is_not_believed(environ: dict[str, str], api: Api, tmp_path: Path):
    other = Authority(tmp_path / "other", "test", now=datetime.now(UTC))
    other.issue("gateway")
    async with (
        asyncpg.create_pool(api.database.url("wingman_gateway"), min_size=0, max_size=2) as audit,
        serve_gateway(audit, other, tmp_path, api.clock.now) as foreign,
    ):
        environ["WINGMAN_GATEWAY_ADDRESS"] = foreign.address
        async with serve_api(load(environ), api.clock, []) as (url, _):
            api.url = url
            response = await api.ask()
            assert (response.status_code, response.json()["code"]) == (503, "GATEWAY_UNAVAILABLE")
            assert foreign.previewed == []


async def test_without_a_database_everything_says_so_within_a_second(environ: dict[str, str], api: Api):
    environ["WINGMAN_DATABASE_URL"] = "postgresql://wingman_api@/nothing?host=/nonexistent"
    async with serve_api(load(environ), Clock(), []) as (url, _):
        api.url = url
        begun = time.monotonic()
        response = await api.call(None, "GET", "/health")
        assert time.monotonic() - begun < 3.0
        assert (response.status_code, response.json()["status"]) == (503, "unhealthy")
        assert (await api.call(None, "GET", "/livez")).status_code == 200
        assert (await api.call(None, "GET", "/readyz")).json() == {"status": "unavailable"}
        for who in (None, "worker"):
            refused = await api.ask(who)
            assert (refused.status_code, refused.json()["code"]) == (503, "DATABASE_UNAVAILABLE"), who


async def test_a_database_that_never_answers_is_unhealthy_in_time(environ: dict[str, str]):
    released = asyncio.Event()

    async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    environ["WINGMAN_DATABASE_URL"] = f"postgresql://wingman_api@127.0.0.1:{port}/x"
    async with (
        serve_api(load(environ), Clock(), []) as (url, _),
        httpx.AsyncClient(base_url=url, verify=NO_TLS, timeout=10) as client,
    ):
        begun = time.monotonic()
        response = await client.get("/health")
        assert time.monotonic() - begun < 3.0
        assert response.json()["components"]["database"] == "unhealthy"
    released.set()
    silent.close()
    await silent.wait_closed()


async def test_a_database_that_stalls_behind_warm_connections_is_unhealthy_in_time(api: Api):
    await asyncio.gather(*(api.asked(task_name=f"task {n}") for n in range(4)))
    backends = await api.sql(
        "SELECT pid FROM pg_stat_activity WHERE usename = 'wingman_api' AND datname = $1 AND pid <> pg_backend_pid()",
        api.database.name,
    )
    assert backends
    try:
        for backend in backends:
            os.kill(backend["pid"], signal.SIGSTOP)
        for path, told in (("/health", "unhealthy"), ("/readyz", "unavailable"), ("/health", "unhealthy")):
            begun = time.monotonic()
            response = await api.call(None, "GET", path)
            assert time.monotonic() - begun < 3.0, path
            assert (response.status_code, response.json()["status"]) == (503, told)
    finally:
        for backend in backends:
            os.kill(backend["pid"], signal.SIGCONT)

    async def well() -> bool | None:
        return (await api.call(None, "GET", "/health")).status_code == 200 or None

    await eventually(well)


async def test_connections_that_the_server_cut_are_replaced(api: Api):
    await api.asked()
    await api.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'wingman_api' AND datname = $1",
        api.database.name,
        role="postgres",
    )
    deadline = time.monotonic() + 10
    while (response := await api.ask(task_name="again")).status_code != 200:
        assert response.json()["code"] == "DATABASE_UNAVAILABLE"
        assert time.monotonic() < deadline
    execution_id = (await api.execute(await api.approved(task_name="third", commands=[RESTART]))).json()["execution_id"]
    assert (await api.finished(execution_id))["state"] == "SUCCEEDED"
