"""A backup as one file: a tar of a manifest, the log's checkpoint, the ledger, the dump, and a digest of all before it.

Guarantees: the file stands under its name only once it is whole, mode 0600; nothing of it is used before its digest has
been compared, so that one that was cut off, or in which one bit is another, is refused.
Does not: prove who made it. The checkpoint is signed, and with it the audit log; keep the digest elsewhere, too.
"""

import hashlib
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from wingman_core.errors import Code, LogCorrupt, SettingInvalid

MANIFEST: Final = "manifest.json"
CHECKPOINT: Final = "checkpoint"
LEDGER: Final = "claims_audit.jsonl"
DUMP: Final = "database.dump"
DIGEST: Final = "sha256"
MEMBERS: Final = (MANIFEST, CHECKPOINT, LEDGER, DUMP, DIGEST)
PIECE: Final = 1 << 18
SMALL: Final = 1 << 20
"""Bytes that a manifest or a checkpoint may have."""
BLOCK: Final = tarfile.BLOCKSIZE

Progress = Callable[[int, int], None]
"""Hears how many bytes are done, and of how many (0 where that is not known yet)."""


class Manifest(BaseModel):
    """What a backup is of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    environment: str
    origin: str
    """The log's, as checkpoints name it."""
    taken_at: datetime
    records: int
    """In the audit log."""
    server: str
    """The version of Postgres."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A backup whose digest fits."""

    path: Path
    manifest: Manifest
    checkpoint: str
    """The newest checkpoint as a signed note; empty for an empty log. Its signature has not been looked at."""
    digest: str
    places: dict[str, tuple[int, int]]
    """Where each member's content begins, and its bytes."""

    def size(self, name: str) -> int:
        """Return a member's bytes."""
        return self.places[name][1]

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield a member's content."""
        start, left = self.places[name]
        with self.path.open("rb") as file:
            file.seek(start)
            while left and (piece := file.read(min(PIECE, left))):
                left -= len(piece)
                yield piece


class ArchiveWriter:
    """Writes members one after another; see ``writing``."""

    def __init__(self, file: BinaryIO) -> None:
        """Take an empty file that can be written and read."""
        self._file = file

    @contextmanager
    def member(self, name: str) -> Iterator[Callable[[bytes], object]]:
        """Yield what takes the member's bytes; how many there are need not be known."""
        begin = self._file.tell()
        self._file.write(b"\0" * BLOCK)
        yield self._file.write
        size = self._file.tell() - begin - BLOCK
        self._file.write(_padding(size))
        self._file.seek(begin)
        self._file.write(_header(name, size))
        self._file.seek(0, os.SEEK_END)

    def finish(self) -> str:
        """Read back what was written, add its digest and return it."""
        digest = _digest(self._file, self._file.tell())
        self._file.write(_end(digest))
        return digest


@contextmanager
def writing(path: Path) -> Iterator[ArchiveWriter]:
    """Yield a writer of ``path``, which is there once the context has ended well; raise ``SettingInvalid``."""
    if path.exists():
        raise SettingInvalid(Code.SETTING_INVALID, f"{path} exists", hint="name another file; backups replace nothing")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb+", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            yield ArchiveWriter(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except OSError as error:
        raise SettingInvalid(
            Code.SETTING_INVALID, f"{path} cannot be written: {error.strerror}", hint="name a place with room for it"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def read_archive(path: Path, progress: Progress = lambda _done, _all: None) -> Archive:
    """Return the backup in ``path``, once its digest fits; raise ``LogCorrupt`` (BACKUP_INVALID) for any other file."""
    try:
        with path.open("rb") as file:
            places = _places(file)
            digest = _digest(file, places[DIGEST][0] - BLOCK, progress)
            end = _end(digest)
            whole = file.read(len(end) + 1) == end
            manifest, checkpoint = (_small(file, places[name]) for name in (MANIFEST, CHECKPOINT))
        if not whole:
            raise invalid(path, "it does not end with the digest of what it holds: it was altered, or is damaged")
        return Archive(path, Manifest.model_validate_json(manifest), checkpoint.decode("utf-8"), digest, places)
    except OSError as error:
        raise SettingInvalid(
            Code.SETTING_INVALID, f"{path} cannot be read: {error.strerror}", hint="name a backup"
        ) from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise invalid(path, "its manifest is not one that this version knows") from error


def invalid(path: Path, why: str) -> LogCorrupt:
    """Return the refusal of a backup."""
    return LogCorrupt(
        Code.BACKUP_INVALID, f"{path} is no backup that can be used: {why}", hint="use another copy, or an older one"
    )


def _places(file: BinaryIO) -> dict[str, tuple[int, int]]:
    """Return where each member is, in a file that has just these."""
    name = Path(file.name)
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            found = [(member.name, member.offset_data, member.size) for member in tar if member.isreg()]
    except tarfile.TarError as error:
        raise invalid(name, "it was cut off, or is something else") from error
    if tuple(member[0] for member in found) != MEMBERS:
        raise invalid(name, "it was cut off, or is something else")
    return {member: (start, size) for member, start, size in found}


def _header(name: str, size: int) -> bytes:
    header = tarfile.TarInfo(name)
    header.size, header.mode = size, 0o600
    return header.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return b"\0" * (-size % BLOCK)


def _end(digest: str) -> bytes:
    """Return all that follows what a digest is of: its member, and the two empty blocks that end a tar."""
    content = digest.encode("ascii")
    return _header(DIGEST, len(content)) + content + _padding(len(content)) + b"\0" * (2 * BLOCK)


def _small(file: BinaryIO, place: tuple[int, int]) -> bytes:
    start, size = place
    file.seek(start)
    return file.read(min(size, SMALL))


def _digest(file: BinaryIO, size: int, progress: Progress = lambda _done, _all: None) -> str:
    """Return the SHA-256 of the file's first ``size`` bytes in hex, and leave it at their end."""
    digest, done = hashlib.sha256(), 0
    file.seek(0)
    while done < size and (piece := file.read(min(PIECE, size - done))):
        digest.update(piece)
        done += len(piece)
        progress(done, size)
    return digest.hexdigest()
