"""The numbered procedure, step by step, over mutual TLS, on a real database and a scripted engine."""

import asyncio
import hashlib
import json
import shutil
from collections.abc import AsyncIterator

import grpc
import pytest

from tests.conftest import Database
from tests.gateway.conftest import (
    FakeEngine,
    Minter,
    Outage,
    Serve,
    Served,
    eventually,
    execute,
    new_approval,
    refusal,
)
from wingman_core.audit_record import RecordKind
from wingman_core.command import operation_digest, parse
from wingman_core.errors import Code, Unavailable, WingmanError
from wingman_gateway import judgement, open_intents
from wingman_gateway.engine import events
from wingman_gateway.engine.events import Event, Exit, Note, Output, Progress
from wingman_gateway.stream import Stage
from wingman_rpc.v1 import gateway_pb2 as pb
from wingman_rpc.v1.gateway_pb2_grpc import ExecutionGatewayStub

LOGIN = "user:hunter2"
STOP = "docker stop web"
READ = "docker logs web"


@pytest.fixture
async def channel(served: Served) -> AsyncIterator[grpc.aio.Channel]:
    """A channel with the API's certificate."""
    async with served.channel() as opened:
        yield opened


async def test_an_approved_command_runs_and_every_step_is_in_the_log(
    served: Served, channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter
):
    token = minter.mint(STOP, engine)
    said = await execute(channel, token, "docker  container stop 'web'")
    assert said.stdout == b"web\n"
    assert said.accepted.audit_position == 0
    assert said.finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    assert (said.finished.exit_code, said.finished.audit_position, said.finished.truncated) == (0, 1, False)
    assert said.finished.output_digest == hashlib.sha256(b"web\n").hexdigest()
    assert engine.acts == [(STOP, ("a" * 64,))]
    intent, result = await served.log()
    assert (intent.kind, result.kind) == (RecordKind.INTENT, RecordKind.RESULT)
    assert intent.execution_id == result.execution_id == said.accepted.execution_id
    assert intent.command == STOP
    assert intent.token_hash == hashlib.sha256(token.encode()).hexdigest()
    assert intent.client == "spiffe://wingman/test/api"
    assert [decider.name for decider in intent.deciders] == ["Alice"]
    assert json.loads(intent.targets[0])["id"] == "a" * 64
    journal = (served.settings.journal / "identity").read_text()
    assert json.loads(intent.evidence) == {"gateway": "gateway", "journal": journal, "policies": ["test-one-person"]}
    assert (result.outcome, result.exit_code, result.output_excerpt) == ("SUCCEEDED", 0, "web\n")
    assert result.output_digest == said.finished.output_digest


async def test_the_log_hides_a_secret_of_the_command_and_its_digest_covers_it(
    served: Served, channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter
):
    command = "docker exec --env DB_PASSWORD=hunter2 web ls"
    await execute(channel, minter.mint(command, engine), command)
    assert engine.acts == [(command, (engine.ids["web"],))]
    log = await served.log()
    assert [record.command for record in log] == ["docker exec --env DB_PASSWORD=[REDACTED sha256:f52fbd32] web ls"] * 2
    assert {record.operation_digest for record in log} == {operation_digest(parse(command))}


async def test_an_exit_code_other_than_zero_is_a_failure(
    served: Served, channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter
):
    async def fail(_execution_id: str, _note: Note) -> AsyncIterator[Event]:
        yield Output("stderr", b"no such thing\n")
        yield Exit(3)

    engine.script = fail
    said = await execute(channel, minter.mint(STOP, engine), STOP)
    assert (said.finished.outcome, said.finished.exit_code) == (pb.Finished.OUTCOME_FAILED, 3)
    assert said.stderr == b"no such thing\n"
    assert (await served.log())[1].exit_code == 3


async def test_an_exit_code_of_more_than_32_bits_is_recorded_all_the_same(
    served: Served, channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter
):
    async def crash(_execution_id: str, _note: Note) -> AsyncIterator[Event]:
        yield Exit(0xC000013A)  # as Windows has them

    engine.script = crash
    said = await execute(channel, minter.mint(STOP, engine), STOP)
    assert (said.finished.outcome, said.finished.exit_code) == (pb.Finished.OUTCOME_FAILED, (1 << 31) - 1)
    result = (await served.log())[1]
    assert (result.exit_code, result.evidence) == ((1 << 31) - 1, '{"exit_code":3221225786}')


@pytest.mark.parametrize(
    ("changes", "reason", "status"),
    [
        ({"aud": "wingman-gateway/prd"}, Code.TOKEN_AUDIENCE, grpc.StatusCode.UNAUTHENTICATED),
        ({"iss": "wingman-api/prd"}, Code.TOKEN_ISSUER, grpc.StatusCode.UNAUTHENTICATED),
        ({"env": "prd"}, Code.TOKEN_ENVIRONMENT, grpc.StatusCode.UNAUTHENTICATED),
        ({"thumbprint": "0" * 64}, Code.TOKEN_CLIENT, grpc.StatusCode.UNAUTHENTICATED),
        ({"iat": 1, "nbf": 1, "exp": 60}, Code.TOKEN_EXPIRED, grpc.StatusCode.UNAUTHENTICATED),
        ({"iat": 9**10, "nbf": 9**10, "exp": 9**10 + 60}, Code.TOKEN_EARLY, grpc.StatusCode.UNAUTHENTICATED),
        ({"op": "0" * 64}, Code.TOKEN_OPERATION, grpc.StatusCode.UNAUTHENTICATED),
        ({"tgt": "0" * 64}, Code.TARGET_CHANGED, grpc.StatusCode.FAILED_PRECONDITION),
        ({"by": ()}, Code.POLICY_NEEDS_PEOPLE, grpc.StatusCode.PERMISSION_DENIED),
    ],
)
async def test_a_token_that_does_not_fit_runs_nothing_and_is_recorded(
    *,
    served: Served,
    channel: grpc.aio.Channel,
    engine: FakeEngine,
    minter: Minter,
    changes: dict[str, object],
    reason: Code,
    status: grpc.StatusCode,
):
    refused = await refusal(execute(channel, minter.mint(STOP, engine, **changes), STOP))
    assert (refused.reason, refused.status) == (reason, status)
    assert engine.acts == []
    (record,) = await served.log()
    assert (record.kind, record.reason) == (RecordKind.REFUSED, reason)
    assert record.client == "spiffe://wingman/test/api"
    known = reason in {Code.TOKEN_OPERATION, Code.TARGET_CHANGED, Code.POLICY_NEEDS_PEOPLE}
    assert record.worker == ("agent" if known else "")
    assert refused.message in json.loads(record.evidence)["message"]


@pytest.mark.parametrize("word", ["--name 'DB_PASSWORD=hunter2'", f"https://{LOGIN}@registry/image", "--token=hunter2"])
async def test_a_secret_of_a_command_that_is_none_is_nowhere(
    capsys: pytest.CaptureFixture[str], served: Served, engine: FakeEngine, minter: Minter, word: str
):
    """I16: the log cannot forget, and a refused command was never hidden as a whole."""
    async with served.channel() as channel:
        refused = await refusal(execute(channel, minter.mint(STOP, engine), f"docker run {word} app"))
    assert refused.reason in {Code.COMMAND_VALUE, Code.COMMAND_FLAG}
    (record,) = await served.log()
    assert json.loads(record.evidence)["message"] == refused.message
    assert "hunter2" not in f"{record} {refused} {capsys.readouterr()}"


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", "A" * 9000])
async def test_garbage_for_a_token_is_refused(served: Served, channel: grpc.aio.Channel, token: str):
    refused = await refusal(execute(channel, token, STOP))
    assert (refused.reason, refused.status) == (Code.TOKEN_MALFORMED, grpc.StatusCode.UNAUTHENTICATED)
    (record,) = await served.log()
    assert record.token_hash == hashlib.sha256(token.encode()).hexdigest()


async def test_an_altered_token_is_refused(channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter):
    token = minter.mint(STOP, engine)
    header, payload, signature = token.split(".")
    other = minter.mint(STOP, engine, sub="mallory").split(".")[1]
    for altered in (f"{header}.{other}.{signature}", f"{header}.{payload}.{signature[:-2]}AA"):
        refused = await refusal(execute(channel, altered, STOP))
        assert refused.reason in {Code.TOKEN_SIGNATURE, Code.TOKEN_MALFORMED}
    assert engine.acts == []


async def test_another_client_cannot_present_the_token(served: Served, engine: FakeEngine, minter: Minter):
    async with served.channel("tool-deploy") as tool:
        refused = await refusal(execute(tool, minter.mint(STOP, engine), STOP))
        assert refused.reason == Code.TOKEN_CLIENT
        bound = minter.mint(STOP, engine, thumbprint=served.pki.leaf("tool-deploy").thumbprint)
        assert (await execute(tool, bound, STOP)).finished.exit_code == 0


async def test_another_command_with_the_token_is_refused(
    served: Served, channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter
):
    refused = await refusal(execute(channel, minter.mint(STOP, engine), "docker rm web"))
    assert refused.reason == Code.TOKEN_OPERATION
    (record,) = await served.log()
    assert record.command == "docker rm web"
    refused = await refusal(execute(channel, minter.mint(STOP, engine), "docker stop web; reboot"))
    assert (refused.reason, refused.status) == (Code.COMMAND_CHARACTER, grpc.StatusCode.INVALID_ARGUMENT)
    assert (await served.log())[1].command == ""


async def test_a_name_that_leads_elsewhere_is_refused(channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter):
    token = minter.mint(STOP, engine)
    engine.ids["web"] = "c" * 64
    refused = await refusal(execute(channel, token, STOP))
    assert (refused.reason, refused.status) == (Code.TARGET_CHANGED, grpc.StatusCode.FAILED_PRECONDITION)
    token = minter.mint(STOP, engine)
    del engine.ids["web"]
    refused = await refusal(execute(channel, token, STOP))
    assert (refused.reason, refused.status) == (Code.TARGET_NOT_FOUND, grpc.StatusCode.NOT_FOUND)
    assert engine.acts == []


async def test_what_the_policy_forbids_is_refused_whoever_approved(
    served: Served, channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter
):
    command = "docker run --privileged app:1"
    refused = await refusal(execute(channel, minter.mint(command, engine), command))
    assert (refused.reason, refused.status) == (Code.POLICY_FORBIDS, grpc.StatusCode.PERMISSION_DENIED)
    assert refused.metadata["policies"]
    assert engine.acts == []
    assert (await served.log())[0].target_digest != ""


async def test_too_few_people_are_told_how_many_it_takes(channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter):
    refused = await refusal(execute(channel, minter.mint(STOP, engine, by=()), STOP))
    assert (refused.reason, refused.metadata["people"]) == (Code.POLICY_NEEDS_PEOPLE, "1")


async def test_a_read_needs_nobody(channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter):
    assert (await execute(channel, minter.mint(READ, engine, by=()), READ)).stdout == b"web\n"


async def test_of_50_calls_with_one_token_one_runs_and_49_are_recorded_as_refused(
    served: Served, channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter
):
    token = minter.mint(STOP, engine)
    answers = await asyncio.gather(*(execute(channel, token, STOP) for _ in range(50)), return_exceptions=True)
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
    assert len(engine.acts) == 1
    log = await served.log()
    kinds = [(record.kind, record.reason) for record in log]
    assert kinds.count((RecordKind.INTENT, "")) == kinds.count((RecordKind.RESULT, "")) == 1
    assert kinds.count((RecordKind.REFUSED, Code.TOKEN_SPENT)) == 49
    assert not served.gateway.unsettled.is_set()


async def test_of_50_tokens_of_one_approval_one_runs_and_49_are_recorded_as_refused(
    served: Served, channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter
):
    approval = new_approval()
    tokens = [minter.mint(STOP, engine, apr=approval) for _ in range(50)]
    calls = [refusal(execute(channel, token, STOP)) for token in tokens[1:]]
    first = execute(channel, tokens[0], STOP)
    answers = await asyncio.gather(first, *calls, return_exceptions=True)
    won = [answer for answer in answers if isinstance(answer, BaseException)]
    assert len(engine.acts) == 1
    log = await served.log()
    kinds = [(record.kind, record.reason) for record in log]
    assert kinds.count((RecordKind.INTENT, "")) == kinds.count((RecordKind.RESULT, "")) == 1
    assert kinds.count((RecordKind.REFUSED, Code.APPROVAL_SPENT)) == 49
    # Either the first won, or it lost and exactly one of the others was not refused.
    assert len(won) == (0 if not isinstance(answers[0], BaseException) else 2)


async def test_mutations_of_one_target_take_turns_and_judge_again(
    channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter
):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def hold(_execution_id: str, _note: Note) -> AsyncIterator[Event]:
        begun.set()
        await go_on.wait()
        yield Exit(0)

    engine.script = hold
    first = asyncio.create_task(execute(channel, minter.mint(STOP, engine), STOP))
    await begun.wait()
    restart = "docker restart web"
    second = asyncio.create_task(refusal(execute(channel, minter.mint(restart, engine), restart)))
    other = asyncio.create_task(execute(channel, minter.mint("docker stop db", engine), "docker stop db"))
    await eventually(lambda: _is(len(engine.acts) == 2))
    # The first has the name lead elsewhere before it ends: what waited must see that.
    engine.ids["web"] = "c" * 64
    go_on.set()
    assert (await first).finished.exit_code == 0
    assert (await other).finished.exit_code == 0
    assert (await second).reason == Code.TARGET_CHANGED
    assert [command for command, _ in engine.acts] == [STOP, "docker stop db"]


async def _is(value: object) -> object:
    return value


async def test_waiting_too_long_for_a_target_is_refused_and_spends_nothing(
    serve: Serve, engine: FakeEngine, minter: Minter
):
    go_on = engine.hold()
    async with serve(engine, target_wait=0.05) as served, served.channel() as channel:
        first = asyncio.create_task(execute(channel, minter.mint(STOP, engine), STOP))
        await eventually(lambda: _is(engine.acts))
        token = minter.mint(STOP, engine)
        refused = await refusal(execute(channel, token, STOP))
        assert (refused.reason, refused.status) == (Code.LIMIT_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)
        go_on.set()
        await first
        assert (await execute(channel, token, STOP)).finished.exit_code == 0


async def test_output_is_capped_redacted_and_digested_whole(serve: Serve, engine: FakeEngine, minter: Minter):
    lines = [b"line %d\n" % number for number in range(2000)]

    async def talk(_execution_id: str, _note: Note) -> AsyncIterator[Event]:
        yield Output("stdout", b"DB_PASS")
        yield Output("stdout", b"WORD=hunter2\n")
        for line in lines:
            yield Output("stdout", line)
        yield Exit(0)

    engine.script = talk
    async with serve(engine, output_limit=1024, excerpt_limit=40) as served, served.channel() as channel:
        said = await execute(channel, minter.mint(READ, engine), READ)
        whole = b"DB_PASSWORD=[redacted]\n" + b"".join(lines)
        assert said.stdout == whole[:1024]
        assert said.finished.truncated
        assert said.finished.output_digest == hashlib.sha256(whole).hexdigest()
        result = (await served.log())[1]
        assert result.output_excerpt == whole[:40].decode()
        assert result.output_digest == said.finished.output_digest


async def test_progress_is_passed_on_up_to_a_bound(channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter):
    async def pull(_execution_id: str, _note: Note) -> AsyncIterator[Event]:
        for number in range(1500):
            yield Progress(f"layer {number}")
        yield Output("stdout", b"done\n")
        yield Exit(0)

    engine.script = pull
    said = await execute(channel, minter.mint(STOP, engine), STOP)
    assert said.progress == [f"layer {number}" for number in range(1000)]
    assert said.stdout == b"done\n"


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (WingmanError(Code.DEADLINE_EXCEEDED, "it took too long"), "TIMED_OUT", Code.DEADLINE_EXCEEDED),
        (WingmanError(Code.ENGINE_REFUSED, "the engine refused"), "FAILED", Code.ENGINE_REFUSED),
    ],
)
async def test_what_the_engine_says_ends_it_is_the_outcome(
    *,
    served: Served,
    channel: grpc.aio.Channel,
    engine: FakeEngine,
    minter: Minter,
    error: WingmanError,
    outcome: str,
    reason: Code,
):
    async def end(_execution_id: str, _note: Note) -> AsyncIterator[Event]:
        yield Output("stdout", b"half")
        raise error

    engine.script = end
    said = await execute(channel, minter.mint(STOP, engine), STOP)
    assert pb.Finished.Outcome.Name(said.finished.outcome) == f"OUTCOME_{outcome}"
    assert said.finished.exit_code == -1
    assert said.stdout == b"half"
    assert said.stderr == f"wingman: {error.message}\n".encode()
    result = (await served.log())[1]
    assert (result.outcome, result.reason, result.exit_code) == (outcome, reason, None)


@pytest.mark.parametrize(
    "error",
    [
        Unavailable(Code.ENGINE_UNAVAILABLE, "the engine went away"),
        RuntimeError("a defect"),
        None,
    ],
)
async def test_an_outcome_that_nobody_saw_is_unknown_then_reconciled_and_never_run_again(
    served: Served, channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter, error: Exception | None
):
    async def vanish(_execution_id: str, note: Note) -> AsyncIterator[Event]:
        await note("exec_id", "1234")
        yield Output("stdout", b"half\n")
        if error is not None:
            raise error

    engine.script = vanish
    engine.testimony = events.Testimony("FAILED", 137, '{"seen": "exited"}')
    said = await execute(channel, minter.mint(STOP, engine), STOP)
    assert said.finished.outcome == pb.Finished.OUTCOME_UNKNOWN
    assert (said.finished.audit_position, said.finished.exit_code) == (-1, -1)
    log = await served.until(lambda log: len(log) == 2)
    assert (log[1].kind, log[1].outcome, log[1].exit_code) == (RecordKind.RECONCILED, "FAILED", 137)
    assert log[1].evidence == '{"seen": "exited"}'
    assert engine.asked == [(said.accepted.execution_id, STOP, {"exec_id": "1234"})]
    assert len(engine.acts) == 1


async def test_a_read_that_the_engine_loses_has_failed(
    served: Served, channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter
):
    async def vanish(_execution_id: str, _note: Note) -> AsyncIterator[Event]:
        yield Output("stdout", b"half\n")
        raise Unavailable(Code.ENGINE_UNAVAILABLE, "the engine went away")

    engine.script = vanish
    said = await execute(channel, minter.mint(READ, engine), READ)
    assert said.finished.outcome == pb.Finished.OUTCOME_FAILED
    assert [record.kind for record in await served.log()] == [RecordKind.INTENT, RecordKind.RESULT]


async def _leave_in_the_middle(channel: grpc.aio.Channel, token: str, command: str) -> str:
    """Execute until the first output came, then go away; return the execution id."""
    call = ExecutionGatewayStub(channel).Execute(pb.ExecuteRequest(capability_token=token, command=command))
    identity = ""
    async for event in call:
        identity = identity or event.accepted.execution_id
        if event.stdout:
            break
    call.cancel()
    return identity


async def test_a_caller_that_leaves_does_not_stop_a_mutation(
    served: Served, channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter
):
    go_on = asyncio.Event()

    async def slow(_execution_id: str, _note: Note) -> AsyncIterator[Event]:
        yield Output("stdout", b"begun\n")
        await go_on.wait()
        yield Output("stdout", b"ended\n")
        yield Exit(0)

    engine.script = slow
    identity = await _leave_in_the_middle(channel, minter.mint(STOP, engine), STOP)
    await eventually(lambda: _is(_gone(served, identity)))
    go_on.set()
    log = await served.until(lambda log: len(log) == 2)
    assert (log[1].outcome, log[1].output_excerpt) == ("SUCCEEDED", "begun\nended\n")
    assert engine.stopped == []


def _gone(served: Served, identity: str) -> bool:
    return any(each.gone for each in served.gateway.executor.executions if each.id == identity)


async def test_a_caller_that_leaves_stops_a_read(
    served: Served, channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter
):
    async def endless(_execution_id: str, _note: Note) -> AsyncIterator[Event]:
        yield Output("stdout", b"begun\n")
        await asyncio.Event().wait()

    engine.script = endless
    await _leave_in_the_middle(channel, minter.mint(READ, engine), READ)
    log = await served.until(lambda log: len(log) == 2)
    assert (log[1].outcome, log[1].reason, log[1].output_excerpt) == ("FAILED", Code.CALLER_GONE, "begun\n")
    assert engine.stopped == [READ]


async def test_a_caller_that_leaves_before_anything_is_spent_leaves_nothing(
    served: Served, channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter
):
    engine.resolving.clear()
    token = minter.mint(STOP, engine)
    call = asyncio.create_task(execute(channel, token, STOP))
    await eventually(lambda: _is(served.gateway.executor.running))
    call.cancel()
    await eventually(lambda: _is(not served.gateway.executor.running))
    engine.resolving.set()
    assert await served.log() == []
    assert (await execute(channel, token, STOP)).accepted.audit_position == 0


async def test_without_a_database_nothing_runs_and_the_approval_is_not_lost(
    served: Served, channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter, outage: Outage
):
    token = minter.mint(STOP, engine)
    async with outage():
        refused = await refusal(execute(channel, token, STOP))
        assert (refused.reason, refused.status) == (Code.DATABASE_UNAVAILABLE, grpc.StatusCode.UNAVAILABLE)
        assert engine.acts == []
    assert (await execute(channel, token, STOP)).accepted.audit_position == 0


async def test_a_database_that_goes_away_after_the_intent_costs_no_outcome(
    served: Served, channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter, outage: Outage
):
    go_on = engine.hold()
    running = asyncio.create_task(execute(channel, minter.mint(STOP, engine), STOP))
    await eventually(lambda: _is(engine.acts))
    async with outage():
        go_on.set()
        said = await running
        assert said.finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
        assert said.finished.audit_position == -1
        (kept,) = served.settings.journal.glob("*.outcome")
        assert json.loads(kept.read_bytes())["execution_id"] == said.accepted.execution_id
    log = await served.until(lambda log: len(log) == 2)
    assert (log[1].kind, log[1].outcome) == (RecordKind.RESULT, "SUCCEEDED")
    await eventually(lambda: _is(not list(served.settings.journal.glob("*.outcome"))))
    assert engine.asked == []


async def test_an_outcome_in_the_journal_is_replayed_by_the_next_start_once(
    serve: Serve, engine: FakeEngine, minter: Minter, outage: Outage
):
    go_on = engine.hold()
    async with serve(engine) as served, served.channel() as channel:
        running = asyncio.create_task(execute(channel, minter.mint(STOP, engine), STOP))
        await eventually(lambda: _is(engine.acts))
        async with outage():
            go_on.set()
            await running
            await served.gateway.stop()
    for _ in range(2):
        async with serve(engine) as served:
            log = await served.until(lambda log: len(log) == 2)
            assert (log[1].kind, log[1].outcome) == (RecordKind.RESULT, "SUCCEEDED")
    assert engine.asked == []
    assert len(engine.acts) == 1


async def test_without_an_engine_nothing_runs_and_nothing_is_spent(
    served: Served, channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter
):
    token = minter.mint(STOP, engine)
    engine.down = True
    refused = await refusal(execute(channel, token, STOP))
    assert (refused.reason, refused.status) == (Code.ENGINE_UNAVAILABLE, grpc.StatusCode.UNAVAILABLE)
    engine.down = False
    assert (await execute(channel, token, STOP)).finished.exit_code == 0
    assert [record.kind for record in await served.log()] == [
        RecordKind.REFUSED,
        RecordKind.INTENT,
        RecordKind.RESULT,
    ]


@pytest.mark.parametrize("noted", [False, True])
async def test_a_journal_that_cannot_be_written_costs_no_outcome_and_runs_nothing_twice(
    served: Served, channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter, outage: Outage, *, noted: bool
):
    go_on = asyncio.Event()

    async def hold(_execution_id: str, note: Note) -> AsyncIterator[Event]:
        if noted:
            await note("exec_id", "1234")
        await go_on.wait()
        yield Exit(0)

    engine.script = hold
    engine.testimony = events.Testimony("FAILED", None, '{"said":"not started"}')
    shutil.rmtree(served.settings.journal)
    if noted:
        # A note that is not durable must stop the act.
        said = await execute(channel, minter.mint(STOP, engine), STOP)
        assert said.finished.outcome == pb.Finished.OUTCOME_UNKNOWN
        served.settings.journal.mkdir()
    else:
        running = asyncio.create_task(refusal(execute(channel, minter.mint(STOP, engine), STOP)))
        await eventually(lambda: _is(engine.acts))
        async with outage():
            go_on.set()
            assert (await running).reason == Code.INTERNAL
            served.settings.journal.mkdir()
    log = await served.until(lambda log: len(log) == 2)
    assert (log[1].kind, log[1].outcome) == (RecordKind.RECONCILED, "FAILED")
    assert len(engine.acts) == 1


async def test_a_defect_before_anything_is_spent_is_an_internal_error(
    served: Served, channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter
):
    token = minter.mint(STOP, engine)
    ids = engine.ids
    del engine.ids
    refused = await refusal(execute(channel, token, STOP))
    assert (refused.reason, refused.status) == (Code.INTERNAL, grpc.StatusCode.INTERNAL)
    engine.ids = ids
    assert (await execute(channel, token, STOP)).finished.exit_code == 0


async def test_an_engine_that_does_not_resolve_in_time_is_a_deadline(
    channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(judgement, "JUDGE_SECONDS", 0.05)
    engine.resolving.clear()
    refused = await refusal(execute(channel, minter.mint(STOP, engine), STOP))
    assert (refused.reason, refused.status) == (Code.DEADLINE_EXCEEDED, grpc.StatusCode.DEADLINE_EXCEEDED)
    assert engine.acts == []


async def test_a_reader_that_leaves_while_it_is_spent_is_stopped_before_it_reads(
    served: Served, channel: grpc.aio.Channel, engine: FakeEngine, minter: Minter, database: Database
):
    token = minter.mint(READ, engine)
    administrator = await database.connection("postgres").connect()
    async with administrator.transaction():
        await administrator.execute(open_intents.LOCK_LOG)
        call = asyncio.create_task(execute(channel, token, READ))
        await eventually(lambda: _is(_stages(served) == {Stage.SPENDING}))
        call.cancel()
        await eventually(lambda: _is(all(each.gone for each in served.gateway.executor.executions)))
    await administrator.close()
    log = await served.until(lambda log: len(log) == 2)
    assert (log[1].outcome, log[1].reason) == ("FAILED", Code.CALLER_GONE)
    assert engine.acts == []


def _stages(served: Served) -> set[Stage]:
    return {each.stage for each in served.gateway.executor.executions}
