"""The connection to an engine that is old, new, gone, slow, or speaks nonsense: one error family, no endless wait."""

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from tests.gateway.engine.conftest import Handler, scripted, scripted_engine
from wingman_core.errors import Code, SettingInvalid, Unavailable
from wingman_gateway.engine import Engine
from wingman_gateway.engine.connection import Connection, EngineRefused, frames, segment


def answers(*, body: bytes = b"{}", status: int = 200) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, content_type="application/json")

    return handler


@pytest.mark.parametrize(
    ("api", "agreed"), [("1.41", (1, 41)), ("1.44", (1, 44)), ("1.51", (1, 51)), ("1.99", (1, 51)), ("2.0", (1, 51))]
)
async def test_the_newest_version_both_know_is_spoken(api: str, agreed: tuple[int, int], tmp_path: Path) -> None:
    paths = []

    async def handler(request: web.Request) -> web.StreamResponse:
        paths.append(request.path)
        return web.json_response([])

    async with scripted(tmp_path, handler, api=api) as url:
        connection = Connection.open(url)
        assert await connection.ask("GET", "containers/json") == []
        assert await connection.version() == agreed
        await connection.close()
    assert paths == [f"/v{agreed[0]}.{agreed[1]}/containers/json"]


@pytest.mark.parametrize(("api", "oldest"), [("1.40", "1.12"), ("", "1.12"), ("garbage", ""), ("1.60", "1.52")])
async def test_an_engine_without_a_common_version_is_unavailable(api: str, oldest: str, tmp_path: Path) -> None:
    async with scripted_engine(tmp_path, answers(), api=api, oldest=oldest) as engine:
        with pytest.raises(Unavailable, match=r"speaks API .* only") as refused:
            await engine.ping()
    assert refused.value.code is Code.ENGINE_UNAVAILABLE


async def test_an_engine_that_was_replaced_is_asked_again_by_a_ping(tmp_path: Path) -> None:
    engine = await Engine.connect(f"unix://{tmp_path}/engine.sock")
    async with scripted(tmp_path, answers(), api="1.45"):
        assert await engine.ping() == "1.45"
    with pytest.raises(Unavailable):
        await engine.ping()
    async with scripted(tmp_path, answers(), api="1.41"):
        assert await engine.ping() == "1.41"
    await engine.close()


@pytest.mark.parametrize("url", ["", "nonsense", "/var/run/docker.sock", "ftp://example.org", "ssh://example.org"])
async def test_an_address_that_is_none_names_the_setting(url: str) -> None:
    with pytest.raises(SettingInvalid) as refused:
        await Engine.connect(url)
    assert "WINGMAN_DOCKER_HOST" in refused.value.hint


@pytest.mark.parametrize("place", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:1"])
async def test_nobody_listening_is_unavailable(place: str) -> None:
    connection = Connection.open(place)
    with pytest.raises(Unavailable) as refused:
        await connection.ask("GET", "containers/json")
    assert refused.value.code is Code.ENGINE_UNAVAILABLE
    assert "WINGMAN_DOCKER_HOST" in refused.value.hint
    await connection.close()


async def test_an_engine_that_keeps_silent_is_given_up(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def silent(request: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with scripted(tmp_path, silent) as url:
        connection = Connection.open(url)
        with pytest.raises(Unavailable, match="did not answer in time"):
            await connection.ask("GET", "containers/json", limit=0.2)
        await connection.close()
    assert asked.is_set()


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        (b'{"message": "No such container: x"}', 404, "No such container: x"),
        (b"plain words\n", 500, "plain words"),
        (b"[1]", 400, "[1]"),
        (b'{"other": 1}', 409, '{"other": 1}'),
        (b"", 302, ""),
    ],
)
async def test_what_the_engine_refuses_keeps_its_words(body: bytes, status: int, answer: str, tmp_path: Path) -> None:
    async with scripted(tmp_path, answers(body=body, status=status)) as url:
        connection = Connection.open(url)
        with pytest.raises(EngineRefused) as refused:
            await connection.ask("POST", "containers/x/start")
        await connection.close()
    assert (refused.value.status, refused.value.answer) == (status, answer)
    assert refused.value.code is Code.ENGINE_REFUSED


async def test_nothing_to_say_is_none_and_nonsense_is_unavailable(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("start"):
            return web.Response(status=204)
        if request.path.endswith("stop"):
            return web.Response(status=304)
        return web.Response(body=b"<html>")

    async with scripted(tmp_path, handler) as url:
        connection = Connection.open(url)
        assert await connection.ask("POST", "containers/x/start") is None
        assert await connection.ask("POST", "containers/x/stop") is None
        with pytest.raises(Unavailable, match="no JSON"):
            await connection.ask("GET", "containers/json")
        await connection.close()


@pytest.mark.parametrize("version", [b"[]", b"not json"])
async def test_a_version_that_is_none_is_unavailable(version: bytes, tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(version), version))
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, tmp_path / "engine.sock")
    connection = Connection.open(f"unix://{tmp_path}/engine.sock")
    with pytest.raises(Unavailable, match="no JSON"):
        await connection.negotiate()
    await connection.close()
    server.close()
    await server.wait_closed()


async def test_a_tls_port_that_speaks_no_tls_is_unavailable() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"no")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = Connection.open(f"https://127.0.0.1:{port}")
    with pytest.raises(Unavailable):
        await connection.negotiate()
    await connection.close()
    server.close()
    await server.wait_closed()


def frame(number: int, data: bytes) -> bytes:
    return bytes([number, 0, 0, 0]) + len(data).to_bytes(4) + data


async def read(directory: Path, body: bytes, *, tty: bool = False) -> list[tuple[int, bytes]]:
    async with scripted(directory, answers(body=body)) as url:
        connection = Connection.open(url)
        try:
            async with connection.stream("GET", "containers/x/logs") as response:
                return [each async for each in frames(response, tty=tty)]
        finally:
            await connection.close()


async def test_multiplexed_output_is_taken_apart(tmp_path: Path) -> None:
    body = frame(1, b"out") + frame(2, b"err") + frame(1, b"") + frame(1, b"more")
    assert await read(tmp_path, body) == [(1, b"out"), (2, b"err"), (1, b"more")]
    assert await read(tmp_path, b"") == []
    assert await read(tmp_path, b"raw", tty=True) == [(1, b"raw")]
    large = await read(tmp_path, frame(2, b"x" * 100_000))
    assert b"".join(data for _, data in large) == b"x" * 100_000
    assert {number for number, _ in large} == {2}


@pytest.mark.parametrize("body", [frame(1, b"whole")[:-2], frame(1, b"whole") + b"\x01\x00\x00", frame(1, b"x")[:8]])
async def test_output_that_breaks_off_is_no_end(body: bytes, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="broke off"):
        await read(tmp_path, body)


async def test_an_answer_cut_short_is_unavailable(tmp_path: Path) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(json.dumps({}).encode())
        assert request.transport is not None
        request.transport.close()
        return response

    async with scripted(tmp_path, cut) as url:
        connection = Connection.open(url)
        with pytest.raises(Unavailable):
            await connection.ask("GET", "info")
        await connection.close()


def test_values_cannot_leave_their_place_in_a_path() -> None:
    assert segment("a b?c#d%2f") == "a%20b%3Fc%23d%252f"
    assert segment("registry:5000/team/app@sha256:ab") == "registry:5000/team/app@sha256:ab"
