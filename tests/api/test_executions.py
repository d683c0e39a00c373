"""Having approved commands run: minted for, spent once, relayed whole, looked up."""

import asyncio
import json

import pytest

from tests.api.conftest import RESTART, Api, eventually
from tests.api.fake_gateway import Script, people
from wingman_core.errors import Code, TargetRefused, Unavailable, WingmanError
from wingman_rpc.v1 import gateway_pb2 as pb


async def test_an_approved_command_runs_once_and_is_recorded(api: Api):
    api.gateway.scripts[RESTART] = Script(output=[("stdout", b"web\n")])
    request_id = await api.approved()
    response = await api.execute(request_id)
    assert response.status_code == 202, response.text
    started = response.json()
    assert (started["state"], started["approval_id"], started["audit_position"]) == ("RUNNING", f"{request_id}.0", 0)
    view = await api.finished(started["execution_id"])
    assert (view["state"], view["exit_code"], view["duration_ms"], view["truncated"]) == ("SUCCEEDED", 0, 12, False)
    assert (view["worker_id"], view["started_by"], view["command"]) == ("agent-7", "agent-7", RESTART)
    assert (view["intent"]["position"], view["intent"]["kind"]) == (0, "INTENT")
    assert (view["result"]["position"], view["result"]["kind"]) == (1, "RESULT")
    assert view["checkpoint"].startswith("wingman/test/log\n2\n")
    assert view["client"] == "spiffe://wingman/test/api"
    assert started["links"] == view["links"]
    for path in view["links"].values():
        assert (await api.call("operator", "GET", path)).status_code == 200
    request = (await api.call("worker", "GET", f"/approvals/{request_id}")).json()
    assert request["commands"][0]["execution_id"] == started["execution_id"]
    assert [entry["event"] for entry in request["history"]] == [
        "requested",
        "approved",
        "execution.started",
        "execution.finished",
    ]


async def test_the_token_says_what_was_approved_and_by_whom(api: Api):
    api.gateway.verdicts[RESTART] = people(2)
    request_id = (await api.asked())["request"]["id"]
    await api.decide("alice", request_id, "approve")
    request = (await api.decide("bot", request_id, "approve", decided_by="bob")).json()
    await api.execute(request_id)
    claims = api.gateway.claims[0]
    assert (claims.sub, claims.apr, claims.env) == ("agent-7", f"{request_id}.0", "test")
    assert [(decider.name, decider.via) for decider in claims.by] == [("alice", "api"), ("bob", "service")]
    assert claims.dec == request["decision_digest"]
    assert (claims.op, claims.tgt) == tuple(request["commands"][0][n] for n in ("operation_digest", "target_digest"))
    assert claims.exp - claims.iat == 60


async def test_a_second_execution_is_refused_and_names_the_first(api: Api):
    request_id = await api.approved()
    first = (await api.execute(request_id)).json()["execution_id"]
    second = await api.execute(request_id)
    assert (second.status_code, second.json()["code"]) == (409, "APPROVAL_SPENT")
    assert second.json()["details"]["execution_id"] == first
    assert api.gateway.claims[0].jti != api.gateway.claims[1].jti


async def test_of_many_who_execute_one_does(api: Api):
    request_id = await api.approved()
    responses = await asyncio.gather(*(api.execute(request_id, who) for who in ("worker", "operator") * 5))
    assert sorted(response.status_code for response in responses) == [202] + [409] * 9
    assert len(await api.sql("SELECT 1 FROM execution")) == 1


async def test_an_automatic_approval_runs_without_deciders(api: Api):
    request_id = (await api.asked(commands=["docker ps"]))["request"]["id"]
    view = await api.finished((await api.execute(request_id)).json()["execution_id"])
    assert view["state"] == "SUCCEEDED"
    assert api.gateway.claims[0].by == ()


async def test_each_command_of_a_request_has_an_approval_of_its_own(api: Api):
    request_id = await api.approved(commands=[RESTART, "docker stop db"])
    unclear = await api.execute(request_id)
    assert (unclear.status_code, unclear.json()["code"]) == (422, "REQUEST_INVALID")
    for n in (1, 0):
        assert (await api.execute(f"{request_id}.{n}")).status_code == 202
    beyond = await api.execute(f"{request_id}.2")
    assert (beyond.status_code, beyond.json()["code"]) == (404, "APPROVAL_UNKNOWN")
    assert [claims.apr.rpartition(".")[2] for claims in api.gateway.claims] == ["1", "0"]


async def test_what_is_not_approved_does_not_run(api: Api):
    pending = (await api.asked())["request"]["id"]
    rejected = (await api.asked(task_name="other"))["request"]["id"]
    await api.decide("alice", rejected, "reject")
    sign_off = (await api.asked(commands=[]))["request"]["id"]
    await api.decide("alice", sign_off, "approve")
    expired = (await api.asked(task_name="late"))["request"]["id"]
    await api.sql(
        "UPDATE approval_request SET expires_at = created_at + interval '1 us' WHERE id = $1", expired, role="postgres"
    )
    for request_id, status, code in (
        (pending, 409, "APPROVAL_PENDING"),
        (rejected, 409, "APPROVAL_DECIDED"),
        (expired, 409, "APPROVAL_EXPIRED"),
        (sign_off, 422, "APPROVAL_SIGN_OFF"),
        (f"apr_{'a' * 26}", 404, "APPROVAL_UNKNOWN"),
        ("apr_1", 422, "REQUEST_INVALID"),
        (f"{pending}.00", 422, "REQUEST_INVALID"),
    ):
        response = await api.execute(request_id)
        assert (response.status_code, response.json()["code"]) == (status, code), request_id
    assert api.gateway.claims == []


async def test_who_may_execute(api: Api):
    request_id = await api.approved()
    for who, status, code in (
        (None, 401, "KEY_MISSING"),
        ("alice", 403, "ROLE_MISSING"),
        ("auditor", 403, "ROLE_MISSING"),
        ("bot", 403, "ROLE_MISSING"),
        ("other-worker", 404, "APPROVAL_UNKNOWN"),
    ):
        response = await api.execute(request_id, who)
        assert (response.status_code, response.json()["code"]) == (status, code), who
    assert (await api.execute(request_id, "operator")).status_code == 202


async def test_a_workers_key_sees_its_own_executions_alone(api: Api):
    execution_id = (await api.execute(await api.approved())).json()["execution_id"]
    for path in (f"/executions/{execution_id}", f"/executions/{execution_id}/output"):
        assert (await api.call("worker", "GET", path)).status_code == 200
        hidden = await api.call("other-worker", "GET", path)
        assert (hidden.status_code, hidden.json()["code"]) == (404, "EXECUTION_UNKNOWN")
    missing = await api.call("operator", "GET", f"/executions/exe_{'a' * 26}")
    assert (missing.status_code, missing.json()["code"]) == (404, "EXECUTION_UNKNOWN")


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (TargetRefused(Code.TARGET_CHANGED, "web is another container now", hint="ask again"), 409),
        (Unavailable(Code.ENGINE_UNAVAILABLE, "the engine is down", hint="later"), 503),
    ],
)
async def test_the_gateways_refusal_reaches_the_caller_and_nothing_is_recorded(
    api: Api, refusal: WingmanError, status: int
):
    request_id = await api.approved()
    api.gateway.refusals[RESTART] = refusal
    response = await api.execute(request_id)
    problem = response.json()
    assert (response.status_code, problem["code"]) == (status, refusal.code)
    assert (problem["detail"], problem["hint"]) == (refusal.message, refusal.hint)
    assert await api.sql("SELECT 1 FROM execution") == []
    del api.gateway.refusals[RESTART]
    assert (await api.execute(request_id)).status_code == 202, "a refusal spends nothing"


async def test_a_failed_command_is_a_failed_execution(api: Api):
    api.gateway.scripts[RESTART] = Script(output=[("stderr", b"no\n")], exit_code=1, outcome=pb.Finished.OUTCOME_FAILED)
    view = await api.finished((await api.execute(await api.approved())).json()["execution_id"])
    assert (view["state"], view["exit_code"]) == ("FAILED", 1)


async def test_an_outcome_in_the_gateways_journal_shows_before_its_record(api: Api):
    api.gateway.scripts[RESTART] = Script(journalled=True)
    view = await api.finished((await api.execute(await api.approved())).json()["execution_id"])
    assert (view["state"], view["exit_code"], view["result"]) == ("SUCCEEDED", 0, None)
    assert view["checkpoint"].startswith("wingman/test/log\n1\n")


async def test_a_stream_that_breaks_is_settled_by_the_audit_log(api: Api):
    api.gateway.scripts[RESTART] = Script(breaks=True)
    request_id = await api.approved()
    execution_id = (await api.execute(request_id)).json()["execution_id"]

    async def lost() -> bool | None:
        return (await api.sql("SELECT state FROM execution"))[0]["state"] == "LOST" or None

    await eventually(lost)
    assert (await api.call("worker", "GET", f"/executions/{execution_id}")).json()["state"] == "RUNNING"
    await api.gateway.reconcile(f"{request_id}.0", "UNKNOWN")
    view = (await api.call("worker", "GET", f"/executions/{execution_id}")).json()
    assert (view["state"], view["result"]["kind"], view["evidence"]) == ("UNKNOWN", "RECONCILED", '{"state":"exited"}')
    said = '{"by":"spiffe://wingman/test/auditor/alice","note":"it had run"}'
    await api.gateway.settle(execution_id, "SUCCEEDED", said)
    view = (await api.call("worker", "GET", f"/executions/{execution_id}")).json()
    assert (view["state"], view["result"]["kind"], view["evidence"]) == ("SUCCEEDED", "SETTLED", said)
    receipt = (await api.call("auditor", "GET", f"/audit/{execution_id}/receipt")).json()
    assert [json.loads(entry["record"])["kind"] for entry in receipt["log"]] == ["INTENT", "RECONCILED", "SETTLED"]


async def test_an_execution_that_another_client_started_is_told_from_the_audit_log(api: Api):
    request_id = await api.approved()
    execution_id = (await api.execute(request_id)).json()["execution_id"]
    await api.finished(execution_id)
    await api.sql("DELETE FROM execution", role="postgres")
    view = (await api.call("operator", "GET", f"/executions/{execution_id}")).json()
    assert (view["state"], view["exit_code"], view["started_by"]) == ("SUCCEEDED", 0, "")


async def test_a_caller_that_goes_away_stops_nothing(api: Api):
    gate = asyncio.Event()
    api.gateway.scripts[RESTART] = Script(before_accepting=gate, output=[("stdout", b"web\n")])
    request_id = await api.approved()
    waiting = asyncio.create_task(api.execute(request_id))

    async def arrived() -> bool | None:
        return bool(api.gateway.claims) or None

    await eventually(arrived)
    waiting.cancel()
    gate.set()

    async def execution_id() -> str | None:
        view = (await api.call("worker", "GET", f"/approvals/{request_id}")).json()
        found: str | None = view["commands"][0]["execution_id"]
        return found

    view = await api.finished(await eventually(execution_id))
    assert view["state"] == "SUCCEEDED"


@pytest.mark.parametrize(
    "events",
    [
        [],
        [pb.ExecuteResponse(stdout=b"x")],
        [pb.ExecuteResponse()],
        [pb.ExecuteResponse(finished=pb.Finished(outcome=pb.Finished.OUTCOME_SUCCEEDED))],
    ],
)
async def test_a_gateway_that_does_not_begin_with_accepted_is_not_believed(api: Api, events: list[pb.ExecuteResponse]):
    request_id = await api.approved()
    api.gateway.events = events
    response = await api.execute(request_id)
    assert (response.status_code, response.json()["code"]) == (500, "INTERNAL")
    assert await api.sql("SELECT 1 FROM execution") == []


@pytest.mark.parametrize(
    "second",
    [
        pb.ExecuteResponse(accepted=pb.Accepted(execution_id=f"exe_{'b' * 26}")),
        pb.ExecuteResponse(finished=pb.Finished()),
        pb.ExecuteResponse(),
    ],
)
async def test_a_stream_that_goes_wrong_is_lost(api: Api, second: pb.ExecuteResponse):
    request_id = await api.approved()
    accepted = pb.ExecuteResponse(accepted=pb.Accepted(execution_id=f"exe_{'a' * 26}", audit_position=0))
    api.gateway.events = [accepted, second]
    assert (await api.execute(request_id)).status_code == 202

    async def lost() -> bool | None:
        return (await api.sql("SELECT state FROM execution"))[0]["state"] == "LOST" or None

    assert await eventually(lost)
