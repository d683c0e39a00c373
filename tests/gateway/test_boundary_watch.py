"""What the gateway does about its boundary: news is recorded, and executions stop where they are told to."""

from datetime import UTC, datetime

import grpc
import pytest
import structlog

from tests.gateway.conftest import FakeEngine, Minter, Serve, execute, refusal
from tests.gateway.deployment import fleet, stack
from wingman_core.audit_record import AuditRecord
from wingman_core.errors import Code, Unavailable
from wingman_gateway.boundary_watch import LOOKS, UNSEEN, BoundaryWatch
from wingman_gateway.engine.fleet import Fleet
from wingman_gateway.records import Records
from wingman_rpc.v1 import gateway_pb2 as pb
from wingman_rpc.v1.gateway_pb2_grpc import ExecutionGatewayStub


def verdicts(log: list[AuditRecord]) -> list[tuple[str, str]]:
    return [(record.outcome, record.reason) for record in log if record.kind == "BOUNDARY"]


async def test_the_gateway_records_news_and_stops_executions_where_it_is_told_to(
    serve: Serve, engine: FakeEngine, minter: Minter
):
    engine.seen = fleet(*stack().values())
    watching = {"boundary_project": "wingman-test", "boundary_interval": 0.05, "boundary_stops": True}
    async with serve(engine, **watching) as served, served.channel() as channel:
        await served.until(lambda log: verdicts(log) == [("SUCCEEDED", "")])
        command = "docker restart --time 1 web"
        await execute(channel, minter.mint(command, engine), command)

        bad = stack()
        bad["api"]["HostConfig"]["Privileged"] = True
        engine.seen = fleet(*bad.values())
        said = ("FAILED", "PRIVILEGED: api runs with privileged")
        log = await served.until(lambda log: verdicts(log) == [("SUCCEEDED", ""), said])
        assert '"found":1' in log[-1].evidence
        stub = ExecutionGatewayStub(channel)
        request = pb.ExecuteRequest(capability_token=minter.mint(command, engine), command=command)
        refused = await refusal(anext(aiter(stub.Execute(request))))
        assert (refused.status, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, Code.BOUNDARY_VIOLATED)
        assert "api runs with privileged" in refused.message

        engine.seen = fleet(*stack().values())
        await served.until(lambda log: len(verdicts(log)) == 3)
        await execute(channel, minter.mint(command, engine), command)


async def test_a_boundary_that_cannot_be_looked_at_stops_executions_too(
    serve: Serve, engine: FakeEngine, minter: Minter
):
    stateless = {"Id": "without a state"}  # is no trouble
    engine.seen = fleet(*stack().values(), stateless)
    watching = {"boundary_project": "wingman-test", "boundary_interval": 0.05, "boundary_stops": True}
    async with serve(engine, **watching) as served, served.channel() as channel:
        await served.until(lambda log: verdicts(log) == [("SUCCEEDED", "")])
        engine.seen = Fleet(None, (), (), "/")  # type: ignore[arg-type]  # what no engine says
        command = "docker restart --time 1 web"
        request = pb.ExecuteRequest(capability_token=minter.mint(command, engine), command=command)
        stub, refused = ExecutionGatewayStub(channel), list[grpc.aio.AioRpcError]()
        while not refused:
            request.capability_token = minter.mint(command, engine)
            try:
                async for _ in stub.Execute(request):
                    pass
            except grpc.aio.AioRpcError as error:
                refused.append(error)
        assert refused[0].code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "no look at it has succeeded" in str(refused[0].details())


class Log:
    """Where a watch's records go."""

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []

    async def append(self, record: AuditRecord) -> int:
        self.records.append(record)
        return len(self.records)


async def test_looks_that_cannot_be_made_in_a_row_are_a_violation_that_is_told_once(engine: FakeEngine):
    log = Log()
    watch = BoundaryWatch(
        "wingman-test",
        engine=engine,
        audit=log,
        records=Records("test", "gateway", now=lambda: datetime(2030, 1, 1, tzinfo=UTC)),
        interval=300,
        stops=True,
        clock=lambda: 0.0,
        log=structlog.wrap_logger(None),
    )
    engine.seen = fleet(*stack().values())
    for _ in range(2):
        engine.down = True
        for _ in range(LOOKS - 1):
            with pytest.raises(Unavailable):
                await watch.look()
        engine.down = False
        await watch.look()
    assert verdicts(log.records) == [("SUCCEEDED", "")]  # now and then one fails
    engine.down = True
    for _ in range(LOOKS + 2):
        with pytest.raises(Unavailable):
            await watch.look()
    assert verdicts(log.records)[1:] == [("FAILED", UNSEEN)]
    engine.down = False
    await watch.look()
    watch.require()
    assert verdicts(log.records)[2:] == [("SUCCEEDED", "")]
