"""Whether a git work tree is clean, looked at in a process of its own that may be killed at any moment.

Guarantees: runs no program and obeys nothing that the repository configures. Hostile bytes (an index, a pack, patterns
that take for ever) end this process at worst: it holds no secret, and its memory and time are limited. What git itself
might see otherwise (filters, line endings, submodules, split or sparse indexes, a user's own ignore patterns) is
unknown, never clean or changed.

Reads a ``Job`` as JSON from standard input, writes a ``Seen`` as JSON to standard output.
"""

import hashlib
import io
import json
import os
import re
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final, TextIO

from dulwich.ignore import IgnoreFilter, read_ignore_patterns
from dulwich.index import SerializedIndexEntry, read_index

from wingman_api.claims.probes.comparison import CHANGED, MOST_PATTERNS, Comparison, Dirty
from wingman_api.claims.probes.repository import (
    NotUnderstood,
    Repository,
    beneath,
    open_repository,
    read_found,
    read_head,
    read_small,
    tree_of,
)
from wingman_api.claims.probes.roots import Absent, Root, Roots
from wingman_api.claims.probes.seen import Seen, confirmed, contradicted, unknown

MOST_INDEX: Final = 64 << 20
MEMORY: Final = 512 << 20
CPU_SECONDS: Final = 10
TREE_MODE: Final = b"40000"
EMPTY_TREE: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
INTENT_TO_ADD: Final = 0x2000
STAGES: Final = 0x3000
"""The bits of an entry that say which side of an open merge it is."""
EXTENSION_HEADER: Final = 8
CHECKSUM: Final = 20
UNREAD_CONFIG: Final = re.compile(rb"^\s*(?:objectformat\s*=\s*\"?sha256|worktree\s*=)", re.IGNORECASE | re.MULTILINE)
CONVERTING: Final = re.compile(rb"^\s*(?:autocrlf|eol|\[filter|\[include)", re.IGNORECASE | re.MULTILINE)
NO_MODES: Final = re.compile(rb"^\s*filemode\s*=\s*false", re.IGNORECASE | re.MULTILINE)
CLEAN: Final = "The work tree has no uncommitted change and no untracked file."
NOT_SEEN: Final = "Not all of the work tree may be looked at, or can be compared."
ATTRIBUTES: Final = b".gitattributes"


@dataclass(frozen=True, slots=True)
class Job:
    """Where to look, and where looking is allowed: ``roots`` holds spelled and real paths."""

    path: str
    roots: tuple[tuple[str, str], ...]
    hidden: tuple[str, ...]

    @classmethod
    def of(cls, roots: Roots, path: str) -> "Job":
        """Return what another process needs to look like this one."""
        known = tuple((os.fsdecode(root.spelled), os.fsdecode(root.real)) for root in roots.allowed)
        return cls(path, known, roots.hidden)

    def look(self) -> Seen:
        """Look; raise what ``look_at_work_tree`` raises."""
        known = [Root(os.fsencode(spelled), os.fsencode(real)) for spelled, real in self.roots]
        return look_at_work_tree(Roots(known, self.hidden), self.path)


def look_at_work_tree(roots: Roots, path: str) -> Seen:
    """Compare HEAD, index and files once; raise ``NotUnderstood`` and what ``Roots.find`` raises."""
    repository = open_repository(roots, path)
    config = _optional(roots, repository, b"config")
    if UNREAD_CONFIG.search(config):
        raise NotUnderstood("The repository has a form that is not compared here.")
    try:
        index, written = _read_index(roots, repository)
        head = read_head(roots, repository)
        _require_committed(index, tree_of(roots, repository, head.commit) if head.commit else EMPTY_TREE)
        converts = (
            bool(CONVERTING.search(config) or _optional(roots, repository, b"info/attributes"))
            or any(name.rpartition(b"/")[2] == ATTRIBUTES for name in index)
        )  # fmt: skip
        comparison = Comparison(index, written=written, modes=not NO_MODES.search(config), converts=converts)
        excluded = IgnoreFilter(read_ignore_patterns(io.BytesIO(_optional(roots, repository, b"info/exclude"))))
        with roots.find(repository.top) as top:
            comparison.enter(top, (), ((0, excluded),), ignored=False)
        comparison.require_all()
    except Dirty as dirty:
        return contradicted(str(dirty))
    return confirmed(CLEAN) if comparison.whole else unknown(NOT_SEEN)


def _optional(roots: Roots, repository: Repository, name: bytes) -> bytes:
    try:
        return read_small(roots, beneath(repository.common, name), MOST_PATTERNS)
    except Absent:
        return b""


def _read_index(roots: Roots, repository: Repository) -> tuple[dict[bytes, SerializedIndexEntry], int]:
    """Return the entries by path, and when the index was written (ns); raise ``Dirty`` where a merge is open."""
    try:
        with roots.find(beneath(repository.private, b"index")) as found:
            raw, written = read_found(found, MOST_INDEX), found.stat.st_mtime_ns
    except Absent:
        return {}, 0
    file = io.BytesIO(raw)
    entries = list(read_index(file))
    _require_no_extension(raw[file.tell() : -CHECKSUM])
    if any(entry.flags & STAGES or entry.extended_flags & INTENT_TO_ADD for entry in entries):
        raise Dirty(CHANGED)
    return {entry.name: entry for entry in entries}, written


def _require_no_extension(raw: bytes) -> None:
    """Raise ``NotUnderstood`` for an extension that has to be understood: a split or sparse index (index-format(5))."""
    while len(raw) >= EXTENSION_HEADER:
        if not raw[:1].isupper():
            raise NotUnderstood("The repository's index has a form that is not compared here.")
        raw = raw[EXTENSION_HEADER + int.from_bytes(raw[4:EXTENSION_HEADER]) :]


def _require_committed(index: Mapping[bytes, SerializedIndexEntry], tree: str) -> None:
    if _tree_id(index) != tree:
        raise Dirty(CHANGED)


def _tree_id(index: Mapping[bytes, SerializedIndexEntry]) -> str:
    """Return the id of the tree that committing the index would make; nothing is looked up for it."""
    directories: dict[bytes, dict[bytes, bytes]] = {b"": {}}
    for name, entry in index.items():
        directory, _, last = name.rpartition(b"/")
        _add(directories, directory, last, b"%o %s\0%s" % (entry.mode, last, bytes.fromhex(entry.sha.decode("ascii"))))
    # The deepest first, so that each is whole when its parent takes it.
    for directory in sorted(directories, key=lambda path: -path.count(b"/") if path else 1):
        members = directories[directory]
        raw = b"".join(members[key] for key in sorted(members))
        digest = hashlib.sha1(b"tree %d\0" % len(raw) + raw, usedforsecurity=False)
        if not directory:
            return digest.hexdigest()
        parent, _, last = directory.rpartition(b"/")
        # Trees sort as if their names ended in a slash.
        directories[parent][last + b"/"] = b"%s %s\0%s" % (TREE_MODE, last, digest.digest())
    raise AssertionError("the root is always there")


def _add(directories: dict[bytes, dict[bytes, bytes]], directory: bytes, name: bytes, member: bytes) -> None:
    directories.setdefault(directory, {})[name] = member
    while directory:
        directory = directory.rpartition(b"/")[0]
        directories.setdefault(directory, {})


def main(source: TextIO, target: TextIO) -> int:
    """Do one job; what goes wrong ends in an exit code alone."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    wish = json.load(source)
    job = Job(wish["path"], tuple((spelled, real) for spelled, real in wish["roots"]), tuple(wish["hidden"]))
    try:
        seen = job.look()
    except NotUnderstood as error:
        seen = unknown(str(error))
    json.dump(asdict(seen), target)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.stdin, sys.stdout))
