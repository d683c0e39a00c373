"""Several API processes behind one port: one falls, the others serve; all end together, also without their parent."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.api.conftest import NO_TLS, eventually
from tests.api.fake_gateway import FakeGateway
from tests.api.test_app import start

COUNT = 2


@dataclass
class Served:
    """The parent, and how to ask."""

    process: asyncio.subprocess.Process
    client: httpx.AsyncClient

    def workers(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children()
        except psutil.NoSuchProcess:
            return []

    async def complete(self) -> list[psutil.Process] | None:
        """All workers, once each of them listens on its own event loop."""
        found = self.workers()
        return found if len(found) == COUNT and all(len(each.threads()) > 1 for each in found) else None

    async def ready(self) -> bool | None:
        try:
            return True if (await self.client.get("/readyz")).status_code == 200 else None
        except httpx.TransportError:
            return None


@asynccontextmanager
async def served(environ: dict[str, str]) -> AsyncIterator[Served]:
    process = await start({**environ, "WINGMAN_API_WORKERS": str(COUNT)})
    assert process.stdout is not None
    reading: asyncio.Task[bytes] | None = None
    try:
        port = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))["port"]
        reading = asyncio.create_task(process.stdout.read())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=NO_TLS, timeout=30) as client:
            running = Served(process, client)
            await eventually(running.ready, 60)
            await eventually(running.complete, 60)
            yield running
    finally:
        left = (
            [psutil.Process(process.pid), *psutil.Process(process.pid).children()] if process.returncode is None else []
        )
        for each in left:
            each.kill()
        await process.wait()
        if reading is not None:
            await reading


@pytest.fixture
def connected(environ: dict[str, str], gateway: FakeGateway) -> dict[str, str]:
    environ["WINGMAN_GATEWAY_ADDRESS"] = gateway.address
    return environ


async def test_a_worker_that_is_killed_is_started_again_and_the_others_serve(connected: dict[str, str]):
    async with served(connected) as running:
        before = {each.pid for each in running.workers()}
        running.workers()[0].kill()
        for _ in range(20):
            async with httpx.AsyncClient(base_url=running.client.base_url, verify=NO_TLS) as fresh:
                assert (await fresh.get("/readyz")).status_code == 200
        after = {each.pid for each in await eventually(running.complete, 60)}
        assert len(before & after) == COUNT - 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_all_end_when_asked(connected: dict[str, str], number: signal.Signals):
    async with served(connected) as running:
        workers = running.workers()
        running.process.send_signal(number)
        assert await asyncio.wait_for(running.process.wait(), 30) == 0
        assert not any(each.is_running() for each in workers)


async def test_none_outlives_a_parent_that_was_killed(connected: dict[str, str]):
    async with served(connected) as running:
        workers = running.workers()
        running.process.kill()
        _, alive = await asyncio.to_thread(psutil.wait_procs, workers, timeout=30)
        assert alive == []


async def test_a_worker_that_refuses_its_settings_ends_the_whole(connected: dict[str, str], tmp_path: Path):
    key = tmp_path / "token.pem"
    key.write_bytes(Path(connected["WINGMAN_TOKEN_KEY"]).read_bytes())
    key.chmod(0o600)
    async with served({**connected, "WINGMAN_TOKEN_KEY": str(key)}) as running:
        key.chmod(0o644)
        workers = running.workers()
        workers[0].kill()
        assert await asyncio.wait_for(running.process.wait(), 60) == 2
        assert not any(each.is_running() for each in workers)
