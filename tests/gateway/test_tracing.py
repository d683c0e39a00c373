"""A caller's trace goes on through the stages of an execution to Docker calls, and tells nothing of the command."""

import gzip
import signal
import socket
import time

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.gateway.conftest import FakeEngine, Minter
from tests.gateway.process import environ_of, gateway_process
from wingman_cli.pki import Authority
from wingman_gateway import otlp
from wingman_gateway.settings import Settings
from wingman_rpc.v1.gateway_pb2 import ExecuteRequest
from wingman_rpc.v1.gateway_pb2_grpc import ExecutionGatewayStub

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


async def test_one_trace_from_the_caller_to_the_engine(
    settings: Settings, pki: Authority, minter: Minter, engine_url: str
):
    spans: list[Span] = []

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        message = ExportTraceServiceRequest.FromString(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
        spans.extend(span for r in message.resource_spans for s in r.scope_spans for span in s.spans)
        return web.Response(body=b"")

    application = web.Application()
    application.router.add_post("/v1/traces", take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        environ = environ_of(settings, WINGMAN_DOCKER_HOST=engine_url, WINGMAN_OTLP_ENDPOINT=endpoint)
        async with gateway_process(environ) as running:
            await running.serving(pki)
            async with running.channel(pki) as channel:
                call = ExecutionGatewayStub(channel).Execute(
                    ExecuteRequest(
                        capability_token=minter.mint("docker ps --filter name=geheim", FakeEngine(), by=()),
                        command="docker ps --filter name=geheim",
                    ),
                    metadata=(("traceparent", f"00-{TRACE}-{PARENT}-01"),),
                    timeout=60,
                )
                events = [event async for event in call]
            assert events[-1].finished.exit_code == 0
            assert await running.end(signal.SIGTERM) == 0  # what was not sent yet is
    finally:
        await runner.cleanup()
    ours = {span.name: span for span in spans if span.trace_id.hex() == TRACE}
    method = ours["wingman_rpc.v1.ExecutionGateway/Execute"]
    assert method.parent_span_id.hex() == PARENT
    for stage in ("token", "parse", "resolve", "policy", "spend", "act", "record"):
        assert ours[stage].parent_span_id == method.span_id
    assert ours["docker GET containers"].parent_span_id == ours["act"].span_id
    assert "geheim" not in str(spans)


def test_a_collector_that_says_nothing_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(otlp, "EXPORT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        with otlp.exporting(f"http://127.0.0.1:{silent.getsockname()[1]}", "test") as tracing:
            for _ in range(2048):
                with tracing.stage("parse"):
                    pass
            began = time.monotonic()
        assert time.monotonic() - began < 3
