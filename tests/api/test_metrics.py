"""``/metrics``: what passed and how things stand, in numbers, over all workers."""

import grpc
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.api.conftest import NO_TLS, Api
from tests.api.fake_gateway import FakeGateway
from tests.api.test_workers import served

SECRET = "geheim"


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scrape(api: Api) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    response = await api.call(None, "GET", "/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return samples(response.text)


def requests(method: str, route: str, status: int) -> tuple[str, tuple[tuple[str, str], ...]]:
    return "wingman_http_requests_total", (("method", method), ("route", route), ("status", str(status)))


async def test_requests_are_counted_by_route_and_never_by_path(api: Api):
    request_id = (await api.asked())["request"]["id"]
    for _ in range(2):
        await api.call("worker", "GET", f"/approvals/{request_id}")
    await api.call("worker", "GET", f"/{SECRET}")
    await api.call("worker", SECRET.upper(), "/approvals/pending")
    found = await scrape(api)
    assert found[requests("GET", "/approvals/{request_id}", 200)] == 2
    assert found[requests("POST", "/approvals/request", 200)] == 1
    assert found[requests("GET", "", 404)] == 1
    assert found[requests("OTHER", "/approvals/pending", 405)] == 1
    assert found["wingman_http_request_seconds_count", (("method", "POST"), ("route", "/approvals/request"))] == 1
    text = str(found)
    assert request_id not in text
    assert SECRET not in text.lower()


async def test_states_are_those_of_the_moment(api: Api):
    await api.asked()
    await api.asked(task_name="Drop it", instruction="drop the production database")
    found = await scrape(api)
    waiting = {labels[0][1]: value for (name, labels), value in found.items() if name == "wingman_approvals_pending"}
    assert set(waiting) == {"LOW", "MEDIUM", "HIGH"}
    assert sum(waiting.values()) == 2
    assert found["wingman_health", (("component", "database"),)] == 1
    assert found["wingman_health", (("component", "gateway"),)] == 1


async def test_without_a_database_there_are_metrics_still(api: Api):
    api.app.state.health._database = _Down()
    found = await scrape(api)
    assert found["wingman_health", (("component", "database"),)] == 0
    assert not any(name == "wingman_approvals_pending" for name, _ in found)


class _Down:
    async def ping(self) -> None:
        raise TimeoutError


async def test_a_stream_is_counted_and_not_timed(api: Api):
    started = (await api.execute(await api.approved())).json()
    await api.finished(started["execution_id"])
    route = "/executions/{execution_id}/output"
    await api.call("worker", "GET", f"/executions/{started['execution_id']}/output")
    found = await scrape(api)
    assert found[requests("GET", route, 200)] == 1
    assert ("wingman_http_request_seconds_count", (("method", "GET"), ("route", route))) not in found


@pytest.mark.timeout(180)
async def test_one_scrape_adds_up_all_workers(environ: dict[str, str], gateway: FakeGateway):
    environ["WINGMAN_GATEWAY_ADDRESS"] = gateway.address
    async with served(environ) as running:
        for _ in range(30):
            async with httpx.AsyncClient(base_url=running.client.base_url, verify=NO_TLS) as fresh:
                assert (await fresh.get("/livez")).status_code == 200
        for _ in range(5):
            async with httpx.AsyncClient(base_url=running.client.base_url, verify=NO_TLS) as fresh:
                assert samples((await fresh.get("/metrics")).text)[requests("GET", "/livez", 200)] == 30


async def test_the_gateways_numbers_are_shown_as_they_come_or_not_at_all(api: Api):
    shown = await api.call(None, "GET", "/metrics/gateway")
    assert (shown.status_code, shown.text) == (200, "wingman_gateway_up 1.0\n")
    assert shown.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    api.gateway.refusals["MetricsRequest"] = grpc.StatusCode.UNAVAILABLE
    silent = await api.call(None, "GET", "/metrics/gateway")
    assert (silent.status_code, silent.json()["code"]) == (503, "GATEWAY_UNAVAILABLE")
