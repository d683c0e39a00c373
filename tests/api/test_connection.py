"""Connections of clients that send too little, too slowly, or something else than HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from tests.api.conftest import RESTART, Api, serve_api
from tests.api.fake_gateway import Script
from wingman_api.settings import load

GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /approvals/request HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"


@pytest.fixture
async def port(environ: dict[str, str], api: Api) -> AsyncIterator[int]:
    """Of an API whose patience is a second."""
    environ["WINGMAN_STALL"] = "1"
    environ["WINGMAN_GATEWAY_ADDRESS"] = api.gateway.address
    async with serve_api(load(environ), api.clock, []) as (url, _):
        api.url = url
        yield int(url.rpartition(":")[2])


async def answered(port: int, *pieces: bytes, then: bytes = b"") -> bytes:
    """What a connection gets until it is closed; ``then`` is sent again and again while it is open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
    reading = asyncio.create_task(reader.read())
    async with asyncio.timeout(10):
        while then and not reading.done():
            writer.write(then)
            await asyncio.wait({reading}, timeout=0.2)
        got = await reading
    writer.close()
    return got


HELD: dict[str, tuple[bytes, bytes]] = {
    "nothing": (b"", b""),
    "half a line": (b"GET /liv", b""),
    "headers without an end": (GET, b""),
    "headers that drip": (GET, b"X"),
}


@pytest.mark.parametrize(("sent", "then"), HELD.values(), ids=HELD.keys())
async def test_who_does_not_send_a_request_is_let_go(port: int, sent: bytes, then: bytes):
    assert await answered(port, sent, then=then) == b""


@pytest.mark.parametrize("then", [b"", b" "], ids=["nothing more", "drips"])
async def test_who_does_not_send_the_body_is_told_so_and_let_go(port: int, then: bytes):
    got = await answered(port, POST, b"{", then=then)
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"content-type: application/problem+json" in head.lower()
    assert b"connection: close" in head.lower()
    assert json.loads(body)["code"] == "REQUEST_TIMEOUT"


@pytest.mark.parametrize(
    ("first", "second"),
    [(GET + b"\r\n", b"GET /"), (GET + b"\r\n", GET), (GET + b"Content-Length: 9\r\n\r\n", b"")],
    ids=["half a second line", "second headers without an end", "a body that nobody reads"],
)
async def test_who_was_answered_once_is_not_held_for_ever(port: int, first: bytes, second: bytes):
    got = await answered(port, first, second, then=b"x" if not second else b"")
    assert got.startswith(b"HTTP/1.1 200 ")
    assert got.count(b"HTTP/1.1") == 1


async def test_who_listens_for_longer_than_that_is_not_cut_off(port: int, api: Api):
    gate = asyncio.Event()
    api.gateway.scripts[RESTART] = Script(output=[("stdout", b"a")], gate=gate)
    started = (await api.execute(await api.approved())).json()["execution_id"]
    async with (
        await api.client("worker") as client,
        client.stream("GET", f"/executions/{started}/output") as response,
    ):
        lines = response.aiter_lines()
        assert await anext(lines) == "event: stdout"
        assert await answered(port) == b"", "the patience is over"
        gate.set()
        assert [line async for line in lines if line.startswith("event:")] == ["event: finished"]


async def test_who_wants_another_protocol_gets_this_ones_answer(port: int, capfd: pytest.CaptureFixture[str]):
    upgrade = b"Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    got = await answered(port, GET + upgrade + b"Sec-WebSocket-Key: eA==\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 200 ")
    assert b"x-correlation-id" in got.lower()
    assert await answered(port, b"no HTTP\r\n\r\n") != b""
    assert "Unsupported upgrade" not in capfd.readouterr().err
