"""What runs once in an empty Postgres of a deployment: roles with their passwords, of which no argument tells."""

import base64
import os
import shlex
import subprocess
from pathlib import Path

from tests.conftest import REPOSITORY
from wingman_cli.backup.programs import find_program
from wingman_cli.embedded_db import ROLES, SUPERUSER, Connection, EmbeddedPostgres
from wingman_cli.rotation.passwords import new_password, verifier

SCRIPT = REPOSITORY / "deploy" / "compose" / "postgres" / "roles.sh"
READ = "SELECT rolname, rolpassword, rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls FROM pg_authid"


async def test_each_role_has_its_own_password_and_psql_is_not_told_it_as_an_argument(tmp_path: Path):
    passwords = {role: new_password() for role in ROLES}
    heard = tmp_path / "arguments"
    psql = tmp_path / "psql"
    real = shlex.quote(find_program("psql", os.environ))
    psql.write_text(f'#!/bin/sh\nprintf \'%s\\n\' "$@" >>{shlex.quote(str(heard))}\nexec {real} "$@"\n')
    psql.chmod(0o755)
    with EmbeddedPostgres(tmp_path / "data" / "postgres", passwords=passwords) as server:
        words = {role.replace("wingman", "DB_PASSWORD").upper(): passwords[role] for role in ROLES}
        environ = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PGHOST": server.host,
            "POSTGRES_USER": SUPERUSER,
            "POSTGRES_DB": "postgres",
            **words,
        }
        done = subprocess.run([SCRIPT], env=environ, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        connection = await Connection(server.host, SUPERUSER, "postgres", "").connect()
        try:
            rows = {row[0]: row[1:] for row in await connection.fetch(READ)}
        finally:
            await connection.close()
    for role in set(ROLES) - {SUPERUSER}:
        kept, powerful = rows[role]
        salt = base64.b64decode(kept.split("$")[1].split(":")[1])
        assert (kept, powerful) == (verifier(passwords[role], salt), False)
    assert "--no-psqlrc" in heard.read_text()
    for password in passwords.values():
        assert password not in heard.read_text() + done.stdout + done.stderr
