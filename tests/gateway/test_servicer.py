"""The gRPC edge: certificates, roles, limits, messages and what a refusal carries."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.conftest import Cluster, Database
from tests.gateway.conftest import FakeEngine, Minter, Outage, Serve, Served, eventually, execute, refusal
from wingman_cli.pki import Authority, Leaf
from wingman_core.audit_record import RecordKind
from wingman_core.command import operation_digest, parse
from wingman_core.errors import Code, Unavailable
from wingman_core.target import targets_digest
from wingman_gateway import servicer
from wingman_gateway.certificates import Credentials
from wingman_gateway.open_intents import LOCK_LOG
from wingman_gateway.servicer import STATUS
from wingman_gateway.settings import Settings
from wingman_gateway.stream import Stage
from wingman_rpc.v1 import gateway_pb2 as pb
from wingman_rpc.v1.gateway_pb2_grpc import ExecutionGatewayStub

HEALTH = health_pb2.HealthCheckResponse


def _preview(channel: grpc.aio.Channel, command: str, worker: str = "agent", environment: str = "test"):
    request = pb.PreviewRequest(command=command, worker=worker, environment=environment)
    return ExecutionGatewayStub(channel).Preview(request, timeout=30)


async def test_a_preview_says_all_that_people_are_shown(served: Served, engine: FakeEngine):
    async with served.channel() as channel:
        shown = await _preview(channel, "docker container stop -t 5 web")
    assert shown.canonical_command == "docker stop --time 5 web"
    operation = parse(shown.canonical_command)
    assert shown.operation_digest == operation_digest(operation)
    assert shown.target_digest == targets_digest(await engine.resolve(operation))
    (target,) = shown.targets
    assert (target.kind, target.reference, target.id, target.image) == ("container", "web", "a" * 64, "app:1")
    assert (dict(target.labels), target.state) == ({"tier": "front"}, "running")
    assert (shown.facts.verb, shown.facts.effect) == ("stop", "lifecycle")
    assert (list(shown.blast_radius.stops), shown.blast_radius.reversible) == (["web"], True)
    assert (shown.verdict.outcome, shown.verdict.people) == (pb.Verdict.OUTCOME_PEOPLE, 1)
    assert list(shown.verdict.policies) == ["test-one-person"]
    assert shown.verdict.reason
    assert engine.acts == []
    assert await served.log() == []


async def test_a_preview_tells_automatic_from_forbidden(served: Served):
    async with served.channel() as channel:
        read = await _preview(channel, "docker ps")
        forbidden = await _preview(channel, "docker run --privileged app:1")
    assert (read.verdict.outcome, read.verdict.people) == (pb.Verdict.OUTCOME_AUTOMATIC, 0)
    assert forbidden.verdict.outcome == pb.Verdict.OUTCOME_FORBIDDEN
    assert list(forbidden.facts.privileges)


@pytest.mark.parametrize(
    ("command", "worker", "environment", "reason", "status"),
    [
        ("docker stop web", "agent", "prd", Code.ENVIRONMENT_MISMATCH, grpc.StatusCode.INVALID_ARGUMENT),
        ("docker stop web", "agent", "", Code.ENVIRONMENT_MISMATCH, grpc.StatusCode.INVALID_ARGUMENT),
        ("docker stop web", " ", "test", Code.REQUEST_INVALID, grpc.StatusCode.INVALID_ARGUMENT),
        ("docker stop web", "a\nb", "test", Code.REQUEST_INVALID, grpc.StatusCode.INVALID_ARGUMENT),
        ("docker stop web", "a" * 201, "test", Code.REQUEST_INVALID, grpc.StatusCode.INVALID_ARGUMENT),
        ("docker stop web && x", "agent", "test", Code.COMMAND_CHARACTER, grpc.StatusCode.INVALID_ARGUMENT),
        ("docker stop gone", "agent", "test", Code.TARGET_NOT_FOUND, grpc.StatusCode.NOT_FOUND),
    ],
)
async def test_a_preview_of_nonsense_is_refused(
    served: Served, *, command: str, worker: str, environment: str, reason: Code, status: grpc.StatusCode
):
    async with served.channel() as channel:
        refused = await refusal(_preview(channel, command, worker, environment))
    assert (refused.reason, refused.status) == (reason, status)
    assert refused.message


async def test_details_and_the_way_out_travel_with_a_refusal(served: Served):
    async with served.channel() as channel:
        refused = await refusal(_preview(channel, "docker stop web; x"))
    assert refused.metadata["position"]
    assert refused.metadata["hint"]


async def test_a_defect_is_told_as_a_bare_internal_error(served: Served, engine: FakeEngine):
    del engine.ids
    async with served.channel() as channel:
        refused = await refusal(_preview(channel, "docker stop web"))
    assert (refused.reason, refused.status) == (Code.INTERNAL, grpc.StatusCode.INTERNAL)
    assert refused.message == "internal error"
    assert refused.metadata["correlation"]


def test_every_code_that_can_reach_the_edge_has_a_status():
    internal = {code for code in Code if code not in STATUS}
    assert internal == {
        Code.CALLER_GONE,
        Code.POLICY_INVALID,
        Code.APPROVAL_UNKNOWN,
        Code.BACKUP_INVALID,
        Code.APPROVAL_DECIDED,
        Code.APPROVAL_EXPIRED,
        Code.APPROVAL_PENDING,
        Code.APPROVAL_SELF,
        Code.APPROVAL_TWICE,
        Code.APPROVAL_SIGN_OFF,
        Code.BACKUP_INVALID,
        Code.OPERATION_MISMATCH,
        Code.EXECUTION_UNKNOWN,
        Code.EVENTS_LOST,
        Code.CONSUMER_UNKNOWN,
        Code.CONSUMER_CHANGED,
        Code.IDEMPOTENCY_MISMATCH,
        Code.IDEMPOTENCY_RUNNING,
        Code.LEDGER_UNAVAILABLE,
        Code.KEY_MISSING,
        Code.KEY_INVALID,
        Code.ROLE_MISSING,
        Code.PERSON_MISMATCH,
        Code.REQUEST_TOO_LARGE,
        Code.REQUEST_TIMEOUT,
        Code.METHOD_NOT_ALLOWED,
        Code.CANONICAL_INVALID,
        Code.CHECKPOINT_INVALID,
        Code.RECEIPT_INVALID,
        Code.SETTING_INVALID,
        Code.INTERNAL,
    }


async def test_an_auditor_neither_previews_nor_executes_and_the_try_is_recorded(
    served: Served, engine: FakeEngine, minter: Minter
):
    async with served.channel("auditor-alice") as channel:
        for call in (
            _preview(channel, "docker stop web"),
            execute(channel, minter.mint("docker stop web", engine), "docker stop web"),
        ):
            refused = await refusal(call)
            assert (refused.reason, refused.status) == (Code.CALLER_ROLE, grpc.StatusCode.PERMISSION_DENIED)
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())  # is answered, not refused
    records = await served.log()
    assert [(record.kind, record.reason, record.client) for record in records] == [
        (RecordKind.REFUSED, Code.CALLER_ROLE, "spiffe://wingman/test/auditor/alice")
    ] * 2


async def test_a_role_that_is_no_client_gets_nothing(served: Served, pki: Authority, tmp_path: Path):
    wrong = pki.issue("tool/elsewhere", name="tool-of-prd", environment="prd", replace=True)
    async with _channel(served, wrong) as channel:
        refused = await refusal(_preview(channel, "docker stop web"))
    assert (refused.reason, refused.status) == (Code.CALLER_UNKNOWN, grpc.StatusCode.UNAUTHENTICATED)
    (record,) = await served.log()
    assert (record.reason, record.client) == (Code.CALLER_UNKNOWN, "")


def _channel(served: Served, leaf: Leaf | None) -> grpc.aio.Channel:
    roots = served.pki.certificate.read_bytes()
    if leaf is None:
        credentials = grpc.ssl_channel_credentials(roots)
    else:
        credentials = grpc.ssl_channel_credentials(roots, leaf.key.read_bytes(), leaf.certificate.read_bytes())
    return grpc.aio.secure_channel(f"127.0.0.1:{served.port}", credentials)


@pytest.mark.parametrize("kind", ["missing", "foreign", "expired", "early"])
async def test_without_a_valid_certificate_of_the_ca_there_is_no_connection(
    served: Served, pki: Authority, tmp_path: Path, kind: str
):
    now = datetime.now(UTC)
    leaf: Leaf | None
    match kind:
        case "foreign":
            leaf = Authority(tmp_path / "other-ca", "test", now=now).issue("api")
        case "expired":
            past = {"not_before": now - timedelta(days=2), "not_after": now - timedelta(days=1)}
            leaf = pki.issue("api", name="api-expired", replace=True, **past)
        case "early":
            future = {"not_before": now + timedelta(days=1), "not_after": now + timedelta(days=2)}
            leaf = pki.issue("api", name="api-early", replace=True, **future)
        case _:
            leaf = None
    async with _channel(served, leaf) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await _preview(channel, "docker stop web")
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert await served.log() == []


async def test_plain_text_gets_no_answer(served: Served):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{served.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await _preview(channel, "docker stop web")
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_too_many_calls_of_one_caller_are_refused_and_others_are_served(serve: Serve, engine: FakeEngine):
    engine.resolving.clear()
    async with serve(engine, concurrency=3) as served, served.channel() as api, served.channel("tool-deploy") as tool:
        calls = [asyncio.ensure_future(_preview(api, "docker stop web")) for _ in range(10)]
        done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 7:
            more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        for call in done:
            refused = await refusal(call)
            assert (refused.reason, refused.status) == (Code.LIMIT_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)
        other = asyncio.ensure_future(_preview(tool, "docker stop web"))
        await health_pb2_grpc.HealthStub(api).Check(health_pb2.HealthCheckRequest())  # is answered, not refused
        engine.resolving.set()
        for call in (*waiting, other):
            assert (await call).canonical_command == "docker stop web"
        assert [record.reason for record in await served.log()] == [Code.LIMIT_EXCEEDED] * 7


async def test_a_caller_that_is_too_fast_is_refused(serve: Serve, engine: FakeEngine):
    async with serve(engine, rate=0.5) as served, served.channel() as channel:
        for _ in range(2):
            await _preview(channel, "docker stop web")
        assert (await refusal(_preview(channel, "docker stop web"))).reason == Code.LIMIT_EXCEEDED


async def _silence() -> AsyncIterator[bytes]:
    """A request whose message never comes."""
    await asyncio.Event().wait()
    yield b""


async def test_streams_that_say_nothing_count_as_calls_in_flight(serve: Serve, engine: FakeEngine):
    """Execute takes one message; who opens streams and sends none is refused as any other that has too many."""
    execute_method = "/wingman_rpc.v1.ExecutionGateway/Execute"
    async with serve(engine, concurrency=2) as served, served.channel("tool-deploy") as idle, served.channel() as api:
        calls = [idle.stream_stream(execute_method)(_silence()) for _ in range(40)]
        ended = [asyncio.create_task(call.code()) for call in calls]
        async with asyncio.timeout(20):
            while sum(each.done() for each in ended) < len(calls) - 2:
                await asyncio.wait([each for each in ended if not each.done()], return_when=asyncio.FIRST_COMPLETED)
        refused = {each.result() for each in ended if each.done()}
        # UNAVAILABLE is gRPC's own word for more streams than the connection may carry.
        assert grpc.StatusCode.RESOURCE_EXHAUSTED in refused
        assert refused <= {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}
        assert sum(not each.done() for each in ended) == 2
        await _preview(api, "docker stop web")
        for call in calls:
            call.cancel()
        await asyncio.wait(ended)
        assert await _previews_again(idle)


async def _previews_again(channel: grpc.aio.Channel) -> bool:
    async def served() -> bool:
        try:
            await _preview(channel, "docker stop web")
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # noqa: PT017 - the places are not free yet
            return False
        return True

    await eventually(served)
    return True


async def test_a_request_whose_message_does_not_come_ends(served: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(servicer, "MESSAGE_SECONDS", 0.05)
    async with served.channel() as channel:
        silent = channel.stream_stream("/wingman_rpc.v1.ExecutionGateway/Execute")(_silence())
        assert await silent.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "no message" in await silent.details()


async def test_a_connection_carries_so_many_streams_and_others_are_served(serve: Serve, engine: FakeEngine):
    """With one call in flight for each of four services, a fifth stream of the connection waits, or is turned away."""
    methods = (
        "wingman_rpc.v1.ExecutionGateway/Preview",
        "wingman_rpc.v1.AuditLog/Get",
        "grpc.health.v1.Health/Check",
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    )
    async with serve(engine, concurrency=1) as served, served.channel() as full, served.channel("tool-deploy") as tool:
        calls = [full.stream_stream(f"/{method}")(_silence()) for method in methods]
        await asyncio.gather(*(call.wait_for_connection() for call in calls))
        await eventually(lambda: _full(served))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ExecutionGatewayStub(full).Preview(pb.PreviewRequest(command="docker ps"), timeout=1)
        assert refused.value.code() in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}
        await _preview(tool, "docker stop web")
        for call in calls:
            call.cancel()


async def _full(served: Served) -> bool:
    """Whether the API's one place for previews is taken, as another connection of its hears."""
    async with served.channel() as other:
        try:
            await _preview(other, "docker stop web")
        except grpc.aio.AioRpcError as error:
            return error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    return False


async def test_a_message_that_is_too_large_is_refused(served: Served, engine: FakeEngine):
    async with served.channel() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await _preview(channel, "x" * (128 << 10))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_an_unknown_method_is_not_implemented(served: Served):
    async with served.channel() as channel:
        call = channel.unary_unary("/wingman_rpc.v1.ExecutionGateway/Other")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(b"")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def _status(served: Served, service: str = "", *, channel: grpc.aio.Channel | None = None) -> int:
    if channel is None:
        async with served.channel() as own:
            return await _status(served, service, channel=own)
    return (await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))).status


async def test_it_serves_only_while_engine_and_database_are_fine(served: Served, engine: FakeEngine, outage: Outage):
    async def serving(fit: bool, *parts: str) -> bool:
        wanted = HEALTH.SERVING if fit else HEALTH.NOT_SERVING
        return {await _status(served, part) for part in parts} == {wanted}

    everything = ("", "wingman_rpc.v1.ExecutionGateway", "engine", "database", "journal")
    await eventually(lambda: serving(True, *everything))
    engine.down = True
    await eventually(lambda: serving(False, "", "wingman_rpc.v1.ExecutionGateway", "engine"))
    assert await serving(True, "database")
    engine.down = False
    await eventually(lambda: serving(True, *everything))
    async with outage():
        await eventually(lambda: serving(False, "", "database"))
    await eventually(lambda: serving(True, *everything))


async def test_a_watcher_hears_of_a_change(served: Served, engine: FakeEngine):
    async with served.channel() as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="engine"))
        heard: list[int] = []
        async for answer in watch:
            heard.append(answer.status)
            if answer.status == HEALTH.SERVING:
                engine.down = True
            if HEALTH.SERVING in heard and answer.status == HEALTH.NOT_SERVING:
                break
        watch.cancel()
    assert heard[-2:] == [HEALTH.SERVING, HEALTH.NOT_SERVING]


async def test_reflection_describes_the_service_in_test(served: Served):
    async def ask() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    async with served.channel() as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        (answer,) = [each async for each in stub.ServerReflectionInfo(ask())]
    names = {service.name for service in answer.list_services_response.service}
    assert {"wingman_rpc.v1.ExecutionGateway", "wingman_rpc.v1.AuditLog"} <= names


async def test_there_is_no_reflection_in_prd(serve: Serve, engine: FakeEngine, pki: Authority):
    async def ask() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    leaf = pki.issue("api", name="api-of-prd", environment="prd", replace=True)
    async with serve(engine, environment="prd") as served, _channel(served, leaf) as channel:
        shown = await _preview(channel, "docker stop web", environment="prd")
        assert (shown.verdict.outcome, shown.verdict.people) == (pb.Verdict.OUTCOME_PEOPLE, 1)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            [each async for each in reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(ask())]
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_health_goes_on_whatever_breaks(serve: Serve, engine: FakeEngine, tmp_path: Path):
    async def serving(wanted: int, part: str) -> bool:
        return await _status(served, part) == wanted

    async with serve(engine) as served:
        await eventually(lambda: serving(HEALTH.SERVING, ""))
        # A journal entry that cannot be read, and an engine adapter with a defect.
        broken = served.settings.journal / "000000000000.outcome"
        broken.mkdir()
        served.gateway.unsettled.set()
        down = engine.__dict__.pop("down")
        await eventually(lambda: serving(HEALTH.NOT_SERVING, "engine"))
        assert await serving(HEALTH.NOT_SERVING, "journal")
        engine.down = down
        broken.rmdir()
        await eventually(lambda: serving(HEALTH.SERVING, ""))
        # One that can be read and is no record holds up nothing: it is set aside.
        broken.write_bytes(b"{")
        served.gateway.unsettled.set()
        await eventually(lambda: _is([*served.settings.journal.glob("*.refused")]))
        await eventually(lambda: serving(HEALTH.SERVING, ""))
        # A journal directory that is gone, and comes back.
        away = served.settings.journal.rename(served.settings.journal.with_name("away"))
        await eventually(lambda: serving(HEALTH.NOT_SERVING, ""))
        away.rename(served.settings.journal)
        await eventually(lambda: serving(HEALTH.SERVING, ""))


def test_a_renewal_is_taken_once_it_is_whole(settings: Settings, pki: Authority):
    first = pki.issue("gateway", name="gateway-unit", replace=True)
    credentials = Credentials(settings.model_copy(update={"tls_cert": first.certificate, "tls_key": first.key}))
    assert credentials._renewed() is None
    old = first.certificate.read_bytes()
    new = pki.issue("gateway", name="gateway-unit", replace=True).certificate.read_bytes()
    first.certificate.write_bytes(old)
    assert credentials._renewed() is None
    first.certificate.write_bytes(new)
    assert credentials._renewed() is not None
    assert credentials._renewed() is None
    first.certificate.unlink()
    assert credentials._renewed() is None


async def test_a_renewed_certificate_is_served_without_a_restart(
    serve: Serve, engine: FakeEngine, tmp_path: Path, pki: Authority
):
    def renew() -> Leaf:
        return pki.issue("gateway", name="gateway-renewed", replace=True)

    first = renew()
    async with serve(engine, tls_cert=first.certificate, tls_key=first.key) as served:
        before = await _served_certificate(served)
        # Half of a renewal: the key is there, the certificate is not yet.
        old = first.certificate.read_bytes()
        renewed = renew()
        new = renewed.certificate.read_bytes()
        renewed.certificate.write_bytes(old)
        assert await _served_certificate(served) == before
        renewed.certificate.write_bytes(new)
        after = await _served_certificate(served)
    assert after != before


async def test_a_renewal_that_cannot_be_used_is_counted_once_without_a_handshake(
    serve: Serve, engine: FakeEngine, pki: Authority
):
    leaf = pki.issue("gateway", name="gateway-broken", replace=True)
    async with serve(engine, tls_cert=leaf.certificate, tls_key=leaf.key) as served, served.channel() as channel:

        async def counted() -> dict[str, str]:
            text = (await ExecutionGatewayStub(channel).Metrics(pb.MetricsRequest())).text.decode()
            found = re.findall(r'reloads_total\{usable="(\w+)",what="certificates"\} (\S+)', text)
            return dict(found)

        async def says(usable: str, number: str) -> bool:
            return (await counted())[usable] == number

        assert await counted() == {"true": "0.0", "false": "0.0"}
        whole = leaf.certificate.read_bytes()
        leaf.certificate.write_bytes(b"no certificate")
        await eventually(lambda: says("false", "1.0"))
        leaf.certificate.write_bytes(whole)
        await eventually(lambda: says("true", "1.0"))
        assert await counted() == {"true": "1.0", "false": "1.0"}


async def _served_certificate(served: Served) -> bytes:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(served.pki.certificate)
    leaf = served.pki.leaf("api")
    context.load_cert_chain(leaf.certificate, leaf.key)
    context.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=context, server_hostname="localhost")
    assert await reader.read(1)
    certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return certificate


async def test_stopping_ends_reads_and_lets_mutations_end(serve: Serve, engine: FakeEngine, minter: Minter):
    go_on = engine.hold()
    async with serve(engine) as served, served.channel() as channel:
        mutation = asyncio.create_task(execute(channel, minter.mint("docker stop web", engine), "docker stop web"))
        read = asyncio.create_task(execute(channel, minter.mint("docker logs db", engine), "docker logs db"))
        await eventually(lambda: _is(len(engine.acts) == 2))
        engine.resolving.clear()
        waiting = asyncio.create_task(refusal(execute(channel, minter.mint("docker top db", engine), "docker top db")))
        await eventually(lambda: _is(len(served.gateway.executor.running) == 3))
        stopping = asyncio.create_task(served.gateway.stop())
        await eventually(lambda: _is(read.done()))
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await execute(channel, minter.mint("docker ps", engine), "docker ps")
        assert late.value.code() is grpc.StatusCode.UNAVAILABLE
        assert (await read).finished.outcome == pb.Finished.OUTCOME_FAILED
        assert (await waiting).reason == Code.GATEWAY_UNAVAILABLE
        go_on.set()
        assert (await mutation).finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
        await stopping
        by_reason = {record.reason: record.kind for record in await served.log()}
        assert by_reason == {"": RecordKind.RESULT, Code.GATEWAY_UNAVAILABLE: RecordKind.RESULT}


async def test_a_message_that_comes_while_it_stops_starts_nothing(serve: Serve, engine: FakeEngine, minter: Minter):
    go_on = engine.hold()
    async with serve(engine) as served, served.channel() as channel:
        mutation = asyncio.create_task(execute(channel, minter.mint("docker stop web", engine), "docker stop web"))
        await eventually(lambda: _is(engine.acts))
        late = channel.stream_stream(
            "/wingman_rpc.v1.ExecutionGateway/Execute",
            request_serializer=pb.ExecuteRequest.SerializeToString,
            response_deserializer=pb.ExecuteResponse.FromString,
        )()
        await late.wait_for_connection()
        await _status(served, channel=channel)  # behind it on the same connection: the gateway has the stream
        stopping = asyncio.create_task(served.gateway.stop())
        await eventually(lambda: _is(served.gateway.executor.draining))
        token = minter.mint("docker stop db", engine)
        await late.write(pb.ExecuteRequest(capability_token=token, command="docker stop db"))
        await late.done_writing()
        refused = await refusal(late.read())
        assert (refused.reason, refused.status) == (Code.GATEWAY_UNAVAILABLE, grpc.StatusCode.UNAVAILABLE)
        go_on.set()
        assert (await mutation).finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
        await stopping
        assert served.gateway.executor.running == frozenset()
        assert [record.kind for record in await served.log()] == [RecordKind.INTENT, RecordKind.RESULT]
        assert len(engine.acts) == 1


async def test_a_read_that_is_spent_while_it_stops_does_not_read(
    serve: Serve, engine: FakeEngine, minter: Minter, database: Database
):
    administrator = await database.connection("postgres").connect()
    async with serve(engine) as served, served.channel() as channel:
        async with administrator.transaction():
            await administrator.execute(LOCK_LOG)
            read = asyncio.create_task(execute(channel, minter.mint("docker logs db", engine), "docker logs db"))
            await eventually(lambda: _is([e for e in served.gateway.executor.executions if e.stage is Stage.SPENDING]))
            stopping = asyncio.create_task(served.gateway.stop())
            await eventually(lambda: _is(all(each.stopped for each in served.gateway.executor.executions)))
        assert (await read).finished.outcome == pb.Finished.OUTCOME_FAILED
        await stopping
        log = await served.log()
        assert (log[1].outcome, log[1].reason) == ("FAILED", Code.GATEWAY_UNAVAILABLE)
        assert engine.acts == []
    await administrator.close()


async def _left_open(serve: Serve, engine: FakeEngine, minter: Minter) -> str:
    """Leave one INTENT without outcome, by a gateway that has ended; return its execution."""
    engine.hold()
    async with serve(engine, drain=0.05) as served, served.channel() as channel:
        call = asyncio.create_task(refusal(execute(channel, minter.mint("docker stop web", engine), "docker stop web")))
        await eventually(lambda: _is(engine.acts))
        await served.gateway.stop()
        call.cancel()
        (intent,) = await served.log()
    assert intent.kind is RecordKind.INTENT
    return intent.execution_id


async def test_a_mutation_that_outlasts_the_drain_is_left_open_for_the_next_start(
    serve: Serve, engine: FakeEngine, minter: Minter
):
    await _left_open(serve, engine, minter)
    async with serve(engine) as served:
        log = await served.until(lambda log: len(log) == 2)
    assert (log[1].kind, log[1].outcome) == (RecordKind.RECONCILED, "SUCCEEDED")
    assert len(engine.acts) == 1


async def test_it_serves_though_the_engine_does_not_answer_for_one_container(
    serve: Serve, engine: FakeEngine, minter: Minter
):
    hung = await _left_open(serve, engine, minter)
    engine.refusing[hung] = Unavailable(Code.ENGINE_UNAVAILABLE, "no answer in time")
    async with serve(engine) as served:

        async def serving() -> bool:
            return await _status(served) == HEALTH.SERVING

        await eventually(serving)
        assert len(await served.log()) == 1
        engine.refusing.clear()
        assert (await served.until(lambda log: len(log) == 2))[1].outcome == "SUCCEEDED"


async def test_an_outcome_that_the_drain_cuts_off_goes_to_the_journal(
    serve: Serve, engine: FakeEngine, minter: Minter, postgres: Cluster, database: Database
):
    go_on = engine.hold(7)
    locker = await postgres.server.connection("postgres", database.name).connect()
    try:
        async with serve(engine, drain=0.3) as served, served.channel() as channel:
            call = asyncio.create_task(
                refusal(execute(channel, minter.mint("docker stop web", engine), "docker stop web"))
            )
            await eventually(lambda: _is(engine.acts))
            await locker.execute(f"BEGIN; {LOCK_LOG}")  # the database hangs from here
            go_on.set()
            await served.gateway.stop()
            call.cancel()
            kept = [name.name for name in served.settings.journal.glob("*.outcome")]
            assert len(kept) == 1
    finally:
        await locker.close()
    async with serve(engine) as served:
        log = await served.until(lambda log: len(log) == 2)
    assert (log[1].kind, log[1].outcome, log[1].exit_code) == (RecordKind.RESULT, "FAILED", 7)
    assert engine.asked == []


async def _is(value: object) -> object:
    return value
