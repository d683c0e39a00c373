"""Following the feed: where it begins, what each caller sees, how long it lasts, and what ends it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import structlog

from tests.api.conftest import Api, eventually, serve_api
from tests.api.following import following
from wingman_api.events.event import ApprovalExpired, Event, HealthChanged
from wingman_api.events.feed import BATCH, STALE, WINDOW, Feed, Wanted
from wingman_api.events.outbox import emit_all
from wingman_api.events.store import CHANNEL, EventStore
from wingman_api.events.streams import MAX_STREAMS, Place, Streams
from wingman_api.executions.signals import Signals
from wingman_api.settings import load
from wingman_api.system.store import Database, open_database
from wingman_core.errors import Code, LimitExceeded, Unavailable, WingmanError

LOG = structlog.wrap_logger(
    None, processors=[lambda _logger, _name, _event: (_ for _ in ()).throw(structlog.DropEvent)]
)
HEALTH = HealthChanged(at=datetime.now(UTC), status="degraded", was="healthy", components={"gateway": "degraded"})


def expired(name: str, worker: str = "agent-7") -> ApprovalExpired:
    return ApprovalExpired(at=datetime.now(UTC), request_id=name, worker_id=worker)


@pytest.fixture
async def database_pool(environ: dict[str, str]) -> AsyncIterator[Database]:
    """A pool of the API's role."""
    async with open_database(environ["WINGMAN_DATABASE_URL"], environ["DB_PASSWORD"]) as opened:
        yield opened


async def tell(pool: Database, *events: Event) -> None:
    async with pool.transaction() as connection:
        await emit_all(connection, events)


async def test_a_stream_begins_with_its_place_and_tells_what_happens_from_now_on(api: Api):
    await api.asked()
    async with following(api.url, await api.key("auditor")) as stream:
        assert (stream.status, (stream.headers or {})["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert (stream.headers or {})["cache-control"] == "no-store"
        items = stream.items()
        mark = await anext(items)
        assert (mark.type, mark.id, mark.data) == ("feed.mark", 1, {"type": "feed.mark"})
        request_id = (await api.asked(task_name="second"))["request"]["id"]
        item = await anext(items)
        assert (item.type, item.id, item.data["request_id"]) == ("approval.requested", 2, request_id)
        assert item.data["type"] == "approval.requested"


async def test_everything_from_the_first_event_and_the_end_where_nobody_waits(api: Api, database_pool: Database):
    await tell(database_pool, *(expired(str(n)) for n in range(300)))
    async with following(api.url, await api.key("alice"), "?follow=false", after=0) as stream:
        seen = await stream.rest()
    assert [item.type for item in seen[:2]] == ["feed.mark", "approval.expired"]
    assert [item.id for item in seen] == list(range(301))


async def test_memory_holds_a_window_and_the_database_the_rest(api: Api, database_pool: Database):
    count = WINDOW + 3 * BATCH
    await tell(database_pool, *(expired(str(n)) for n in range(count)))
    feed: Feed = api.app.state.feed

    async def taken() -> bool | None:
        return feed._head == count or None

    await eventually(taken)
    assert len(feed._window) == WINDOW
    for after in (0, 3 * BATCH - 1, 3 * BATCH, count - 1, count):
        async with following(api.url, await api.key("auditor"), "?follow=false", after=after) as stream:
            assert [item.id for item in (await stream.rest())[1:]] == list(range(after + 1, count + 1))
    assert len(feed._joined) <= 32


@pytest.mark.parametrize("after", ["x", "-1", "1.5", str(2**53 + 1), "9" * 40])
async def test_what_is_no_position_is_refused(api: Api, after: str):
    async with following(api.url, await api.key("auditor"), after=after) as stream:
        assert (stream.status, (await stream.problem())["code"]) == (422, "REQUEST_INVALID")


async def test_a_position_from_the_future_is_refused_with_the_newest(api: Api):
    await api.asked()
    async with following(api.url, await api.key("auditor"), after=2) as stream:
        problem = await stream.problem()
    assert (stream.status, problem["code"], problem["details"]) == (410, "EVENTS_LOST", {"oldest": "1", "newest": "1"})


async def test_a_position_before_what_is_kept_is_refused_with_the_oldest(api: Api, database_pool: Database):
    await tell(database_pool, *(expired(name) for name in "abcd"))
    store = EventStore(database_pool)
    await store.number()
    assert await store.forget(datetime.now(UTC) + timedelta(hours=1), 2) == 2
    async with following(api.url, await api.key("auditor"), after=1) as stream:
        problem = await stream.problem()
    assert (stream.status, problem["code"], problem["details"]) == (410, "EVENTS_LOST", {"oldest": "3", "newest": "4"})
    assert "from 2 to 2" in problem["detail"]
    async with following(api.url, await api.key("auditor"), "?follow=false", after=2) as stream:
        assert [item.data.get("request_id") for item in await stream.rest()] == [None, "c", "d"]


async def test_only_the_types_that_are_asked_for(api: Api, database_pool: Database):
    await tell(database_pool, expired("a"), HEALTH, expired("b"))
    for query, types in (
        ("?types=health.changed", ["health.changed"]),
        ("?types=health.changed&types=approval.expired", ["approval.expired", "health.changed", "approval.expired"]),
        ("?types=audit.checkpoint", []),
    ):
        async with following(api.url, await api.key("auditor"), f"{query}&follow=false", after=0) as stream:
            assert [item.type for item in await stream.rest()] == ["feed.mark", *types]
    async with following(api.url, await api.key("auditor"), "?types=feed.mark") as stream:
        assert (stream.status, (await stream.problem())["code"]) == (422, "REQUEST_INVALID")


async def test_a_workers_key_sees_its_own_events_alone(api: Api, database_pool: Database):
    await tell(database_pool, expired("a"), HEALTH, expired("b", "agent-8"), expired("c", "agent-70"))
    for who, seen in (
        ("worker", ["a"]),
        ("other-worker", ["b"]),
        ("auditor", ["a", None, "b", "c"]),
        ("alice", ["a", None, "b", "c"]),
        ("operator", ["a", None, "b", "c"]),
        ("bot", ["a", None, "b", "c"]),
    ):
        async with following(api.url, await api.key(who), "?follow=false", after=0) as stream:
            assert [item.data.get("request_id") for item in (await stream.rest())[1:]] == seen, who


async def test_without_a_key_nobody_follows(api: Api):
    async with following(api.url, None) as stream:
        assert (stream.status, (await stream.problem())["code"]) == (401, "KEY_MISSING")


async def test_a_key_has_so_many_streams_and_gets_its_places_back(api: Api, environ: dict[str, str]):
    environ["WINGMAN_EVENT_STREAMS"] = "2"
    key = await api.key("auditor")
    async with serve_api(load(environ), api.clock, []) as (url, app), AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(following(url, key)) for _ in range(3)]
        assert [stream.status for stream in streams] == [200, 200, 429]
        problem = await streams[2].problem()
        assert (problem["code"], problem["detail"]) == ("LIMIT_EXCEEDED", "the key has 2 streams open")
        async with following(url, await api.key("alice")) as another:
            assert another.status == 200
        await stack.aclose()

        async def free() -> bool | None:
            return not app.state.streams._open or None

        await eventually(free)
        async with following(url, key) as again:
            assert again.status == 200
        async with following(url, key, after=7) as refused:
            assert refused.status == 410
        await eventually(free)


async def test_a_process_has_so_many_streams(api: Api):
    streams: Streams = api.app.state.streams
    with ExitStack() as stack:
        for n in range(MAX_STREAMS):
            stack.enter_context(streams.place(str(n)))
        for another in (streams.place("one more"), streams.place_without_key("192.0.2.1")):
            with pytest.raises(LimitExceeded, match=f"this process has {MAX_STREAMS} streams open"), another:
                pass
    assert streams._open == streams._without_key == {}


async def test_streams_end_when_the_process_closes(api: Api):
    async with following(api.url, await api.key("auditor")) as stream:
        api.app.state.closing.set()
        assert [item.type for item in await stream.rest()] == ["feed.mark"]


async def test_streams_of_a_revoked_key_end_and_those_of_others_go_on(api: Api, database_pool: Database):
    streams: Streams = api.app.state.streams
    async with (
        following(api.url, await api.key("alice")) as first,
        following(api.url, await api.key("alice")) as second,
        following(api.url, await api.key("bob")) as other,
    ):
        await streams.check()
        await api.store.revoke((await api.key("alice")).split("_")[1])
        await streams.check()
        for stream in (first, second):
            assert [item.type for item in await stream.rest()] == ["feed.mark"]
        await tell(database_pool, HEALTH)
        assert len(await other.some(1)) == 1


async def test_a_place_that_is_forgotten_while_somebody_lags_ends_the_stream(api: Api, database_pool: Database):
    await tell(database_pool, *(expired(name) for name in "abcd"))
    feed: Feed = api.app.state.feed
    await feed.look()
    feed._window.clear()  # as if they had left memory
    await EventStore(database_pool).forget(datetime.now(UTC) + timedelta(hours=1), 3)
    with pytest.raises(WingmanError) as lost:
        await feed.after(1, Wanted())
    assert (lost.value.code, lost.value.details["oldest"]) == (Code.EVENTS_LOST, "4")
    await EventStore(database_pool).forget(datetime.now(UTC) + timedelta(hours=1), 3)
    with pytest.raises(WingmanError) as lost:
        await feed.after(1, Wanted())
    assert (lost.value.code, lost.value.details["oldest"]) == (Code.EVENTS_LOST, "5")
    items = [item async for item in api.app.state.streams.follow(Place(()), 1, Wanted())]
    assert len(items) == 1, "the mark, and then the end"


async def test_a_database_that_was_set_back_ends_streams_and_the_feed_goes_on(api: Api, database_pool: Database):
    await tell(database_pool, *(expired(name) for name in "abc"))
    async with following(api.url, await api.key("auditor"), after=0) as stream:
        await stream.some(3)
        await api.sql("DELETE FROM event WHERE position > 1", role="postgres")
        await api.sql("UPDATE event_head SET last = 1", role="postgres")
        assert await stream.rest() == []
    async with following(api.url, await api.key("auditor"), after=3) as stream:
        assert stream.status == 410
    async with following(api.url, await api.key("auditor"), after=1) as stream:
        await tell(database_pool, expired("d"))
        assert [(item.id, item.data["request_id"]) for item in await stream.some(1)] == [(2, "d")]


async def test_events_that_are_gone_before_the_pump_read_them_are_passed_over(api: Api, database_pool: Database):
    store = EventStore(database_pool)
    feed = Feed(store, Signals(database_pool, CHANNEL), clock=lambda: 0.0, log=LOG)
    await tell(database_pool, expired("a"))
    await feed.look()
    await tell(database_pool, *(expired(name) for name in "bcd"))
    await store.number()
    await store.forget(datetime.now(UTC) + timedelta(hours=1), 2)
    await feed.look()
    assert (feed._head, feed._window, feed.epoch) == (4, [], 0)


async def test_a_backlog_is_numbered_whole(api: Api, database_pool: Database):
    connection = await asyncpg.connect(api.database.url("postgres"))
    await connection.execute(
        "INSERT INTO event (type, at, payload) SELECT 'health.changed', now(), '{}' FROM generate_series(1, 2500)"
    )
    await connection.close()
    feed = Feed(EventStore(database_pool), Signals(database_pool, CHANNEL), clock=lambda: 0.0, log=LOG)
    await feed.look()
    assert (await feed.bounds()).newest == feed._head == 2500


async def test_a_slow_reader_is_cut_off_and_harms_nobody(api: Api, environ: dict[str, str], database_pool: Database):
    environ["WINGMAN_STALL"] = "1"
    key, big = await api.key("auditor"), "x" * 3500
    async with (
        serve_api(load(environ), api.clock, []) as (url, app),
        following(url, key) as quick,
        following(url, key, buffer=4096) as slow,
    ):
        quick_reads = asyncio.create_task(quick.some(3000, 60))
        for _ in range(30):
            await tell(database_pool, *(expired(big) for _ in range(100)))

        async def cut() -> bool | None:
            return len(next(iter(app.state.streams._open.values()))) == 1 or None

        await eventually(cut, 30)
        assert [item.id for item in await quick_reads] == list(range(1, 3001))
        got = [item.id for item in await slow.rest() if item.type != "feed.mark"]
        assert got == list(range(1, len(got) + 1))
        assert len(got) < 3000
        async with following(url, key, "?follow=false", after=len(got)) as resumed:
            assert [item.id for item in (await resumed.rest())[1:]] == list(range(len(got) + 1, 3001))


async def anybody(_key_id: str) -> None:
    """Let everybody in."""


async def nobody_knows(_key_id: str) -> None:
    """Say what an authenticator without its database says."""
    raise Unavailable(Code.DATABASE_UNAVAILABLE, "down")


async def test_silence_is_filled_with_heartbeats_and_a_place_that_moved(api: Api, database_pool: Database):
    feed = Feed(
        EventStore(database_pool), Signals(database_pool, CHANNEL), clock=asyncio.get_running_loop().time, log=LOG
    )
    streams = Streams(feed, per_key=1, require=anybody, clock=asyncio.get_running_loop().time, log=LOG, beat=0.02)
    await feed.look()
    stream = streams.follow(Place(()), 0, Wanted(frozenset({"claim.false"})))
    assert (await anext(stream)).endswith(b'event: feed.mark\nid: 0\ndata: {"type":"feed.mark"}\n\n')
    assert [await anext(stream) for _ in range(2)] == [b": heartbeat\n\n"] * 2
    await tell(database_pool, HEALTH)
    await feed.look()
    assert await anext(stream) == b'event: feed.mark\nid: 1\ndata: {"type":"feed.mark"}\n\n'
    assert await anext(stream) == b": heartbeat\n\n"


async def test_a_key_that_cannot_be_checked_now_keeps_its_streams(api: Api, database_pool: Database):
    feed = Feed(EventStore(database_pool), Signals(database_pool, CHANNEL), clock=lambda: 0.0, log=LOG)
    streams = Streams(feed, per_key=1, require=nobody_knows, clock=lambda: 0.0, log=LOG)
    with streams.place("a") as place:
        await streams.check()
        assert not place.revoked


async def test_the_feed_is_live_while_its_pump_looks(api: Api, database_pool: Database):
    clock = [0.0]
    feed = Feed(EventStore(database_pool), Signals(database_pool, CHANNEL), clock=lambda: clock[0], log=LOG)
    assert feed.status() == "healthy"
    clock[0] = STALE
    assert feed.status() == "unhealthy"
    await feed.look()
    assert feed.status() == "healthy"


async def test_without_a_database_a_stream_ends_and_the_next_is_refused(api: Api, environ: dict[str, str]):
    environ["WINGMAN_DATABASE_URL"] = "postgresql://wingman_api@/nothing?host=/nonexistent"
    async with open_database(environ["WINGMAN_DATABASE_URL"], "x") as nothing:
        feed = Feed(EventStore(nothing), Signals(nothing, CHANNEL), clock=lambda: 0.0, log=LOG)
        streams = Streams(feed, per_key=1, require=anybody, clock=lambda: 0.0, log=LOG)
        items = [item async for item in streams.follow(Place(()), 0, Wanted())]
        assert len(items) == 1
    async with serve_api(load(environ), api.clock, []) as (url, _), following(url, await api.key("auditor")) as stream:
        assert (stream.status, (await stream.problem())["code"]) == (503, "DATABASE_UNAVAILABLE")
