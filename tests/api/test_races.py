"""Two API instances on one database: whoever is first wins, everybody else is told so, and history has one story."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.api.conftest import RESTART, Api
from tests.api.fake_gateway import people as need

ROUNDS = 200
LIFETIME = timedelta(hours=1)
OUTCOMES: dict[str, tuple[str, list[str]]] = {
    "approved": ("APPROVED", ["approve"]),
    "rejected": ("REJECTED", ["reject"]),
    "cancelled": ("CANCELLED", []),
    "expired": ("EXPIRED", []),
}
"""The event that decides, the status it leads to, and the decisions that are kept."""


@pytest.mark.timeout(300)
async def test_approve_against_reject_against_cancel_against_expiry(api: Api, twin: Api):
    """Two hundred requests, each about to expire while two instances are told three different things."""
    seen: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        people = [(place, who) for place in (api, twin) for who in ("alice", "bob", "worker")]
        clients = [await stack.enter_async_context(await place.client(who)) for place, who in people]
        for n in range(ROUNDS):
            request = (await api.asked(task_name=f"task {n}"))["request"]
            # It expires within the next 200 ms: before, among or after the words that race.
            left = timedelta(milliseconds=5 * (n % 41))
            api.clock.ahead += datetime.fromisoformat(request["expires_at"]) - left - api.clock.now()
            answers = await _race(clients, request["id"], first=n % 6)
            seen[await _one_winner(api, request["id"], answers)] += 1
    assert sum(seen.values()) == ROUNDS
    assert len(seen) >= 2, f"the race was none: {seen}"


async def _race(clients: list[httpx.AsyncClient], request_id: str, *, first: int) -> list[httpx.Response]:
    """Say everything at once, each word on another instance than the time before; ``first`` turns the order."""
    words = ["approve", "reject", "cancel"] * 2
    calls = [client.post(f"/approvals/{request_id}/{word}") for client, word in zip(clients, words, strict=True)]
    looks = [clients[0].get(f"/approvals/{request_id}"), clients[3].get("/approvals/pending")]
    answers = await asyncio.gather(*calls[first:], *looks, *calls[:first])
    return [answer for answer in answers if answer.request.method == "POST"]


async def _one_winner(api: Api, request_id: str, answers: list[httpx.Response]) -> str:
    """The one event that decided, once status, decisions, history and every answer agree on it."""
    view = (await api.call("alice", "GET", f"/approvals/{request_id}")).json()
    requested, decided = [entry["event"] for entry in view["history"]]
    assert requested == "requested"
    assert (view["status"], [decision["decision"] for decision in view["decisions"]]) == OUTCOMES[decided]
    assert view["history"][1]["status"] == view["status"]
    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) == (0 if decided == "expired" else 1)
    assert all(answer.json()["status"] == view["status"] for answer in won)
    for answer in answers:
        if answer not in won:
            _lost(answer, view)
    return decided


def _lost(answer: httpx.Response, view: dict[str, Any]) -> None:
    problem = answer.json()
    assert answer.status_code == 409, answer.text
    code = "APPROVAL_EXPIRED" if view["status"] == "EXPIRED" else "APPROVAL_DECIDED"
    assert (problem["code"], problem["details"]["status"]) == (code, view["status"])


async def test_a_quorum_of_three_counts_each_person_once_over_two_instances(api: Api, twin: Api):
    api.gateway.verdicts[RESTART] = need(3)
    for n in range(20):
        request_id = (await api.asked(task_name=f"task {n}"))["request"]["id"]
        words = [(place, who) for place in (api, twin) for who in ("alice", "bob", "operator")]
        answers = await asyncio.gather(*(place.decide(who, request_id, "approve") for place, who in words))
        assert Counter(answer.status_code for answer in answers) == {200: 3, 409: 3}
        view = (await twin.call("alice", "GET", f"/approvals/{request_id}")).json()
        assert (view["status"], sorted(d["person"] for d in view["decisions"])) == (
            "APPROVED",
            ["alice", "bob", "carol"],
        )
        assert [entry["status"] for entry in view["history"]] == ["PENDING", "PENDING", "PENDING", "APPROVED"]


async def test_an_identical_wish_that_races_with_its_expiry_is_never_the_expired_one(api: Api, twin: Api):
    for n in range(20):
        api.clock.ahead = -LIFETIME
        old = (await api.asked(task_name=f"task {n}"))["request"]["id"]
        api.clock.ahead = timedelta()
        answers = await asyncio.gather(*(place.asked(task_name=f"task {n}") for place in (api, twin, api, twin)))
        fresh = {answer["request"]["id"] for answer in answers}
        assert len(fresh) == 1
        assert old not in fresh
        assert [answer["deduped"] for answer in answers].count(False) == 1
        view = (await api.call("alice", "GET", f"/approvals/{old}")).json()
        assert [entry["event"] for entry in view["history"]] == ["requested", "expired"]
