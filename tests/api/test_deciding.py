"""Deciding on requests: who may, once, in time, and what history keeps of it."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from tests.api.conftest import RESTART, Api
from tests.api.fake_gateway import people


async def test_an_approval_by_another_person_approves(api: Api):
    request_id = (await api.asked())["request"]["id"]
    response = await api.decide("alice", request_id, "approve", note="seen the graphs")
    assert response.status_code == 200
    view = response.json()
    assert (view["status"], view["people_approved"]) == ("APPROVED", 1)
    assert view["decided_at"] is not None
    assert (view["decided_by"], view["note"]) == ("alice", "seen the graphs")
    decision = view["decisions"][0]
    assert (decision["person"], decision["decision"], decision["channel"], decision["note"]) == (
        "alice",
        "approve",
        "api",
        "seen the graphs",
    )
    stored = (await api.call("alice", "GET", f"/approvals/{request_id}")).json()
    assert {name: stored[name] for name in view} == view, "what a decision answers is what is stored"


async def test_two_people_are_two_people(api: Api):
    api.gateway.verdicts[RESTART] = people(2)
    request_id = (await api.asked())["request"]["id"]
    first = (await api.decide("alice", request_id, "approve")).json()
    assert (first["status"], first["people_approved"], first["decided_at"]) == ("PENDING", 1, None)
    assert (first["decided_by"], first["note"]) == (None, "")
    again = await api.decide("alice", request_id, "approve")
    assert (again.status_code, again.json()["code"]) == (409, "APPROVAL_TWICE")
    through_the_bot = await api.decide("bot", request_id, "approve", decided_by="alice")
    assert (through_the_bot.status_code, through_the_bot.json()["code"]) == (409, "APPROVAL_TWICE")
    second = (await api.decide("bot", request_id, "approve", decided_by="bob")).json()
    assert (second["status"], [d["channel"] for d in second["decisions"]]) == ("APPROVED", ["api", "service"])


async def test_one_rejection_rejects(api: Api):
    api.gateway.verdicts[RESTART] = people(2)
    request_id = (await api.asked())["request"]["id"]
    await api.decide("alice", request_id, "approve")
    rejected = (await api.decide("bob", request_id, "reject", note="not now")).json()
    assert (rejected["status"], rejected["decided_by"], rejected["note"]) == ("REJECTED", "bob", "not now")


async def test_nobody_decides_on_their_own_request(api: Api):
    request_id = (await api.asked("operator"))["request"]["id"]
    response = await api.decide("operator", request_id, "approve")
    assert (response.status_code, response.json()["code"]) == (403, "APPROVAL_SELF")
    named = (await api.asked("worker"))["request"]["id"]
    assert (await api.decide("operator", named, "approve")).json()["status"] == "APPROVED"


async def test_the_worker_itself_cannot_approve_under_another_role(api: Api):
    request_id = (await api.asked("operator", worker_id="alice"))["request"]["id"]
    response = await api.decide("alice", request_id, "approve")
    assert (response.status_code, response.json()["code"]) == (403, "APPROVAL_SELF")


@pytest.mark.parametrize("word", ["approve", "reject"])
async def test_a_decided_request_stays_decided_and_says_how(api: Api, word: str):
    request_id = await api.approved()
    response = await api.decide("bob", request_id, word)
    problem = response.json()
    assert (response.status_code, problem["code"]) == (409, "APPROVAL_DECIDED")
    assert problem["details"]["status"] == "APPROVED"


async def test_of_many_who_race_one_decides(api: Api):
    request_id = (await api.asked())["request"]["id"]
    words = ["approve", "reject"] * 5
    who = ["alice", "bob"] * 5
    responses = await asyncio.gather(
        *(api.decide(person, request_id, word) for person, word in zip(who, words, strict=True))
    )
    assert sorted(response.status_code for response in responses) == [200] + [409] * 9
    final = next(response.json()["status"] for response in responses if response.status_code == 200)
    losers = [response.json() for response in responses if response.status_code == 409]
    assert {loser["details"]["status"] for loser in losers if loser["code"] == "APPROVAL_DECIDED"} == {final}
    assert (await api.call("alice", "GET", f"/approvals/{request_id}")).json()["status"] == final
    assert len(await api.sql("SELECT 1 FROM approval_decision")) == 1


async def test_two_approvals_that_race_for_a_quorum_of_two_are_both_counted(api: Api):
    api.gateway.verdicts[RESTART] = people(2)
    request_id = (await api.asked())["request"]["id"]
    responses = await asyncio.gather(*(api.decide(person, request_id, "approve") for person in ("alice", "bob")))
    assert [response.status_code for response in responses] == [200, 200]
    assert sorted(response.json()["status"] for response in responses) == ["APPROVED", "PENDING"]


async def test_an_expired_request_is_not_decided(api: Api):
    request_id = (await api.asked())["request"]["id"]
    api.clock.ahead = timedelta(hours=1)
    response = await api.decide("alice", request_id, "approve")
    assert (response.status_code, response.json()["code"]) == (409, "APPROVAL_EXPIRED")
    assert response.json()["details"]["status"] == "EXPIRED"
    view = (await api.call("alice", "GET", f"/approvals/{request_id}")).json()
    assert view["status"] == "EXPIRED"
    assert view["decided_at"] == view["expires_at"]
    assert [(entry["event"], entry["actor"]) for entry in view["history"]] == [
        ("requested", "agent-7"),
        ("expired", "wingman"),
    ]


async def test_just_before_the_expiry_it_still_counts(api: Api):
    request_id = (await api.asked())["request"]["id"]
    api.clock.ahead = timedelta(minutes=59)
    assert (await api.decide("alice", request_id, "approve")).json()["status"] == "APPROVED"


async def test_who_asked_may_withdraw(api: Api):
    request_id = (await api.asked())["request"]["id"]
    assert (await api.decide("worker", request_id, "cancel", note="never mind")).json()["status"] == "CANCELLED"
    again = await api.decide("worker", request_id, "cancel")
    assert (again.status_code, again.json()["details"]["status"]) == (409, "CANCELLED")


async def test_who_did_not_ask_may_not_withdraw(api: Api):
    request_id = (await api.asked())["request"]["id"]
    response = await api.decide("operator", request_id, "cancel")
    assert (response.status_code, response.json()["code"]) == (403, "PERSON_MISMATCH")
    other_name = await api.decide("worker", request_id, "cancel", decided_by="alice")
    assert (other_name.status_code, other_name.json()["code"]) == (403, "PERSON_MISMATCH")
    assert (await api.decide("worker", request_id, "cancel", decided_by="agent-7")).status_code == 200


async def test_another_workers_request_is_none_whatever_became_of_it(api: Api):
    waiting, decided, late = [(await api.asked(task_name=name))["request"]["id"] for name in "abc"]
    await api.decide("alice", decided, "reject")
    nothing = (await api.decide("other-worker", f"apr_{'a' * 26}", "cancel")).json()
    for request_id, ahead in ((waiting, 0), (decided, 0), (late, 2)):
        api.clock.ahead = timedelta(hours=ahead)
        response = await api.decide("other-worker", request_id, "cancel")
        assert (response.status_code, response.json()["code"]) == (404, "APPROVAL_UNKNOWN")
        assert response.json()["detail"] == nothing["detail"]


async def test_decided_by_is_the_keys_person(api: Api):
    request_id = (await api.asked())["request"]["id"]
    for who, name in (("alice", "bob"), ("bot", "carol"), ("bot", None)):
        body = {} if name is None else {"decided_by": name}
        response = await api.decide(who, request_id, "approve", **body)
        assert (response.status_code, response.json()["code"]) == (403, "PERSON_MISMATCH")
    assert (await api.decide("alice", request_id, "approve", decided_by="alice")).status_code == 200


async def test_a_decision_needs_no_body(api: Api):
    request_id = (await api.asked())["request"]["id"]
    assert (await api.call("alice", "POST", f"/approvals/{request_id}/approve")).json()["status"] == "APPROVED"


@pytest.mark.parametrize("word", ["approve", "reject", "cancel"])
async def test_an_unknown_request_is_unknown(api: Api, word: str):
    response = await api.decide("operator", f"apr_{'a' * 26}", word)
    assert (response.status_code, response.json()["code"]) == (404, "APPROVAL_UNKNOWN")
    malformed = await api.decide("operator", "apr_1", word)
    assert (malformed.status_code, malformed.json()["code"]) == (422, "REQUEST_INVALID")


async def test_history_tells_everything_in_order(api: Api):
    api.gateway.verdicts[RESTART] = people(2)
    request_id = (await api.asked())["request"]["id"]
    await api.decide("alice", request_id, "approve", note="yes")
    await api.decide("bob", request_id, "approve")
    history = (await api.call("alice", "GET", f"/approvals/{request_id}")).json()["history"]
    assert [(entry["event"], entry["actor"], entry["status"], entry["note"]) for entry in history] == [
        ("requested", "agent-7", "PENDING", ""),
        ("approved", "alice", "PENDING", "yes"),
        ("approved", "bob", "APPROVED", ""),
    ]


async def test_the_decision_digest_changes_with_every_decision(api: Api):
    before = (await api.asked())["request"]
    after = (await api.decide("alice", before["id"], "approve")).json()
    assert before["decision_digest"] != after["decision_digest"]


FORBIDDEN_SQL = [
    "UPDATE approval_request SET worker = 'mallory'",
    "UPDATE approval_request SET people_needed = 0",
    "UPDATE approval_request SET instruction = 'other'",
    "UPDATE approval_command SET command = 'docker rm db'",
    "UPDATE approval_decision SET person = 'mallory'",
    "UPDATE approval_history SET event = 'other'",
    "DELETE FROM approval_request",
    "DELETE FROM approval_decision",
    "DELETE FROM approval_history",
    "TRUNCATE approval_history",
    "UPDATE api_key SET role = 'operator'",
    "UPDATE api_key SET secret_hash = '$argon2id$'",
    "DELETE FROM execution_output",
    "UPDATE execution SET started_by = 'mallory'",
    "INSERT INTO execution_audit SELECT * FROM execution_audit",
    "CREATE TABLE mine (a int)",
]


async def test_the_apis_role_cannot_rewrite_what_was_asked_shown_or_decided(api: Api):
    await api.approved()
    for statement in FORBIDDEN_SQL:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await api.sql(statement)


async def test_not_even_the_owner_reopens_a_decided_request_by_accident(api: Api):
    await api.approved()
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await api.sql("UPDATE approval_request SET status = 'PENDING', decided_at = NULL", role="wingman_owner")
