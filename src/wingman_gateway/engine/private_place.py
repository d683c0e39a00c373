"""Private directories for what Compose is given: a project's files, secrets of its environment among them.

Guarantees: nobody else may look into one; it goes with its use, and what a gateway that was killed left behind goes
when the next one starts. Whether somebody still needs one is told by its lock, which ends with its process, and not by
a process's number: containers give theirs again and again, and each counts for itself.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

PREFIX: Final = "wingman-compose-"


@contextmanager
def private_place() -> Iterator[Path]:
    """Make an empty directory for as long as the context lasts; its name begins with its process's number."""
    while True:
        with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-") as name, _held(Path(name)) as held:
            if held:  # else a sweep saw it first, and removes it
                yield Path(name)
                return


def sweep() -> None:
    """Remove what processes of this user that are gone left behind."""
    for place in Path(tempfile.gettempdir()).glob(f"{PREFIX}[0-9]*-*"):
        with suppress(OSError):  # another gateway removes its own, and may sweep as well; a link is left alone
            if place.lstat().st_uid == os.getuid():
                with _held(place) as held:
                    if held:
                        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _held(place: Path) -> Iterator[bool]:
    """Lock a directory; yield whether it is there and nobody else has it locked."""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _locked(descriptor) and place.exists()
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
