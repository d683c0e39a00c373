"""What must outlive the process while the database cannot take it: notes before an act, outcomes after it.

Guarantees: what ``note`` and ``keep`` returned from is on disk (file and directory fsynced); an entry is
whole or absent; outcomes come back in the order they were kept; one process at a time owns the directory.
Does not: survive the disk it lies on, nor say whether an outcome was stored already (the log's unique index
does).
"""

import fcntl
import json
import os
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from wingman_core.errors import Code, LogCorrupt, SettingInvalid

IDENTITY: Final = "identity"
OUTCOME: Final = re.compile(r"(\d{12})\.outcome", re.ASCII)
EXECUTION: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class Journal:
    """A directory of small files: ``<n>.outcome`` records, ``<execution id>.notes``, and who owns it."""

    def __init__(self, directory: Path) -> None:
        """Take the directory; ``open`` makes and locks it."""
        self._directory = directory
        self._lock = -1
        self._next = 0
        self._writing = threading.Lock()

    def open(self) -> Self:
        """Make the directory (mode 0700), lock it, drop half-written files; raise ``SettingInvalid`` if in use."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            raise SettingInvalid(
                Code.SETTING_INVALID,
                f"WINGMAN_JOURNAL: {self._directory} cannot be owned: {error.strerror}",
                hint="another gateway may be using it; each gateway needs a writable directory of its own",
            ) from error
        for half in self._directory.glob("*.new"):
            half.unlink()
        self._next = max((number for number, _ in self._outcomes()), default=-1) + 1
        return self

    def close(self) -> None:
        """Give the directory back; what it holds stays."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        """Open."""
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def identity(self) -> str:
        """Return the id that this directory has had since its first use: that of the gateway that owns it."""
        path = self._directory / IDENTITY
        if not path.exists():
            self._write(path, f"gateway-{secrets.token_hex(8)}".encode())
        return path.read_text("ascii")

    def note(self, execution_id: str, key: str, value: str) -> None:
        """Write one fact about an execution durably, beside those noted before."""
        notes = dict(self.notes(execution_id))
        notes[key] = value
        self._write(self._notes_path(execution_id), json.dumps(notes, sort_keys=True).encode())

    def notes(self, execution_id: str) -> Mapping[str, str]:
        """Return what was noted about an execution; empty if nothing was."""
        path = self._notes_path(execution_id)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return {}
        try:
            notes = json.loads(data)
        except ValueError as error:
            raise _corrupt(path) from error
        if not isinstance(notes, dict):
            raise _corrupt(path)
        return {str(key): str(value) for key, value in notes.items()}

    def forget(self, execution_id: str) -> None:
        """Drop the notes of an execution whose outcome is in the log."""
        self._notes_path(execution_id).unlink(missing_ok=True)

    def keep(self, record: bytes) -> None:
        """Keep one outcome record until the log takes it."""
        with self._writing:
            self._write(self._directory / f"{self._next:012d}.outcome", record)
            self._next += 1

    def kept(self) -> Iterator[tuple[int, bytes]]:
        """Yield what is kept, oldest first: a number for ``drop``, and the record."""
        for number, path in sorted(self._outcomes()):
            yield number, path.read_bytes()

    def drop(self, number: int) -> None:
        """Remove one outcome that the log has taken, durably."""
        (self._directory / f"{number:012d}.outcome").unlink()
        self._sync_directory()

    def set_aside(self, number: int) -> str:
        """Keep one outcome that the log can never take, as a file that waits for nothing; return the file's name."""
        name = f"{number:012d}-{secrets.token_hex(4)}.refused"
        (self._directory / f"{number:012d}.outcome").rename(self._directory / name)
        self._sync_directory()
        return name

    def empty(self) -> bool:
        """Whether no outcome waits."""
        return next(self._outcomes(), None) is None

    def waiting(self) -> int:
        """How many outcomes wait."""
        return sum(1 for _ in self._outcomes())

    def _outcomes(self) -> Iterator[tuple[int, Path]]:
        for path in self._directory.iterdir():
            if match := OUTCOME.fullmatch(path.name):
                yield int(match[1]), path

    def _notes_path(self, execution_id: str) -> Path:
        if not EXECUTION.fullmatch(execution_id):
            raise LogCorrupt(Code.LOG_CORRUPT, f"{execution_id[:80]!a} is no execution id", hint="look at the log")
        return self._directory / f"{execution_id}.notes"

    def _write(self, path: Path, data: bytes) -> None:
        temporary = path.with_name(path.name + ".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
        self._sync_directory()

    def _sync_directory(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _corrupt(path: Path) -> LogCorrupt:
    return LogCorrupt(
        Code.LOG_CORRUPT, f"the journal's {path.name} is damaged", hint="look at the file; move it away to go on"
    )
