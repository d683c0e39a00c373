"""Following output: as it comes, whole, resumable, to the end."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx

from tests.api.conftest import RESTART, Api, eventually, serve_api
from tests.api.fake_gateway import Script
from wingman_api.settings import load


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
