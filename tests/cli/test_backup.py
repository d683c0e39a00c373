"""A backup is of one moment, whole and ours; anything else is refused before anything is restored."""

import asyncio
import io
import tarfile
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.cli.backups import NOW, QUIET, World, load
from tests.conftest import Database
from wingman_cli.backup import archive, procedures, programs
from wingman_cli.backup.archive import MEMBERS, Manifest, read_archive, writing
from wingman_cli.backup.programs import HostPrograms, held_moment, is_empty, restore
from wingman_cli.embedded_db import OWNER
from wingman_cli.instance import Instance
from wingman_cli.main import app
from wingman_core.errors import Code, LogCorrupt, Unavailable, WingmanError

TABLES = ("execution_audit", "audit_node", "audit_checkpoint", "api_key")


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


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "something else": lambda _: b"PGDMP" + bytes(5000),
    "cut off in the dump": lambda data: data[: len(data) // 2],
    "cut off at its digest": lambda data: data[:-2560],
    "without its last byte": lambda data: data[:-1],
    "with something behind it": lambda data: data + b"x",
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


def test_a_file_in_which_one_bit_is_another_is_refused_whichever_it_is(tmp_path: Path):
    path, bad = tmp_path / "backup.tar", tmp_path / "bad.tar"
    manifest = Manifest(environment="test", origin="log", taken_at=NOW, records=0, server="17")
    with writing(path) as file:
        for name in MEMBERS[:-1]:
            with file.member(name) as write:
                write(manifest.model_dump_json().encode() if name == archive.MANIFEST else b"text")
        file.finish()
    assert read_archive(path).manifest == manifest
    data = path.read_bytes()
    for place in range(len(data)):
        bad.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        with pytest.raises(LogCorrupt):
            read_archive(bad)


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
