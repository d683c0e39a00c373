"""The claims ledger: one JSON object a line, in a file that operators follow with ``tail -f`` and move away.

Guarantees: what ``append`` returned from is on disk; each line is one write at the file's end under an exclusive
lock, so that lines of several processes and threads never mix; a line holds no raw control or line-splitting
character; a file that was moved away is made anew (mode 0600), with no line lost; a line that a crash tore is ended
before the next one. Entries that wait together share one fsync. Does not: rotate, or repair what is torn.
"""

import asyncio
import fcntl
import json
import os
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from wingman_core.errors import Code, Unavailable

LOCK_SECONDS: Final = 5.0
"""How long a batch waits for the file: for its lock, and for a file that stays where it was opened."""
LOCK_POLL: Final = 0.01
APPEND_SECONDS: Final = 15.0
"""How long one entry waits to be on disk."""
MAX_WAITING: Final = 1024
FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class Entry:
    """One line."""

    id: str
    timestamp: datetime
    worker_id: str
    claim: str
    status: str

    def line(self) -> bytes:
        """Return the entry as one line of ASCII, its end included."""
        record = {
            "id": self.id,
            "timestamp": self.timestamp.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "worker_id": self.worker_id,
            "claim": self.claim,
            "status": self.status,
        }
        return json.dumps(record, ensure_ascii=True).encode("ascii") + b"\n"


class Ledger:
    """Appends to one file; one event loop uses it."""

    def __init__(self, path: Path) -> None:
        """Open nothing yet."""
        self._path = path
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def append(self, entry: Entry) -> None:
        """Return once the entry is on disk; raise ``Unavailable`` (LEDGER_UNAVAILABLE) where it is not."""
        if len(self._waiting) >= MAX_WAITING:
            raise _unavailable("too many entries wait for the disk")
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry.line(), written))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_waiting())
        try:
            async with asyncio.timeout(APPEND_SECONDS):
                await written
        except TimeoutError as error:
            raise _unavailable("the disk did not take the entry in time; it may still do so") from error

    async def close(self) -> None:
        """Return once everything that waits is written or refused."""
        while self._writer is not None:
            await self._writer

    async def _write_waiting(self) -> None:
        """Write batch after batch, off the event loop, until nothing waits."""
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                failures = await asyncio.to_thread(append_lines, self._path, [line for line, _ in batch])
                for (_, written), failure in zip(batch, failures, strict=True):
                    if written.done():  # its caller went away
                        continue
                    if failure is None:
                        written.set_result(None)
                    else:
                        written.set_exception(_unavailable(failure))
        finally:
            self._writer = None


def append_lines(path: Path, lines: Sequence[bytes]) -> list[str | None]:
    """Append each line durably; return for each None, or why it is not in the file."""
    failures: list[str | None] = []
    try:
        descriptor = _open_locked(path)
    except OSError as error:
        return [_reason(error)] * len(lines)
    try:
        _end_torn_line(descriptor)
        for line in lines:
            failures.append(failures[-1] if failures and failures[-1] else _append(descriptor, line))
        os.fsync(descriptor)
    except OSError as error:
        return [_reason(error)] * len(lines)
    finally:
        os.close(descriptor)  # and so unlocks
    return failures


def _open_locked(path: Path) -> int:
    """Return the file that has the name ``path`` while its lock is held, made if it is missing."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        descriptor = os.open(path, FLAGS, 0o600)
        try:
            _require_file(descriptor)
            _lock(descriptor, deadline)
            if _is_at(descriptor, path):
                if os.fstat(descriptor).st_size == 0:  # made just now, by this process or another
                    _sync_directory(path.parent)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # moved away meanwhile: what is written now belongs into a new file
        if time.monotonic() > deadline:
            raise OSError(0, "it is moved away again and again")


def _require_file(descriptor: int) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(0, "it is no regular file")


def _lock(descriptor: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise OSError(0, "another process holds its lock") from None
            time.sleep(LOCK_POLL)
        else:
            return


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file still has the name ``path``."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _end_torn_line(descriptor: int) -> None:
    """End a line that a crash cut off, so that the next one stands alone."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.write(descriptor, b"\n")


def _append(descriptor: int, line: bytes) -> str | None:
    """Write one line with one write; take back what a full disk cut off, and say why."""
    size = os.fstat(descriptor).st_size
    try:
        if os.write(descriptor, line) == len(line):
            return None
        reason = "the disk is full"
    except OSError as error:
        reason = _reason(error)
    with suppress(OSError):  # the next writer ends it
        os.ftruncate(descriptor, size)
    return reason


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    return (error.strerror or "it cannot be written").lower()


def _unavailable(reason: str) -> Unavailable:
    return Unavailable(
        Code.LEDGER_UNAVAILABLE,
        f"the claims ledger did not take the entry: {reason}",
        hint="see that the file of WINGMAN_CLAIMS_LEDGER can be written and its disk has room, then send it again",
    )
