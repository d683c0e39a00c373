"""The order of events: nothing is missed, doubled or moved, whatever commits late, races, dies or is cut off."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from tests.api.conftest import Api, eventually, serve_api
from tests.api.following import Item, following
from wingman_api.events.event import ApprovalExpired
from wingman_api.events.feed import BELL
from wingman_api.events.outbox import emit
from wingman_api.events.store import EventStore
from wingman_api.settings import load
from wingman_api.system.store import Database, open_database

RUNS = int(os.environ.get("WINGMAN_EVENT_RUNS", "100"))
WRITERS = 16
EACH = 10


class Undone(Exception):
    """What makes a writer roll back."""


def expired(name: str) -> ApprovalExpired:
    """An event that a test can tell from others."""
    return ApprovalExpired(at=datetime.now(UTC), request_id=name, worker_id="agent-7")


@asynccontextmanager
async def opened(environ: dict[str, str]) -> AsyncIterator[Database]:
    async with open_database(environ["WINGMAN_DATABASE_URL"], environ["DB_PASSWORD"]) as database:
        yield database


@pytest.fixture
async def outbox(environ: dict[str, str]) -> AsyncIterator[Database]:
    """A pool of the API's role that wakes nobody: other processes have to notice by themselves."""
    async with opened(environ) as database:
        yield database


async def tell(outbox: Database, *names: str) -> None:
    for name in names:
        async with outbox.transaction() as connection:
            await emit(connection, expired(name))


def names(items: list[Item]) -> list[str]:
    return [item.data["request_id"] for item in items]


@dataclass
class Reader:
    """Reads until it has seen so many, going away and coming back at either instance in between."""

    urls: list[str]
    key: str
    after: int
    chance: random.Random
    seen: list[Item] = field(default_factory=list)

    async def read(self, count: int) -> None:
        while len(self.seen) < count:
            async with following(self.chance.choice(self.urls), self.key, after=self.after) as stream:
                patience = self.chance.randint(1, count)
                async for item in stream.items():
                    if item.type != "feed.mark":
                        self.seen.append(item)
                        self.after = item.id
                        patience -= 1
                    if patience == 0 or len(self.seen) == count:
                        break


async def tell_and_undo(outbox: Database, name: str) -> None:
    """Tell an event in a transaction that is rolled back."""
    async with outbox.transaction() as connection:
        await emit(connection, expired(name))
        raise Undone


async def write(outbox: Database, name: str, chance: random.Random) -> list[str]:
    """Tell some events, each in a transaction that commits late or not at all; return those that were."""
    told = []
    for number in range(EACH):
        word = f"{name}.{number}"
        if chance.random() < 0.1:
            with pytest.raises(Undone):
                await tell_and_undo(outbox, word)
            continue
        async with outbox.transaction() as connection:
            await emit(connection, expired(word))
            await asyncio.sleep(chance.choice((0, 0, 0.001, 0.005, 0.02)))
        told.append(word)
    return told


@pytest.mark.timeout(600)
async def test_every_reader_gets_every_event_once_and_in_order(api: Api, environ: dict[str, str]):
    """16 writers with random commit delays, readers that leave and resume, two instances, many runs."""
    key = await api.key("auditor")
    async with AsyncExitStack() as stack:
        other, _ = await stack.enter_async_context(serve_api(load(environ), api.clock, []))
        outboxes = [await stack.enter_async_context(opened(environ)) for _ in range(2)]
        store = EventStore(outboxes[0])
        # One of the two rings its feed, as a process's own transactions do; the other's have to be noticed.
        outboxes[0].after_commit(lambda: api.app.state.feed._signals.ring(BELL))
        for run in range(RUNS):
            chance = random.Random(run)
            start = (await store.bounds()).newest
            writing = [
                asyncio.create_task(write(outboxes[n % 2], f"{run}.{n}", random.Random(run * 1000 + n)))
                for n in range(WRITERS)
            ]
            readers = [Reader([api.url, other], key, start, random.Random(chance.random())) for _ in range(3)]
            told = await asyncio.gather(*writing)
            count = sum(map(len, told))
            async with asyncio.timeout(30):
                await asyncio.gather(*(reader.read(count) for reader in readers))
            for reader in readers:
                assert [item.id for item in reader.seen] == list(range(start + 1, start + count + 1)), run
                assert sorted(names(reader.seen)) == sorted(word for words in told for word in words), run
                assert reader.seen == readers[0].seen
                for words in told:  # what one writer told in turn stays in turn
                    assert [word for word in names(reader.seen) if word in set(words)] == words, run


async def test_a_late_commit_gets_a_later_position_than_what_was_read_before(api: Api, outbox: Database):
    async with following(api.url, await api.key("auditor")) as stream:
        async with outbox.transaction() as late:
            await emit(late, expired("late"))
            await tell(outbox, "early")
            assert names(first := await stream.some(1)) == ["early"]
        assert names(second := await stream.some(1)) == ["late"]
        assert (first[0].id, second[0].id) == (1, 2)
    async with following(api.url, await api.key("auditor"), after=1) as stream:
        assert names(await stream.some(1)) == ["late"]


async def test_what_is_rolled_back_is_told_to_nobody_and_leaves_no_gap(api: Api, outbox: Database):
    async with following(api.url, await api.key("auditor")) as stream:
        await tell(outbox, "a")
        with pytest.raises(Undone):
            await tell_and_undo(outbox, "never")
        await tell(outbox, "b")
        assert [(item.id, *names([item])) for item in await stream.some(2)] == [(1, "a"), (2, "b")]


async def test_an_open_transaction_stops_nobody(api: Api, outbox: Database):
    async with following(api.url, await api.key("auditor")) as stream, outbox.transaction() as slow:
        await emit(slow, expired("slow"))
        await tell(outbox, *map(str, range(50)))
        assert names(await stream.some(50)) == list(map(str, range(50)))


async def test_many_numberers_at_once_give_each_position_once(api: Api, outbox: Database):
    store = EventStore(outbox)
    for _ in range(10):
        await asyncio.gather(*(tell(outbox, "x") for _ in range(8)), *(store.number() for _ in range(6)))
    await store.number()
    found = await api.sql("SELECT position FROM event ORDER BY position")
    assert [row["position"] for row in found] == list(range(1, 81))
    ordered = await api.sql("SELECT id FROM event ORDER BY position")
    assert len({row["id"] for row in ordered}) == 80


async def test_cut_database_connections_lose_and_double_nothing(api: Api, outbox: Database):
    kill = """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE usename = 'wingman_api' AND datname = $1 AND pid <> pg_backend_pid()
    """
    key = await api.key("auditor")
    done = asyncio.Event()
    told: list[str] = []

    async def keep_telling() -> None:
        number = 0
        connection = await asyncpg.connect(api.database.url("postgres"))
        while not done.is_set():
            await emit(connection, expired(str(number)))  # type: ignore[arg-type] # a plain connection will do
            told.append(str(number))
            number += 1
            await asyncio.sleep(0.005)
        await connection.close()

    async def keep_killing() -> None:
        for _ in range(8):
            await api.sql(kill, api.database.name, role="postgres")
            before = len(told)

            async def further(before: int = before) -> bool | None:
                return len(told) > before + 10 or None

            await eventually(further)
        done.set()

    async with following(api.url, key) as stream:
        await asyncio.gather(keep_telling(), keep_killing())
        assert names(await stream.some(len(told), 20)) == told


async def test_two_instances_tell_the_same_and_one_continues_for_the_other(
    api: Api, environ: dict[str, str], outbox: Database
):
    key = await api.key("auditor")
    async with serve_api(load(environ), api.clock, []) as (other, _):
        async with following(api.url, key) as one, following(other, key) as two:
            await tell(outbox, *"abc")
            seen = await two.some(3)
            assert await one.some(3) == seen
        await tell(outbox, *"de")
        async with following(other, key, after=seen[-1].id) as two:
            assert names(await two.some(2)) == ["d", "e"]
    async with following(api.url, key, after=0) as one:
        assert names(await one.some(5)) == list("abcde")


async def test_what_nobody_numbered_yet_is_numbered_by_the_next_process(
    environ: dict[str, str], api: Api, outbox: Database
):
    await api.sql("UPDATE event_head SET last = 41", role="postgres")
    connection = await asyncpg.connect(api.database.url("postgres"))
    async with connection.transaction():
        for name in "ab":
            await emit(connection, expired(name))  # type: ignore[arg-type] # a plain connection will do
    await connection.close()
    key = await api.key("auditor")
    async with serve_api(load(environ), api.clock, []) as (url, _), following(url, key, after=41) as stream:
        assert [(item.id, *names([item])) for item in await stream.some(2)] == [(42, "a"), (43, "b")]


async def test_positions_go_on_when_everything_was_forgotten(outbox: Database):
    store = EventStore(outbox)
    await tell(outbox, *"abcde")
    await store.number()
    now = datetime.now(UTC)
    assert await store.forget(now - timedelta(days=1), 2) == 0
    assert await store.forget(now + timedelta(days=1), 2) == 2
    assert await store.forget(now + timedelta(days=1), 100) == 3
    assert (bounds := await store.bounds()).oldest == 6
    assert [position for position in range(8) if bounds.reach(position)] == [5]
    await tell(outbox, "f")
    assert await store.number() == 6


async def test_what_is_young_keeps_what_came_after_it(outbox: Database):
    """Only a beginning is forgotten, whatever the clocks of those who told said."""
    ages = (40, 1, 50, 50)
    for age in ages:
        told = expired("x").model_copy(update={"at": datetime.now(UTC) - timedelta(days=age)})
        async with outbox.transaction() as connection:
            await emit(connection, told)
    store = EventStore(outbox)
    await store.number()
    assert await store.forget(datetime.now(UTC) - timedelta(days=30), 100) == 1
    assert (await store.bounds()).oldest == 2


FORBIDDEN = [
    "UPDATE event SET payload = '{}'",
    "UPDATE event SET position = 7",
    "UPDATE event SET type = 'claim.false'",
    "DELETE FROM event",
    "TRUNCATE event",
    "INSERT INTO event (position, type, at, payload) VALUES (1, 'claim.false', now(), '{}')",
    "UPDATE event_head SET last = 0",
    "DELETE FROM event_head",
    "DELETE FROM event_watch",
    "INSERT INTO event_watch (sole, audit_position) VALUES (false, 0)",
    "UPDATE event_consumer SET owner = 'mallory'",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_the_apis_role_cannot_rewrite_what_was_told(api: Api, statement: str):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await api.sql(statement)


async def test_other_roles_cannot_number_or_forget(api: Api):
    for role in ("wingman_gateway", "wingman_auditor"):
        for statement in ("SELECT event_number(1)", "SELECT event_forget(now(), 1)", "SELECT * FROM event"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await api.sql(statement, role=role)
