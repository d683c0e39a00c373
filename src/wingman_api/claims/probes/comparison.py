"""A git work tree's files against its index: what was changed, what is gone, what is not tracked.

Guarantees: walks by descriptors without following links, within one file system and not into hidden directories, so
that nothing outside the work tree is ever opened; runs nothing. A file whose content was written under a conversion
(filters, line endings) is not called changed: ``whole`` is false instead, as for all that could not be compared.
"""

import hashlib
import io
import os
import stat
from collections.abc import Mapping, Sequence
from typing import Final

from dulwich.ignore import IgnoreFilter, read_ignore_patterns
from dulwich.index import SerializedIndexEntry

from wingman_api.claims.probes.repository import NotUnderstood, read_found
from wingman_api.claims.probes.roots import MOST_DEPTH, READ, Absent, Found, NotAllowed, Unreadable

MOST_ENTRIES: Final = 200_000
MOST_HASHED: Final = 256 << 20
"""Bytes of files whose times say nothing, together."""
MOST_PATTERNS: Final = 1 << 20
"""Bytes of one file of ignore patterns."""
CHUNK: Final = 1 << 20
GITLINK: Final = 0o160000
ASSUME_VALID: Final = 0x8000
SKIP_WORKTREE: Final = 0x4000
CHANGED: Final = "The work tree has changes that are not committed."
UNTRACKED: Final = "The work tree has a file that is not tracked."
LOW: Final = 0xFFFFFFFF
"""The index keeps 32 bits of sizes, inodes and times."""

Filters = tuple[tuple[int, IgnoreFilter], ...]
"""Patterns, the later the stronger, each with the number of components its directory has."""


class Dirty(Exception):
    """It is not clean; the message is a finding's words."""


class Comparison:
    """One walk over one work tree."""

    def __init__(
        self, index: Mapping[bytes, SerializedIndexEntry], *, written: int, modes: bool, converts: bool
    ) -> None:
        """Take the entries by path, when the index was written (ns), and whether modes count and contents convert."""
        self._index = index
        self._written = written
        self._modes = modes
        self._converts = converts
        self._directories = frozenset(name[:at] for name in index for at, byte in enumerate(name) if byte == ord("/"))
        self._met: set[bytes] = set()
        self._entries = 0
        self._hashed = 0
        self.whole = True

    def enter(self, directory: Found, path: Sequence[bytes], filters: Filters, *, ignored: bool) -> None:
        """Compare everything in a directory; raise ``Dirty`` at the first difference.

        ``ignored``: it is kept for its tracked files alone, and others in it do not count.
        """
        with directory.opened() as descriptor:
            with os.scandir(descriptor) as entries:
                names = sorted(os.fsencode(entry.name) for entry in entries)
            filters = (*filters, *self._patterns(directory, len(path)))
            for name in names:
                if name == b".git":
                    # Another repository's work tree within this one: git has its own ideas of those.
                    self.whole = self.whole and not path
                    continue
                self._entries += 1
                if self._entries > MOST_ENTRIES:
                    raise NotUnderstood("The work tree is larger than is looked at.")
                try:
                    status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                except FileNotFoundError:
                    continue
                self._meet(directory, descriptor, status, (*path, name), filters, ignored=ignored)

    def require_all(self) -> None:
        """Raise ``Dirty`` unless every tracked file was met, where there was nothing that hid one."""
        missing = [
            name
            for name, entry in self._index.items()
            if name not in self._met and not entry.extended_flags & SKIP_WORKTREE and not entry.flags & ASSUME_VALID
        ]
        if missing and self.whole:
            raise Dirty(CHANGED)

    def _patterns(self, directory: Found, depth: int) -> Filters:
        try:
            with directory.child(b".gitignore") as found:
                if not stat.S_ISREG(found.stat.st_mode):  # git follows no link there either
                    return ()
                raw = read_found(found, MOST_PATTERNS)
        except Absent:
            return ()
        return ((depth, IgnoreFilter(read_ignore_patterns(io.BytesIO(raw)))),)

    def _meet(  # noqa: PLR0913 - one entry of a directory
        self,
        directory: Found,
        descriptor: int,
        status: os.stat_result,
        path: tuple[bytes, ...],
        filters: Filters,
        *,
        ignored: bool,
    ) -> None:
        name = b"/".join(path)
        entry = self._index.get(name)
        if entry is not None:
            self._met.add(name)
            if not entry.flags & ASSUME_VALID:
                self._compare(entry, descriptor, path[-1], status)
            return
        is_directory = stat.S_ISDIR(status.st_mode)
        if not is_directory and not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode):
            return  # git does not see sockets, pipes and devices
        ignored = ignored or _is_ignored(path, filters, is_directory=is_directory)
        if is_directory:
            if name in self._directories or not ignored:
                self._descend(directory, path, filters, ignored=ignored)
        elif not ignored:
            raise Dirty(UNTRACKED)

    def _descend(self, directory: Found, path: tuple[bytes, ...], filters: Filters, *, ignored: bool) -> None:
        if len(path) > MOST_DEPTH:
            self.whole = False
            return
        try:
            with directory.child(path[-1]) as found:
                if stat.S_ISDIR(found.stat.st_mode):
                    self.enter(found, path, filters, ignored=ignored)
        except (NotAllowed, Unreadable):
            self.whole = False
        except Absent:
            pass

    def _compare(self, entry: SerializedIndexEntry, descriptor: int, name: bytes, status: os.stat_result) -> None:
        if entry.mode == GITLINK:  # another repository's business
            self.whole = False
            return
        if stat.S_IFMT(entry.mode) != stat.S_IFMT(status.st_mode):
            raise Dirty(CHANGED)
        if stat.S_ISREG(entry.mode) and self._modes and (entry.mode ^ status.st_mode) & stat.S_IXUSR:
            raise Dirty(CHANGED)
        if self._is_as_recorded(entry, status):
            return
        content = self._blob_id(descriptor, name, status)
        if content is None or (content != entry.sha.decode("ascii") and self._converts):
            self.whole = False
        elif content != entry.sha.decode("ascii"):
            raise Dirty(CHANGED)

    def _is_as_recorded(self, entry: SerializedIndexEntry, status: os.stat_result) -> bool:
        """Tell whether the index recorded this very state of the file, and not in the moment of a later write."""
        recorded = (_time(entry.mtime), _time(entry.ctime), entry.size, entry.ino)
        now = (status.st_mtime_ns, status.st_ctime_ns, status.st_size & LOW, status.st_ino & LOW)
        return recorded == now and status.st_mtime_ns < self._written

    def _blob_id(self, descriptor: int, name: bytes, status: os.stat_result) -> str | None:
        """Return the id that the content has as a blob; None where it is not to be read."""
        size = status.st_size
        self._hashed += size
        if self._hashed > MOST_HASHED:
            return None
        digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        try:
            if stat.S_ISLNK(status.st_mode):
                digest.update(os.readlink(name, dir_fd=descriptor))
                return digest.hexdigest()
            file = os.open(name, READ | os.O_NOFOLLOW, dir_fd=descriptor)
        except OSError:
            return None
        try:
            opened = os.fstat(file)
            if not stat.S_ISREG(opened.st_mode) or opened.st_dev != status.st_dev or opened.st_size != size:
                return None
            left = size
            while left and (piece := os.read(file, min(left, CHUNK))):
                digest.update(piece)
                left -= len(piece)
            return None if left else digest.hexdigest()
        except OSError:
            return None
        finally:
            os.close(file)


def _is_ignored(path: Sequence[bytes], filters: Filters, *, is_directory: bool) -> bool:
    """Ask the deepest file of patterns that has something to say; in it, the last pattern counts (gitignore(5))."""
    for depth, patterns in reversed(filters):
        relative = b"/".join(path[depth:])
        for pattern in reversed(patterns.patterns):
            if pattern.matches(relative, is_directory):
                return pattern.is_exclude
    return False


def _time(stamp: float | tuple[int, int]) -> int:
    """Return an index's time in nanoseconds."""
    seconds, nanoseconds = stamp if isinstance(stamp, tuple) else (int(stamp), 0)
    return seconds * 1_000_000_000 + nanoseconds
