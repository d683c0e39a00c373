"""What may be observed and what is told of it, over the real protocol and the real policies."""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import grpc
import pytest

from tests.gateway.conftest import POLICIES, FakeEngine, Serve, Served, refusal
from wingman_api.gateway_client import GatewayClient
from wingman_cli.pki import Authority
from wingman_core.errors import Code, Unavailable, WingmanError
from wingman_core.observation import ContainerProcesses, ProcessLists
from wingman_core.target import Target
from wingman_gateway import observer as module
from wingman_gateway.judgement import Judge
from wingman_gateway.observer import MOST_CONTAINERS, MOST_NAMES, Asker, Observer
from wingman_gateway.policy import Policy
from wingman_gateway.server import Sources
from wingman_rpc.v1 import gateway_pb2 as pb
from wingman_rpc.v1.gateway_pb2_grpc import ExecutionGatewayStub

AGENT = Asker("agent", "test")
KINDS = ("state", "processes", "path")


def _request(kind: str, container: str = "web", worker: str = "agent", environment: str = "test", path: str = "/etc/x"):
    request = pb.ObserveRequest(container=container, worker=worker, environment=environment)
    match kind:
        case "state":
            request.state.SetInParent()
        case "processes":
            request.processes.SetInParent()
        case "path":
            request.path.path = path
    return request


def _observe(channel: grpc.aio.Channel, kind: str, **changes: str):
    return ExecutionGatewayStub(channel).Observe(_request(kind, **changes), timeout=30)


def _observer(engine: FakeEngine, environment: str = "test") -> Observer:
    policy = Policy.load(POLICIES, environment)
    judge = Judge(environment, token_keys={}, engine=engine, policy=policy, now=Sources.now, stage=nullcontext)
    return Observer(judge, engine)


@pytest.fixture
def observer(engine: FakeEngine) -> Observer:
    return _observer(engine)


async def test_each_fact_arrives_whole(served: Served, engine: FakeEngine):
    async with served.channel() as channel:
        client = GatewayClient(channel, "test")
        assert await client.observe_state("web") == await engine.state(engine.resolved(_reference("web")))
        assert await client.observe_path("web", "/etc/x") == await engine.path(_target(engine), "/etc/x")
        one = ContainerProcesses("web", ("nginx", "web"))
        assert await client.observe_processes("web") == ProcessLists((one,), complete=True)
        both = (one, ContainerProcesses("db", ("db", "nginx")))
        assert await client.observe_processes() == ProcessLists(both, complete=True)
    assert engine.acts == []
    assert await served.log() == []


def _reference(name: str):
    from wingman_core.target import Reference

    return Reference("container", name)


def _target(engine: FakeEngine, name: str = "web") -> Target:
    return engine.resolved(_reference(name))


async def test_what_was_never_started_and_what_is_absent_have_no_time(served: Served, engine: FakeEngine):
    state, path = engine.state, engine.path

    async def created(target: Target):
        return replace(await state(target), started_at=None, status="created")

    async def nothing(target: Target, where: str):
        return replace(await path(target, where), kind="absent", modified_at=None, size=0, sha256="")

    engine.state, engine.path = created, nothing
    async with served.channel() as channel:
        client = GatewayClient(channel, "test")
        assert (await client.observe_state("web")).started_at is None
        assert (await client.observe_path("web", "/x")).modified_at is None


@pytest.mark.parametrize("role", ["tool-deploy", "auditor-alice"])
async def test_only_the_api_observes(served: Served, role: str):
    async with served.channel(role) as channel:
        refused = await refusal(_observe(channel, "state"))
    assert (refused.reason, refused.status) == (Code.CALLER_ROLE, grpc.StatusCode.PERMISSION_DENIED)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "nothing"}, Code.REQUEST_INVALID),
        ({"environment": "prd"}, Code.ENVIRONMENT_MISMATCH),
        ({"environment": ""}, Code.ENVIRONMENT_MISMATCH),
        ({"worker": ""}, Code.REQUEST_INVALID),
        ({"container": ""}, Code.REQUEST_INVALID),
        ({"container": "../images/app"}, Code.REQUEST_INVALID),
        ({"container": "web?size=1"}, Code.REQUEST_INVALID),
        ({"container": "w" * 300}, Code.REQUEST_INVALID),
        ({"container": "nobody"}, Code.TARGET_NOT_FOUND),
        ({"kind": "path", "path": "etc/passwd"}, Code.REQUEST_INVALID),
        ({"kind": "path", "path": ""}, Code.REQUEST_INVALID),
        ({"kind": "path", "path": "/a\0b"}, Code.REQUEST_INVALID),
        ({"kind": "path", "path": "/" + "é" * 2048}, Code.REQUEST_INVALID),
        ({"kind": "processes", "container": "nobody"}, Code.TARGET_NOT_FOUND),
        ({"kind": "processes", "container": "", "environment": "prd"}, Code.ENVIRONMENT_MISMATCH),
    ],
)
async def test_nonsense_is_refused(served: Served, changes: dict[str, str], reason: Code):
    async with served.channel() as channel:
        refused = await refusal(_observe(channel, **{"kind": "state", **changes}))
    assert refused.reason == reason


FORBIDDEN: dict[str, Callable[[FakeEngine], None]] = {
    "Wingman's own": lambda engine: engine.labels.update(web={"wingman.role": "gateway"}),
    "another environment's": lambda engine: engine.labels.update(web={"wingman.environment": "prd"}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arrange", FORBIDDEN.values(), ids=FORBIDDEN.keys())
async def test_what_policy_forbids_to_read_is_not_told(
    served: Served, engine: FakeEngine, arrange: Callable[[FakeEngine], None], kind: str
):
    arrange(engine)
    async with served.channel() as channel:
        refused = await refusal(_observe(channel, kind))
    assert (refused.reason, refused.status) == (Code.POLICY_FORBIDS, grpc.StatusCode.PERMISSION_DENIED)


async def test_in_prd_a_containers_own_files_need_people_who_are_not_asked(
    serve: Serve, engine: FakeEngine, pki: Authority
):
    observer = _observer(engine, "prd")
    asker = Asker("agent", "prd")
    assert (await observer.state(asker, "web")).name == "web"
    assert (await observer.processes(asker, "")).complete
    with pytest.raises(WingmanError) as refused:
        await observer.path(asker, "web", "/etc/x")
    assert refused.value.code is Code.POLICY_NEEDS_PEOPLE


async def test_a_container_that_holds_the_host_shows_its_state_and_none_of_its_files(
    observer: Observer, engine: FakeEngine
):
    engine.privileges["web"] = ("bind / on /host",)
    assert (await observer.state(AGENT, "web")).status == "running"
    with pytest.raises(WingmanError) as refused:
        await observer.path(AGENT, "web", "/host/etc/shadow")
    assert refused.value.code is Code.POLICY_FORBIDS


async def test_a_container_that_is_kept_out_makes_the_list_incomplete(observer: Observer, engine: FakeEngine):
    engine.labels["db"] = {"wingman.role": "postgres"}
    seen = await observer.processes(AGENT, "")
    assert [each.container for each in seen.containers] == ["web"]
    assert not seen.complete


async def test_a_container_that_ended_meanwhile_is_left_out_of_a_complete_list(observer: Observer, engine: FakeEngine):
    engine.leaving = ["passing"]
    seen = await observer.processes(AGENT, "")
    assert [each.container for each in seen.containers] == ["web", "db"]
    assert seen.complete


async def test_one_list_that_breaks_does_not_hide_the_others(observer: Observer, engine: FakeEngine):
    async def broken(target: Target) -> frozenset[str]:
        if target.name == "db":
            raise WingmanError(Code.ENGINE_REFUSED, "the engine refused: 'no ps'")
        return frozenset({"nginx"})

    engine.processes = broken
    seen = await observer.processes(AGENT, "")
    assert [each.container for each in seen.containers] == ["web"]
    assert not seen.complete
    engine.down = True
    with pytest.raises(Unavailable):
        await observer.processes(AGENT, "")


async def test_an_engine_that_goes_away_in_the_middle_is_said(observer: Observer, engine: FakeEngine):
    async def gone(_target: Target) -> frozenset[str]:
        raise Unavailable(Code.ENGINE_UNAVAILABLE, "the engine does not answer")

    engine.processes = gone
    with pytest.raises(Unavailable):
        await observer.processes(AGENT, "")


async def test_more_containers_and_names_than_fit_are_said_to_be_incomplete(observer: Observer, engine: FakeEngine):
    engine.ids = {f"c{number}": f"{number:064x}" for number in range(MOST_CONTAINERS + 1)}
    running, most = 0, 0

    async def counted(_target: Target) -> frozenset[str]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return frozenset({"sh"})

    engine.processes = counted
    seen = await observer.processes(AGENT, "")
    assert (len(seen.containers), seen.complete) == (MOST_CONTAINERS, False)
    assert most <= module.AT_ONCE

    async def many(_target: Target) -> frozenset[str]:
        return frozenset(f"worker-{number}" for number in range(MOST_NAMES + 1))

    engine.processes = many
    seen = await observer.processes(AGENT, "c1")
    assert (len(seen.containers[0].names), seen.complete) == (MOST_NAMES, False)


async def test_an_engine_that_takes_too_long_is_not_waited_for(
    observer: Observer, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
):
    async def stuck(_target: Target, _path: str):
        await asyncio.Event().wait()

    monkeypatch.setattr(module, "OBSERVE_SECONDS", 0.05)
    engine.path = stuck
    for _ in range(module.DIGESTS_AT_ONCE + 1):  # a place that is held is given back
        with pytest.raises(WingmanError) as refused:
            await observer.path(AGENT, "web", "/x")
        assert refused.value.code is Code.DEADLINE_EXCEEDED
