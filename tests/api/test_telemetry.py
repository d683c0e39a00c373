"""Traces and correlation ids: from the caller through the API into the gateway, with nothing of what was asked."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.api.conftest import RESTART, Api, Clock, serve_api
from wingman_api.settings import load
from wingman_api.telemetry import traced

TRACE = "0af7651916cd43dd8448eb211c80319c"


@dataclass
class Collector:
    """Takes what an OTLP exporter sends."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        message = ExportTraceServiceRequest.FromString(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
        self.spans += [span for r in message.resource_spans for s in r.scope_spans for span in s.spans]
        return web.Response(body=b"")


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector = Collector()
    application = web.Application()
    application.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield collector
    finally:
        await runner.cleanup()


async def test_a_trace_goes_through_the_api_into_the_gateway(environ: dict[str, str], api: Api):
    environ["WINGMAN_GATEWAY_ADDRESS"] = api.gateway.address
    async with collecting() as collector:
        leaving = traced(collector.url, "1", "test")
        telemetry = leaving.__enter__()
        async with serve_api(load(environ), Clock(), [], telemetry=telemetry) as (url, _):
            api.url = url
            headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
            await api.call("worker", "GET", f"/policy/explain?command={RESTART}", headers=headers)
            await api.call(None, "GET", "/livez")
        await asyncio.to_thread(leaving.__exit__, None, None, None)
        (span,) = collector.spans
    assert span.name == "GET /policy/explain"
    assert span.trace_id.hex() == TRACE
    assert api.gateway.metadata[-1]["traceparent"].split("-")[1:3] == [TRACE, span.span_id.hex()]
    said = {each.key: each.value for each in span.attributes}
    assert said["url.query"].string_value == "REDACTED"
    assert "restart" not in str(span)


async def test_a_correlation_id_goes_on_into_the_gateway(api: Api):
    response = await api.ask()
    assert api.gateway.metadata[-1]["x-correlation-id"] == response.headers["x-correlation-id"]
    assert "traceparent" not in api.gateway.metadata[-1]
    approval = response.json()["request"]["id"]
    await api.decide("alice", approval, "approve")
    started = await api.execute(approval)
    assert api.gateway.metadata[-1]["x-correlation-id"] == started.headers["x-correlation-id"]
    seen = len(api.gateway.observed)
    claim = {"assertions": [{"kind": "container_stopped", "container": "web"}]}
    verified = await api.call(None, "POST", "/verify", json=claim)
    assert len(api.gateway.observed) > seen
    assert api.gateway.metadata[-1]["x-correlation-id"] == verified.headers["x-correlation-id"]


async def test_a_collector_that_is_down_costs_no_request(environ: dict[str, str], api: Api):
    environ["WINGMAN_GATEWAY_ADDRESS"] = api.gateway.address
    with traced("http://127.0.0.1:1", "1", "test") as telemetry:
        async with serve_api(load(environ), Clock(), [], telemetry=telemetry) as (url, _):
            api.url = url
            assert (await api.call("worker", "GET", "/approvals/pending")).status_code == 200


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://x", "http://a b"])
def test_an_endpoint_is_an_address_of_http(environ: dict[str, str], endpoint: str):
    from wingman_core.errors import SettingInvalid

    with pytest.raises(SettingInvalid, match="WINGMAN_OTLP_ENDPOINT"):
        load({**environ, "WINGMAN_OTLP_ENDPOINT": endpoint})
