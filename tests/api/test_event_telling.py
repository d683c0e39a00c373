"""What is told of requests and executions: each thing once, in order, typed, and without a worker's words."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.api.conftest import RESTART, Api, eventually, serve_api
from tests.api.fake_gateway import Script, people
from tests.api.following import Item, following
from wingman_api.approvals import telling
from wingman_api.events.event import StreamItem
from wingman_api.settings import load
from wingman_core.approval import Status
from wingman_core.risk import Level
from wingman_rpc.v1 import gateway_pb2 as pb

ITEM: TypeAdapter[Any] = TypeAdapter(StreamItem)
SECRET = "It leaks the colour of magic."


async def told(api: Api, after: int = 0) -> list[dict[str, Any]]:
    """Everything that was told so far after a position, checked against what the document promises."""
    async with following(api.url, await api.key("auditor"), "?follow=false", after=after) as stream:
        assert stream.status == 200
        items = (await stream.rest())[1:]
    for item in items:
        checked = ITEM.validate_json(json.dumps(item.data))
        assert checked.type == item.type == item.data["type"]
        assert SECRET not in json.dumps(item.data)
    return [item.data for item in items]


async def heard(api: Api, count: int) -> list[dict[str, Any]]:
    """The first so many, waited for."""
    async with following(api.url, await api.key("auditor"), after=0) as stream:
        return [item.data for item in await stream.some(count)]


def line(data: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(data[name] for name in ("type", *names))


async def test_a_request_and_its_quorum(api: Api):
    api.gateway.verdicts[RESTART] = people(2)
    request = (await api.asked(instruction=SECRET, task_name=SECRET))["request"]
    await api.decide("alice", request["id"], "approve", note=SECRET)
    await api.decide("bot", request["id"], "approve", decided_by="bob")
    asked, first, second = await told(api)
    assert line(asked, "status", "risk", "people_needed", "commands", "environment", "requested_by") == (
        "approval.requested",
        "PENDING",
        request["risk"]["level"],
        2,
        1,
        "test",
        "agent-7",
    )
    assert (asked["at"], asked["expires_at"]) == (request["created_at"], request["expires_at"])
    fields = ("decision", "person", "channel", "status", "people_approved", "people_needed")
    assert line(first, *fields) == ("approval.decided", "approve", "alice", "api", "PENDING", 1, 2)
    assert line(second, *fields) == ("approval.decided", "approve", "bob", "service", "APPROVED", 2, 2)
    assert {data["request_id"] for data in (asked, first, second)} == {request["id"]}
    assert {data["worker_id"] for data in (asked, first, second)} == {"agent-7"}


async def test_what_needs_nobody_is_told_as_such(api: Api):
    await api.asked(commands=["docker ps"])
    assert [line(data, "status", "people_needed") for data in await told(api)] == [
        ("approval.requested", "AUTO_APPROVED", 0)
    ]


async def test_an_identical_request_and_a_refused_decision_are_no_news(api: Api):
    request_id = (await api.asked())["request"]["id"]
    assert (await api.asked())["deduped"]
    assert (await api.decide("worker", request_id, "approve")).status_code == 403
    assert (await api.decide("alice", request_id, "reject")).status_code == 200
    assert (await api.decide("bob", request_id, "reject")).status_code == 409
    assert [line(data) for data in await told(api)] == [("approval.requested",), ("approval.decided",)]
    assert (await told(api))[1]["status"] == "REJECTED"


async def test_a_withdrawal(api: Api):
    request_id = (await api.asked())["request"]["id"]
    await api.decide("worker", request_id, "cancel", note=SECRET)
    assert line((await told(api))[1], "person", "request_id") == ("approval.cancelled", "agent-7", request_id)


async def test_of_many_who_race_one_is_told(api: Api):
    request_id = (await api.asked())["request"]["id"]
    await asyncio.gather(
        *(api.decide(who, request_id, word) for who in ("alice", "bob") for word in ("approve", "reject"))
    )
    assert [data["type"] for data in await told(api)] == ["approval.requested", "approval.decided"]


async def test_expiry_is_told_in_time_though_nobody_reads_and_once_though_two_sweep(api: Api, environ: dict[str, str]):
    async with serve_api(load(environ), api.clock, []) as (_, _app):
        requests = [(await api.asked(task_name=str(n)))["request"] for n in range(20)]
        async with following(api.url, await api.key("auditor")) as stream:
            api.clock.ahead = timedelta(hours=2)
            items = await stream.some(20)
        assert {item.type for item in items} == {"approval.expired"}
        assert sorted(item.data["request_id"] for item in items) == sorted(request["id"] for request in requests)
        assert {item.data["at"] for item in items} == {request["expires_at"] for request in requests}
        for each in requests:
            assert (await api.decide("alice", each["id"], "approve")).json()["code"] == "APPROVAL_EXPIRED"
        assert len(await told(api)) == 40
    assert len(await api.sql("SELECT 1 FROM approval_history WHERE event = 'expired'")) == 20


async def test_an_execution_is_told_to_start_and_to_finish(api: Api):
    api.gateway.scripts[RESTART] = Script(output=[("stdout", SECRET.encode())])
    request_id = await api.approved()
    execution_id = (await api.execute(request_id)).json()["execution_id"]
    started, finished = (await heard(api, 4))[2:]
    ids = {"execution_id": execution_id, "request_id": request_id, "approval_id": f"{request_id}.0"}
    assert ids.items() <= started.items()
    assert ids.items() <= finished.items()
    assert line(started, "audit_position", "worker_id") == ("execution.started", 0, "agent-7")
    assert line(finished, "state", "exit_code", "duration_ms", "audit_position") == (
        "execution.finished",
        "SUCCEEDED",
        0,
        12,
        1,
    )
    assert len(await told(api)) == 4


@pytest.mark.parametrize(
    ("script", "ending"),
    [
        (
            Script(exit_code=1, outcome=pb.Finished.OUTCOME_FAILED),
            {"type": "execution.finished", "state": "FAILED", "exit_code": 1, "audit_position": 1},
        ),
        (Script(outcome=pb.Finished.OUTCOME_TIMED_OUT), {"type": "execution.finished", "state": "TIMED_OUT"}),
        (Script(outcome=pb.Finished.OUTCOME_UNKNOWN), {"type": "execution.unknown", "audit_position": 1}),
        (Script(journalled=True), {"type": "execution.finished", "state": "SUCCEEDED", "audit_position": None}),
    ],
)
async def test_how_it_ended(api: Api, script: Script, ending: dict[str, Any]):
    api.gateway.scripts[RESTART] = script
    await api.execute(await api.approved())
    assert ending.items() <= (await heard(api, 4))[3].items()


async def test_a_worker_follows_its_own_request_to_the_end(api: Api):
    async with (
        following(api.url, await api.key("worker")) as mine,
        following(api.url, await api.key("other-worker"), "?follow=true") as other,
    ):
        await api.execute(await api.approved())
        seen: list[Item] = await mine.some(4)
        assert [item.type.partition(".")[2] for item in seen] == ["requested", "decided", "started", "finished"]
        api.app.state.closing.set()
        assert [item.type for item in await other.rest()] == ["feed.mark"]


@pytest.mark.parametrize("level", list(Level))
def test_every_level_of_risk_has_its_name(level: Level):
    assert telling._level(level) == level.name


@pytest.mark.parametrize("status", [Status.EXPIRED, Status.CANCELLED, Status.AUTO_APPROVED])
def test_no_decision_leads_to_what_is_none(status: Status):
    with pytest.raises(ValueError, match="no decision"):
        telling._decided(status)


async def test_what_happened_is_stored_with_what_it_reports_or_not_at_all(api: Api):
    """The event is part of the transaction: where it cannot be stored, nothing is."""
    await api.sql("REVOKE INSERT ON event FROM wingman_api", role="postgres")
    response = await api.ask()
    assert response.status_code == 500
    assert await api.sql("SELECT 1 FROM approval_request") == []


async def test_a_request_expires_when_it_is_read_too(api: Api):
    request_id = (await api.asked())["request"]["id"]
    api.clock.ahead = timedelta(hours=2)
    assert (await api.call("alice", "GET", f"/approvals/{request_id}")).json()["status"] == "EXPIRED"

    async def expired() -> bool | None:
        return [data["type"] for data in await told(api)] == ["approval.requested", "approval.expired"] or None

    assert await eventually(expired)
