"""Paths beneath the allowed roots, resolved without a moment between check and use. Linux.

Guarantees: a path is walked component by component from ``/``, each opened without following links and checked by
its descriptor, never by its name again. A link is resolved by the same walk, so that it leads nowhere but beneath an
allowed root; whatever is swapped meanwhile, no descriptor outside is ever opened. All that is not allowed is one
error with one set of words: outside, hidden, a link that leads out, ``..`` above the root, the kernel's own file
systems. Only a regular file or a directory is opened for reading, and by its descriptor, so no pipe or device is.
Does not: tell hard links and bind mounts beneath a root from what they share; whoever could make them could read it.
"""

import errno
import os
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from wingman_api.claims.probes.mounts import is_ordinary, mount_of

MOST_LINKS: Final = 40
"""As the kernel itself follows in one path."""
MOST_COMPONENTS: Final = 4096
MOST_DEPTH: Final = 64
"""Directories below one another, each of which holds a descriptor while a path is walked."""
KERNEL_DIRECTORIES: Final = frozenset({b"proc", b"sys", b"dev"})
WALK: Final = os.O_NOFOLLOW | os.O_CLOEXEC
READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
NOTHING: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})


class NotAllowed(Exception):
    """It is not to be looked at; nothing of it is told. The message is a finding's words."""

    def __init__(self) -> None:
        super().__init__("It is not beneath a directory where claims may be looked at.")


class Absent(Exception):
    """Nothing is there; ``dangling``: but for a link that leads to nothing."""

    def __init__(self, *, dangling: bool = False) -> None:
        super().__init__("nothing is there")
        self.dangling: Final = dangling


class Unreadable(Exception):
    """It is allowed, and the system does not let this process look. The message is a finding's words."""

    def __init__(self) -> None:
        super().__init__("It cannot be read by the process that looks.")


@dataclass(frozen=True, slots=True)
class Found:
    """Something beneath a root, pinned by a descriptor that reads nothing (``O_PATH``)."""

    descriptor: int
    stat: os.stat_result
    mount: int
    hidden: frozenset[tuple[int, int]]

    @contextmanager
    def child(self, name: bytes) -> Iterator["Found"]:
        """Yield an entry of this directory, a link unfollowed; raise ``NotAllowed`` also where it is another mount."""
        try:
            descriptor = os.open(name, WALK | os.O_PATH, dir_fd=self.descriptor)
        except OSError as error:
            raise (Absent() if error.errno in NOTHING else Unreadable()) from error
        try:
            if mount_of(descriptor) != self.mount:
                raise NotAllowed
            found = Found(descriptor, os.fstat(descriptor), self.mount, self.hidden)
            _require_shown(found.stat, self.hidden)
            yield found
        finally:
            os.close(descriptor)

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Yield a descriptor that reads it; raise ``Unreadable``, also where it is neither file nor directory."""
        if not (stat.S_ISREG(self.stat.st_mode) or stat.S_ISDIR(self.stat.st_mode)):
            raise Unreadable
        try:
            descriptor = os.open(f"/proc/self/fd/{self.descriptor}", READ)
        except OSError as error:
            raise Unreadable from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Root:
    """An allowed directory: how it is spelled, and where it was without links when it was allowed."""

    spelled: bytes
    real: bytes

    @classmethod
    def at(cls, path: str) -> Self:
        """Resolve an absolute path's own links now; a link that appears on the way later is not followed."""
        spelled = os.fsencode(path)
        return cls(spelled, os.path.realpath(spelled))


class Roots:
    """The allowed directories, and the hidden ones within them."""

    def __init__(self, allowed: Sequence[Root], hidden: Sequence[str]) -> None:
        """Take what ``Root.at`` returns, and absolute paths of directories that nobody is to look into."""
        self.allowed: Final = tuple(allowed)
        self.hidden: Final = tuple(hidden)
        spellings = [*self.allowed, *(Root(each.real, each.real) for each in self.allowed)]
        self._known = sorted(spellings, key=lambda each: -len(_components(each.spelled)))

    @contextmanager
    def find(self, path: str | bytes) -> Iterator[Found]:
        """Yield what is at ``path``, links resolved; relative is to the first root.

        Raises ``NotAllowed``, ``Absent`` or ``Unreadable``.
        """
        raw = os.fsencode(path)
        components = _components(raw)
        if not raw.startswith(b"/"):
            if not self.allowed:
                raise NotAllowed
            components = (*_components(self.allowed[0].spelled), *components)
        walk = _Walk(self._known, self._identities())
        try:
            yield walk.to(components)
        finally:
            walk.close()

    def _identities(self) -> frozenset[tuple[int, int]]:
        found = set()
        for path in self.hidden:
            with suppress(OSError):
                found.add(_identity(Path(path).stat()))
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class _Step:
    descriptor: int
    mount: int


class _Walk:
    """One path's way, link by link."""

    def __init__(self, roots: Sequence[Root], hidden: frozenset[tuple[int, int]]) -> None:
        self._roots = roots
        self._hidden = hidden
        self._steps: list[_Step] = []
        self._floor = 0
        self._links = 0

    def to(self, components: Sequence[bytes]) -> Found:
        """Return what the components lead to."""
        pending = self._enter(components)
        ends_in_link = False
        while True:
            here = self._steps[-1]
            status = os.fstat(here.descriptor)
            if stat.S_ISLNK(status.st_mode):
                ends_in_link = ends_in_link or not pending
                pending = self._follow(here, pending)
                continue
            if not pending:
                return Found(here.descriptor, status, here.mount, self._hidden)
            if len(pending) > MOST_COMPONENTS:
                raise NotAllowed
            name = pending.popleft()
            if not stat.S_ISDIR(status.st_mode):
                raise Absent(dangling=ends_in_link)
            if name == b"..":
                if len(self._steps) <= self._floor:
                    raise NotAllowed
                self._back()
            else:
                self._step(name, dangling=ends_in_link)

    def close(self) -> None:
        """Let go of every step."""
        while self._steps:
            self._back()

    def _back(self) -> None:
        os.close(self._steps.pop().descriptor)

    def _enter(self, components: Sequence[bytes]) -> deque[bytes]:
        """Go to the root that an absolute path begins with; return the rest of the path."""
        for root in self._roots:
            spelled = _components(root.spelled)
            if tuple(components[: len(spelled)]) == spelled:
                break
        else:
            raise NotAllowed
        self.close()
        try:
            self._push(b"/", None)
            for name in _components(root.real):
                self._step(name, dangling=False)
        except (Absent, Unreadable) as error:  # the root itself is not there, or not ours to enter
            raise NotAllowed from error
        if stat.S_ISLNK(os.fstat(self._steps[-1].descriptor).st_mode):
            raise NotAllowed
        self._floor = len(self._steps)
        return deque(components[len(spelled) :])

    def _follow(self, link: _Step, pending: deque[bytes]) -> deque[bytes]:
        """Read the link that was opened, and go on from where it stands."""
        self._links += 1
        if self._links > MOST_LINKS:
            raise NotAllowed
        target = os.readlink(b"", dir_fd=link.descriptor)
        self._back()
        if target.startswith(b"/"):
            return deque((*self._enter(_components(target)), *pending))
        return deque((*_components(target), *pending))

    def _step(self, name: bytes, *, dangling: bool) -> None:
        try:
            self._push(name, self._steps[-1])
        except OSError as error:
            if error.errno in NOTHING:
                raise Absent(dangling=dangling) from error
            raise Unreadable from error

    def _push(self, name: bytes, parent: _Step | None) -> None:
        if len(self._steps) > MOST_DEPTH or (len(self._steps) == 1 and name in KERNEL_DIRECTORIES):
            raise NotAllowed
        descriptor = os.open(name, WALK | os.O_PATH, dir_fd=None if parent is None else parent.descriptor)
        try:
            # The mount first: to ask a file system anything may already be too much.
            mount = mount_of(descriptor)
            if parent is None or mount != parent.mount:
                _require_ordinary(mount)
            _require_shown(os.fstat(descriptor), self._hidden)
        except BaseException:
            os.close(descriptor)
            raise
        self._steps.append(_Step(descriptor, mount))


def _components(path: bytes) -> tuple[bytes, ...]:
    return tuple(name for name in path.split(b"/") if name not in {b"", b"."})


def _require_ordinary(mount: int) -> None:
    if not is_ordinary(mount):
        raise NotAllowed


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _require_shown(status: os.stat_result, hidden: frozenset[tuple[int, int]]) -> None:
    if _identity(status) in hidden:
        raise NotAllowed
