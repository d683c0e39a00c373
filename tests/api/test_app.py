"""The process: how it starts, serves, stops, and what it says when it cannot start."""

import asyncio
import json
import os
import signal
import socket
import sys

import httpx
import pytest

from tests.api.conftest import NO_TLS, RESTART, Api
from tests.api.fake_gateway import FakeGateway, Script


async def start(environ: dict[str, str]) -> asyncio.subprocess.Process:
    keep = {name: value for name, value in os.environ.items() if not name.startswith("WINGMAN_")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "wingman_api",
        env={**keep, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_it_serves_until_sigterm_and_logs_json(environ: dict[str, str], gateway: FakeGateway):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environ |= {"WINGMAN_API_LISTEN": f"127.0.0.1:{port}", "WINGMAN_GATEWAY_ADDRESS": gateway.address}
    process = await start(environ)
    async with (
        asyncio.timeout(60),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=NO_TLS) as client,
    ):
        while True:
            assert process.returncode is None, await process.communicate()
            try:
                response = await client.get("/readyz")
                break
            except httpx.ConnectError:
                await asyncio.sleep(0.05)
        assert response.json() == {"status": "ok"}
        assert (await client.get("/health")).json()["status"] == "healthy"
    process.send_signal(signal.SIGTERM)
    out, err = await asyncio.wait_for(process.communicate(), 20)
    lines = [json.loads(line) for line in out.splitlines()]
    events = [line["event"] for line in lines]
    assert (events[0], events[-1], process.returncode) == ("serving", "stopped", 0)
    assert environ["DB_PASSWORD"].encode() not in out + err
    assert err == b""


@pytest.mark.parametrize("name", ["WINGMAN_TOKEN_KEY", "DB_PASSWORD"])
async def test_a_bad_setting_stops_it_with_one_line(environ: dict[str, str], name: str):
    del environ[name]
    process = await start(environ)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, out) == (2, b"")
    assert err.startswith(b"wingman-api: SETTING_INVALID: ")
    assert name.encode() in err
    assert err.count(b"\n") == 1


async def test_an_open_stream_does_not_hold_it_up(environ: dict[str, str], api: Api):
    gate = asyncio.Event()
    api.gateway.scripts[RESTART] = Script(output=[("stdout", b"a")], gate=gate)
    execution_id = (await api.execute(await api.approved())).json()["execution_id"]
    process = await start({**environ, "WINGMAN_API_LISTEN": "[::1]:0", "WINGMAN_DRAIN": "60"})
    assert process.stdout is not None
    port = json.loads(await process.stdout.readline())["port"]
    key = {"Authorization": f"Bearer {await api.key('worker')}"}
    async with (
        asyncio.timeout(30),
        httpx.AsyncClient(base_url=f"http://[::1]:{port}", headers=key, verify=NO_TLS) as client,
        client.stream("GET", f"/executions/{execution_id}/output") as response,
    ):
        lines = response.aiter_lines()
        assert await anext(lines) == "event: stdout"
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    gate.set()


async def test_a_taken_port_stops_it(environ: dict[str, str]):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environ["WINGMAN_API_LISTEN"] = f"127.0.0.1:{taken.getsockname()[1]}"
        process = await start(environ)
        out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert err.startswith(b"wingman-api: SETTING_INVALID: WINGMAN_API_LISTEN"), (out, err)
