"""An outcome that nobody saw and Docker cannot tell is settled by a person, once, under a certificate of theirs."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest

from tests.gateway.conftest import FakeEngine, Minter, Refused, Serve, Served, eventually, execute, refusal
from tests.gateway.test_metrics import scrape
from wingman_api.gateway_client import open_gateway
from wingman_cli import executions
from wingman_cli.stack import relay
from wingman_cli.stack.environment import Environment
from wingman_cli.stack.relay import PROGRAM, relayed, through_the_api
from wingman_core.audit_record import RecordKind
from wingman_core.errors import Code, SettingInvalid, Unavailable, WingmanError
from wingman_gateway import health
from wingman_gateway.engine.events import Event, Note
from wingman_gateway.engine.events import Testimony as Said  # pytest collects what begins with Test
from wingman_rpc.v1 import gateway_pb2 as pb
from wingman_rpc.v1.gateway_pb2_grpc import AuditLogStub, ExecutionGatewayStub

ALICE = "spiffe://wingman/test/auditor/alice"


async def vanish(_execution_id: str, _note: Note) -> AsyncIterator[Event]:
    """An engine that goes away in the midst of it."""
    raise Unavailable(Code.ENGINE_UNAVAILABLE, "gone")
    yield


@pytest.fixture
async def unknown(served: Served, engine: FakeEngine, minter: Minter) -> str:
    """An execution whose outcome is UNKNOWN."""
    engine.script, engine.testimony = vanish, Said("UNKNOWN", None, '{"said":"nobody knows"}')
    async with served.channel("api") as channel:
        said = await execute(channel, minter.mint("docker stop web", engine), "docker stop web")
    await served.until(lambda log: any(record.kind is RecordKind.RECONCILED for record in log))
    return said.accepted.execution_id


async def settle(
    served: Served, execution_id: str, *, outcome: str = "SUCCEEDED", note: str = "its log says so", who: str = ""
) -> int:
    request = pb.SettleRequest(execution_id=execution_id, outcome=outcome, note=note)
    async with served.channel(who or "auditor-alice") as channel:
        return int((await AuditLogStub(channel).Settle(request)).position)


async def refused(served: Served, execution_id: str, **said: str) -> Refused:
    return await refusal(settle(served, execution_id, **said))


async def test_it_is_settled_once_with_who_says_so_and_why(served: Served, unknown: str) -> None:
    position = await settle(served, unknown)
    log = await served.log()  # verifies the story
    settled = log[position]
    assert (settled.kind, settled.outcome, settled.execution_id) == (RecordKind.SETTLED, "SUCCEEDED", unknown)
    assert json.loads(settled.evidence) == {"by": ALICE, "note": "its log says so", "settles": position - 1}
    assert log[position - 1].outcome == "UNKNOWN"
    again = await refused(served, unknown, outcome="FAILED")
    assert (again.reason, again.status) == (Code.OUTCOME_KNOWN, grpc.StatusCode.FAILED_PRECONDITION)


async def _lost(serve: Serve, engine: FakeEngine, minter: Minter) -> str:
    """Have a gateway end in the midst of an act, for good; return the execution that it leaves open."""
    async with serve(engine, gateway_id="lost", drain=0.05) as served, served.channel("api") as channel:
        engine.hold()
        request = pb.ExecuteRequest(capability_token=minter.mint("docker stop web", engine), command="docker stop web")
        call = ExecutionGatewayStub(channel).Execute(request)
        said = await call.read()
        still = await refused(served, said.accepted.execution_id)
        assert (still.reason, still.message.partition(":")[0]) == (Code.OUTCOME_KNOWN, "still open")
        await served.gateway.stop()
        return str(said.accepted.execution_id)


async def test_what_a_gateway_that_is_lost_left_open_is_settled(
    serve: Serve, engine: FakeEngine, minter: Minter
) -> None:
    execution_id = await _lost(serve, engine, minter)
    async with serve(engine) as served:
        await eventually(lambda: _shows(served, 1))
        assert len(await served.log()) == 1
        position = await settle(served, execution_id, outcome="FAILED", note="its log ends with token=abc")
        intent, reconciled, settled = await served.log()  # verifies the story
        assert position == 2
        assert (reconciled.kind, reconciled.outcome) == (RecordKind.RECONCILED, "UNKNOWN")
        said = "its gateway has not reported, and another one cannot ask its engine"
        assert json.loads(reconciled.evidence) == {"by": ALICE, "gateway": "lost", "said": said}
        assert (settled.kind, settled.outcome) == (RecordKind.SETTLED, "FAILED")
        assert json.loads(settled.evidence) == {"by": ALICE, "note": "its log ends with token=[redacted]", "settles": 1}
        assert settled.approval_id == intent.approval_id
        assert (await refused(served, execution_id)).reason == Code.OUTCOME_KNOWN
        await eventually(lambda: _shows(served, 0))
    async with serve(engine, gateway_id="lost") as served:  # it was not lost after all
        await eventually(lambda: _shows(served, 0))
        assert len(await served.log()) == 3
    assert engine.asked == []


async def test_what_another_gateway_runs_is_looked_at_again(
    serve: Serve, engine: FakeEngine, minter: Minter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LOOK_SECONDS", 0.05)
    go_on = engine.hold()
    async with serve(engine) as served, serve(engine, gateway_id="other", journal=tmp_path / "other") as other:
        await eventually(lambda: _shows(other, 0))
        async with served.channel("api") as channel:
            call = asyncio.create_task(execute(channel, minter.mint("docker stop web", engine), "docker stop web"))
            await eventually(lambda: _shows(other, 1))
            assert (await scrape(other))["wingman_gateway_executions_open_seconds", ()] > 0
            go_on.set()
            await call
        await eventually(lambda: _shows(other, 0))
        assert (await scrape(other))["wingman_gateway_executions_open_seconds", ()] == 0


async def test_what_its_own_gateway_has_not_reconciled_yet_is_still_open(
    serve: Serve, engine: FakeEngine, minter: Minter
) -> None:
    execution_id = await _lost(serve, engine, minter)
    engine.testimony = Said("RUNNING", None, "{}")
    async with serve(engine, gateway_id="lost") as served:
        await eventually(lambda: _is(engine.asked))
        assert (await refused(served, execution_id)).message.startswith("still open: ")
        assert len(await served.log()) == 1


async def _shows(served: Served, number: int) -> bool:
    return (await scrape(served)).get(("wingman_gateway_executions_left_open", ())) == number


async def _is(value: object) -> object:
    return value


async def test_what_has_an_outcome_is_not_settled(served: Served, engine: FakeEngine, minter: Minter) -> None:
    async with served.channel("api") as channel:
        said = await execute(channel, minter.mint("docker stop web", engine), "docker stop web")
    assert (await refused(served, said.accepted.execution_id)).reason == Code.OUTCOME_KNOWN


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"outcome": "UNKNOWN"}, Code.REQUEST_INVALID),
        ({"outcome": "TIMED_OUT"}, Code.REQUEST_INVALID),
        ({"note": " "}, Code.REQUEST_INVALID),
        ({"note": "a\nb"}, Code.REQUEST_INVALID),
        ({"note": "x" * 1001}, Code.REQUEST_INVALID),
        ({"who": "api"}, Code.CALLER_ROLE),
        ({"who": "tool-deploy"}, Code.CALLER_ROLE),
    ],
)
async def test_it_takes_a_person_an_outcome_and_a_note(
    said: dict[str, str], reason: Code, served: Served, unknown: str
) -> None:
    assert (await refused(served, unknown, **said)).reason == reason
    assert (await refused(served, "exe_none")).reason == Code.NOT_FOUND


async def test_the_command_settles_it(served: Served, unknown: str, capsys: pytest.CaptureFixture[str]) -> None:
    leaf = served.pki.leaf("auditor-alice")
    instance = SimpleNamespace(
        pki=leaf.certificate.parent,
        environment="test",
        running=lambda: SimpleNamespace(gateway=f"localhost:{served.port}"),
    )
    context = SimpleNamespace(obj=SimpleNamespace(instance=instance))
    await asyncio.to_thread(
        executions.resolve, context, unknown, outcome="failed", note="it never began", certificate=None, as_json=False
    )
    assert f"{unknown} is settled as FAILED" in capsys.readouterr().out
    assert (await served.log())[-1].outcome == "FAILED"


async def test_it_is_settled_through_a_relay_that_sees_bytes_alone(served: Served, unknown: str) -> None:
    leaf = served.pki.leaf("auditor-alice")
    key, chain, authority = (path.read_bytes() for path in (leaf.key, leaf.certificate, served.pki.certificate))
    async with (
        relayed(python(PROGRAM, "127.0.0.1", str(served.port)), os.environ) as address,
        open_gateway(address, key=key, chain=chain, authority=authority, environment="test") as client,
    ):
        position = await client.settle(unknown, "FAILED", "its log ends before it")
        with pytest.raises(WingmanError) as again:
            await client.settle(unknown, "FAILED", "once more")
    settled = (await served.log())[position]
    assert json.loads(settled.evidence)["by"] == ALICE
    assert again.value.code is Code.OUTCOME_KNOWN
    assert not Path(address.removeprefix("unix:")).parent.exists()


def python(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", *words)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (python("raise SystemExit(1)"), "exit code 1"),
        (python("import sys; sys.exit('a note\\nError: container x is not running')"), "container x is not running"),
        (python(PROGRAM, "127.0.0.1", "1"), "Connection refused"),
        (("/no/such/docker", "exec"), "/no/such/docker: No such file or directory"),
    ],
)
async def test_a_relay_that_leads_nowhere_says_why(served: Served, command: tuple[str, ...], words: str) -> None:
    leaf = served.pki.leaf("auditor-alice")
    key, chain, authority = (path.read_bytes() for path in (leaf.key, leaf.certificate, served.pki.certificate))
    with pytest.raises(Unavailable, match="the way to the gateway broke: ") as refused:
        async with (
            relayed(command, os.environ) as address,
            open_gateway(address, key=key, chain=chain, authority=authority, environment="test") as client,
        ):
            await client.settle("exe_1", "FAILED", "x")
    assert words in refused.value.message


async def test_what_the_gateway_says_itself_goes_through_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "LAST_WORDS_SECONDS", 0.01)
    with pytest.raises(Unavailable, match="the database is away"):
        async with relayed(python("pass"), os.environ):
            raise Unavailable(Code.DATABASE_UNAVAILABLE, "the database is away")


def test_the_relay_of_an_environment_runs_in_the_api_s_container_and_is_given_no_key() -> None:
    command = through_the_api(Environment("prd", Path("/clone")))
    assert command[:6] == ("docker", "exec", "--interactive", "wingman-api-prd", "python3", "-I")
    assert command[-2:] == ("execution-gateway", "8200")
    assert "/clone" not in " ".join(command)


def test_the_command_needs_a_certificate_and_a_gateway(tmp_path: Path) -> None:
    instance = SimpleNamespace(pki=tmp_path, environment="test", running=lambda: None)
    context = SimpleNamespace(obj=SimpleNamespace(instance=instance))

    def resolve(certificate: Path | None) -> SettingInvalid:
        with pytest.raises(SettingInvalid) as refused:
            executions.resolve(context, "exe_1", outcome="failed", note="x", certificate=certificate)
        return refused.value

    assert "which auditor" in resolve(None).message
    assert "No such file" in resolve(tmp_path / "auditor-ann.crt").message
    for name in ("auditor-ann.crt", "auditor-ann.key", "ca.crt"):
        (tmp_path / name).write_bytes(b"x")
    assert "no gateway runs" in resolve(None).message


async def test_a_gateway_that_is_gone_is_told(served: Served, unknown: str) -> None:
    leaf = served.pki.leaf("auditor-alice")
    key, chain = leaf.key.read_bytes(), leaf.certificate.read_bytes()
    authority = served.pki.certificate.read_bytes()
    async with open_gateway("localhost:1", key=key, chain=chain, authority=authority, environment="test") as client:
        with pytest.raises(Unavailable):
            await client.settle(unknown, "FAILED", "x")
