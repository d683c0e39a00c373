"""The gateway's client on the real protocol: answers to values, refusals to codes, nonsense refused."""

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import status_pb2
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo

from tests.api.conftest import RESTART, Clock
from tests.api.fake_gateway import FakeGateway, forbidden, people
from wingman_api.gateway import Accepted, Chunk, Finished
from wingman_api.gateway_client import GatewayClient, open_gateway
from wingman_api.previews import TargetView
from wingman_cli.pki import Authority
from wingman_core.errors import Code, PolicyRefused, TargetRefused, WingmanError
from wingman_core.observation import ContainerProcesses, ProcessLists
from wingman_core.verdict import Automatic, Forbidden, NeedsPeople
from wingman_rpc.v1 import gateway_pb2 as pb


@pytest.fixture
async def client(gateway: FakeGateway, pki: Authority) -> AsyncIterator[GatewayClient]:
    """A client with the API's certificate."""
    leaf = pki.leaf("api")
    async with open_gateway(
        gateway.address,
        key=leaf.key.read_bytes(),
        chain=leaf.certificate.read_bytes(),
        authority=pki.certificate.read_bytes(),
        environment="test",
    ) as opened:
        yield opened


async def test_a_preview_arrives_whole(gateway: FakeGateway, client: GatewayClient):
    preview = await client.preview(RESTART, "agent-7")
    assert (gateway.previewed[0].worker, gateway.previewed[0].environment) == ("agent-7", "test")
    assert preview.canonical_command == RESTART
    assert [(t.reference.kind, t.name, t.labels) for t in preview.targets] == [("container", "web", (("a", "b"),))]
    assert (preview.facts.verb, preview.facts.effect) == ("restart", "lifecycle")
    assert (preview.blast_radius.stops, preview.blast_radius.reversible) == (("web",), True)
    assert preview.verdict == NeedsPeople(1, ("people",), "people decide")


async def test_verdicts(gateway: FakeGateway, client: GatewayClient):
    assert isinstance((await client.preview("docker ps", "a")).verdict, Automatic)
    gateway.verdicts[RESTART] = forbidden("no")
    assert (await client.preview(RESTART, "a")).verdict == Forbidden(("no-shell",), "no")


NONSENSE: dict[str, Callable[[pb.PreviewResponse], None]] = {
    "an unknown verdict": lambda r: r.verdict.ClearField("outcome"),
    "nobody to ask": lambda r: r.verdict.CopyFrom(people(0)),
    "an unknown effect": lambda r: setattr(r.facts, "effect", "harmless"),
    "an unknown kind": lambda r: setattr(r.targets[0], "kind", "teapot"),
    "an unknown role": lambda r: r.targets[0].ClearField("role"),
}


async def test_every_kind_and_role_of_target_comes_through(gateway: FakeGateway, client: GatewayClient):
    command = "docker run --name made --volume data:/x --network net1 shop/web:1"
    preview = await client.preview(command, "agent-7")
    assert {(target.reference.kind, target.reference.role) for target in preview.targets} == {
        ("image", "peer"),
        ("container", "new"),
        ("volume", "peer"),
        ("network", "peer"),
    }
    assert [TargetView.of(target).role for target in preview.targets] == [t.reference.role for t in preview.targets]


@pytest.mark.parametrize("change", NONSENSE.values(), ids=NONSENSE.keys())
async def test_an_answer_that_makes_no_sense_is_refused(
    gateway: FakeGateway, client: GatewayClient, change: Callable[[pb.PreviewResponse], None]
):
    gateway.answers[RESTART] = change
    with pytest.raises(WingmanError) as refused:
        await client.preview(RESTART, "agent-7")
    assert refused.value.code is Code.INTERNAL


@pytest.mark.parametrize(
    "refusal",
    [
        TargetRefused(Code.TARGET_NOT_FOUND, "no container is called web", hint="docker ps", name="web"),
        PolicyRefused(Code.POLICY_FORBIDS, "never", policies="a"),
    ],
)
async def test_a_refusal_keeps_its_code_text_hint_and_details(
    gateway: FakeGateway, client: GatewayClient, refusal: WingmanError
):
    gateway.refusals[RESTART] = refusal
    with pytest.raises(WingmanError) as refused:
        await client.preview(RESTART, "agent-7")
    assert (refused.value.code, refused.value.message, refused.value.hint, refused.value.details) == (
        refusal.code,
        refusal.message,
        refusal.hint,
        refusal.details,
    )


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (grpc.StatusCode.UNAVAILABLE, Code.GATEWAY_UNAVAILABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Code.DEADLINE_EXCEEDED),
        (grpc.StatusCode.CANCELLED, Code.GATEWAY_UNAVAILABLE),
        (grpc.StatusCode.UNKNOWN, Code.INTERNAL),
        (grpc.StatusCode.PERMISSION_DENIED, Code.INTERNAL),
    ],
)
async def test_a_status_without_a_reason_speaks_for_itself(
    gateway: FakeGateway, client: GatewayClient, status: grpc.StatusCode, code: Code
):
    gateway.refusals[RESTART] = status
    with pytest.raises(WingmanError) as refused:
        await client.preview(RESTART, "agent-7")
    assert refused.value.code is code
    with pytest.raises(WingmanError) as refused:
        await anext(client.execute("token", RESTART))
    assert refused.value.code is code


def trailer(code: int, *details: Message) -> tuple[tuple[str, bytes], ...]:
    """A status as the wire carries it."""
    packed = [AnyMessage() for _ in details]
    for place, detail in zip(packed, details, strict=True):
        place.Pack(detail)
    status = status_pb2.Status(code=code, message="gone", details=packed)
    return (("grpc-status-details-bin", status.SerializeToString()),)


NOT_FOUND = grpc.StatusCode.NOT_FOUND.value[0]
FOREIGN = {
    "garbage": (("grpc-status-details-bin", b"\xff"),),
    "another code than the call's": trailer(NOT_FOUND + 1, ErrorInfo(reason="TARGET_CHANGED", domain="wingman")),
    "another domain": trailer(NOT_FOUND, ErrorInfo(reason="TARGET_CHANGED", domain="example")),
    "a reason of another version": trailer(NOT_FOUND, ErrorInfo(reason="TARGET_MELTED", domain="wingman")),
    "another kind of detail": trailer(NOT_FOUND, RetryInfo()),
}


@pytest.mark.parametrize("details", FOREIGN.values(), ids=FOREIGN.keys())
async def test_details_that_are_not_the_gateways_are_not_believed(
    gateway: FakeGateway, client: GatewayClient, details: tuple[tuple[str, bytes], ...]
):
    gateway.refusals[RESTART] = details
    with pytest.raises(WingmanError) as refused:
        await client.preview(RESTART, "agent-7")
    assert (refused.value.code, refused.value.message) == (Code.INTERNAL, "the gateway failed with NOT_FOUND")


async def test_the_right_detail_is_found_among_others(gateway: FakeGateway, client: GatewayClient):
    gateway.refusals[RESTART] = trailer(NOT_FOUND, RetryInfo(), ErrorInfo(reason="TARGET_CHANGED", domain="wingman"))
    with pytest.raises(WingmanError) as refused:
        await client.preview(RESTART, "agent-7")
    assert refused.value.code is Code.TARGET_CHANGED


async def test_reserved_words_in_details_do_no_harm(gateway: FakeGateway, client: GatewayClient):
    error = TargetRefused(Code.TARGET_NOT_FOUND, "gone")
    error.details.update({"code": "x", "message": "y", "self": "z", "name": "web"})
    gateway.refusals[RESTART] = error
    with pytest.raises(WingmanError) as refused:
        await client.preview(RESTART, "agent-7")
    assert refused.value.details == {"name": "web"}


async def test_events_arrive_in_order(gateway: FakeGateway, client: GatewayClient, clock: Clock):
    finished = pb.Finished(outcome=pb.Finished.OUTCOME_TIMED_OUT, exit_code=137, audit_position=-1, truncated=True)
    finished.finished_at.FromDatetime(clock.now())
    gateway.events = [
        pb.ExecuteResponse(accepted=pb.Accepted(execution_id="exe_1", audit_position=7)),
        pb.ExecuteResponse(stdout=b"\xff"),
        pb.ExecuteResponse(stderr=b"e"),
        pb.ExecuteResponse(progress="1 %"),
        pb.ExecuteResponse(finished=finished),
    ]
    events = [event async for event in client.execute("token", RESTART)]
    assert events[:4] == [
        Accepted("exe_1", 7),
        Chunk("stdout", b"\xff"),
        Chunk("stderr", b"e"),
        Chunk("progress", b"1 %"),
    ]
    last = events[4]
    assert isinstance(last, Finished)
    assert (last.outcome, last.exit_code, last.audit_position, last.truncated) == ("TIMED_OUT", 137, None, True)
    assert last.at.tzinfo is not None
    finished.exit_code = -1
    gateway.events[4].finished.CopyFrom(finished)
    *_, last = [event async for event in client.execute("token", RESTART)]
    assert isinstance(last, Finished)
    assert last.exit_code is None


async def test_health_of_parts(gateway: FakeGateway, client: GatewayClient, pki: Authority):
    from grpc_health.v1 import health_pb2

    assert await client.condition("") == "serving"
    await gateway.conditions.set("engine", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert await client.condition("engine") == "not serving"
    leaf = pki.leaf("api")
    async with open_gateway(
        "127.0.0.1:1",
        key=leaf.key.read_bytes(),
        chain=leaf.certificate.read_bytes(),
        authority=pki.certificate.read_bytes(),
        environment="test",
    ) as nobody:
        assert await nobody.condition("") == "silent"


NONSENSE_FACTS = {
    "none at all": pb.ObserveResponse(),
    "another than was asked for": pb.ObserveResponse(path=pb.PathState(kind="file")),
    "an unknown status": pb.ObserveResponse(state=pb.ContainerState(status="asleep", health="none")),
    "an unknown health": pb.ObserveResponse(state=pb.ContainerState(status="running", health="fine")),
}


@pytest.mark.parametrize("answer", NONSENSE_FACTS.values(), ids=NONSENSE_FACTS.keys())
async def test_a_fact_that_makes_no_sense_is_refused(
    gateway: FakeGateway, client: GatewayClient, answer: pb.ObserveResponse
):
    gateway.facts["web"] = answer
    with pytest.raises(WingmanError) as refused:
        await client.observe_state("web")
    assert refused.value.code is Code.INTERNAL
    gateway.facts["web"] = pb.ObserveResponse(path=pb.PathState(kind="teapot"))
    with pytest.raises(WingmanError) as refused:
        await client.observe_path("web", "/x")
    assert refused.value.code is Code.INTERNAL


async def test_facts_arrive_and_are_asked_for_in_nobodys_name(gateway: FakeGateway, client: GatewayClient):
    gateway.facts["web"] = pb.ObserveResponse(state=pb.ContainerState(name="web", status="exited", health="none"))
    state = await client.observe_state("web")
    assert (state.status, state.started_at) == ("exited", None)
    assert (gateway.observed[0].worker, gateway.observed[0].environment) == ("wingman-claims", "test")
    with pytest.raises(WingmanError) as refused:
        await client.observe_processes("nobody")
    assert refused.value.code is Code.TARGET_NOT_FOUND
    answer = pb.ProcessLists(containers=[pb.ContainerProcesses(container="web", names=["nginx"])], complete=True)
    gateway.facts[""] = pb.ObserveResponse(processes=answer)
    assert await client.observe_processes() == ProcessLists((ContainerProcesses("web", ("nginx",)),), complete=True)


async def test_a_gateway_that_comes_back_is_found_soon_however_long_it_was_away(pki: Authority):
    tries = 0
    enough = asyncio.Event()

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        if tries == 8:  # gRPC's own back-off would take more than 40 s for them
            enough.set()
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    leaf = pki.leaf("api")
    async with (
        server,
        open_gateway(
            f"127.0.0.1:{server.sockets[0].getsockname()[1]}",
            key=leaf.key.read_bytes(),
            chain=leaf.certificate.read_bytes(),
            authority=pki.certificate.read_bytes(),
            environment="test",
        ) as away,
        asyncio.timeout(20),
    ):
        while not enough.is_set():
            assert await away.condition("") == "silent"
            await asyncio.sleep(0.02)  # as callers would: nothing connects without one
