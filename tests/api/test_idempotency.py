"""Requests that are sent again: one effect, the first answer, whatever is killed in between."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from tests.api.conftest import RESTART, Api, eventually
from tests.api.fake_gateway import Script, people
from tests.conftest import Database
from wingman_api.idempotency import store as stores
from wingman_api.idempotency.once import Answer, Once, Replayed
from wingman_api.idempotency.store import KEPT, LEASE, AnswerStore, claim
from wingman_api.identity.caller import Role
from wingman_api.system.store import Database as Pool
from wingman_api.system.store import open_database
from wingman_core.errors import Code, TargetRefused, Unavailable, WingmanError

WISH = {"worker_id": "agent-7", "task_name": "Restart", "instruction": "It leaks.", "commands": [RESTART]}


def keyed(*values: str) -> dict[str, Any]:
    return {"headers": [("Idempotency-Key", value) for value in values]}


async def wish(api: Api, key: str, who: str | None = "worker", **changes: Any) -> httpx.Response:  # noqa: ANN401
    return await api.call(who, "POST", "/approvals/request", json={**WISH, **changes}, **keyed(key))


async def decide(api: Api, request_id: str, key: str, who: str = "alice", word: str = "approve") -> httpx.Response:
    return await api.call(who, "POST", f"/approvals/{request_id}/{word}", json={"note": "ok"}, **keyed(key))


async def execute(api: Api, approval_id: str, key: str, who: str = "worker") -> httpx.Response:
    return await api.call(who, "POST", "/executions", json={"approval_id": approval_id}, **keyed(key))


def is_replay_of(again: httpx.Response, first: httpx.Response) -> bool:
    """Whether nothing but the replay's mark and what is per request differs."""
    return (
        again.headers.get("idempotent-replayed") == "true"
        and "idempotent-replayed" not in first.headers
        and again.headers["content-type"] == first.headers["content-type"]
        and (again.status_code, again.content) == (first.status_code, first.content)
    )


async def test_a_wish_that_is_sent_again_has_the_first_answer_on_every_api(api: Api, another: Api):
    first = await wish(api, "k")
    assert first.json()["deduped"] is False
    request_id = first.json()["request"]["id"]
    await api.decide("alice", request_id, "approve")
    for each in (api, another):
        assert is_replay_of(await wish(each, "k"), first), "though it would be a new request by now"
    assert len(await api.sql("SELECT 1 FROM approval_request")) == 1
    assert (await wish(api, "k2")).json()["request"]["id"] != request_id


async def test_a_wish_is_answered_again_though_its_object_is_gone(api: Api):
    first = await wish(api, "k")
    api.gateway.refusals[RESTART] = TargetRefused(Code.TARGET_NOT_FOUND, "no such container")
    assert is_replay_of(await wish(api, "k"), first)
    assert (await wish(api, "other")).json()["code"] == "TARGET_NOT_FOUND"


async def test_a_wish_that_found_an_identical_one_is_remembered_as_that(api: Api):
    pending = (await api.asked())["request"]["id"]
    first = await wish(api, "k")
    assert (first.json()["deduped"], first.json()["request"]["id"]) == (True, pending)
    assert is_replay_of(await wish(api, "k"), first)


@pytest.mark.parametrize(
    ("who", "word", "status"),
    [("alice", "approve", "APPROVED"), ("alice", "reject", "REJECTED"), ("worker", "cancel", "CANCELLED")],
)
async def test_a_decision_that_is_sent_again_is_one_decision(api: Api, another: Api, who: str, word: str, status: str):
    request_id = (await api.asked())["request"]["id"]
    first = await decide(api, request_id, "k", who, word)
    assert first.json()["status"] == status
    for each in (api, another):
        assert is_replay_of(await decide(each, request_id, "k", who, word), first)
    assert (await decide(api, request_id, "new", who, word)).json()["code"] == "APPROVAL_DECIDED"
    history = (await api.call("alice", "GET", f"/approvals/{request_id}")).json()["history"]
    assert len(history) == 2


async def test_the_answer_is_the_first_one_though_the_request_went_on(api: Api):
    api.gateway.verdicts[RESTART] = people(2)
    request_id = (await api.asked())["request"]["id"]
    first = await decide(api, request_id, "k", "alice")
    assert first.json()["status"] == "PENDING"
    await api.decide("bob", request_id, "approve")
    assert is_replay_of(await decide(api, request_id, "k", "alice"), first)


@pytest.mark.parametrize("what", ["wish", "decision", "execution"])
async def test_of_fifty_at_once_one_has_the_effect_and_all_the_answer(api: Api, another: Api, what: str):
    request_id = "" if what == "wish" else (await api.asked())["request"]["id"]
    if what == "execution":
        await api.decide("alice", request_id, "approve")
    for who in ("worker", "alice"):
        await api.call(who, "GET", "/whoami")

    async def one(each: Api) -> httpx.Response:
        match what:
            case "wish":
                return await wish(each, "k")
            case "decision":
                return await decide(each, request_id, "k")
            case _:
                return await execute(each, request_id, "k")

    answers = await asyncio.gather(*(one(each) for _ in range(25) for each in (api, another)))
    assert {answer.status_code for answer in answers} == {202 if what == "execution" else 200}, answers[0].text
    assert len({answer.content for answer in answers}) == 1
    assert Counter("idempotent-replayed" in answer.headers for answer in answers) == {True: 49, False: 1}
    effects = {"wish": "approval_request", "decision": "approval_decision", "execution": "execution"}
    assert len(await api.sql(f"SELECT 1 FROM {effects[what]}")) == 1
    intents = await api.sql("SELECT 1 FROM execution_audit WHERE kind = 'INTENT'")
    assert len(intents) == (what == "execution")


# Whose key it is, and for what.


async def test_a_key_belongs_to_one_request(api: Api):
    request_id = (await wish(api, "k")).json()["request"]["id"]
    for answer in (
        await wish(api, "k", task_name="Another"),
        await wish(api, '"k"', task_name="Another"),
        await decide(api, request_id, "k", "worker", "cancel"),
        await execute(api, request_id, "k"),
        await api.call("worker", "POST", "/approvals/request?x=1", json=WISH, **keyed("k")),
        await api.call("worker", "POST", "/approvals/request", content=b"", **keyed("k")),
    ):
        assert answer.status_code == 422, answer.text
        assert answer.json()["code"] in ("IDEMPOTENCY_MISMATCH", "REQUEST_INVALID")
    assert (await wish(api, "k", task_name="Another")).json()["code"] == "IDEMPOTENCY_MISMATCH"
    assert (await execute(api, request_id, "k")).json()["code"] == "IDEMPOTENCY_MISMATCH"
    assert is_replay_of(await wish(api, '"k"'), await wish(api, "k")) is False
    assert (await wish(api, '"k"')).json()["request"]["id"] == request_id, "quoted and bare are one key"


async def test_another_request_of_the_same_kind_needs_another_key(api: Api):
    first, second = [(await api.asked(task_name=name))["request"]["id"] for name in ("one", "two")]
    await decide(api, first, "k")
    assert (await decide(api, second, "k")).json()["code"] == "IDEMPOTENCY_MISMATCH"
    assert (await decide(api, first, "k", word="reject")).json()["code"] == "IDEMPOTENCY_MISMATCH"
    assert (await decide(api, second, "k2")).json()["status"] == "APPROVED"


async def test_callers_do_not_meet_each_others_keys(api: Api):
    api.gateway.verdicts[RESTART] = people(2)
    request_id = (await api.asked())["request"]["id"]
    first = await decide(api, request_id, "k", "alice")
    second = await decide(api, request_id, "k", "bob")
    assert (first.json()["people_approved"], second.json()["people_approved"]) == (1, 2)
    assert is_replay_of(await decide(api, request_id, "k", "alice"), first)
    assert is_replay_of(await decide(api, request_id, "k", "bob"), second)


async def test_a_caller_without_a_key_has_its_address_as_a_name(api: Api):
    first = await wish(api, "k", None)
    assert first.json()["request"]["requested_by"] == "anonymous"
    assert is_replay_of(await wish(api, "k", None), first)
    assert "idempotent-replayed" not in (await wish(api, "k", "worker")).headers


async def test_a_rotated_key_still_knows_what_the_old_one_sent(api: Api):
    request_id = (await api.asked())["request"]["id"]
    first = await decide(api, request_id, "k")
    old = await api.key("alice")
    api.keys["alice"] = (await api.store.rotate(old.split("_")[1], overlap=timedelta(hours=1))).text
    assert is_replay_of(await decide(api, request_id, "k"), first)


async def test_another_role_of_the_same_person_starts_afresh(api: Api):
    request_id = (await api.asked())["request"]["id"]
    await decide(api, request_id, "k")
    api.keys["alice"] = (await api.store.create("alice", Role.OPERATOR)).text
    assert (await decide(api, request_id, "k")).json()["code"] == "APPROVAL_DECIDED"


async def test_who_lost_the_right_gets_no_replay(api: Api):
    request_id = (await api.asked())["request"]["id"]
    body = {"decided_by": "alice"}
    path = f"/approvals/{request_id}/approve"
    assert (await api.call("bot", "POST", path, json=body, **keyed("k"))).status_code == 200
    narrower = await api.store.create("telegram", Role.SERVICE, speaks_for=["bob"])
    api.keys["bot"] = narrower.text
    refused = await api.call("bot", "POST", path, json=body, **keyed("k"))
    assert (refused.status_code, refused.json()["code"]) == (403, "PERSON_MISMATCH")


@pytest.mark.parametrize(
    "values",
    [
        ("",),
        ('""',),
        ("a b",),
        ("a,b",),
        ("a" * 256,),
        ("caf\u00e9".encode().decode("latin-1"),),
        ("a", "a"),
        ("a", "b"),
    ],
)
async def test_a_header_that_is_no_key_stops_the_request(api: Api, values: tuple[str, ...]):
    headers = [(b"Idempotency-Key", value.encode("latin-1")) for value in values]
    request_id = (await api.asked())["request"]["id"]
    for who, path, body in (
        ("worker", "/approvals/request", WISH),
        ("alice", f"/approvals/{request_id}/approve", {}),
        ("alice", f"/approvals/{request_id}/reject", {}),
        ("worker", f"/approvals/{request_id}/cancel", {}),
        ("worker", "/executions", {"approval_id": request_id}),
    ):
        refused = await api.call(who, "POST", path, json=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (422, "REQUEST_INVALID"), (path, refused.text)
    assert (await api.call("alice", "GET", f"/approvals/{request_id}")).json()["status"] == "PENDING"


async def test_refusals_are_not_remembered(api: Api):
    request_id = (await api.asked())["request"]["id"]
    api.gateway.refusals[RESTART] = TargetRefused(Code.TARGET_NOT_FOUND, "no such container")
    assert (await wish(api, "wish", task_name="Later")).status_code == 422
    assert (await decide(api, request_id, "d", "operator", "cancel")).status_code == 403
    assert (await execute(api, request_id, "e")).json()["code"] == "APPROVAL_PENDING"
    api.gateway.refusals.clear()
    assert (await wish(api, "wish", task_name="Later")).json()["deduped"] is False
    await decide(api, request_id, "d")
    assert (await execute(api, request_id, "e")).status_code == 202
    replays = await api.sql("SELECT status FROM idempotency ORDER BY status")
    assert [row["status"] for row in replays] == [200, 200, 202]


# What is killed in between.

KILL = """
CREATE FUNCTION kill_me() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NEW; END $$
"""


async def kill_at(api: Api, statement: str) -> None:
    """Have Postgres end the connection that does ``statement``."""
    await api.sql(KILL, role="postgres")
    await api.sql(f"CREATE TRIGGER dies BEFORE {statement} FOR EACH ROW EXECUTE FUNCTION kill_me()", role="postgres")


async def spare(api: Api) -> None:
    await api.sql("DROP FUNCTION kill_me() CASCADE", role="postgres")


AFTER_THE_EFFECT = "UPDATE ON idempotency"


async def test_a_decision_killed_before_its_answer_is_stored_never_happened(api: Api, another: Api):
    request_id = (await api.asked())["request"]["id"]
    await kill_at(api, AFTER_THE_EFFECT)
    killed = await decide(api, request_id, "k")
    assert (killed.status_code, killed.json()["code"]) == (503, "DATABASE_UNAVAILABLE")
    assert (await api.call("alice", "GET", f"/approvals/{request_id}")).json()["decisions"] == []
    await spare(api)
    second = await decide(another, request_id, "k")
    assert (second.json()["status"], "idempotent-replayed" in second.headers) == ("APPROVED", False)
    assert is_replay_of(await decide(api, request_id, "k"), second)


async def test_a_wish_killed_before_its_answer_is_stored_never_happened(api: Api, another: Api):
    await kill_at(api, AFTER_THE_EFFECT)
    assert (await wish(api, "k")).status_code == 503
    assert await api.sql("SELECT 1 FROM approval_request") == []
    await spare(api)
    second = await wish(another, "k")
    assert second.json()["deduped"] is False
    assert is_replay_of(await wish(api, "k"), second)


@pytest.mark.parametrize("moment", ["INSERT ON execution", AFTER_THE_EFFECT])
async def test_an_execution_whose_start_was_not_stored_is_found_by_its_token(api: Api, another: Api, moment: str):
    request_id = await api.approved()
    await kill_at(api, moment)
    assert (await execute(api, request_id, "k")).status_code == 202
    assert await api.sql("SELECT 1 FROM execution") == []
    await spare(api)
    api.gateway.refusals[RESTART] = TargetRefused(Code.TARGET_CHANGED, "its own doing")
    again = await execute(another, request_id, "k")
    intent = (await api.sql("SELECT execution_id, position FROM execution_audit WHERE kind = 'INTENT'"))[0]
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
    assert (again.json()["execution_id"], again.json()["audit_position"]) == tuple(intent)
    third = await execute(api, request_id, "k")
    assert third.content == again.content
    view = await api.call("worker", "GET", again.json()["links"]["self"])
    assert view.json()["approval_id"] == f"{request_id}.0"


async def test_an_execution_that_another_key_started_is_not_taken_for_ones_own(api: Api):
    request_id = await api.approved()
    first = await execute(api, request_id, "k")
    for refused in (
        await execute(api, request_id, "other"),
        await execute(api, request_id, "k", "operator"),
        await api.execute(request_id),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "APPROVAL_SPENT")
        assert refused.json()["details"]["execution_id"] == first.json()["execution_id"]
    assert is_replay_of(await execute(api, request_id, "k"), first)


async def test_a_try_that_the_gateway_still_works_on_is_joined(api: Api, another: Api):
    """The first API is gone, the gateway goes on: the second try must not run it again."""
    gate = asyncio.Event()
    api.gateway.scripts[RESTART] = Script(before_accepting=gate)
    request_id = await api.approved()
    tries = [asyncio.create_task(execute(each, request_id, "k")) for each in (api, another)]

    async def both() -> bool | None:
        return len(api.gateway.claims) == 2 or None

    await eventually(both)
    assert len({claims.jti for claims in api.gateway.claims}) == 1
    gate.set()
    first, second = await asyncio.gather(*tries)
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert len(await api.sql("SELECT 1 FROM execution_audit WHERE kind = 'INTENT'")) == 1


async def test_a_gateway_that_did_nothing_is_asked_again(api: Api):
    request_id = await api.approved()
    api.gateway.refusals[RESTART] = Unavailable(Code.ENGINE_UNAVAILABLE, "the engine is down")
    assert (await execute(api, request_id, "k")).status_code == 503
    api.gateway.refusals.clear()
    second = await execute(api, request_id, "k")
    assert (second.status_code, "idempotent-replayed" in second.headers) == (202, False)
    assert is_replay_of(await execute(api, request_id, "k"), second)


# The store by itself.


class Said(BaseModel):
    """A result."""

    text: str


ONCE: Once[str] = Once("worker:agent", "k", "say", "0" * 64, 200, lambda text: Said(text=text))
AT = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    async with open_database(database.dsn("wingman_api"), database.passwords["wingman_api"]) as opened:
        yield opened


async def says() -> str:
    return "hello"


async def never() -> str:
    raise AssertionError("it must not run again")


async def test_an_effect_outside_of_the_database_runs_once(pool: Pool):
    answers = AnswerStore(pool)
    assert await answers.run(ONCE, says, AT) == "hello"
    with pytest.raises(Replayed) as replayed:
        await answers.run(ONCE, never, AT)
    assert replayed.value.answer == Answer(200, '{"text":"hello"}')
    assert await answers.run(None, says, AT) == "hello"
    with pytest.raises(WingmanError) as mismatch:
        await answers.run(replace(ONCE, request_digest="1" * 64), never, AT)
    assert mismatch.value.code is Code.IDEMPOTENCY_MISMATCH


async def test_who_comes_while_it_runs_is_told_to_wait_until_it_counts_as_lost(pool: Pool):
    answers = AnswerStore(pool)
    begun, gate = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        begun.set()
        await gate.wait()
        return "slow"

    first = asyncio.create_task(answers.run(ONCE, slow, AT))
    await begun.wait()
    for late in (timedelta(0), LEASE - timedelta(microseconds=1)):
        with pytest.raises(WingmanError) as running:
            await answers.run(ONCE, never, AT + late)
        assert (running.value.code, running.value.details) == (Code.IDEMPOTENCY_RUNNING, {"retry_after": "1"})
    assert await answers.run(ONCE, says, AT + LEASE) == "hello"
    gate.set()
    assert await first == "slow"
    with pytest.raises(Replayed) as replayed:
        await answers.run(ONCE, never, AT)
    assert replayed.value.answer.body == '{"text":"hello"}', "the first that was stored stays"


async def test_an_effect_that_failed_may_be_tried_again(pool: Pool):
    answers = AnswerStore(pool)

    async def fails() -> str:
        raise WingmanError(Code.REQUEST_INVALID, "no")

    for _ in range(2):
        with pytest.raises(WingmanError, match="no"):
            await answers.run(ONCE, fails, AT)
    assert await answers.run(ONCE, says, AT) == "hello"


async def test_an_identical_request_that_does_not_end_is_not_waited_for(pool: Pool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stores, "WAIT_SECONDS", 0.05)
    async with pool.transaction() as first, pool.transaction() as second:
        await claim(first, ONCE, AT)
        with pytest.raises(WingmanError) as running:
            await claim(second, ONCE, AT)
        assert running.value.code is Code.IDEMPOTENCY_RUNNING


async def test_nothing_but_a_replay_is_answered_as_one(api: Api):
    handler: Any = api.app.exception_handlers[Replayed]
    with pytest.raises(TypeError, match="Replayed alone"):
        await handler(None, ValueError("a bug"))


async def test_without_a_key_nothing_is_asked_or_stored(pool: Pool):
    answers = AnswerStore(pool)
    await answers.find(None)
    async with pool.transaction() as connection:
        await claim(connection, None, AT)
        await stores.remember(connection, None, "x")
        await stores.find(connection, None)
        assert await connection.fetchval("SELECT count(*) FROM idempotency") == 0


async def test_answers_are_kept_for_a_day(pool: Pool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stores, "BATCH", 2)
    answers = AnswerStore(pool)
    for number in range(5):
        await answers.run(replace(ONCE, key=str(number)), says, AT)
    await answers.run(replace(ONCE, key="young"), says, AT + timedelta(seconds=1))
    await answers.sweep(AT + KEPT)
    with pytest.raises(Replayed):
        await answers.run(replace(ONCE, key="0"), never, AT)
    await answers.sweep(AT + KEPT + timedelta(seconds=1))
    assert await answers.run(replace(ONCE, key="0"), says, AT) == "hello"
    with pytest.raises(Replayed):
        await answers.run(replace(ONCE, key="young"), never, AT)


@pytest.mark.parametrize(("who", "word"), [("alice", "approve"), ("alice", "reject"), ("worker", "cancel")])
async def test_a_request_that_has_expired_leaves_the_key_free(api: Api, who: str, word: str):
    request_id = (await api.asked())["request"]["id"]
    api.clock.ahead = timedelta(hours=30)
    for _ in range(2):
        refused = await decide(api, request_id, "k", who=who, word=word)
        assert (refused.status_code, refused.json()["code"]) == (409, "APPROVAL_EXPIRED")
    assert await api.sql("SELECT 1 FROM idempotency") == []
