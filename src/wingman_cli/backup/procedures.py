"""Taking a backup, proving that one can be used, and putting one back.

Guarantees: dump and checkpoint are of one moment, whatever is written meanwhile; what is put back has been verified
against its own signed checkpoint before anybody can use it, or is taken away again, by the next restore where this one
is killed; nothing that is there is replaced.
"""

import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from wingman_cli.backup import archive
from wingman_cli.backup.archive import Archive, Manifest, read_archive, writing
from wingman_cli.backup.places import Database, Place, embedded
from wingman_cli.backup.programs import (
    Programs,
    dump,
    empty,
    held_moment,
    is_empty,
    is_withheld,
    release,
    restore,
    withhold,
)
from wingman_cli.embedded_db import ROLES
from wingman_cli.instance import Instance
from wingman_cli.named_files import read_text
from wingman_cli.pki import write_private
from wingman_core.checkpoint import Checkpoint, open_checkpoint
from wingman_core.errors import Code, LogCorrupt, SettingInvalid
from wingman_core.notes import VerifierKey, parse_verifier_key

if TYPE_CHECKING:
    from rich.progress import Progress


async def create_backup(place: Place, path: Path, *, now: datetime, progress: "Progress") -> tuple[Manifest, str]:
    """Write a backup of what is there now to ``path``; return what it is of and its digest.

    Raises ``LogCorrupt`` where the newest checkpoint is not this deployment's, ``SettingInvalid`` where the file
    cannot be written or there is no database, ``Unavailable`` where Postgres or one of its programs fails.
    """
    with writing(path) as file:
        async with place.running() as database, held_moment(database.programs) as moment:
            # 1. Whose it is: the head of that moment is signed by this deployment's key.
            key = log_key(place.instance)
            manifest = Manifest(
                environment=place.instance.environment,
                origin=key.name,
                taken_at=now,
                records=moment.records,
                server=moment.server,
            )
            _signed_head(path, manifest, moment.checkpoint, key)
            for name, text in ((archive.MANIFEST, manifest.model_dump_json()), (archive.CHECKPOINT, moment.checkpoint)):
                with file.member(name) as write:
                    write(text.encode("utf-8"))
            # 2. The claims so far, in whole lines.
            with file.member(archive.LEDGER) as write:
                for line in _whole_lines(place.ledger):
                    write(line)
            # 3. The database as that moment shows it.
            task = progress.add_task("dumping", total=None)
            with file.member(archive.DUMP) as write:
                async for piece in dump(database.programs, moment.snapshot):
                    write(piece)
                    progress.advance(task, len(piece))
        return manifest, file.finish()


def check(instance: Instance, path: Path, progress: "Progress") -> tuple[Archive, VerifierKey, Checkpoint | None]:
    """Return a backup that is whole and of this deployment, its log's key, and its checkpoint; raise ``LogCorrupt``."""
    task = progress.add_task("reading", total=None)
    found = read_archive(path, lambda done, size: progress.update(task, completed=done, total=size))
    key = log_key(instance)
    manifest = found.manifest
    if (manifest.environment, manifest.origin) != (instance.environment, key.name):
        raise archive.invalid(path, f"it is of {manifest.origin}, and this is {key.name}")
    return found, key, _signed_head(path, manifest, found.checkpoint, key)


async def rehearse(found: Archive, key: VerifierKey, against: Checkpoint | None, progress: "Progress") -> None:
    """Put a backup into a server that is thrown away, and verify the log there; raise ``LogCorrupt``."""
    with tempfile.TemporaryDirectory(prefix="wingman-rehearsal-") as scratch:
        passwords = {role: secrets.token_urlsafe(24) for role in ROLES}
        async with embedded(Path(scratch) / "postgres", passwords) as database:
            await _put_back(database, found, key, against, progress)


async def put_back(place: Place, path: Path, progress: "Progress") -> Manifest:
    """Restore a backup into a deployment that does not run and has nothing in its database; return what it is of.

    Raises ``LogCorrupt`` for a backup that does not verify, ``SettingInvalid`` where something is there or runs,
    ``Unavailable`` where Postgres or one of its programs fails; the database is empty then as before.
    """
    # 1. Is it whole, and ours?
    found, key, against = check(place.instance, path, progress)
    async with place.stopped() as database:
        # 2. Is there room for it? What a restore left that was cut off gives way.
        if await is_withheld(database.programs):
            await empty(database.programs)
        if not await is_empty(database.programs):
            raise SettingInvalid(
                Code.SETTING_INVALID,
                "the database is not empty: a backup replaces nothing",
                hint="restore into a new database; what is there, back up and put aside first",
            )
        # 3. The database, and the proof that its log is the one that was signed.
        await _put_back(database, found, key, against, progress)
        # 4. The claims, where nobody has any newer.
        try:
            _put_ledger_back(place.ledger, found)
        except OSError as error:
            await release(database.programs)
            raise SettingInvalid(
                Code.SETTING_INVALID,
                f"the database is restored and verified, but the claims cannot be written: {error}",
                hint=f"as somebody who may: tar -xOf {path} {archive.LEDGER} > {place.ledger}",
            ) from error
        # 5. Wingman's processes may use it.
        await release(database.programs)
    return found.manifest


async def _put_back(
    database: Database, found: Archive, key: VerifierKey, against: Checkpoint | None, progress: "Progress"
) -> None:
    """Restore the dump and verify it; leave nothing where that fails."""
    task = progress.add_task("restoring", total=found.size(archive.DUMP))

    def pieces() -> Iterator[bytes]:
        for piece in found.pieces(archive.DUMP):
            yield piece
            progress.advance(task, len(piece))

    async with _withheld(database.programs):
        await restore(database.programs, pieces())
        head = await database.verify(key, against, progress)
        if head != found.checkpoint:
            raise archive.invalid(found.path, "its checkpoint is not the head of the log in its dump")


@asynccontextmanager
async def _withheld(programs: Programs) -> AsyncIterator[None]:
    """Keep Wingman's processes out of the database, also afterwards; where the context fails, nothing stays in it."""
    await withhold(programs)
    try:
        yield
    except BaseException:
        await empty(programs)
        await release(programs)
        raise


def log_key(instance: Instance) -> VerifierKey:
    """Return the public key of a deployment's log; raise ``SettingInvalid`` where it has none."""
    return parse_verifier_key(read_text(instance.verifier_key, "the log's public key"))


def _signed_head(path: Path, manifest: Manifest, note: str, key: VerifierKey) -> Checkpoint | None:
    """Return the checkpoint of a backup, None for an empty log; raise ``LogCorrupt`` where it is not this log's."""
    if not note and manifest.records == 0:
        return None
    try:
        checkpoint = open_checkpoint(note, [key])
    except LogCorrupt as error:
        raise archive.invalid(path, f"its checkpoint was not signed by {key.name}'s key ({error.message})") from error
    if (checkpoint.origin, checkpoint.size) != (key.name, manifest.records):
        raise archive.invalid(
            path, f"its checkpoint is of {checkpoint.size} records, and its dump has {manifest.records}"
        )
    return checkpoint


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Yield the ledger's lines as far as they are written; nothing where nobody logged a claim."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            yield line


def _put_ledger_back(ledger: Path, found: Archive) -> None:
    """Write the claims where there are none; beside those that are there, where these are others."""
    kept = ledger
    if ledger.exists() and ledger.stat().st_size:
        with ledger.open("rb") as file:
            if all(file.read(len(piece)) == piece for piece in found.pieces(archive.LEDGER)):
                return
        kept = ledger.with_name(f"{ledger.stem}.{found.digest[:12]}{ledger.suffix}")
    if not found.size(archive.LEDGER):
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_private(kept, b"".join(found.pieces(archive.LEDGER)))
    if os.geteuid() == 0:  # who writes beside it writes it
        owner = kept.parent.stat()
        os.chown(kept, owner.st_uid, owner.st_gid)
