"""A backup comes back whole and verified, or leaves nothing that a start accepts, wherever it is killed."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.cli.backups import NOW, QUIET, World, load
from wingman_cli.backup import archive, procedures
from wingman_cli.backup.archive import MEMBERS, read_archive, writing
from wingman_cli.embedded_db import OWNER, SUPERUSER, migrate
from wingman_core.checkpoint import Checkpoint, sign_checkpoint
from wingman_core.errors import Code, LogCorrupt, SettingInvalid


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


async def test_nothing_that_is_there_is_replaced(world: World, backup: Path):
    with pytest.raises(SettingInvalid, match="not empty"):
        await procedures.put_back(world.place(world.source), backup, QUIET)
    assert await world.rows(world.source, "execution_audit")
    with pytest.raises(SettingInvalid, match="exists"):
        await procedures.create_backup(world.place(world.source), backup, now=NOW, progress=QUIET)
    with world.instance.held(), pytest.raises(SettingInvalid, match="another wingman up runs"):
        await procedures.put_back(world.place(world.target), backup, QUIET)


KILLED = """
import inspect, os, signal, sys
from wingman_cli.backup import places, procedures
from wingman_cli.main import app

step, when, *words = sys.argv[1:]
owner = places.HostDatabase if step == "verify" else procedures
do = getattr(owner, step)

async def killed(*arguments):
    if when == "after":
        await do(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

def killed_at_once(*arguments):
    if when == "after":
        do(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, step, killed if inspect.iscoroutinefunction(do) else killed_at_once)
app(words)
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["withhold", "restore", "verify", "_put_ledger_back", "release"])
async def test_what_a_killed_restore_leaves_is_verified_or_no_start_accepts_it(
    world: World, backup: Path, step: str, when: str
):
    world.instance.ledger.unlink()
    words = [sys.executable, "-c", KILLED, step, when, "backup", "restore", str(backup)]
    environ = {**os.environ, **world.variables(world.target)}
    done = await asyncio.to_thread(subprocess.run, words, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr

    owner, gateway = (world.target.connection(role) for role in (OWNER, "wingman_gateway"))
    if (step, when) == ("withhold", "before"):
        assert await world.tables(world.target) == 0
    elif (step, when) != ("release", "after"):
        with pytest.raises(SettingInvalid, match=r"a restore into t_\w+ was cut off"):
            await migrate(owner)
        with pytest.raises(SettingInvalid, match="permission denied for database"):
            await gateway.connect()

    if (step, when) != ("release", "after"):
        await procedures.put_back(world.place(world.target), backup, QUIET)
    await migrate(owner)
    await gateway.require("execution_audit")
    assert world.instance.ledger.read_bytes() == b'{"claim":"one"}\n{"claim":"two"}\n'
