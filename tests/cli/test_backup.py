"""A backup is of one moment, whole, ours, and comes back; anything else is refused and leaves nothing behind."""

import asyncio
import io
import os
import random
import signal
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from rich.progress import Progress
from typer.testing import CliRunner, Result

from tests.conftest import Cluster, Database
from tests.gateway.test_audit_store import intent
from wingman_api.identity.caller import Role
from wingman_cli.backup import archive, procedures, programs
from wingman_cli.backup.archive import MEMBERS, Manifest, read_archive, writing
from wingman_cli.backup.places import LocalPlace
from wingman_cli.backup.programs import HostPrograms, held_moment, is_empty, restore
from wingman_cli.embedded_db import OWNER, SUPERUSER, create_database, migrate
from wingman_cli.instance import Instance
from wingman_cli.keys import key_store
from wingman_cli.main import app
from wingman_core.checkpoint import Checkpoint, sign_checkpoint
from wingman_core.errors import Code, LogCorrupt, SettingInvalid, Unavailable, WingmanError
from wingman_gateway.audit_store import AuditStore, open_pool

TABLES = ("execution_audit", "audit_node", "audit_checkpoint", "api_key")
QUIET = Progress(disable=True)
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class World:
    """A deployment whose database is written to, and an empty one beside it."""

    instance: Instance
    source: Database
    target: Database

    def variables(self, database: Database) -> dict[str, str]:
        """What names a database to the commands, as its owner."""
        return {
            "WINGMAN_DATABASE_URL": database.dsn(OWNER),
            "DB_PASSWORD": database.passwords[OWNER],
            "WINGMAN_DATA_DIR": str(self.instance.directory),
        }

    def place(self, database: Database) -> LocalPlace:
        """The deployment on a database."""
        return LocalPlace(self.instance, self.variables(database))

    async def rows(self, database: Database, table: str) -> list[tuple[Any, ...]]:
        """Everything in a table."""
        connection = await database.connection(SUPERUSER).connect()
        try:
            return [tuple(row) for row in await connection.fetch(f"SELECT * FROM {table} ORDER BY 1, 2")]
        finally:
            await connection.close()

    async def tables(self, database: Database) -> int:
        """How many tables there are."""
        return len(await self.rows(database, "(SELECT tablename, 1 FROM pg_tables WHERE schemaname = 'public') AS t"))


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


@asynccontextmanager
async def load(world: World) -> AsyncIterator[None]:
    """Spend approvals and make keys, as fast as it goes, for as long as the context lasts."""
    key = load_pem_private_key(world.instance.checkpoint_key.read_bytes(), password=None)
    access = world.source.connection("wingman_gateway")
    pool = await open_pool(access.url, access.password)
    audit = AuditStore(pool, origin=world.instance.origin(), key=key)  # type: ignore[arg-type]  # it is an Ed25519 one
    await audit.start()
    began, over = asyncio.Event(), False

    async def spend() -> None:
        while not over:
            if await audit.append(intent()) > 5:
                began.set()

    async def make() -> None:
        async with key_store(world.source.connection("wingman_api")) as store:
            while not over:
                await store.create("ann", Role.WORKER)

    running = [asyncio.create_task(spend()), asyncio.create_task(spend()), asyncio.create_task(make())]
    await began.wait()
    try:
        yield
    finally:
        over = True
        await asyncio.gather(*running)
        await audit.close()
        await pool.close()


@pytest.fixture
async def backup(world: World, tmp_path: Path) -> Path:
    """One that was taken under load."""
    path = tmp_path / "backup.tar"
    async with load(world):
        await procedures.create_backup(world.place(world.source), path, now=NOW, progress=QUIET)
        taken = await world.rows(world.source, "audit_checkpoint")
    assert len(await world.rows(world.source, "audit_checkpoint")) >= len(taken) > 0
    return path


async def test_it_is_taken_under_load_and_comes_back_as_it_was_at_one_moment(world: World, backup: Path):
    manifest = read_archive(backup).manifest
    assert await world.tables(world.target) == 0
    await procedures.put_back(world.place(world.target), backup, QUIET)

    log = await world.rows(world.target, "execution_audit")
    assert len(log) == manifest.records > 0
    for table in TABLES:
        there, back = await world.rows(world.source, table), await world.rows(world.target, table)
        assert {*map(repr, back)} <= {*map(repr, there)}, f"{table} holds what never was"
        assert back
    assert (await world.rows(world.target, "audit_checkpoint"))[-1][0] == manifest.records, "of the dump's own moment"
    owners = await world.rows(
        world.target, "(SELECT tablename, tableowner FROM pg_tables WHERE schemaname = 'public') AS t"
    )
    assert {owner for _, owner in owners} == {OWNER}

    gateway = await world.target.connection("wingman_gateway").connect()
    for statement in (
        "DELETE FROM execution_audit",
        "UPDATE execution_audit SET worker = 'x'",
        "SELECT * FROM api_key",
    ):
        with pytest.raises(Exception, match="permission denied"):
            await gateway.execute(statement)
    await gateway.close()
    owner = await world.target.connection(OWNER).connect()
    with pytest.raises(Exception, match="append-only"):
        await owner.execute("TRUNCATE execution_audit")
    await owner.close()


async def test_claims_come_back_in_whole_lines_and_newer_ones_are_kept(world: World, backup: Path):
    ledger, whole = world.instance.ledger, b'{"claim":"one"}\n{"claim":"two"}\n'
    ledger.unlink()
    await procedures.put_back(world.place(world.target), backup, QUIET)
    assert (ledger.read_bytes(), ledger.stat().st_mode & 0o777) == (whole, 0o600)

    found = read_archive(backup)
    ledger.write_bytes(whole + b'{"claim":"three"}\n')
    procedures._put_ledger_back(ledger, found)
    assert [path.name for path in ledger.parent.glob("claims*")] == [ledger.name], "what goes on from it has it all"

    ledger.write_bytes(b'{"claim":"another"}\n')
    procedures._put_ledger_back(ledger, found)
    beside = ledger.with_name(f"claims_audit.{found.digest[:12]}.jsonl")
    assert (ledger.read_bytes(), beside.read_bytes()) == (b'{"claim":"another"}\n', whole)


async def test_claims_that_cannot_be_written_are_said_with_a_way_out(world: World, backup: Path):
    world.instance.ledger.unlink()
    world.instance.ledger.mkdir()
    (world.instance.ledger / "in the way").touch()
    with pytest.raises(SettingInvalid, match="restored and verified, but the claims") as caught:
        await procedures.put_back(world.place(world.target), backup, QUIET)
    assert f"tar -xOf {backup} claims_audit.jsonl" in caught.value.hint
    assert await world.rows(world.target, "execution_audit")


def flipped(data: bytes) -> bytes:
    place = random.randrange(len(data) - len(archive.END))  # the tar's end is zeros that only have to be there
    return data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "something else": lambda _: b"PGDMP" + bytes(5000),
    "cut off in the dump": lambda data: data[: len(data) // 2],
    "cut off at its digest": lambda data: data[:-2560],
    "without its last byte": lambda data: data[:-1],
    "with something behind it": lambda data: data + b"x",
    **{f"one bit is another, {number}": flipped for number in range(20)},
    "another tar": lambda data: retarred(data, MEMBERS[:3]),
    "a member twice": lambda data: retarred(data, (*MEMBERS, "sha256")),
}


def retarred(data: bytes, names: tuple[str, ...]) -> bytes:
    """The same members, chosen anew."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=out, mode="w") as new:
        for name in names:
            new.addfile(old.getmember(name), old.extractfile(name))
    return out.getvalue()


async def test_a_damaged_file_is_refused_before_anything_is_restored(world: World, backup: Path, tmp_path: Path):
    data, bad = backup.read_bytes(), tmp_path / "bad.tar"
    for name, damage in DAMAGES.items():
        bad.write_bytes(damage(data))
        with pytest.raises(LogCorrupt) as caught:
            await procedures.put_back(world.place(world.target), bad, QUIET)
        assert caught.value.code is Code.BACKUP_INVALID, name
    assert await world.tables(world.target) == 0


def rewritten(path: Path, backup: Path, **texts: str) -> Path:
    """A backup with other members and a digest that fits, as somebody makes it who can write files."""
    found = read_archive(backup)
    with writing(path) as file:
        for name in MEMBERS[:-1]:
            with file.member(name) as write:
                for piece in (texts[name].encode(),) if name in texts else found.pieces(name):
                    write(piece)
        file.finish()
    return path


async def test_a_checkpoint_that_is_not_the_dumps_is_refused_and_nothing_stays(
    world: World, backup: Path, tmp_path: Path
):
    instance, found = world.instance, read_archive(backup)
    key = load_pem_private_key(instance.checkpoint_key.read_bytes(), password=None)
    newer = found.manifest.records + 1
    note = sign_checkpoint(Checkpoint(instance.origin(), newer, b"\1" * 32), instance.origin(), key)  # type: ignore[arg-type]
    manifest = found.manifest.model_copy(update={"records": newer})
    grown = rewritten(tmp_path / "grown.tar", backup, checkpoint=note, **{archive.MANIFEST: manifest.model_dump_json()})
    with pytest.raises(LogCorrupt) as caught:
        await procedures.put_back(world.place(world.target), grown, QUIET)
    assert caught.value.code is Code.LOG_CORRUPT
    assert await world.tables(world.target) == 0, "what does not verify is taken away again"
    with pytest.raises(LogCorrupt):
        await procedures.rehearse(*procedures.check(instance, grown, QUIET), QUIET)

    older = (await world.rows(world.source, "audit_checkpoint"))[0]
    manifest = found.manifest.model_copy(update={"records": older[0]})
    shrunk = rewritten(
        tmp_path / "old.tar", backup, checkpoint=older[2], **{archive.MANIFEST: manifest.model_dump_json()}
    )
    with pytest.raises(LogCorrupt, match="not the head of the log in its dump"):
        await procedures.put_back(world.place(world.target), shrunk, QUIET)
    assert await world.tables(world.target) == 0

    for number, texts in enumerate(({"checkpoint": note}, {"checkpoint": ""}, {archive.MANIFEST: "{}"})):
        odd = rewritten(tmp_path / f"odd{number}.tar", backup, **texts)
        with pytest.raises(LogCorrupt) as caught:
            procedures.check(instance, odd, QUIET)
        assert caught.value.code is Code.BACKUP_INVALID


async def test_a_log_that_was_rewritten_before_the_backup_is_refused(world: World, tmp_path: Path):
    async with load(world):
        pass
    administrator = await world.source.connection(SUPERUSER).connect()
    await administrator.execute("ALTER TABLE execution_audit DISABLE TRIGGER ALL")
    await administrator.execute("UPDATE execution_audit SET worker = 'somebody else' WHERE position = 0")
    await administrator.close()
    path = tmp_path / "backup.tar"
    await procedures.create_backup(world.place(world.source), path, now=NOW, progress=QUIET)
    with pytest.raises(LogCorrupt, match="position 0"):
        await procedures.put_back(world.place(world.target), path, QUIET)
    assert await world.tables(world.target) == 0


KILLED = """
import os, signal, sys
from wingman_cli.backup import places, procedures
from wingman_cli.main import app

step, when, *words = sys.argv[1:]
owner = places.HostDatabase if step == "verify" else procedures
do = getattr(owner, step)

async def killed(*arguments):
    if when == "after":
        await do(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, step, killed)
app(words)
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["withhold", "restore", "verify", "release"])
async def test_what_a_killed_restore_leaves_is_verified_or_no_start_accepts_it(
    world: World, backup: Path, step: str, when: str
):
    words = [sys.executable, "-c", KILLED, step, when, "backup", "restore", str(backup)]
    environ = {**os.environ, **world.variables(world.target)}
    done = await asyncio.to_thread(subprocess.run, words, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr

    owner, gateway = (world.target.connection(role) for role in (OWNER, "wingman_gateway"))
    if (step, when) == ("withhold", "before"):
        assert await world.tables(world.target) == 0
    elif (step, when) == ("release", "after"):
        await migrate(owner)
        await gateway.require("execution_audit")
        return
    else:
        with pytest.raises(SettingInvalid, match=r"a restore into t_\w+ was cut off"):
            await migrate(owner)
        with pytest.raises(SettingInvalid, match="permission denied for database"):
            await gateway.connect()

    await procedures.put_back(world.place(world.target), backup, QUIET)
    await migrate(owner)
    await gateway.require("execution_audit")


async def test_another_deployments_backup_is_refused(world: World, backup: Path, tmp_path: Path):
    other = Instance(tmp_path / "other")
    other.prepare(now=datetime.now(UTC))
    with pytest.raises(LogCorrupt, match="and this is"):
        await procedures.put_back(replace(world.place(world.target), instance=other), backup, QUIET)
    (other.directory / "secrets" / "log-id").write_text(world.instance.log_id())
    other.write_verifier_key()  # of the same name by now, and another key
    with pytest.raises(LogCorrupt, match="was not signed by"):
        await procedures.put_back(replace(world.place(world.target), instance=other), backup, QUIET)
    path = tmp_path / "mine.tar"
    with pytest.raises(LogCorrupt, match="was not signed by"):
        await procedures.create_backup(
            replace(world.place(world.source), instance=other), path, now=NOW, progress=QUIET
        )
    assert not path.exists()


async def test_nothing_that_is_there_is_replaced(world: World, backup: Path):
    with pytest.raises(SettingInvalid, match="not empty"):
        await procedures.put_back(world.place(world.source), backup, QUIET)
    assert await world.rows(world.source, "execution_audit")
    with pytest.raises(SettingInvalid, match="exists"):
        await procedures.create_backup(world.place(world.source), backup, now=NOW, progress=QUIET)
    with world.instance.held(), pytest.raises(SettingInvalid, match="another wingman up runs"):
        await procedures.put_back(world.place(world.target), backup, QUIET)


async def test_a_program_that_fails_or_hangs_is_ended_and_says_why(
    world: World, backup: Path, monkeypatch: pytest.MonkeyPatch
):
    reached = HostPrograms(world.target.connection(OWNER), world.variables(world.target))

    async def refused(doing: Coroutine[Any, Any, object]) -> WingmanError:
        with pytest.raises(Unavailable) as caught:
            await doing
        return caught.value

    async def moment() -> None:
        async with held_moment(reached):
            pass

    assert "execution_audit" in str(await refused(moment())), "there are no tables in it"
    wide = replace(world.target, name="nowhere").connection(OWNER)
    assert "does not exist" in str(await refused(is_empty(replace(reached, connection=wide))))
    assert "archive" in str(await refused(restore(reached, [bytes(1 << 20)] * 20))), "it ends before it took all"

    lock = await world.source.connection(OWNER).connect()
    async with lock.transaction():
        await lock.execute("LOCK TABLE api_key IN ACCESS EXCLUSIVE MODE")
        monkeypatch.setattr(programs, "STALL", 0.5)
        path = backup.with_name("second.tar")
        late = await refused(procedures.create_backup(world.place(world.source), path, now=NOW, progress=QUIET))
    await lock.close()
    assert late.code is Code.DEADLINE_EXCEEDED
    assert list(path.parent.glob("*second*")) == []


def run(world: World, database: Database, *words: str) -> Result:
    return CliRunner().invoke(app, ["backup", *words], env=world.variables(database))


async def test_the_commands(world: World, tmp_path: Path):
    async with load(world):
        made = await asyncio.to_thread(run, world, world.source, "create", "--prove")
    assert made.exit_code == 0, made.output
    (path,) = (world.instance.directory / "backups").iterdir()
    assert str(path) in made.output
    proven = await asyncio.to_thread(run, world, world.source, "verify", str(path))
    assert (proven.exit_code, "it can be restored" in proven.output) == (0, True), proven.output
    quick = await asyncio.to_thread(run, world, world.source, "verify", "--quick", "--json", str(path))
    assert Manifest.model_validate_json(read_archive(path).manifest.model_dump_json()).origin in quick.output
    back = await asyncio.to_thread(run, world, world.target, "restore", str(path))
    assert (back.exit_code, "verified against" in back.output) == (0, True), back.output
    again = await asyncio.to_thread(run, world, world.target, "restore", "--json", str(path))
    assert (again.exit_code, "not empty" in again.stderr) == (2, True)
    nothing = await asyncio.to_thread(run, world, world.source, "verify", str(tmp_path / "none.tar"))
    assert nothing.exit_code == 2
    path.write_bytes(b"")
    assert (await asyncio.to_thread(run, world, world.source, "verify", str(path))).exit_code == 1
