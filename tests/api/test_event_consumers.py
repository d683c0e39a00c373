"""Durable places in the feed, and notes beside them: together or not at all, one writer at a time, bounded."""

# ruff: noqa: ANN401 - bodies are of any kind here

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.api.conftest import Api, serve_api
from tests.api.following import following
from wingman_api.events.consumer_store import MAX_CONSUMERS, MAX_NOTES
from wingman_api.events.schemas import MAX_CHANGES
from wingman_api.settings import load

PLACE = "/events/consumers/telegram"
CARD = {"chat": -1001, "message": 7, "text": "wörter 🛠"}


async def put(api: Api, who: str = "bot", place: str = PLACE, **body: Any) -> httpx.Response:
    return await api.call(who, "PUT", place, json=body)


async def notes(api: Api, query: str = "") -> tuple[dict[str, Any], str | None]:
    answer = (await api.call("bot", "GET", f"{PLACE}/notes{query}")).json()
    return {note["key"]: note["value"] for note in answer["notes"]}, answer["next_after"]


async def test_a_consumer_is_made_moved_and_found_again(api: Api):
    unknown = await api.call("bot", "GET", PLACE)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "CONSUMER_UNKNOWN")
    await api.asked()
    async with following(api.url, await api.key("bot"), "?follow=false", after=0) as stream:
        await stream.rest()  # the event has its number
    made = await put(api, revision=0, cursor=0)
    assert made.status_code == 200, made.text
    view = made.json()
    assert {name: view[name] for name in ("name", "owner", "cursor", "revision", "notes", "behind")} == {
        "name": "telegram",
        "owner": "telegram",
        "cursor": 0,
        "revision": 1,
        "notes": 0,
        "behind": 1,
    }
    moved = (await put(api, revision=1, cursor=1, notes={"apr_a": CARD})).json()
    assert (moved["cursor"], moved["revision"], moved["notes"], moved["behind"]) == (1, 2, 1, 0)
    assert (await api.call("bot", "GET", PLACE)).json() == moved
    assert (await api.call("bot", "GET", "/events/consumers")).json()["consumers"] == [moved]


async def test_a_stream_continues_after_the_cursor(api: Api, environ: dict[str, str]):
    for n in range(3):
        await api.asked(task_name=str(n))
    async with following(api.url, await api.key("bot"), "?consumer=telegram") as stream:
        assert (stream.status, (await stream.problem())["code"]) == (404, "CONSUMER_UNKNOWN")
    async with following(api.url, await api.key("bot"), "?follow=false", after=0) as stream:
        await stream.rest()
    await put(api, revision=0, cursor=2)
    async with serve_api(load(environ), api.clock, []) as (other, _):
        for url in (api.url, other):
            async with following(url, await api.key("bot"), "?consumer=telegram&follow=false") as stream:
                assert [item.id for item in await stream.rest()] == [2, 3]
    async with following(api.url, await api.key("bot"), "?consumer=telegram&follow=false", after=0) as stream:
        assert [item.id for item in await stream.rest()] == [0, 1, 2, 3], "Last-Event-ID wins"


async def test_notes_are_kept_listed_replaced_and_deleted(api: Api):
    await put(api, revision=0, cursor=0, notes={f"k{n:03}": {"n": n} for n in range(30)})
    assert await notes(api) == ({f"k{n:03}": {"n": n} for n in range(30)}, None)
    first, after = await notes(api, "?limit=10")
    assert (list(first), after) == ([f"k{n:03}" for n in range(10)], "k009")
    rest, after = await notes(api, "?limit=20&after=k009")
    assert (list(rest), after) == ([f"k{n:03}" for n in range(10, 30)], None)
    changed = await put(api, revision=1, cursor=0, notes={"k000": CARD, "k001": None, "nothing": None})
    assert changed.json()["notes"] == 29
    assert (await api.call("bot", "GET", f"{PLACE}/notes/k000")).json()["value"] == CARD
    gone = await api.call("bot", "GET", f"{PLACE}/notes/k001")
    assert (gone.status_code, gone.json()["code"]) == (404, "NOT_FOUND")


async def test_notes_are_in_the_order_of_their_bytes(api: Api):
    await put(api, revision=0, cursor=0, notes={key: {} for key in ("b", "B", "a.1", "a:1", "a_1", "a-1", "A")})
    assert list((await notes(api))[0]) == ["A", "B", "a-1", "a.1", "a:1", "a_1", "b"]


async def test_of_two_writers_who_know_the_same_one_wins_and_changes_everything(api: Api):
    await put(api, revision=0, cursor=0)
    await api.asked()
    async with following(api.url, await api.key("bot"), "?follow=false", after=0) as stream:
        await stream.rest()
    answers = await asyncio.gather(*(put(api, revision=1, cursor=n % 2, notes={str(n): {}}) for n in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    loser = next(answer.json() for answer in answers if answer.status_code == 409)
    assert (loser["code"], loser["details"]["revision"]) == ("CONSUMER_CHANGED", "2")
    winner = next(n for n, answer in enumerate(answers) if answer.status_code == 200)
    assert list((await notes(api))[0]) == [str(winner)]
    assert (await api.call("bot", "GET", PLACE)).json()["cursor"] == winner % 2


async def test_many_who_make_the_same_consumer_make_one(api: Api):
    answers = await asyncio.gather(*(put(api, revision=0, cursor=0) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5


async def test_a_cursor_never_goes_back_nor_past_what_exists(api: Api):
    await api.asked()
    async with following(api.url, await api.key("bot"), "?follow=false", after=0) as stream:
        await stream.rest()
    for revision, cursor in ((0, 2), (1, 0), (1, 5)):
        if revision:
            await put(api, revision=0, cursor=1)
        refused = await put(api, revision=revision, cursor=cursor, notes={"a": {}})
        assert (refused.status_code, refused.json()["code"]) == (422, "REQUEST_INVALID"), cursor
    assert await notes(api) == ({}, None)
    unknown = await put(api, place="/events/consumers/other", revision=3, cursor=0)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "CONSUMER_UNKNOWN")


async def test_it_belongs_to_the_person_whose_key_made_it(api: Api):
    await put(api, revision=0, cursor=0, notes={"a": {}})
    other = await api.store.create("mailer", (await api.store.list())[0].role)
    key = {"Authorization": f"Bearer {other.text}"}
    async with httpx.AsyncClient(base_url=api.url, headers=key, timeout=30) as stranger:
        for method, place in (
            ("GET", PLACE),
            ("PUT", PLACE),
            ("DELETE", PLACE),
            ("GET", f"{PLACE}/notes"),
            ("GET", f"{PLACE}/notes/a"),
            ("GET", "/events?consumer=telegram"),
        ):
            for revision in (0, 1) if method == "PUT" else (0,):
                body = {"json": {"revision": revision, "cursor": 0}} if method == "PUT" else {}
                response = await stranger.request(method, place, **body)
                assert (response.status_code, response.json()["code"]) == (403, "PERSON_MISMATCH"), (method, place)
        assert (await stranger.get("/events/consumers")).json() == {"consumers": []}
    again = await api.store.create("telegram", (await api.store.list())[0].role)
    async with httpx.AsyncClient(base_url=api.url, headers={"Authorization": f"Bearer {again.text}"}) as rotated:
        assert (await rotated.get(PLACE)).status_code == 200, "a new key of the same person"
    assert (await api.call("operator", "GET", "/events/consumers")).json()["consumers"][0]["name"] == "telegram"
    assert (await put(api, "operator", revision=1, cursor=0)).json()["owner"] == "telegram"


async def test_who_may_keep_a_place(api: Api):
    for who in ("worker", "alice", "auditor", None):
        for method, place in (
            ("GET", "/events/consumers"),
            ("GET", PLACE),
            ("DELETE", PLACE),
            ("GET", f"{PLACE}/notes"),
        ):
            response = await api.call(who, method, place)
            assert response.json()["code"] == ("ROLE_MISSING" if who else "KEY_MISSING"), (who, place)
        if who is not None:
            response = await api.call(who, "GET", "/events?consumer=telegram")
            assert (response.status_code, response.json()["code"]) == (403, "ROLE_MISSING")


async def test_a_consumer_goes_with_its_notes(api: Api):
    await put(api, revision=0, cursor=0, notes={"a": {}})
    assert (await api.call("bot", "DELETE", PLACE)).status_code == 204
    assert (await api.call("bot", "DELETE", PLACE)).status_code == 404
    assert (await put(api, revision=0, cursor=0)).json()["notes"] == 0


async def test_a_person_has_so_many_consumers(api: Api):
    for n in range(MAX_CONSUMERS):
        assert (await put(api, place=f"/events/consumers/c{n}", revision=0, cursor=0)).status_code == 200
    refused = await put(api, revision=0, cursor=0)
    assert (refused.status_code, refused.json()["code"]) == (429, "LIMIT_EXCEEDED")
    assert (await put(api, "operator", revision=0, cursor=0)).status_code == 200


async def test_who_makes_many_consumers_at_once_gets_no_more_of_them(api: Api):
    for n in range(MAX_CONSUMERS - 1):
        await put(api, place=f"/events/consumers/c{n}", revision=0, cursor=0)
    answers = await asyncio.gather(
        *(put(api, place=f"/events/consumers/last{n}", revision=0, cursor=0) for n in range(12))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [429] * 11
    assert len((await api.call("bot", "GET", "/events/consumers")).json()["consumers"]) == MAX_CONSUMERS


async def test_a_consumer_has_so_many_notes(api: Api):
    await put(api, revision=0, cursor=0)
    fill = f"INSERT INTO event_note SELECT 'telegram', 'n' || n, '{{}}', now() FROM generate_series(1, {MAX_NOTES}) n"
    await api.sql(fill)
    refused = await put(api, revision=1, cursor=0, notes={"one-more": {}})
    assert (refused.status_code, refused.json()["code"]) == (429, "LIMIT_EXCEEDED")
    view = (await api.call("bot", "GET", PLACE)).json()
    assert (view["revision"], view["notes"]) == (1, MAX_NOTES), "nothing was changed"
    swapped = await put(api, revision=1, cursor=0, notes={"one-more": {}, "n1": None})
    assert swapped.json()["notes"] == MAX_NOTES


GOOD_VALUES: list[dict[str, Any]] = [
    {},
    {"a": None, "b": [1, 2.5, True, "x"], "c": {"d": {}}},
    {"x": "y" * 2040},
    {"emoji": "🛠" * 500},
    {"quote": '"\\\n\t\x7f\u2028'},
    {"big": 10**300},
]


@pytest.mark.parametrize("value", GOOD_VALUES, ids=range(len(GOOD_VALUES)))
async def test_a_note_comes_back_as_it_was(api: Api, value: dict[str, Any]):
    response = await put(api, revision=0, cursor=0, notes={"a": value})
    assert response.status_code == 200, response.text
    assert await notes(api) == ({"a": value}, None)


BAD_BODIES = {
    "too large": '{"revision":0,"cursor":0,"notes":{"a":{"x":"%s"}}}' % ("y" * 2041),
    "too large in bytes": '{"revision":0,"cursor":0,"notes":{"a":{"x":"%s"}}}' % ("🛠" * 511),
    "NUL": r'{"revision":0,"cursor":0,"notes":{"a":{"x":"\u0000"}}}',
    "NUL in a name": r'{"revision":0,"cursor":0,"notes":{"a":{"\u0000":1}}}',
    "half a pair": r'{"revision":0,"cursor":0,"notes":{"a":{"x":"\ud83d"}}}',
    "no number": '{"revision":0,"cursor":0,"notes":{"a":{"x":NaN}}}',
    "infinity": '{"revision":0,"cursor":0,"notes":{"a":{"x":Infinity}}}',
    "no object": '{"revision":0,"cursor":0,"notes":{"a":[1]}}',
    "deep": '{"revision":0,"cursor":0,"notes":{"a":%s}}' % ('{"a":' * 900 + "{}" + "}" * 900),
    "deeper": '{"revision":0,"cursor":0,"notes":{"a":%s}}' % ('{"a":' * 30000 + "{}" + "}" * 30000),
    "a key": '{"revision":0,"cursor":0,"notes":{"../a":{}}}',
    "a long key": '{"revision":0,"cursor":0,"notes":{"%s":{}}}' % ("a" * 101),
    "a line end in a key": r'{"revision":0,"cursor":0,"notes":{"a\n":{}}}',
    "too many": json.dumps({"revision": 0, "cursor": 0, "notes": {f"k{n}": {} for n in range(MAX_CHANGES + 1)}}),
    "negative": '{"revision":0,"cursor":-1}',
    "negative revision": '{"revision":-1,"cursor":0}',
    "huge": '{"revision":0,"cursor":%s}' % ("9" * 30),
    "more": '{"revision":0,"cursor":0,"owner":"mallory"}',
    "less": '{"cursor":0}',
    "text": '{"revision":0,"cursor":"0x"}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
async def test_what_does_not_fit_is_refused(api: Api, body: str):
    response = await api.call(
        "bot", "PUT", PLACE, content=body.encode("utf-8", "surrogatepass"), headers={"Content-Type": "application/json"}
    )
    assert response.json()["code"] == "REQUEST_INVALID", response.text
    assert response.status_code in (400, 422)
    assert await api.sql("SELECT 1 FROM event_consumer") == []


@pytest.mark.parametrize("name", ["A", "-a", "a" * 64, "a.b", "a%0A", "%00", "ä"])
async def test_what_is_no_name_is_refused(api: Api, name: str):
    response = await put(api, place=f"/events/consumers/{name}", revision=0, cursor=0)
    assert (response.status_code, response.json()["code"]) == (422, "REQUEST_INVALID")
