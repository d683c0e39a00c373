"""Connections of clients that send too little, too slowly, or something else than HTTP."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
import uvloop

from tests.api.conftest import RESTART, Api, serve_api
from tests.api.fake_gateway import Script
from wingman_api.connection import GATHERED, Gathering
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
    got = bytearray()

    async def read() -> None:
        with suppress(ConnectionResetError):  # how a connection ends whose server has not read everything
            while data := await reader.read(65_536):
                got.extend(data)

    for piece in pieces:
        writer.write(piece)
    reading = asyncio.create_task(read())
    async with asyncio.timeout(10):
        while then and not reading.done():
            writer.write(then)
            await asyncio.wait({reading}, timeout=0.2)
        await reading
    writer.close()
    return bytes(got)


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


class Peer:
    """A connection on the loop that the API runs on, what the other side got, and what the loop complained of."""

    def __init__(self) -> None:
        self.complaints: list[dict[str, Any]] = []
        self.ours, self.theirs = socket.socketpair()

    def play(self, act: Callable[[Gathering, asyncio.Transport], None]) -> bytes:
        async def played() -> bytes:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: self.complaints.append(context))
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=self.ours)
            act(Gathering(transport, loop), transport)
            await asyncio.sleep(0.05)
            transport.abort()
            await asyncio.sleep(0.05)
            with suppress(ConnectionResetError):
                return await loop.run_in_executor(None, self.theirs.recv, 1 << 20)
            return b""

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, self.theirs:
            return runner.run(played())


def head_and_body(gathering: Gathering, _transport: asyncio.Transport) -> None:
    gathering.write(b"head ")
    gathering.write(b"body")


def closed(gathering: Gathering, transport: asyncio.Transport) -> None:
    head_and_body(gathering, transport)
    gathering.close()


def too_much(gathering: Gathering, transport: asyncio.Transport) -> None:
    gathering.write(b"x" * GATHERED)
    assert transport.get_write_buffer_size() >= 0
    assert gathering._parts == []


def cut_off(gathering: Gathering, transport: asyncio.Transport) -> None:
    transport.abort()
    gathering.write(b"to nobody")


@pytest.mark.parametrize(
    ("act", "got"), [(head_and_body, b"head body"), (closed, b"head body"), (too_much, b"x" * GATHERED), (cut_off, b"")]
)
async def test_what_is_written_in_one_turn_leaves_together(
    act: Callable[[Gathering, asyncio.Transport], None], got: bytes
):
    peer = Peer()
    assert await asyncio.to_thread(peer.play, act) == got
    assert peer.complaints == []
