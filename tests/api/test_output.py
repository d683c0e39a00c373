"""Following output: as it comes, whole, resumable, to the end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.api.conftest import RESTART, Api, eventually, serve_api
from tests.api.fake_gateway import Script
from tests.api.following import following
from wingman_api.events.streams import WITHOUT_KEY
from wingman_api.executions import signals
from wingman_api.executions.executions import QUIET, Executions
from wingman_api.executions.record import Execution
from wingman_api.executions.store import ExecutionStore
from wingman_api.settings import load
from wingman_api.system.store import Database


async def events(response: httpx.Response) -> AsyncIterator[tuple[str, str | None, Any]]:
    """The events of a stream: name, id, data."""
    name, number = "message", None
    async for line in response.aiter_lines():
        field, _, value = line.partition(": ")
        match field:
            case "event":
                name = value
            case "data":
                data = json.loads(value)
            case "id":
                number = value
            case "" if name != "message":
                yield name, number, data
                name, number = "message", None


async def follow(api: Api, execution_id: str, who: str = "worker", **headers: str) -> list[tuple[str, str | None, Any]]:
    """All events to the end."""
    async with (
        await api.client(who) as client,
        client.stream("GET", f"/executions/{execution_id}/output", headers=headers) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        return [event async for event in events(response)]


async def test_output_comes_in_order_with_ids_and_ends_with_finished(api: Api):
    api.gateway.scripts[RESTART] = Script(
        output=[("progress", b"pulling"), ("stdout", b"one\n"), ("stderr", b"two\r\n\n"), ("stdout", b"\x00\x1b[2J")]
    )
    execution_id = (await api.execute(await api.approved())).json()["execution_id"]
    seen = await follow(api, execution_id)
    assert [(name, number) for name, number, _ in seen] == [
        ("progress", "0"),
        ("stdout", "1"),
        ("stderr", "2"),
        ("stdout", "3"),
        ("finished", None),
    ]
    assert [data["text"] for _, _, data in seen[:-1]] == ["pulling", "one\n", "two\r\n\n", "\x00\x1b[2J"]
    finished = seen[-1][2]
    assert (finished["state"], finished["exit_code"], finished["audit_position"]) == ("SUCCEEDED", 0, 1)


async def test_output_is_seen_while_it_runs_and_resumed_after_the_last_event(api: Api):
    gate = asyncio.Event()
    api.gateway.scripts[RESTART] = Script(output=[("stdout", b"a"), ("stdout", b"b")], gate=gate)
    execution_id = (await api.execute(await api.approved())).json()["execution_id"]
    async with (
        await api.client("worker") as client,
        client.stream("GET", f"/executions/{execution_id}/output") as response,
    ):
        stream = events(response)
        assert (await anext(stream))[2]["text"] == "a"
    gate.set()
    rest = await follow(api, execution_id, **{"Last-Event-ID": "0"})
    assert [(name, data.get("text")) for name, _, data in rest] == [("stdout", "b"), ("finished", None)]
    assert [name for name, _, _ in await follow(api, execution_id, **{"Last-Event-ID": "1"})] == ["finished"]


async def test_many_readers_see_the_same(api: Api):
    gate = asyncio.Event()
    output = [("stdout", f"{n}\n".encode()) for n in range(200)]
    api.gateway.scripts[RESTART] = Script(output=output, gate=gate)
    execution_id = (await api.execute(await api.approved())).json()["execution_id"]
    reading = [asyncio.create_task(follow(api, execution_id, who)) for who in ("worker", "operator", "auditor")]
    gate.set()
    for seen in await asyncio.gather(*reading):
        assert [data["text"] for _, _, data in seen[:-1]] == [f"{n}\n" for n in range(200)]


async def test_another_process_serves_the_same_output(api: Api, environ: dict[str, str]):
    gate = asyncio.Event()
    api.gateway.scripts[RESTART] = Script(output=[("stdout", b"a")], gate=gate)
    execution_id = (await api.execute(await api.approved())).json()["execution_id"]
    async with serve_api(load(environ), api.clock, []) as (url, _):
        there = {"Authorization": f"Bearer {await api.key('worker')}"}
        async with (
            httpx.AsyncClient(base_url=url, headers=there) as client,
            client.stream("GET", f"/executions/{execution_id}/output") as response,
        ):
            stream = events(response)
            assert (await anext(stream))[2]["text"] == "a"
            gate.set()
            assert (await anext(stream))[0] == "finished"


async def test_a_character_is_never_split_between_two_events(api: Api):
    text = "a€🛠é".encode()
    pieces = [("stdout", text[n : n + 1]) for n in range(len(text))]
    broken = [("stderr", b"\xff"), ("stderr", b"x\xc3"), ("stdout", "ü".encode()[:1])]
    api.gateway.scripts[RESTART] = Script(output=[*pieces, *broken])
    execution_id = (await api.execute(await api.approved())).json()["execution_id"]
    seen = await follow(api, execution_id)
    out = [data["text"] for name, _, data in seen if name == "stdout"]
    assert out == ["a", "€", "🛠", "é", "\ufffd"]
    assert [data["text"] for name, _, data in seen if name == "stderr"] == ["\ufffd", "x", "\ufffd"]
    assert [number for _, number, _ in seen[:-1]] == [str(n) for n in range(8)]


async def test_a_reader_learns_the_end_of_a_lost_stream_from_reconciliation(api: Api):
    api.gateway.scripts[RESTART] = Script(output=[("stdout", b"a")], breaks=True)
    request_id = await api.approved()
    execution_id = (await api.execute(request_id)).json()["execution_id"]
    reading = asyncio.create_task(follow(api, execution_id))

    async def lost() -> bool | None:
        return (await api.sql("SELECT state FROM execution"))[0]["state"] == "LOST" or None

    await eventually(lost)
    await api.gateway.reconcile(f"{request_id}.0", "UNKNOWN")
    seen = await reading
    assert [name for name, _, _ in seen] == ["stdout", "finished"]
    assert (seen[1][2]["state"], seen[1][2]["exit_code"]) == ("UNKNOWN", None)


async def test_where_no_relay_is_left_the_outcome_counts_after_a_grace(api: Api):
    request_id = await api.approved()
    api.gateway.scripts[RESTART] = Script(output=[("stdout", b"a")])
    execution_id = (await api.execute(request_id)).json()["execution_id"]
    await api.finished(execution_id)
    await api.sql("UPDATE execution SET state = 'RUNNING', finished_at = NULL", role="postgres")
    append = """
        INSERT INTO execution_output (execution_id, seq, stream, data, stored_at)
        SELECT execution_id, seq + 1, stream, 'b', stored_at + interval '1 hour' FROM execution_output
    """
    await api.sql(append, role="postgres")
    api.clock.ahead = timedelta(hours=1)
    reading = asyncio.create_task(follow(api, execution_id))
    api.clock.ahead += timedelta(seconds=11)
    assert [data.get("text") for _, _, data in await reading] == ["a", "b", None]


async def running(api: Api) -> tuple[str, asyncio.Event]:
    """The path of the output of an execution that goes on until the event is set."""
    gate = asyncio.Event()
    api.gateway.scripts[RESTART] = Script(output=[("stdout", b"a")], gate=gate)
    execution_id = (await api.execute(await api.approved())).json()["execution_id"]
    return f"/executions/{execution_id}/output", gate


async def test_a_key_has_so_many_streams_of_events_and_output_together(api: Api, environ: dict[str, str]):
    environ["WINGMAN_EVENT_STREAMS"] = "2"
    path, gate = await running(api)
    async with serve_api(load(environ), api.clock, []) as (url, app):
        there = replace(api, url=url, app=app)
        async with (
            following(url, await api.key("worker")) as first,
            await there.client("worker") as client,
            client.stream("GET", path) as second,
        ):
            assert (first.status, second.status_code) == (200, 200)
            refused = await client.get(path)
            problem = refused.json()
            assert (refused.status_code, problem["code"]) == (429, "LIMIT_EXCEEDED")
            assert problem["detail"] == "the key has 2 streams open"
            async with await there.client("operator") as other, other.stream("GET", path) as third:
                assert third.status_code == 200

        async def free() -> bool | None:
            return not app.state.streams._open or None

        await eventually(free)
        gate.set()
        assert [name for name, _, _ in await follow(there, path.split("/")[2])] == ["stdout", "finished"]
        await eventually(free)


async def test_callers_without_a_key_have_few_streams_an_address(api: Api):
    path, gate = await running(api)
    async with await api.client(None) as client, AsyncExitStack() as stack:
        for _ in range(WITHOUT_KEY):
            assert (await stack.enter_async_context(client.stream("GET", path))).status_code == 200
        refused = await client.get(path)
        assert (refused.status_code, refused.json()["detail"]) == (429, f"the address has {WITHOUT_KEY} streams open")
        async with await api.client("worker") as keyed, keyed.stream("GET", path) as another:
            assert another.status_code == 200
        await api.app.state.streams.check()
    gate.set()

    async def free() -> bool | None:
        return not api.app.state.streams._without_key or None

    await eventually(free)


async def test_a_stream_ends_when_its_key_is_revoked_and_those_of_others_go_on(api: Api):
    path, gate = await running(api)
    async with (
        await api.client("worker") as client,
        await api.client("operator") as other,
        client.stream("GET", path) as response,
        other.stream("GET", path) as goes_on,
    ):
        ending, going_on = events(response), events(goes_on)
        assert [(await anext(stream))[2]["text"] for stream in (ending, going_on)] == ["a", "a"]
        await api.store.revoke((await api.key("worker")).split("_")[1])
        await api.app.state.streams.check()
        assert [name async for name, _, _ in ending] == []
        gate.set()
        assert [name async for name, _, _ in going_on] == ["finished"]


class Watched(ExecutionStore):
    """The store, and when it was asked for an execution."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.looks: list[float] = []

    async def get(self, execution_id: str) -> Execution:
        self.looks.append(asyncio.get_running_loop().time())
        return await super().get(execution_id)


async def test_who_hears_nothing_asks_ever_more_rarely_and_is_still_woken_at_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(signals, "PATIENCE", 0.05)
    path, gate = await running(api)
    executions: Executions = api.app.state.executions
    executions._store = watched = Watched(executions._store._database)
    async with await api.client("worker") as client, client.stream("GET", path) as response:
        stream = events(response)
        assert (await anext(stream))[2]["text"] == "a"
        begun = len(watched.looks)

        async def looked() -> bool | None:
            return len(watched.looks) >= begun + 9 or None

        await eventually(looked)
        gaps = [later - earlier for earlier, later in pairwise(watched.looks[-3:])]
        assert min(gaps) >= 0.05 * QUIET
        monkeypatch.setattr(signals, "PATIENCE", 60)  # from its next wait on, the bell alone can wake it
        gate.set()
        assert [name async for name, _, _ in stream] == ["finished"]


async def test_a_stream_ends_early_when_the_process_closes(api: Api):
    gate = asyncio.Event()
    api.gateway.scripts[RESTART] = Script(gate=gate)
    execution_id = (await api.execute(await api.approved())).json()["execution_id"]
    reading = asyncio.create_task(follow(api, execution_id))
    api.app.state.closing.set()
    assert await reading == []
    gate.set()


async def test_bad_places_to_continue_from_are_refused(api: Api):
    execution_id = (await api.execute(await api.approved())).json()["execution_id"]
    for place in ("x", "-2", "9" * 20):
        response = await api.call(
            "worker", "GET", f"/executions/{execution_id}/output", headers={"Last-Event-ID": place}
        )
        assert (response.status_code, response.json()["code"]) == (422, "REQUEST_INVALID"), place
