"""What the bot makes of the API's answers, and when it asks again."""

from collections.abc import Callable

import httpx
import pytest

from tests.bot.requests import ID, request
from wingman_bot.api_client import ApiClient
from wingman_core.errors import Code, Unavailable, WingmanError

Answer = httpx.Response | Exception


def client(answers: list[Answer], seen: list[httpx.Request], patience: float = 5) -> ApiClient:
    """A client of an API that says these things, one after the other."""

    def answer(asked: httpx.Request) -> httpx.Response:
        seen.append(asked)
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    http = httpx.AsyncClient(base_url="http://api", transport=httpx.MockTransport(answer))
    return ApiClient(http, patience=patience)


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    body = {"code": code, "detail": "what happened", "hint": "the way out", "details": {"status": "X", "code": "no"}}
    return httpx.Response(status, json=body, headers=headers)


def good() -> httpx.Response:
    return httpx.Response(200, text=request().model_dump_json())


AGAIN: dict[str, Callable[[], Answer]] = {
    "no answer": lambda: httpx.ConnectError("refused"),
    "cut": lambda: httpx.ReadError("reset"),
    "503": lambda: problem(503, "DATABASE_UNAVAILABLE"),
    "429": lambda: problem(429, "LIMIT_EXCEEDED", **{"Retry-After": "0"}),
    "a proxy's page": lambda: httpx.Response(502, text="<html>"),
    "the same is under way": lambda: problem(409, "IDEMPOTENCY_RUNNING", **{"Retry-After": "x"}),
}


@pytest.mark.parametrize("name", AGAIN)
async def test_what_may_be_repeated_is_with_the_same_key(name: str):
    seen: list[httpx.Request] = []
    api = client([AGAIN[name](), good()], seen)
    decided = await api.decide(ID, "approve", person="alice", note="", once="tap-1")
    await api.close()
    assert decided.id == ID
    assert [each.headers["Idempotency-Key"] for each in seen] == ["tap-1", "tap-1"]
    assert len({each.content for each in seen}) == 1


async def test_patience_has_an_end():
    seen: list[httpx.Request] = []
    api = client([problem(503, "DATABASE_UNAVAILABLE", **{"Retry-After": "30"})], seen)
    with pytest.raises(Unavailable) as caught:
        await api.request(ID)
    assert (caught.value.code, caught.value.hint, len(seen)) == (Code.DATABASE_UNAVAILABLE, "the way out", 1)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (problem(409, "APPROVAL_DECIDED"), Code.APPROVAL_DECIDED),
        (problem(409, "SOMETHING_NEW"), Code.INTERNAL),
        (httpx.Response(404, text="not here"), Code.INTERNAL),
        (httpx.Response(200, text='{"id": 1}'), Code.INTERNAL),
        (httpx.Response(200, text="<html>"), Code.INTERNAL),
    ],
)
async def test_what_the_api_says_is_said_once(answer: httpx.Response, code: Code):
    seen: list[httpx.Request] = []
    with pytest.raises(WingmanError) as caught:
        await client([answer], seen).request(ID)
    assert (caught.value.code, len(seen)) == (code, 1)
    assert not isinstance(caught.value, Unavailable)


async def test_health_is_told_also_where_it_is_not_well():
    answer = httpx.Response(503, json={"status": "unhealthy", "components": {"database": "unhealthy"}})
    assert (await client([answer], []).health()).status == "unhealthy"


async def test_a_change_of_the_consumer_is_never_repeated_here():
    seen: list[httpx.Request] = []
    with pytest.raises(Unavailable):
        await client([httpx.ReadError("reset")], seen).put_consumer("telegram", 1, 1, {})
    assert len(seen) == 1


async def test_the_feed():
    text = 'retry: 1\n\nevent: feed.mark\nid: 3\ndata: {}\n\n: beat\n\nevent: x\nid: 4\ndata: {"type":"x"}\n\nid: 5\n'
    items = [item async for item in client([httpx.Response(200, text=text)], []).events(2)]
    assert [(item.name, item.id) for item in items if item] == [("feed.mark", "3"), ("x", "4")]
    assert None in items, "a beat is a sign of life"
    with pytest.raises(WingmanError) as caught:
        [item async for item in client([problem(410, "EVENTS_LOST")], []).events(2)]
    assert caught.value.code is Code.EVENTS_LOST
    with pytest.raises(Unavailable):
        [item async for item in client([httpx.ReadTimeout("silence")], []).events(None)]
