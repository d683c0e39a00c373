"""One running instance that the tests of the commands share, and a deployment to back up."""

import os
import shlex
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.cli.backups import NOW, QUIET, World, load
from tests.cli.running import Run, Up
from tests.conftest import Cluster, Database
from wingman_cli.backup import procedures
from wingman_cli.embedded_db import SUPERUSER, create_database
from wingman_cli.instance import Instance
from wingman_cli.main import app


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory, engine_url: str) -> Iterator[Up]:
    """``wingman up`` on the private engine."""
    started = Up(tmp_path_factory.mktemp("commands") / "data", WINGMAN_DOCKER_HOST=engine_url)
    try:
        yield started.ready()
    finally:
        assert started.stop() == 0


@pytest.fixture
def run(up: Up, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one command line on the instance, in this process."""
    for name in [name for name in os.environ if name.startswith("WINGMAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")

    def one(line: str, exit_code: int = 0) -> Result:
        result = CliRunner().invoke(app, ["--data-dir", str(up.data_dir), *shlex.split(line)])
        assert result.exit_code == exit_code, (result.stdout, result.stderr, result.exception)
        return result

    return one


@pytest.fixture
async def world(tmp_path: Path, database: Database, postgres: Cluster) -> AsyncIterator[World]:
    instance = Instance(tmp_path / "data")
    instance.prepare(now=datetime.now(UTC))
    target = Database(postgres.server.host, f"{database.name}_back", postgres.passwords)
    connection = await postgres.server.connection(SUPERUSER, "postgres").connect()
    await create_database(connection, target.name)
    await connection.close()
    instance.ledger.write_bytes(b'{"claim":"one"}\n{"claim":"two"}\n{"claim":"half')
    yield World(instance, database, target)
    await postgres.drop(target)


@pytest.fixture
async def backup(world: World, tmp_path: Path) -> Path:
    """One that was taken under load."""
    path = tmp_path / "backup.tar"
    async with load(world):
        await procedures.create_backup(world.place(world.source), path, now=NOW, progress=QUIET)
        taken = await world.rows(world.source, "audit_checkpoint")
    assert len(await world.rows(world.source, "audit_checkpoint")) >= len(taken) > 0
    return path
