"""A gateway in a process of its own, to be asked, stopped and killed."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.conftest import REPOSITORY
from tests.gateway.conftest import eventually
from wingman_cli.pki import Authority
from wingman_gateway.settings import Settings


def environ_of(settings: Settings, **changes: str) -> dict[str, str]:
    """The variables that make these settings, and nothing of this process but its path."""
    values = settings.model_dump(mode="json") | {"db_password": settings.db_password.get_secret_value()}
    named = {
        ("DB_PASSWORD" if name == "db_password" else f"WINGMAN_{name.upper()}"): v
        for name, v in values.items()
        if v is not None
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WINGMAN_")}
    return {**kept, **{name: str(value) for name, value in named.items()}, **changes}


@dataclass
class GatewayProcess:
    """A running ``python -m wingman_gateway``."""

    process: asyncio.subprocess.Process
    port: int
    lines: list[dict[str, object]]

    def channel(self, pki: Authority, role: str = "api") -> grpc.aio.Channel:
        """A channel with the certificate of that stem."""
        leaf = pki.leaf(role)
        credentials = grpc.ssl_channel_credentials(
            pki.certificate.read_bytes(), leaf.key.read_bytes(), leaf.certificate.read_bytes()
        )
        return grpc.aio.secure_channel(f"127.0.0.1:{self.port}", credentials)

    async def serving(self, pki: Authority) -> None:
        """Wait until it says that it is fit."""
        async with self.channel(pki) as channel:
            stub = health_pb2_grpc.HealthStub(channel)

            async def fit() -> bool:
                answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
                return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

            await eventually(fit)

    async def stopped(self) -> None:
        """Wait until it has stopped itself (SIGSTOP)."""
        status = Path("/proc") / str(self.process.pid) / "stat"

        async def stands() -> bool:
            return status.read_text().rpartition(")")[2].split()[0] == "T"

        await eventually(stands)

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        async with asyncio.timeout(30):
            return await self.process.wait()


@asynccontextmanager
async def gateway_process(
    environ: Mapping[str, str], program: Sequence[str] = ("-m", "wingman_gateway")
) -> AsyncIterator[GatewayProcess]:
    """Start a gateway, wait until it listens; kill what is left of it afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *program, env=dict(environ), stdout=asyncio.subprocess.PIPE, cwd=REPOSITORY
    )
    assert process.stdout is not None
    lines: list[dict[str, object]] = []
    reading = None
    try:
        async with asyncio.timeout(30):
            while not lines or lines[-1]["event"] != "listening":
                line = await process.stdout.readline()
                assert line, "the gateway ended"
                lines.append(json.loads(line))
        port = lines[-1]["port"]
        assert isinstance(port, int)
        reading = asyncio.create_task(_read(process.stdout, lines))
        yield GatewayProcess(process, port, lines)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if reading is not None:
            await reading


async def _read(stream: asyncio.StreamReader, lines: list[dict[str, object]]) -> None:
    while line := await stream.readline():
        lines.append(json.loads(line))
