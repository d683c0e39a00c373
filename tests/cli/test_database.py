"""Commands that need a database, where it, its tables or its rights are not as they must be: the real reason."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from typer.testing import CliRunner

from tests.conftest import Cluster, Database
from wingman_cli.embedded_db import OWNER, ROLES, SUPERUSER, EmbeddedPostgres, create_database
from wingman_cli.instance import Instance
from wingman_cli.main import app
from wingman_cli.pki import create_checkpoint_key
from wingman_core.audit_record import AuditRecord, RecordKind
from wingman_core.checkpoint import open_checkpoint
from wingman_core.notes import parse_verifier_key
from wingman_gateway.audit_store import AuditStore, open_pool

COMMANDS = {
    "migrate": OWNER,
    "keys list": "wingman_api",
    "keys create ann --role worker": "wingman_api",
    "keys revoke aaaaaaaaaaaaaaaa": "wingman_api",
    "audit tail": "wingman_auditor",
    "audit export": "wingman_auditor",
    "audit verify": "wingman_auditor",
}


@pytest.fixture
async def empty(postgres: Cluster) -> AsyncIterator[Database]:
    """A database that nobody migrated."""
    made = Database(postgres.server.host, "unmigrated", postgres.passwords)
    connection = await postgres.server.connection(SUPERUSER, "postgres").connect()
    await create_database(connection, made.name)
    await connection.close()
    yield made
    await postgres.drop(made)


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedPostgres]:
    """A server that wants passwords, which the session's does not."""
    passwords = dict.fromkeys(ROLES, "right")
    with EmbeddedPostgres(tmp_path_factory.mktemp("closed") / "pg", passwords=passwords) as server:
        await server.prepare()
        yield server


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """With the log's public key, which ``audit verify`` reads first."""
    instance = Instance(tmp_path)
    create_checkpoint_key(instance.checkpoint_key)
    instance.write_verifier_key()
    return tmp_path


def refused(data_dir: Path, line: str, url: str, password: str) -> str:
    """What the command says, once it is known to end with one error and its way out."""
    variables = {"WINGMAN_DATABASE_URL": url, "DB_PASSWORD": password, "WINGMAN_DATA_DIR": str(data_dir)}
    result = CliRunner().invoke(app, line.split(), env=variables)
    assert isinstance(result.exception, SystemExit), result.exception
    assert (result.exit_code, "way out: " in result.stderr) == (2, True), result.stderr
    assert result.stderr.startswith("SETTING_INVALID: ")
    assert password not in result.stderr
    return result.stderr


@pytest.mark.parametrize(("line", "role"), COMMANDS.items(), ids=COMMANDS.keys())
def test_a_password_that_is_wrong(data_dir: Path, closed: EmbeddedPostgres, line: str, role: str):
    said = refused(data_dir, line, closed.connection(role).url, "not-the-password")
    assert "password authentication failed" in said
    assert "DB_PASSWORD" in said


@pytest.mark.parametrize(("line", "role"), COMMANDS.items(), ids=COMMANDS.keys())
def test_a_database_that_does_not_exist(data_dir: Path, database: Database, line: str, role: str):
    url = database.dsn(role).replace(database.name, "nowhere")
    assert 'database "nowhere" does not exist' in refused(data_dir, line, url, database.passwords[role])


@pytest.mark.parametrize("line", [line for line in COMMANDS if line != "migrate"])
def test_tables_that_nobody_made(data_dir: Path, empty: Database, line: str):
    role = COMMANDS[line]
    said = refused(data_dir, line, empty.dsn(role), empty.passwords[role])
    assert "wingman migrate" in said


def test_a_role_that_may_not_read(data_dir: Path, database: Database):
    role = "wingman_auditor"
    assert f"{role} may not read api_key" in refused(
        data_dir, "keys list", database.dsn(role), database.passwords[role]
    )


def test_a_role_that_may_not_migrate(data_dir: Path, empty: Database):
    said = refused(data_dir, "migrate", empty.dsn("wingman_api"), empty.passwords["wingman_api"])
    assert "permission denied" in said


def test_an_empty_log_has_no_checkpoint_to_save(data_dir: Path, database: Database):
    """An empty file would be one that the next --against refuses."""
    auditor, file = "wingman_auditor", data_dir / "checkpoint.note"
    said = refused(data_dir, f"audit verify --save {file}", database.dsn(auditor), database.passwords[auditor])
    assert "the log is empty" in said
    assert not file.exists()


async def test_what_is_saved_is_the_newest_checkpoint_that_was_verified(data_dir: Path, database: Database):
    instance, auditor = Instance(data_dir), "wingman_auditor"
    key = load_pem_private_key(instance.checkpoint_key.read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    pool = await open_pool(database.dsn("wingman_gateway"), database.passwords["wingman_gateway"])
    store = AuditStore(pool, origin=instance.origin(), key=key)
    await store.start()
    for reason in ("TOKEN_EXPIRED", "TOKEN_EARLY"):
        at = "2030-01-01T00:00:00.000001Z"
        await store.append(AuditRecord(kind=RecordKind.REFUSED, environment="test", created_at=at, reason=reason))
    await store.close()
    await pool.close()
    file = data_dir / "checkpoint.note"
    environ = {"WINGMAN_DATABASE_URL": database.dsn(auditor), "DB_PASSWORD": database.passwords[auditor]}
    environ["WINGMAN_DATA_DIR"] = str(data_dir)
    for line in (f"audit verify --save {file}", f"audit verify --against {file}"):
        done = await asyncio.to_thread(CliRunner().invoke, app, line.split(), env=environ)
        assert done.exit_code == 0, done.output
    newest = open_checkpoint(file.read_text(), [parse_verifier_key(instance.verifier_key.read_text().strip())])
    assert (newest.origin, newest.size) == (instance.origin(), 2)
    said = await asyncio.to_thread(refused, data_dir, f"audit verify --save {file}/x", *list(environ.values())[:2])
    assert f"{file}/x cannot be written" in said
