"""A gateway to measure: its own process, an embedded Postgres that fsyncs, a private Docker engine, one container.

The client is a process of its own, too (``measuring``): what is measured is what a caller waits for.
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from wingman_cli.embedded_db import OWNER, ROLES, EmbeddedPostgres, migrate
from wingman_cli.pki import Authority, create_checkpoint_key, create_token_key

REPOSITORY: Final = Path(__file__).parent.parent.parent
ENGINE: Final = "bench"
IMAGE: Final = "wingman-bench/busybox:1"
CONTAINER: Final = "wingman-bench"
ORIGIN: Final = "wingman/test/bench"


@dataclass(frozen=True)
class Site:
    """What runs."""

    place: Path
    server: EmbeddedPostgres
    engine: str
    """The engine's address."""
    gateway: psutil.Process
    port: int
    client: dict[str, str]
    """What ``measuring`` needs to know."""

    def measure(self, what: str, **how: object) -> dict[str, Any]:
        """Have the client process measure; return what it found."""
        return _found_by("tests.bench.measuring", what, json.dumps({**self.client, **how}))

    def verify(self) -> dict[str, Any]:
        """Have a process verify the whole log; return what it found."""
        return _found_by("tests.bench.verifying", json.dumps({**self.client, "origin": ORIGIN}))


def _found_by(module: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", module, *arguments]
    found: dict[str, Any] = json.loads(
        subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=REPOSITORY).stdout
    )
    return found


def engine(*arguments: str) -> str:
    """Run the engine's tool; return what it prints."""
    tool = REPOSITORY / "tools" / "engine.sh"
    return subprocess.run([tool, *arguments, ENGINE], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


Fill = Callable[[EmbeddedPostgres, Ed25519PrivateKey], Awaitable[None]]


@asynccontextmanager
async def measured_site(place: Path, fill: Fill) -> AsyncIterator[Site]:
    """Start everything around a log that ``fill`` wrote; end it afterwards."""
    address = engine("start")
    passwords = {role: secrets.token_urlsafe(12) for role in ROLES}
    try:
        engine("image", IMAGE)
        subprocess.run(["docker", "-H", address, "rm", "-f", CONTAINER], capture_output=True, check=False)  # noqa: S607
        subprocess.run(
            ["docker", "-H", address, "run", "-d", "--name", CONTAINER, "--network", "none", IMAGE, "sleep", "36000"],  # noqa: S607
            stdout=subprocess.DEVNULL,
            check=True,
        )
        with EmbeddedPostgres(place / "pg", passwords=passwords) as server:
            await server.prepare()
            await migrate(server.connection(OWNER))
            create_checkpoint_key(place / "checkpoint.key")
            key = load_pem_private_key((place / "checkpoint.key").read_bytes(), None)
            assert isinstance(key, Ed25519PrivateKey)
            await fill(server, key)
            async with _gateway(place, server, address) as site:
                yield site
    finally:
        engine("purge")


@asynccontextmanager
async def _gateway(place: Path, server: EmbeddedPostgres, address: str) -> AsyncIterator[Site]:
    authority = Authority(place / "pki", "test", now=datetime.now(UTC))
    for role in ("gateway", "api"):
        authority.issue(role)
    kid = create_token_key(place / "token.key", place / "keys")
    database, leaf = server.connection("wingman_gateway"), authority.leaf("gateway")
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("WINGMAN_")},
        "WINGMAN_ENVIRONMENT": "test",
        "WINGMAN_GATEWAY_LISTEN": "127.0.0.1:0",
        "WINGMAN_DOCKER_HOST": address,
        "WINGMAN_DATABASE_URL": database.url,
        "DB_PASSWORD": database.password,
        "WINGMAN_TLS_CERT": str(leaf.certificate),
        "WINGMAN_TLS_KEY": str(leaf.key),
        "WINGMAN_TLS_CA": str(authority.certificate),
        "WINGMAN_TOKEN_KEYS": str(place / "keys"),
        "WINGMAN_CHECKPOINT_KEY": str(place / "checkpoint.key"),
        "WINGMAN_LOG_ID": "bench",
        "WINGMAN_POLICY_DIR": str(REPOSITORY / "src" / "wingman_gateway" / "policies"),
        "WINGMAN_JOURNAL": str(place / "journal"),
        "WINGMAN_RATE": "100000",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, *PROFILER, "-m", "wingman_gateway", env=environ, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    reading = None
    try:
        port = None
        while port is None:
            line = json.loads(await process.stdout.readline())
            port = line["port"] if line["event"] == "listening" else None
        reading = asyncio.create_task(_drained(process.stdout))
        api = authority.leaf("api")
        owner = server.connection(OWNER)
        client = {
            "address": f"127.0.0.1:{port}",
            "ca": str(authority.certificate),
            "certificate": str(api.certificate),
            "key": str(api.key),
            "thumbprint": api.thumbprint,
            "token_key": str(place / "token.key"),
            "kid": kid,
            "engine": address,
            "container": CONTAINER,
            "database": owner.url,
            "password": owner.password,
            "checkpoint_key": str(place / "checkpoint.key"),
        }
        yield Site(place, server, address, psutil.Process(process.pid), port, client)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        if reading is not None:
            await reading


PROFILER: Final = tuple(os.environ.get("BENCH_PROFILER", "").split())
"""Arguments before the program, such as ``-m cProfile -o /path``."""


async def _drained(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass
