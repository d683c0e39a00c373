"""Rate limits: exact over processes, told in header fields, kind to reads while the database is down."""

# ruff: noqa: ARG002 - what stands in for the windows takes what they take

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.api.conftest import Api, serve_api
from tests.conftest import Cluster, Database
from wingman_api.identity import api_key
from wingman_api.limits import limiter as limiters
from wingman_api.limits.limiter import Limiter, QuotaExceeded
from wingman_api.limits.store import RateStore
from wingman_api.settings import load
from wingman_api.system.store import open_database
from wingman_core.errors import Code, Unavailable
from wingman_core.quota import Quota, Standing

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def store(database: Database) -> AsyncIterator[RateStore]:
    """The real windows."""
    async with open_database(database.dsn("wingman_api"), database.passwords["wingman_api"]) as pool:
        yield RateStore(pool)


class Time:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> datetime:
        return self.now


async def passed(limiter: Limiter, quota: Quota, subject: str, tries: int) -> int:
    """How many of so many requests at once pass."""

    async def one() -> int:
        try:
            await limiter.take(quota, subject, lenient=False)
        except QuotaExceeded:
            return 0
        return 1

    return sum(await asyncio.gather(*(one() for _ in range(tries))))


@pytest.mark.parametrize("requests", [1, 7, 10, 64, 600])
async def test_over_all_processes_exactly_the_quota_passes(store: RateStore, requests: int):
    quota = Quota.of("writes", f"{requests}/60")
    processes = [Limiter(store, now=Time()) for _ in range(3)]
    counts = await asyncio.gather(*(passed(each, quota, "k", requests + 5) for each in processes))
    assert sum(counts) == requests
    assert await asyncio.gather(*(passed(each, quota, "k", 5) for each in processes)) == [0, 0, 0]
    assert await passed(processes[0], quota, "another", requests + 5) == requests


async def test_the_database_is_asked_once_a_block_and_not_at_all_when_all_is_gone(store: RateStore):
    asked = Counter[str]()

    class Counting:
        async def draw(self, quota: Quota, subject: str, starts_at: datetime) -> tuple[int, int]:
            asked[subject] += 1
            return await store.draw(quota, subject, starts_at)

    limiter = Limiter(Counting(), now=Time())
    quota = Quota.of("writes", "1000/60")
    assert await passed(limiter, quota, "k", 2000) == 1000
    spent = asked["k"]
    assert spent <= 40
    assert await passed(limiter, quota, "k", 2000) == 0
    assert asked["k"] == spent


async def test_a_process_that_sits_on_a_block_leaves_the_rest_to_others(store: RateStore):
    quota = Quota.of("writes", "100/60")
    idle, busy = (Limiter(store, now=Time()) for _ in range(2))
    await idle.take(quota, "k", lenient=False)
    assert await passed(busy, quota, "k", 200) == 90
    assert await passed(idle, quota, "k", 200) == 9, "its block is still its own"


@pytest.mark.parametrize(
    ("later", "passes"),
    [
        (timedelta(seconds=54, microseconds=999_999), False),
        (timedelta(seconds=55), True),
        (timedelta(seconds=56), True),
    ],
)
async def test_at_the_edge_a_new_window_begins(store: RateStore, later: timedelta, passes: bool):
    time, quota = Time(), Quota.of("writes", "3/60")
    limiter = Limiter(store, now=time)
    assert await passed(limiter, quota, "k", 4) == 3
    time.now = AT + later
    assert await passed(limiter, quota, "k", 4) == (3 if passes else 0)
    assert await passed(Limiter(store, now=time), quota, "k", 4) == 0


async def test_a_clock_that_goes_back_finds_its_old_window_as_it_was(store: RateStore):
    time, quota = Time(), Quota.of("writes", "3/60")
    limiter = Limiter(store, now=time)
    assert await passed(limiter, quota, "k", 3) == 3
    time.now = AT + MINUTE
    assert await passed(limiter, quota, "k", 2) == 2
    time.now = AT
    assert await passed(limiter, quota, "k", 3) == 0


async def test_what_is_given_back_can_be_taken_again_in_its_own_window_alone(store: RateStore):
    time, quota = Time(), Quota.of("failures", "2/60")
    limiter = Limiter(store, now=time)
    standing = await limiter.take(quota, "a", lenient=False)
    assert (standing.remaining, standing.resets_in) == (1, 55)
    limiter.give_back("a", standing)
    assert await passed(limiter, quota, "a", 5) == 2
    time.now = AT + MINUTE
    limiter.give_back("a", standing)
    assert await passed(limiter, quota, "a", 5) == 2


async def test_what_is_left_and_when_there_is_more(store: RateStore):
    quota = Quota.of("writes", "20/60")
    limiter = Limiter(store, now=Time())
    left = [(await limiter.take(quota, "k", lenient=False)).remaining for _ in range(20)]
    assert left == list(range(19, -1, -1))
    with pytest.raises(QuotaExceeded) as refused:
        await limiter.take(quota, "k", lenient=True)
    assert refused.value.standing == Standing(quota, quota.window(AT), 0, 55)
    assert refused.value.code is Code.LIMIT_EXCEEDED
    assert refused.value.details == {"quota": "writes", "retry_after": "55"}


async def test_a_window_that_ends_while_the_database_thinks_says_to_come_at_once():
    time, quota = Time(), Quota.of("writes", "1/60")

    class Slow:
        async def draw(self, quota: Quota, subject: str, starts_at: datetime) -> tuple[int, int]:
            time.now = AT + MINUTE
            return 0, quota.requests

    with pytest.raises(QuotaExceeded) as refused:
        await Limiter(Slow(), now=time).take(quota, "k", lenient=False)
    assert refused.value.standing.resets_in == 1


class Down:
    """A database that does not answer, until it does."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers: asyncio.Event | None = None
        self.back: tuple[int, int] | None = None

    async def draw(self, quota: Quota, subject: str, starts_at: datetime) -> tuple[int, int]:
        self.asked += 1
        if self.answers is not None:
            await self.answers.wait()
        if self.back is not None:
            return self.back
        raise Unavailable(Code.DATABASE_UNAVAILABLE, "down")


async def test_without_the_database_reads_pass_up_to_the_quota_and_writes_do_not():
    down = Down()
    limiter, quota = Limiter(down, now=Time()), Quota.of("reads", "25/60")
    with pytest.raises(Unavailable):
        await limiter.take(quota, "k", lenient=False)
    for number in range(25):
        assert (await limiter.take(quota, "k", lenient=True)).remaining == 24 - number
    with pytest.raises(QuotaExceeded):
        await limiter.take(quota, "k", lenient=True)
    down.back = (2, 4)
    assert (await limiter.take(quota, "other", lenient=True)).remaining == 1 + 21


async def test_who_waits_for_the_same_block_shares_the_failure():
    down = Down()
    down.answers = asyncio.Event()
    limiter, quota = Limiter(down, now=Time()), Quota.of("writes", "100/60")
    waiting = [asyncio.create_task(limiter.take(quota, "k", lenient=lenient)) for lenient in (True, False, True, True)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    down.answers.set()
    first, second, third, fourth = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert isinstance(second, Unavailable)
    assert isinstance(third, Standing)
    assert isinstance(fourth, Standing)
    assert (third.remaining, fourth.remaining) == (99, 98)
    assert down.asked == 1


async def test_a_database_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limiters, "DRAW_SECONDS", 0.01)
    down = Down()
    down.answers = asyncio.Event()
    with pytest.raises(Unavailable):
        await Limiter(down, now=Time()).take(Quota.of("writes", "100/60"), "k", lenient=False)


async def test_what_a_process_holds_is_bounded_and_forgetting_gives_nothing_away(
    store: RateStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limiters, "MOST_SUBJECTS", 3)
    limiter, quota = Limiter(store, now=Time()), Quota.of("anonymous", "10/60")
    assert await passed(limiter, quota, "k", 5) == 5
    for number in range(7):
        await limiter.take(quota, str(number), lenient=False)
        assert len(limiter._leases) <= 3
    assert await passed(limiter, quota, "k", 20) <= 5


async def test_old_windows_are_swept(api: Api, store: RateStore):
    quota = Quota.of("writes", "10/3600")
    at = (api.clock.now() + timedelta(days=1)).replace(hour=3, minute=4)  # the API sweeps, too, a day behind
    for hours in (0, 1, 2, 3):
        await store.draw(quota, "k", quota.window(at + timedelta(hours=hours)))
    await store.sweep(at + timedelta(hours=3))
    rows = await api.sql("SELECT starts_at FROM rate_window WHERE subject = 'k' ORDER BY starts_at")
    assert [row["starts_at"].hour for row in rows] == [5, 6]


# Over HTTP.


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    """Little of everything, in windows that no test outlives."""
    return environ | {
        "WINGMAN_RATE_LIMIT_READS": "20/3600",
        "WINGMAN_RATE_LIMIT_WRITES": "10/3600",
        "WINGMAN_RATE_LIMIT_ANONYMOUS": "12/3600",
        "WINGMAN_RATE_LIMIT_FAILURES": "5/3600",
    }


@pytest.fixture(autouse=True)
def _early(clock: Any) -> None:  # noqa: ANN401
    """Begin at the beginning of an hour."""
    now = datetime.now(UTC)
    clock.ahead = (now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)) - now


async def test_two_apis_with_many_clients_let_exactly_the_quota_pass(api: Api, another: Api):
    await api.key("alice")
    answers = await asyncio.gather(
        *(each.call("alice", "GET", "/approvals/pending") for _ in range(20) for each in (api, another))
    )
    assert Counter(answer.status_code for answer in answers) == {200: 20, 429: 20}
    assert (await api.call("bob", "GET", "/approvals/pending")).status_code == 200, "another key has its own"


async def test_a_refusal_says_how_long_to_wait(api: Api):
    body = {"worker_id": "agent-7", "task_name": "t", "instruction": "i", "commands": []}
    for left in range(9, -1, -1):
        answer = await api.call("worker", "POST", "/approvals/request", json=body)
        assert answer.status_code == 200
        assert answer.headers["ratelimit-policy"] == '"writes";q=10;w=3600'
        name, remaining, resets_in = answer.headers["ratelimit"].split(";")
        assert (name, remaining) == ('"writes"', f"r={left}")
        assert 3500 < int(resets_in.removeprefix("t=")) <= 3600
    refused = await api.call("worker", "POST", "/approvals/request", json=body)
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["details"]["quota"]) == (429, "LIMIT_EXCEEDED", "writes")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == problem["details"]["retry_after"]
    assert refused.headers["ratelimit"] == f'"writes";r=0;t={refused.headers["retry-after"]}'
    assert (await api.call("worker", "GET", "/approvals")).status_code == 200, "reads are counted apart"


async def test_every_answer_behind_a_key_says_what_is_left(api: Api):
    for who, method, path, status, quota in (
        ("alice", "GET", "/whoami", 200, "reads"),
        ("alice", "GET", "/approvals/nonsense", 422, "reads"),
        ("alice", "GET", f"/approvals/apr_{'a' * 26}", 404, "reads"),
        ("alice", "POST", f"/approvals/apr_{'a' * 26}/approve", 404, "writes"),
        ("alice", "POST", "/executions", 403, "writes"),
        (None, "GET", "/whoami", 200, "anonymous"),
        (None, "POST", "/executions", 401, "anonymous"),
    ):
        answer = await api.call(who, method, path, json={"approval_id": f"apr_{'a' * 26}"} if "exec" in path else None)
        assert answer.status_code == status, answer.text
        assert answer.headers["ratelimit-policy"].startswith(f'"{quota}";')


async def test_callers_without_a_key_share_what_their_address_has(api: Api, another: Api):
    answers = [await each.call(None, "GET", "/whoami") for _ in range(8) for each in (api, another)]
    assert Counter(answer.status_code for answer in answers) == {200: 12, 429: 4}
    assert (await api.call("alice", "GET", "/whoami")).status_code == 200


NO_BODIES = (b"{", b"\xff\xfe{", b"[" * 100_000, b"")
"""What FastAPI does not get past, each in another way."""


async def post(url: str, body: bytes, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        return await client.post("/check", content=body, headers={"Content-Type": "application/json", **headers})


async def test_where_a_key_is_needed_a_body_that_is_none_gets_nobody_in_and_is_counted(
    api: Api, environ: dict[str, str]
):
    environ["WINGMAN_ANONYMOUS_ROLE"] = ""
    async with serve_api(load(environ), api.clock, []) as (url, _):
        for sent in range(12):
            answer = await post(url, NO_BODIES[sent % len(NO_BODIES)])
            assert (answer.status_code, answer.json()["code"]) == (401, "KEY_MISSING")
            assert answer.headers["ratelimit"].startswith(f'"anonymous";r={11 - sent};')
        refused = await post(url, b"{")
        assert (refused.status_code, refused.json()["details"]["quota"]) == (429, "anonymous")
        assert int(refused.headers["retry-after"]) > 3000
        assert (await api.call("alice", "GET", "/whoami")).status_code == 200


async def test_a_body_that_is_none_counts_for_its_key_once(api: Api):
    key = {"Authorization": f"Bearer {await api.key('alice')}"}
    for sent in range(10):
        answer = await post(api.url, NO_BODIES[sent % len(NO_BODIES)], **key)
        assert (answer.status_code, answer.json()["code"]) == (422, "REQUEST_INVALID")
        assert answer.headers["ratelimit"].startswith(f'"writes";r={9 - sent};')
    assert (await post(api.url, b"{", **key)).status_code == 429
    for body in NO_BODIES:
        assert (await post(api.url, body, Authorization="Bearer wm_x")).json()["code"] == "KEY_INVALID"


async def test_what_asks_for_no_key_is_never_limited(api: Api):
    while (await api.call(None, "GET", "/whoami")).status_code == 200:
        pass
    for path in ("/", "/health", "/livez", "/readyz", "/openapi.json"):
        answer = await api.call(None, "GET", path)
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers


async def guess(api: Api, key: str) -> httpx.Response:
    return await api.call(None, "GET", "/whoami", headers={"Authorization": f"Bearer {key}"})


def wrong(number: int) -> str:
    """A key of the right form that nobody has."""
    return api_key.generate(lambda count: number.to_bytes(count, "big")).text


async def test_who_guesses_keys_is_stopped_on_every_api_and_hashes_no_more(api: Api, another: Api):
    answers = await asyncio.gather(
        *(guess(each, wrong(number)) for number in range(20) for each in (api, another)),
    )
    assert Counter(answer.status_code for answer in answers) == {401: 5, 429: 35}
    stopped = answers[-1] if answers[-1].status_code == 429 else await guess(api, wrong(1))
    assert stopped.json()["details"]["quota"] == "failures"
    assert int(stopped.headers["retry-after"]) > 3000
    for header in ("Basic YTpi", "Bearer", "Bearer wm_x"):
        answer = await api.call(None, "GET", "/whoami", headers={"Authorization": header})
        assert answer.status_code == 429


async def test_guessing_keeps_nobody_out_who_is_in(api: Api):
    await api.key("bob")
    assert (await api.call("alice", "GET", "/whoami")).status_code == 200
    for number in range(6):
        await guess(api, wrong(number))
    assert (await api.call("alice", "GET", "/whoami")).status_code == 200
    assert (await api.call("bob", "GET", "/whoami")).status_code == 429, "a key that nobody has seen yet must wait"


async def test_right_keys_use_up_no_attempts(api: Api):
    for who in ("worker", "other-worker", "alice", "bob", "auditor", "operator", "bot"):
        assert (await api.call(who, "GET", "/whoami")).status_code == 200


async def test_using_an_ended_key_counts_as_guessing(api: Api):
    await api.call("alice", "GET", "/whoami")
    await api.store.revoke((await api.key("alice")).split("_")[1])
    statuses = set()
    while 429 not in statuses:
        statuses.add((await api.call("alice", "GET", "/whoami")).status_code)
        assert statuses <= {200, 401, 429}


async def test_without_the_database_every_answer_is_foreseen(api: Api, environ: dict[str, str], postgres: Cluster):
    """Whatever the limits cannot count then, ``/livez`` answers, and the rest says what is down."""
    assert (await api.call("alice", "GET", "/whoami")).status_code == 200
    admin = await postgres.server.connection("postgres", "postgres").connect()
    try:
        await admin.execute("ALTER ROLE wingman_api NOLOGIN")
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", api.database.name
        )
        for who, method, path, status in (
            (None, "GET", "/livez", 200),
            (None, "GET", "/", 200),
            (None, "GET", "/readyz", 503),
            (None, "GET", "/whoami", 200),
            (None, "GET", "/approvals", 503),
            (None, "POST", "/approvals/request", 503),
            ("alice", "POST", f"/approvals/apr_{'a' * 26}/approve", 503),
            (None, "GET", "/health", 503),
        ):
            answer = await api.call(who, method, path)
            assert answer.status_code == status, (who, path, answer.text)
            assert answer.json().get("code", "DATABASE_UNAVAILABLE") == "DATABASE_UNAVAILABLE"
        answers = [await api.call(None, "GET", "/whoami") for _ in range(12)]
        assert Counter(answer.status_code for answer in answers) == {200: 10, 429: 2}, "alone, up to the quota"
    finally:
        await admin.execute("ALTER ROLE wingman_api LOGIN")
        await admin.close()
    assert (await api.call("alice", "GET", "/approvals")).status_code == 200
