"""What the gateway counts and times, over gRPC, for the API alone."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.gateway.conftest import FakeEngine, Minter, Outage, Serve, Served, eventually, execute, refusal
from wingman_core.errors import Code
from wingman_gateway.engine.events import Event, Exit, Note, Output
from wingman_rpc.v1 import gateway_pb2 as pb
from wingman_rpc.v1.gateway_pb2_grpc import ExecutionGatewayStub

SECRET = "geheim"
Samples = dict[tuple[str, tuple[str, ...]], float]


async def scrape(served: Served) -> Samples:
    """Values by name and the labels' values, which come in the order of the labels' names."""
    async with served.channel() as channel:
        answer = await ExecutionGatewayStub(channel).Metrics(pb.MetricsRequest())
    assert SECRET not in answer.text.decode()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text.decode())
        for sample in family.samples
    }


async def test_executions_are_counted_by_verb_verdict_and_reason(served: Served, engine: FakeEngine, minter: Minter):
    async def fail(_execution_id: str, _note: Note) -> AsyncIterator[Event]:
        yield Output("stderr", SECRET.encode())
        yield Exit(3)

    async with served.channel() as channel:
        await execute(channel, minter.mint("docker stop web", engine), "docker stop web")
        engine.script = fail
        await execute(channel, minter.mint("docker stop web", engine), "docker stop web")
        spent = minter.mint("docker ps", engine, by=())
        await execute(channel, spent, "docker ps")
        assert (await refusal(execute(channel, spent, "docker ps"))).reason == Code.TOKEN_SPENT
        assert (await refusal(execute(channel, SECRET, "docker ps"))).reason == Code.TOKEN_MALFORMED
    async with served.channel("auditor-alice") as channel:
        assert (await refusal(execute(channel, "x", "docker ps"))).reason == Code.CALLER_ROLE
    found = await scrape(served)
    counted = {labels: value for (name, labels), value in found.items() if name == "wingman_gateway_executions_total"}
    assert counted == {
        ("", "stop", "SUCCEEDED"): 1,
        ("", "stop", "FAILED"): 1,
        ("", "ps", "FAILED"): 1,
        (Code.TOKEN_SPENT, "ps", "REFUSED"): 1,
        (Code.TOKEN_MALFORMED, "", "REFUSED"): 1,
        (Code.CALLER_ROLE, "", "REFUSED"): 1,
    }
    stages = {stage: found["wingman_gateway_stage_seconds_count", (stage,)] for stage in ("token", "spend", "act")}
    assert stages == {"token": 5, "spend": 4, "act": 3}
    for stage in ("parse", "resolve", "policy", "record"):
        assert found["wingman_gateway_stage_seconds_count", (stage,)] >= 3
    assert found["wingman_gateway_audit_batch_rows_sum", ()] == len(await served.log()) + 1  # the spent one
    assert found["wingman_gateway_audit_lag_seconds_count", ()] >= 3
    assert found["process_resident_memory_bytes", ()] > 0


async def test_health_and_what_waits_are_shown(serve: Serve, engine: FakeEngine, minter: Minter, outage: Outage):
    go_on = engine.hold()
    async with serve(engine) as served, served.channel() as channel:
        await eventually(lambda: _shows(served, ("wingman_gateway_up", ("all",)), 1))
        call = asyncio.create_task(execute(channel, minter.mint("docker stop web", engine), "docker stop web"))
        await eventually(lambda: _shows(served, ("wingman_gateway_stage_seconds_count", ("spend",)), 1))
        assert await _shows(served, ("wingman_gateway_executions_running", ()), 1)
        async with outage():
            go_on.set()
            assert (await call).finished.audit_position == -1
            await eventually(lambda: _shows(served, ("wingman_gateway_up", ("database",)), 0))
            assert await _shows(served, ("wingman_gateway_journal_outcomes", ()), 1)
            assert await _shows(served, ("wingman_gateway_up", ("engine",)), 1)
        await eventually(lambda: _shows(served, ("wingman_gateway_journal_outcomes", ()), 0))
        assert await _shows(served, ("wingman_gateway_audit_waiting", ()), 0)


async def _shows(served: Served, what: tuple[str, tuple[str, ...]], value: float) -> bool:
    return (await scrape(served)).get(what) == value


@pytest.mark.parametrize("role", ["tool-deploy", "auditor-alice"])
async def test_nobody_but_the_api_is_told(served: Served, role: str):
    async with served.channel(role) as channel:
        refused = await refusal(ExecutionGatewayStub(channel).Metrics(pb.MetricsRequest()))
    assert (refused.reason, refused.status) == (Code.CALLER_ROLE, grpc.StatusCode.PERMISSION_DENIED)
