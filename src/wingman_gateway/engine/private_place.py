"""Private directories for what Compose is given: a project's files, secrets of its environment among them.

Guarantees: nobody else may look into one; it goes with its use, and what a gateway that was killed left behind goes
when the next one starts.
"""

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
    """Make an empty directory for as long as the context lasts; it is named by the process that needs it."""
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-") as place:
        yield Path(place)


def sweep() -> None:
    """Remove what processes of this user that are gone left behind."""
    for place in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        process = place.name.removeprefix(PREFIX).partition("-")[0]
        with suppress(FileNotFoundError):  # another gateway removes its own, and may sweep as well
            if process.isdecimal() and place.lstat().st_uid == os.getuid() and not _runs(int(process)):
                shutil.rmtree(place, ignore_errors=True)  # a link is left alone


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
