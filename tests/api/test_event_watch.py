"""The watch: what no request reports is told once, by one process at a time, whatever becomes of that process."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from grpc_health.v1 import health_pb2

from tests.api.conftest import RESTART, Api, eventually, serve_api
from tests.api.fake_gateway import Script
from tests.api.following import following
from tests.api.test_event_telling import told
from wingman_api.events.store import EventStore
from wingman_api.events.watch import Pace, Watch, checkpoint_due
from wingman_api.events.watch import told as told_of
from wingman_api.events.watch_store import Record, WatchStore
from wingman_api.settings import load
from wingman_api.system.health import Report
from wingman_api.system.store import Database, open_database
from wingman_core.audit_record import AuditRecord, RecordKind
from wingman_core.canonical import rfc3339
from wingman_core.errors import Code, Unavailable

LOG = structlog.wrap_logger(structlog.ReturnLogger())
WELL = Report("healthy", "healthy", "healthy", "healthy")
NO_ENGINE = replace(WELL, gateway="degraded", engine="unhealthy")
NO_GATEWAY = replace(WELL, gateway="unhealthy", engine="unhealthy")
HOUR = timedelta(hours=1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def pool(environ: dict[str, str]) -> AsyncIterator[Database]:
    """A pool of the API's role."""
    async with open_database(environ["WINGMAN_DATABASE_URL"], environ["DB_PASSWORD"]) as opened:
        yield opened


class Looks:
    """Health as a test says; the last word stays."""

    def __init__(self, *reports: Report) -> None:
        self.reports = list(reports)

    async def __call__(self) -> Report:
        return self.reports.pop(0) if len(self.reports) > 1 else self.reports[0]


def watch(pool: Database, holder: str = "test", *, look: Looks | None = None, now: datetime = NOON) -> Watch:
    return Watch(
        WatchStore(pool),
        EventStore(pool),
        look=look or Looks(WELL),
        pace=Pace(HOUR, timedelta(days=30)),
        holder=holder,
        now=lambda: now,
        log=LOG,
    )


async def types(api: Api) -> list[str]:
    return [data["type"] for data in await told(api) if data["type"].startswith(("execution", "boundary"))]


async def relayed(api: Api) -> list[dict[str, Any]]:
    """What was told of an execution that ran to its end."""
    async with following(
        api.url, await api.key("auditor"), "?types=execution.started&types=execution.finished", after=0
    ) as stream:
        return [item.data for item in await stream.some(2)]


async def told_by_the_watch_alone(api: Api, pool: Database) -> list[dict[str, Any]]:
    """What the watch tells of executions, where nobody else has told anything."""
    await api.sql("UPDATE event_watch SET holder = 'test', held_until = now() + interval '1 hour', audit_position = 0")
    await api.sql("DELETE FROM event", role="postgres")
    newest = (await EventStore(pool).bounds()).newest
    await watch(pool).tell()
    return [data for data in await told(api, newest) if data["type"].startswith("execution")]


async def test_an_outcome_that_nobody_relayed_is_told_once_by_two_processes(api: Api, environ: dict[str, str]):
    api.gateway.scripts[RESTART] = Script(breaks=True)
    async with serve_api(load(environ), api.clock, []):
        request_id = await api.approved()
        execution_id = (await api.execute(request_id)).json()["execution_id"]
        async with following(api.url, await api.key("auditor"), "?types=execution.unknown", after=0) as stream:
            await api.gateway.reconcile(f"{request_id}.0", "UNKNOWN")
            unknown = (await stream.some(1))[0].data
    assert unknown["execution_id"] == execution_id
    assert (unknown["request_id"], unknown["worker_id"], unknown["audit_position"]) == (request_id, "agent-7", 1)
    assert await types(api) == ["execution.started", "execution.unknown"]


async def test_an_execution_of_another_client_of_the_gateway_is_told_whole(api: Api, pool: Database):
    execution_id = (await api.execute(await api.approved())).json()["execution_id"]
    await relayed(api)
    started, finished = await told_by_the_watch_alone(api, pool)
    assert (started["type"], started["execution_id"], started["audit_position"]) == (
        "execution.started",
        execution_id,
        0,
    )
    assert (finished["type"], finished["state"], finished["exit_code"], finished["duration_ms"]) == (
        "execution.finished",
        "SUCCEEDED",
        0,
        12,
    )
    assert finished["audit_position"] == 1


async def test_the_watch_tells_the_same_as_the_relay(api: Api, pool: Database):
    """So that it does not matter who is first."""
    await api.execute(await api.approved())
    before = [{**data, "at": ""} for data in await relayed(api)]
    assert [{**data, "at": ""} for data in await told_by_the_watch_alone(api, pool)] == before


async def test_many_watches_at_once_tell_each_record_once_and_miss_none(api: Api, pool: Database):
    ids = [await api.approved(task_name=str(n)) for n in range(6)]
    api.gateway.scripts[RESTART] = Script(breaks=True)
    for each in ids:
        await api.execute(each)
    watches = [watch(pool, f"w{n}") for n in range(5)]
    for each in ids:
        await asyncio.gather(
            api.gateway.reconcile(f"{each}.0", "FAILED"),
            api.sql("UPDATE event_watch SET held_until = 'epoch'"),
            *(one.tell() for one in watches),
        )
    await api.sql("UPDATE event_watch SET held_until = 'epoch'")
    await watches[0].tell()
    assert sorted(await types(api)) == ["execution.finished"] * 6 + ["execution.started"] * 6


async def test_a_long_log_is_told_in_batches(api: Api, pool: Database):
    await api.sql("UPDATE event_watch SET holder = 'test', held_until = now() + interval '1 hour'")
    intent = AuditRecord(
        kind=RecordKind.INTENT,
        environment="test",
        created_at=rfc3339(api.clock.now()),
        worker="agent-7",
        command=RESTART,
    )
    intents = [replace(intent, execution_id=f"exe_{n}", approval_id=f"apr_{n}.0", jti=f"jti{n}") for n in range(450)]
    await asyncio.gather(*map(api.gateway.audit.append, intents))
    assert await watch(pool).tell()
    assert len(await api.sql("SELECT 1 FROM event WHERE type = 'execution.started'")) == 450
    assert (await api.sql("SELECT audit_position FROM event_watch"))[0]["audit_position"] == 450


async def test_one_process_holds_the_watch_until_it_lets_go_or_its_time_is_over(api: Api, pool: Database):
    await api.sql("UPDATE event_watch SET holder = '', held_until = 'epoch'")
    one, two = watch(pool, "one"), watch(pool, "two")
    await one.tell()
    await two.tell()
    holder = (await api.sql("SELECT holder FROM event_watch"))[0]["holder"]  # the running API's own, perhaps
    store = WatchStore(pool)
    async with store.turn("another", 10) as turn:
        assert turn is None
    await store.let_go("another")
    async with store.turn("another", 10) as turn:
        assert turn is None, "only the holder lets go"
    await store.let_go(holder)
    async with store.turn("another", -1) as turn:
        assert turn is not None
    async with store.turn("yet another", 10) as turn:
        assert turn is not None, "the time was over"


async def test_a_process_that_stops_leaves_the_watch_at_once(api: Api, environ: dict[str, str]):
    async def held() -> str | None:
        row = (await api.sql("SELECT holder, held_until > now() AS held FROM event_watch"))[0]
        return row["holder"] if row["held"] else None

    first = await eventually(held)
    async with serve_api(load(environ), api.clock, []):
        assert await eventually(held) == first
    assert await held() == first, "a process that did not hold it leaves it alone"


RECORD = Record(7, "INTENT", "exe_a", "apr_a.1", "agent-7", "", "", None, None, NOON)


@pytest.mark.parametrize(
    ("record", "event"),
    [
        (RECORD, {"type": "execution.started", "request_id": "apr_a", "approval_id": "apr_a.1", "audit_position": 7}),
        (replace(RECORD, kind="RESULT", outcome="TIMED_OUT"), {"type": "execution.finished", "state": "TIMED_OUT"}),
        (
            replace(RECORD, kind="RECONCILED", outcome="FAILED", exit_code=137, duration_ms=5),
            {"type": "execution.finished", "state": "FAILED", "exit_code": 137, "duration_ms": 5},
        ),
        (replace(RECORD, kind="RESULT", outcome="UNKNOWN"), {"type": "execution.unknown"}),
        (
            replace(RECORD, kind="SETTLED", outcome="FAILED"),
            {"type": "execution.finished", "state": "FAILED", "exit_code": None, "duration_ms": None},
        ),
        (replace(RECORD, kind="RECONCILED", outcome="OF_A_NEWER_GATEWAY"), {"type": "execution.unknown"}),
        (replace(RECORD, kind="REFUSED"), None),
        (replace(RECORD, kind="OF_A_NEWER_GATEWAY"), None),
        (replace(RECORD, kind="BOUNDARY", outcome="SUCCEEDED"), None),
        (
            replace(RECORD, kind="BOUNDARY", outcome="FAILED", reason="SOCKET_MOUNTED"),
            {"type": "boundary.violated", "reason": "SOCKET_MOUNTED", "audit_position": 7},
        ),
        (replace(RECORD, kind="BOUNDARY", outcome=""), {"type": "boundary.violated"}),
    ],
)
def test_what_a_record_tells(record: Record, event: dict[str, Any] | None):
    found = told_of(record)
    if event is None:
        assert found is None
    else:
        assert found is not None
        assert event.items() <= found.model_dump().items()


@pytest.mark.parametrize(
    ("last", "now", "grown", "due"),
    [
        (None, NOON, True, "daily"),
        (NOON, NOON + timedelta(minutes=59), True, "no"),
        (NOON, NOON + HOUR, True, "grown"),
        (NOON, NOON + HOUR, False, "no"),
        (NOON, NOON + timedelta(hours=11, minutes=59), False, "no"),
        (NOON, NOON + timedelta(hours=12), False, "daily"),
        (NOON + timedelta(hours=11, minutes=59), NOON + timedelta(hours=12), True, "daily"),
        (NOON, NOON - timedelta(days=1), True, "no"),
    ],
)
def test_when_a_checkpoint_is_due(last: datetime | None, now: datetime, grown: bool, due: str):
    assert checkpoint_due(last, now, HOUR, grown=grown) == due


async def test_checkpoints_are_told_daily_and_as_the_log_grows(api: Api, pool: Database):
    await api.sql("UPDATE event_watch SET holder = 'test', held_until = now() + interval '1 hour'")

    async def checkpoints() -> list[tuple[int, bool]]:
        return [(data["size"], data["daily"]) for data in await told(api) if data["type"] == "audit.checkpoint"]

    await watch(pool).tell()
    assert await checkpoints() == [], "an empty log has none"
    await api.finished((await api.execute(await api.approved())).json()["execution_id"])
    await watch(pool).tell()
    await watch(pool, now=NOON + HOUR).tell()
    assert await checkpoints() == [(2, True)]
    await api.finished((await api.execute(await api.approved(task_name="2"))).json()["execution_id"])
    await watch(pool, now=NOON + HOUR / 2).tell()
    assert await checkpoints() == [(2, True)]
    await watch(pool, now=NOON + HOUR).tell()
    await watch(pool, now=NOON + timedelta(days=1)).tell()
    assert await checkpoints() == [(2, True), (4, False), (4, True)]
    checkpoint = next(data for data in await told(api) if data["type"] == "audit.checkpoint")
    assert checkpoint["note"].startswith("wingman/test/log\n2\n")
    stored = await api.sql("SELECT root FROM audit_checkpoint WHERE size = 2")
    assert checkpoint["root"] == stored[0]["root"].hex()


@pytest.mark.parametrize(
    ("looks", "news"),
    [
        ([WELL] * 4, []),
        ([WELL, NO_ENGINE, WELL, NO_ENGINE, WELL, WELL], []),
        ([NO_ENGINE, NO_ENGINE, NO_ENGINE], [("healthy", "degraded")]),
        ([NO_ENGINE, NO_ENGINE, WELL, WELL], [("healthy", "degraded"), ("degraded", "healthy")]),
        ([NO_ENGINE, NO_ENGINE, NO_GATEWAY, NO_GATEWAY], [("healthy", "degraded"), ("degraded", "degraded")]),
        ([WELL, WELL, NO_ENGINE, WELL, NO_ENGINE, NO_ENGINE], [("healthy", "degraded")]),
    ],
)
async def test_a_change_of_health_is_told_once_two_looks_agree(
    api: Api, pool: Database, looks: list[Report], news: list[tuple[str, str]]
):
    await api.sql("UPDATE event_watch SET holder = 'test', held_until = now() + interval '1 hour', health = NULL")
    watching = watch(pool, look=Looks(*looks))
    for _ in looks:
        await watching.tell_health()
    found = [data for data in await told(api) if data["type"] == "health.changed"]
    assert [(data["was"], data["status"]) for data in found] == news
    after = watch(pool, look=Looks(looks[-1]))  # the next process knows what was told
    for _ in range(3):
        await after.tell_health()
    assert len([data for data in await told(api) if data["type"] == "health.changed"]) == len(news)


async def test_who_does_not_hold_the_watch_tells_nothing_of_health(api: Api, pool: Database):
    await api.sql("UPDATE event_watch SET holder = 'another', held_until = now() + interval '1 hour'")
    watching = watch(pool, look=Looks(NO_ENGINE))
    for _ in range(3):
        await watching.tell_health()
    assert await told(api) == []
    assert not await watching.tell()


async def test_the_running_api_tells_of_its_gateways_engine(api: Api):
    async with following(api.url, await api.key("auditor"), "?types=health.changed") as stream:
        for part in ("", "engine"):
            await api.gateway.conditions.set(part, health_pb2.HealthCheckResponse.NOT_SERVING)  # type: ignore[attr-defined]
        changed = (await stream.some(1, 30))[0].data
    assert (changed["was"], changed["status"]) == ("healthy", "degraded")
    assert changed["components"] == {
        "database": "healthy",
        "gateway": "degraded",
        "engine": "unhealthy",
        "feed": "healthy",
    }


async def test_what_is_too_old_is_forgotten(api: Api, pool: Database):
    await api.sql("UPDATE event_watch SET holder = 'test', held_until = now() + interval '1 hour'")
    await api.sql(
        "INSERT INTO event (type, at, payload) "
        "SELECT 'claim.false', $1::timestamptz - make_interval(days => 31), '{}' FROM generate_series(1, 4100)",
        NOON,
    )
    await api.asked()
    store = EventStore(pool)
    for _ in range(5):
        await store.number()
    watching = watch(pool)
    await watching._round()
    assert (await store.bounds()).oldest == 4101
    assert [data["type"] for data in await told(api, 4100)] == ["approval.requested"]


async def test_letting_go_without_a_database_is_no_failure(environ: dict[str, str], pool: Database):
    async def down() -> Report:
        raise Unavailable(Code.DATABASE_UNAVAILABLE, "down")

    watching = watch(pool)
    watching._look = down
    running = asyncio.create_task(watching.run())

    async def holds() -> bool | None:
        return watching._holds or None

    await eventually(holds)
    await pool._pool.close()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
