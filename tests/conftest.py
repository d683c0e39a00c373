"""Session fixtures every level shares: a real Postgres, a deployment's CA, a real Docker engine."""

import base64
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from wingman_cli.embedded_db import (
    OWNER,
    ROLES,
    SUPERUSER,
    Connection,
    EmbeddedPostgres,
    create_database,
    create_roles,
    migrate,
)
from wingman_cli.pki import Authority

# Read when gRPC is loaded: its handlers may crash a child before it becomes the program that a test starts.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

REPOSITORY = Path(__file__).parent.parent
ENGINE_SCRIPT = REPOSITORY / "tools" / "engine.sh"
BUSYBOX = "wingman-test/busybox:1"
TEMPLATE = "wingman_template"


def pytest_configure() -> None:
    """Have programs that tests start hear SIGINT and SIGHUP, also under nohup and in a shell's background.

    A signal that is handled here, and not ignored, is as ever in a new program. A hang-up ends no run under nohup.
    gRPC, which is imported later, need not look after forks: what comes of them here is a new program at once.
    """
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Tell a failure at once: a run that is cut off has no summary."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        sys.stdout.write(f"\n{report.nodeid}: {report.when} failed\n{report.longreprtext}\n")
        sys.stdout.flush()


@dataclass(frozen=True)
class Database:
    """One migrated database of a test's own."""

    host: str
    name: str
    passwords: dict[str, str]

    def connection(self, role: str) -> Connection:
        """How a role reaches it."""
        return Connection(self.host, role, self.name, self.passwords[role])

    def dsn(self, role: str) -> str:
        """The address without the password, as the processes' settings take it."""
        return self.connection(role).url

    def url(self, role: str) -> str:
        """The address with the password, for asyncpg in a test."""
        return f"postgresql://{role}:{quote(self.passwords[role])}@/{self.name}?host={self.host}"


class Cluster:
    """The embedded Postgres of the session, with a migrated template to copy databases from."""

    def __init__(self, server: EmbeddedPostgres, passwords: dict[str, str]) -> None:
        self.server = server
        self.passwords = passwords

    async def fresh(self) -> Database:
        """Copy the template into a new database."""
        name = f"t_{secrets.token_hex(6)}"
        connection = await self.server.connection(SUPERUSER, "postgres").connect()
        try:
            await create_database(connection, name, template=TEMPLATE)
        finally:
            await connection.close()
        return Database(self.server.host, name, self.passwords)

    async def drop(self, database: Database) -> None:
        """Remove a database, connections included."""
        connection = await self.server.connection(SUPERUSER, "postgres").connect()
        try:
            await connection.execute(f'DROP DATABASE IF EXISTS "{database.name}" WITH (FORCE)')
        finally:
            await connection.close()


@asynccontextmanager
async def started_cluster(place: Path) -> AsyncIterator[Cluster]:
    """Start a cluster with a migrated template; nothing is fsynced, since no test pulls the plug of the machine."""
    passwords = {role: secrets.token_urlsafe(16) for role in ROLES}
    with EmbeddedPostgres(place, passwords=passwords) as server:
        connection = await server.connection(SUPERUSER, "postgres").connect()
        for setting in ("fsync = off", "full_page_writes = off", "max_connections = 300"):
            await connection.execute(f"ALTER SYSTEM SET {setting}")
        await connection.close()
        server.restart()
        connection = await server.connection(SUPERUSER, "postgres").connect()
        await create_roles(connection, passwords)
        await create_database(connection, TEMPLATE)
        await connection.close()
        await migrate(server.connection(OWNER, TEMPLATE))
        yield Cluster(server, passwords)


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[Cluster]:
    """The cluster of this session."""
    with tempfile.TemporaryDirectory(prefix="wm-pg-") as place:
        async with started_cluster(Path(place) / "pg") as cluster:
            yield cluster


@pytest.fixture
async def database(postgres: Cluster) -> AsyncIterator[Database]:
    """A fresh database, dropped afterwards."""
    fresh = await postgres.fresh()
    yield fresh
    await postgres.drop(fresh)


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The deployment's CA of the environment test; ``pki.issue(role)`` makes more."""
    authority = Authority(tmp_path_factory.mktemp("pki"), "test", now=datetime.now(UTC))
    for role in ("gateway", "api", "tool/deploy", "auditor/alice"):
        authority.issue(role)
    return authority


@pytest.fixture(scope="session")
def engine_url() -> Iterator[str]:
    """A private Docker engine; without one the test is skipped, or fails where REQUIRE_ENGINE=1."""
    name = f"test-{os.getpid()}"
    for leftover in Path("/run/wingman-engine").glob("test-*"):
        if not Path("/proc", leftover.name.removeprefix("test-")).exists():
            _engine("purge", leftover.name)
    started = _engine("start", name)
    if started.returncode != 0:
        reason = started.stderr.strip() or "tools/engine.sh could not start an engine"
        if os.environ.get("REQUIRE_ENGINE") == "1":
            pytest.fail(f"REQUIRE_ENGINE=1, and {reason}")
        pytest.skip(reason)
    yield started.stdout.strip()
    _engine("purge", name)


@pytest.fixture(scope="session")
def busybox(engine_url: str) -> str:
    """A small image on the private engine; returns its reference."""
    made = _engine("image", BUSYBOX, f"test-{os.getpid()}")
    assert made.returncode == 0, made.stderr
    return BUSYBOX


P256, SM2 = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a811ccf5501822d")
"""Two curves' names in DER; the library knows the first alone."""


def of_an_unknown_curve(pem: bytes) -> bytes:
    """A P-256 key or certificate in PEM, said to be on another curve."""
    label = pem.split(b"-----")[1].removeprefix(b"BEGIN ")
    der = base64.b64decode(b"".join(pem.splitlines()[1:-1])).replace(P256, SM2)
    return b"-----BEGIN %s-----\n%s-----END %s-----\n" % (label, base64.encodebytes(der), label)


def _engine(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ENGINE_SCRIPT, *arguments], capture_output=True, text=True, timeout=300, check=False)
