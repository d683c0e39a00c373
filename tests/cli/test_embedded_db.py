"""The embedded Postgres: roles with passwords, nobody without one, data kept over a restart."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import Database
from wingman_cli.embedded_db import OWNER, ROLES, SUPERUSER, Connection, EmbeddedPostgres
from wingman_core.errors import Code, Unavailable


async def test_it_prepares_roles_and_lets_nobody_in_without_a_password(tmp_path_factory: pytest.TempPathFactory):
    passwords = {role: secrets.token_urlsafe(12) for role in ROLES}
    data = tmp_path_factory.mktemp("embedded") / "pg"
    with EmbeddedPostgres(data, passwords=passwords) as server:
        await server.prepare()
        await server.prepare()
        wrong = Connection(server.host, "wingman_api", "wingman", "guess")
        with pytest.raises(asyncpg.InvalidPasswordError):
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
    (tmp_path / "pg").mkdir()
    (tmp_path / "pg" / "PG_VERSION").write_text("9")
    server = EmbeddedPostgres(tmp_path / "pg", passwords={})
    with pytest.raises(Unavailable, match="does not start: Version mismatch") as refused:
        server.start()
    assert refused.value.code is Code.DATABASE_UNAVAILABLE
    assert refused.value.hint == f"read {tmp_path / 'pg' / 'log'}"
    server.stop()
    assert not server.alive
