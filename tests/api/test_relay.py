"""Carrying an execution's events into the database, when the caller, the gateway or the database let go."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
import structlog

from tests.api.conftest import RESTART, Api, Clock, eventually, serve_api
from tests.api.fake_gateway import Script
from wingman_api.executions import relay
from wingman_api.executions.relay import Errand, Relay
from wingman_api.executions.store import ExecutionStore
from wingman_api.gateway import Accepted, Chunk, Event, Finished
from wingman_api.identity.caller import Caller, Role
from wingman_api.settings import load
from wingman_api.system.store import open_database
from wingman_core.errors import CallerRefused, Code, Unavailable, WingmanError

EXECUTION = f"exe_{'a' * 26}"


@dataclass
class Stage:
    """A relay on its own, for a request that was approved over HTTP."""

    relay: Relay
    errand: Errand
    log: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
async def stage(api: Api, clock: Clock) -> AsyncIterator[Stage]:
    """A relay that waits a tenth of a second for the gateway."""
    request_id = await api.approved()
    key_id = (await api.key("worker")).split("_")[1]
    log: list[dict[str, Any]] = []

    def collect(_logger: object, _method: str, event: Any) -> str:  # noqa: ANN401
        log.append(dict(event))
        raise structlog.DropEvent

    async with open_database(api.database.dsn("wingman_api"), api.database.passwords["wingman_api"]) as database:
        relay = Relay(
            ExecutionStore(database), now=clock.now, log=structlog.wrap_logger(None, processors=[collect]), patience=0.1
        )
        yield Stage(relay, Errand(request_id, 0, "agent-7", "agent-7", key_id), log)
        await relay.close(0)


async def states(api: Api) -> list[str]:
    return [row["state"] for row in await api.sql("SELECT state FROM execution")]


async def test_a_gateway_that_says_nothing_is_waited_for_a_while_and_then_carried_on(api: Api, stage: Stage):
    gate = asyncio.Event()

    async def slow() -> AsyncGenerator[Event, None]:
        await gate.wait()
        yield Accepted(EXECUTION, 0)

    with pytest.raises(WingmanError) as late:
        await stage.relay.start(slow(), stage.errand)
    assert late.value.code is Code.DEADLINE_EXCEEDED
    gate.set()
    await stage.relay.close(10)
    assert await states(api) == ["LOST"]


async def test_what_runs_at_the_end_is_left_to_the_audit_log(api: Api, stage: Stage):
    async def endless() -> AsyncGenerator[Event, None]:
        yield Accepted(EXECUTION, 0)
        await asyncio.Event().wait()

    assert await stage.relay.start(endless(), stage.errand) == Accepted(EXECUTION, 0)
    await stage.relay.close(0)
    assert await states(api) == ["LOST"]


async def test_closing_while_the_gateway_has_not_answered_leaves_nobody_waiting(api: Api, stage: Stage):
    entered = asyncio.Event()

    async def silent() -> AsyncGenerator[Event, None]:
        entered.set()
        await asyncio.Event().wait()
        yield Accepted(EXECUTION, 0)

    starting = asyncio.create_task(stage.relay.start(silent(), stage.errand))
    await entered.wait()
    await stage.relay.close(0)
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert await states(api) == []


async def test_a_database_that_goes_away_midway_is_logged_and_ends_the_relay(api: Api, stage: Stage):
    gate = asyncio.Event()

    async def interrupted() -> AsyncGenerator[Event, None]:
        yield Accepted(EXECUTION, 0)
        await gate.wait()
        yield Chunk("stdout", b"unheard")

    await stage.relay.start(interrupted(), stage.errand)
    await api.sql(f"ALTER DATABASE {api.database.name} CONNECTION LIMIT 0", role="postgres")
    await api.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'wingman_api' AND datname = $1",
        api.database.name,
        role="postgres",
    )
    gate.set()
    await stage.relay.close(20)
    await api.sql(f"ALTER DATABASE {api.database.name} CONNECTION LIMIT -1", role="postgres")
    assert [line["event"] for line in stage.log] == ["relay.lost.unsaid", "relay.lost"]
    assert await states(api) == ["RUNNING"], "nothing was claimed that nobody saw"


async def test_what_the_gateway_took_on_counts_as_run_whatever_the_database_says(api: Api):
    request_id = await api.approved()
    await api.sql("REVOKE INSERT ON execution FROM wingman_api", role="postgres")
    started = await api.execute(request_id)
    assert started.status_code == 202, started.text
    execution_id = started.json()["execution_id"]
    shown = (await api.call("worker", "GET", f"/approvals/{request_id}")).json()
    assert [command["execution_id"] for command in shown["commands"]] == [execution_id]
    assert (await api.finished(execution_id))["state"] == "SUCCEEDED"
    assert [line["execution_id"] for line in api.log if line["event"] == "relay.unstored"] == [execution_id]
    again = await api.execute(request_id)
    assert (again.status_code, again.json()["details"]["execution_id"]) == (409, execution_id)


async def test_a_database_that_comes_back_gets_what_it_missed(api: Api, stage: Stage):
    gate = asyncio.Event()

    async def short() -> AsyncGenerator[Event, None]:
        yield Accepted(EXECUTION, 0)
        yield Chunk("stdout", b"heard")
        await gate.wait()
        yield Finished("SUCCEEDED", 0, 1, "", 1, truncated=False, at=api.clock.now())

    await api.sql(f"ALTER DATABASE {api.database.name} CONNECTION LIMIT 0", role="postgres")
    await api.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'wingman_api' AND datname = $1",
        api.database.name,
        role="postgres",
    )
    stage.relay._patience = 30
    assert await stage.relay.start(short(), stage.errand) == Accepted(EXECUTION, 0)
    assert [line["event"] for line in stage.log] == ["relay.unstored"]
    await api.sql(f"ALTER DATABASE {api.database.name} CONNECTION LIMIT -1", role="postgres")
    gate.set()
    await stage.relay.close(20)
    assert await states(api) == ["SUCCEEDED"]
    assert [row["data"] for row in await api.sql("SELECT data FROM execution_output")] == [b"heard"]
    events = [row["event"] for row in await api.sql("SELECT event FROM approval_history WHERE event LIKE 'execution%'")]
    assert events == ["execution.started", "execution.finished"]


async def test_a_database_that_stays_away_is_waited_for_and_then_given_up(
    api: Api, stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(relay, "PAUSES", (0.0, 0.0))

    async def endless() -> AsyncGenerator[Event, None]:
        yield Accepted(EXECUTION, 0)
        await asyncio.Event().wait()

    await api.sql(f"ALTER DATABASE {api.database.name} CONNECTION LIMIT 0", role="postgres")
    await api.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'wingman_api' AND datname = $1",
        api.database.name,
        role="postgres",
    )
    stage.relay._patience = 30
    await stage.relay.start(endless(), stage.errand)
    await stage.relay.close(20)
    await api.sql(f"ALTER DATABASE {api.database.name} CONNECTION LIMIT -1", role="postgres")
    assert [line["event"] for line in stage.log] == ["relay.unstored", "relay.lost"]
    assert await states(api) == []


async def test_what_is_stored_twice_is_stored_once(api: Api, stage: Stage):
    async with open_database(api.database.dsn("wingman_api"), api.database.passwords["wingman_api"]) as database:
        for _ in range(2):  # as after a commit whose answer was lost
            await ExecutionStore(database).started(
                Accepted(EXECUTION, 0), request_id=stage.errand.request_id, n=0, worker="agent-7",
                started_by="agent-7", key_id=stage.errand.key_id, at=api.clock.now(),
            )  # fmt: skip
    assert await states(api) == ["RUNNING"]
    assert len(await api.sql("SELECT FROM approval_history WHERE event = 'execution.started'")) == 1


async def test_a_process_that_stops_while_something_runs_says_lost_and_another_tells_the_end(
    api: Api, environ: dict[str, str]
):
    gate = asyncio.Event()
    api.gateway.scripts[RESTART] = Script(gate=gate)
    request_id = await api.approved()
    here = api.url
    async with serve_api(load({**environ, "WINGMAN_DRAIN": "0"}), api.clock, []) as (url, _):
        api.url = url
        execution_id = (await api.execute(request_id)).json()["execution_id"]
    api.url = here
    assert await states(api) == ["LOST"]
    await api.gateway.reconcile(f"{request_id}.0", "SUCCEEDED")
    assert (await api.finished(execution_id))["result"]["kind"] == "RECONCILED"


async def test_the_use_case_asks_for_a_key_and_a_whole_id_itself(api: Api):
    executions = api.app.state.executions
    with pytest.raises(CallerRefused) as anonymous:
        await executions.start(f"apr_{'a' * 26}", Caller("anonymous", Role.WORKER, None))
    assert anonymous.value.code is Code.KEY_MISSING
    with pytest.raises(WingmanError) as malformed:
        await executions.start("apr_1", Caller("agent-7", Role.WORKER, "k"))
    assert malformed.value.code is Code.REQUEST_INVALID


async def test_listening_ends_when_the_connection_is_cut(api: Api):
    heard: list[str] = []
    async with open_database(api.database.dsn("wingman_api"), api.database.passwords["wingman_api"]) as database:
        listening = asyncio.create_task(database.listen("a_channel", heard.append))

        async def arrived() -> bool | None:
            await api.sql("SELECT pg_notify('a_channel', 'hello')")
            return bool(heard) or None

        await eventually(arrived)
        assert set(heard) == {"hello"}
        await api.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = $1",
            api.database.name,
            role="postgres",
        )
        with pytest.raises(Unavailable) as lost:
            await asyncio.wait_for(listening, 10)
        assert lost.value.code is Code.DATABASE_UNAVAILABLE


async def test_a_wrong_argument_is_no_outage(api: Api):
    async with open_database(api.database.dsn("wingman_api"), api.database.passwords["wingman_api"]) as database:
        with pytest.raises(asyncpg.DataError):
            async with database.connection() as connection:
                await connection.fetchval("SELECT $1::integer", "x")
