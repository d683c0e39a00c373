"""The directory of the embedded Postgres: whether it is whole, who runs on it, what killed processes left in it.

Guarantees: a cluster stands under its name only once ``initdb`` has finished, so that a start that was cut off is
made anew; a process is taken for the server only if it is one, on this directory; nothing that may hold a database
is removed.
Does not: speak to the server (see ``embedded_db``).
"""

import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SCRAM_ONLY: Final = "# Written by Wingman: every connection needs its role's password.\nlocal all all scram-sha-256\n"
MARK: Final = "wingman.whole"
"""A file in the directory of a cluster whose ``initdb`` has finished."""
FIRST_OWN_OID: Final = 16384
"""Postgres numbers what users make from here on; a database's directory is its number."""
READY_LIMIT: Final = 300.0
"""Seconds for a server to recover after a crash."""
STOP_LIMIT: Final = 10.0
POLL: Final = 0.1


@dataclass(frozen=True, slots=True)
class Cluster:
    """One directory; nothing need be there yet."""

    directory: Path

    @property
    def hba(self) -> Path:
        """Who may connect, and how they prove who they are."""
        return self.directory / "pg_hba.conf"

    def is_whole(self) -> bool:
        """Return whether ``initdb`` finished; clusters of versions without the mark are known by what they hold."""
        if not (self.directory / "PG_VERSION").exists():
            return False
        if (self.directory / MARK).exists() or self.postmaster() is not None:
            return True
        if self.hba.exists() and self.hba.read_text() == SCRAM_ONLY:
            return True
        return any(int(path.name) >= FIRST_OWN_OID for path in self.directory.glob("base/*") if path.name.isdigit())

    def make_whole(self, initialise: Callable[[Path], None]) -> None:
        """Where no whole cluster is, have ``initialise`` make one in a directory of another name; then rename it.

        What a start that was cut off left under the name is put aside. The caller holds the cluster's lock.
        """
        place = self.directory
        if self.is_whole():
            (place / MARK).touch()
            return
        for leftover in place.parent.glob(f".{place.name}.*.new"):
            shutil.rmtree(leftover, ignore_errors=True)  # a killed start's ``initdb`` may still be writing
        temporary = Path(tempfile.mkdtemp(prefix=f".{place.name}.", suffix=".new", dir=place.parent))
        try:
            initialise(temporary)
            (temporary / MARK).touch()
            if place.exists() and any(place.iterdir()):
                place.rename(temporary.with_name(f"{temporary.name.strip('.').removesuffix('.new')}.cut-off"))
            temporary.rename(place)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        _sync(place.parent)

    def postmaster(self) -> int | None:
        """Return the process id of the server that runs on the directory, ``None`` where none does."""
        import psutil  # comes with the wheel

        pid = _number(self._said()[0])
        try:
            process = psutil.Process(pid) if pid > 0 else None
            if process is None or process.status() == psutil.STATUS_ZOMBIE or "postgres" not in process.name():
                return None
            with suppress(psutil.AccessDenied):  # another user's: it counts as the server that it says it is
                return pid if Path(process.cwd()) == self.directory.resolve() else None
        except psutil.NoSuchProcess:
            return None
        return pid

    def forget_the_dead(self) -> None:
        """Drop what killed processes left written: a server that is gone, and users of it that are gone.

        The wheel takes any process of that number for the server (after a reboot it may be anybody's), and stops a
        server only when no user is left, a killed one included. The caller holds the cluster's lock.
        """
        import psutil

        users = self.directory / ".handle_pids.json"
        if self.postmaster() is None:
            (self.directory / "postmaster.pid").unlink(missing_ok=True)
        if users.exists():
            listed: list[int] = []
            with suppress(ValueError):  # cut off while it was written
                listed = [pid for pid in json.loads(users.read_text()) if psutil.pid_exists(pid)]
            users.write_text(json.dumps(listed))

    def until_ready(self, unwanted: threading.Event) -> bool:
        """Return True once the server that runs here takes connections, False where none runs.

        Raises ``TimeoutError`` where it does not within ``READY_LIMIT`` or is ``unwanted`` by then, and stops it.
        """
        deadline = time.monotonic() + READY_LIMIT
        while (pid := self.postmaster()) is not None:
            if self._said()[-1].strip() == "ready":
                return True
            if unwanted.is_set() or time.monotonic() > deadline:
                self._end(pid)
                raise TimeoutError("Postgres was stopped before it was ready")
            unwanted.wait(POLL)
        return False

    def _end(self, pid: int) -> None:
        """Stop the server, in an orderly way if it lets itself be stopped so."""
        for number in (signal.SIGINT, signal.SIGQUIT):
            deadline = time.monotonic() + STOP_LIMIT
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            while self.postmaster() == pid and time.monotonic() < deadline:
                time.sleep(POLL)

    def _said(self) -> list[str]:
        """Return the lines that the server wrote of itself: process id, ..., state; one empty line where none did."""
        try:
            return (self.directory / "postmaster.pid").read_text().splitlines() or [""]
        except FileNotFoundError:
            return [""]


def replace_text(path: Path, text: str) -> None:
    """Replace a file of the server's, whole or not at all; owner and mode stay."""
    before = path.stat()
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("w") as file:
        os.fchmod(file.fileno(), before.st_mode)
        os.fchown(file.fileno(), before.st_uid, before.st_gid)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _number(text: str) -> int:
    """Return a process id, 0 where the text is none (``initdb``'s own server writes a negative one)."""
    return int(text) if text.strip().isdigit() else 0


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
