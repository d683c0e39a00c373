"""Files that are read again when they change: token keys and policies, without a restart and without losing a call.

Guarantees: what was read last and could be used stays in force until the files say something else that can be used as a
whole; a call sees one state of each. Files that cannot be used are read at every look until they can, and told once for
each time that they come to a state. Does not: follow the key that signs checkpoints (a log has one at a time).
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from structlog.typing import FilteringBoundLogger

T = TypeVar("T")
Stamp = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(slots=True)
class Watched(Generic[T]):
    """A value that files hold: ``read`` raises ``WingmanError`` where they cannot be used, ``use`` puts it in force."""

    what: str
    files: Callable[[], Iterable[Path]]
    read: Callable[[], T]
    use: Callable[[T], None]
    seen: Stamp | None = None
    """The files' state when they were read and used; ``None`` before the first look, which reads them once more."""
    told: Stamp | None = None
    """Their state when they could not be used."""

    def stamp(self) -> Stamp:
        """Return what changes when a file does."""
        try:
            return stamp_of(self.files())
        except OSError as error:  # of the listing
            return ((str(error), ()),)


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
        """Take what was read before, seconds between two looks, and who counts: what it was, and if it was usable."""
        self._watched = tuple(watched)
        self._interval = interval
        self._told = told
        self._log = log

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            await self.look()

    async def look(self) -> None:
        """Look once; read what changed."""
        for each in self._watched:
            stamp = each.stamp()
            if stamp == each.seen:
                each.told = None  # what was wrong is over; should it return, it is told again
            else:
                await self._read(each, stamp)

    async def _read(self, each: Watched[object], stamp: Stamp) -> None:
        """Read files whose state, before that, is not the one that is in force."""
        try:
            each.use(await asyncio.to_thread(each.read))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the files, the loop goes on
            if stamp != each.told:
                each.told = stamp
                self._told(each.what, usable=False)
                self._log.error("what is in force stays: the files cannot be used", what=each.what, error=str(error))
            return
        is_news = each.seen is not None or each.told is not None
        each.seen, each.told = stamp, None
        if is_news:
            self._told(each.what, usable=True)
            self._log.info("read again", what=each.what)


def stamp_of(paths: Iterable[Path]) -> Stamp:
    """Return what changes when a file, its mode or its owner does; of a file that cannot be looked at only its name."""
    return tuple(sorted(_stamp(path) for path in paths))


def _stamp(path: Path) -> tuple[str, tuple[int, ...]]:
    try:
        status = path.stat()
    except OSError:
        return str(path), ()
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return str(path), (*times, status.st_size, status.st_ino, status.st_mode, status.st_uid)
