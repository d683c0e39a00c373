"""Files that are read again when they change: token keys and policies, without a restart and without losing a call.

Guarantees: what was read last and could be used stays in force until the files say something else that can be used as a
whole; a call sees one state of each. Does not: follow the key that signs checkpoints (a log has one at a time).
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from structlog.typing import FilteringBoundLogger

T = TypeVar("T")
Stamp = tuple[tuple[str, int, int, int], ...]


@dataclass(slots=True)
class Watched(Generic[T]):
    """A value that files hold: ``read`` raises ``WingmanError`` where they cannot be used, ``use`` puts it in force."""

    what: str
    files: Callable[[], Iterable[Path]]
    read: Callable[[], T]
    use: Callable[[T], None]
    seen: Stamp = ()

    def stamp(self) -> Stamp:
        """Return what changes when a file does."""
        return tuple(sorted(_stamp(path) for path in self.files()))


class Told(Protocol):
    """Who counts."""

    def __call__(self, what: str, *, usable: bool) -> None:
        """Hear what files were read again, and whether they could be used."""
        ...


class Reloads:
    """Looks at watched files, again and again."""

    def __init__(
        self,
        watched: Iterable[Watched[object]],
        *,
        interval: float,
        told: Told,
        log: FilteringBoundLogger,
    ) -> None:
        """Take what was read just now, seconds between two looks, and who counts: what it was, and if it was usable."""
        self._watched = tuple(watched)
        self._interval = interval
        self._told = told
        self._log = log
        for each in self._watched:
            each.seen = each.stamp()

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            await self.look()

    async def look(self) -> None:
        """Look once; read what changed."""
        for each in self._watched:
            try:
                stamp = each.stamp()
                if stamp != each.seen:
                    # A renewal that is under way is read again once it is whole: its files change once more.
                    each.seen = stamp
                    each.use(await asyncio.to_thread(each.read))
                    self._told(each.what, usable=True)
                    self._log.info("read again", what=each.what)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the files, the loop goes on
                self._told(each.what, usable=False)
                self._log.error("what is in force stays: the files cannot be used", what=each.what, error=str(error))


def _stamp(path: Path) -> tuple[str, int, int, int]:
    status = path.stat()
    return str(path), status.st_mtime_ns, status.st_size, status.st_ino
