"""A git repository's own files, read beneath the allowed roots alone: where it is, what HEAD names, one commit.

Guarantees: every file is found by ``Roots``, so that a link, a ``gitdir:`` or a ``commondir`` that leads elsewhere
leads nowhere; no program is run, and nothing the repository configures is obeyed (filters, hooks, monitors, other
object stores). Only text that has the form of a reference or an object id is ever told.
Does not: read the reftable format, or another object format than SHA-1 for commits.
"""

import hashlib
import os
import re
import stat
import zlib
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from dulwich.object_format import SHA1
from dulwich.objects import RawObjectID
from dulwich.pack import Pack, PackData, load_pack_index_file

from wingman_api.claims.probes.roots import Absent, Found, NotAllowed, Roots, Unreadable

SMALL: Final = 4096
MOST_REFERENCES: Final = 16 << 20
"""Bytes of ``packed-refs``."""
MOST_COMMIT: Final = 1 << 20
MOST_PACKS: Final = 256
MOST_SYMBOLIC: Final = 5
REFERENCE: Final = re.compile(rb"ref: (refs/[A-Za-z0-9][A-Za-z0-9._/+@-]{0,1000})\n?", re.ASCII)
OBJECT_ID: Final = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64})\n?", re.ASCII)
PACKED: Final = re.compile(rb"^([0-9a-f]{40,64}) (\S+)$", re.ASCII | re.MULTILINE)
TREE: Final = re.compile(rb"tree ([0-9a-f]{40})\n", re.ASCII)
COMMIT_TYPE: Final = 1
INVALID: Final = b"refs/heads/.invalid"
"""What HEAD holds where references are kept as a reftable."""
HEADS: Final = "refs/heads/"


class NotUnderstood(Exception):
    """It is no repository's work tree, or one whose form is not read here; the message is a finding's words."""


@dataclass(frozen=True, slots=True)
class Repository:
    """Where a work tree's repository keeps what is its own, and what all its work trees share."""

    top: bytes
    private: bytes
    common: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """``reference`` is empty where HEAD is detached, ``commit`` where there is none yet."""

    reference: str
    commit: str

    @property
    def branch(self) -> str:
        """The branch's name, or empty."""
        return self.reference.removeprefix(HEADS) if self.reference.startswith(HEADS) else ""


def open_repository(roots: Roots, path: str) -> Repository:
    """Find the repository of the work tree whose top is ``path``.

    Raises ``NotUnderstood``, and what ``Roots.find`` raises where there is nothing to look at.
    """
    top = os.fsencode(path)
    with roots.find(top):
        pass
    private = beneath(top, b".git")
    try:
        with roots.find(private) as found:
            is_file = stat.S_ISREG(found.stat.st_mode)
    except Absent as error:
        raise NotUnderstood("It is not the top of a git work tree.") from error
    if is_file:  # a linked work tree, or a submodule (gitrepository-layout(5))
        named = read_small(roots, private)
        if not named.startswith(b"gitdir: "):
            raise NotUnderstood("It is not the top of a git work tree.")
        private = beneath(top, named.removeprefix(b"gitdir: ").rstrip(b"\n"))
    try:
        common = beneath(private, read_small(roots, beneath(private, b"commondir")).rstrip(b"\n"))
    except Absent:
        common = private
    return Repository(top, private, common)


def read_head(roots: Roots, repository: Repository) -> Head:
    """Return what HEAD names; raise ``NotUnderstood`` and what ``Roots.find`` raises."""
    reference, value = "", _read_or_none(roots, repository.private, b"HEAD")
    for _ in range(MOST_SYMBOLIC):
        if value is None:
            return Head(reference, "")
        if match := OBJECT_ID.fullmatch(value):
            return Head(reference, match[1].decode("ascii"))
        match = REFERENCE.fullmatch(value)
        if match is None or match[1] == INVALID or b".." in match[1]:
            break
        reference = match[1].decode("ascii")
        value = _read_or_none(roots, repository.common, match[1]) or _packed(roots, repository, match[1])
    raise NotUnderstood("What HEAD holds is not understood.")


def tree_of(roots: Roots, repository: Repository, commit: str) -> str:
    """Return the id of a commit's tree; raise ``NotUnderstood`` where the commit is not in this repository's store."""
    raw = _loose(roots, repository, commit) or _in_packs(roots, repository, commit)
    match = None if raw is None else TREE.match(raw)
    if raw is None or match is None or _object_id(raw) != commit:
        raise NotUnderstood("The commit of HEAD cannot be read from the repository's own store.")
    return match[1].decode("ascii")


def beneath(directory: bytes, name: bytes) -> bytes:
    """Join two paths as the kernel would read the second from the first."""
    return name if name.startswith(b"/") else directory + b"/" + name


def read_small(roots: Roots, path: bytes, limit: int = SMALL) -> bytes:
    """Return a regular file's bytes; raise ``NotUnderstood`` for a larger one, and what ``Roots.find`` raises."""
    with roots.find(path) as found:
        return read_found(found, limit)


def read_found(found: Found, limit: int) -> bytes:
    """Return the bytes of a regular file that was found; raise ``NotUnderstood`` for a larger one."""
    if not stat.S_ISREG(found.stat.st_mode) or found.stat.st_size > limit:
        raise NotUnderstood("A file of the repository is larger than is read, or none.")
    with found.opened() as descriptor:
        read = b""
        while len(read) <= limit and (piece := os.read(descriptor, limit + 1 - len(read))):
            read += piece
    if len(read) > limit:
        raise NotUnderstood("A file of the repository grew while it was read.")
    return read


def _read_or_none(roots: Roots, directory: bytes, name: bytes) -> bytes | None:
    try:
        return read_small(roots, beneath(directory, name))
    except Absent:
        return None


def _packed(roots: Roots, repository: Repository, reference: bytes) -> bytes | None:
    try:
        listed = read_small(roots, beneath(repository.common, b"packed-refs"), MOST_REFERENCES)
    except Absent:
        return None
    return next((match[1] for match in PACKED.finditer(listed) if match[2] == reference), None)


def _loose(roots: Roots, repository: Repository, commit: str) -> bytes | None:
    name = os.fsencode(f"objects/{commit[:2]}/{commit[2:]}")
    try:
        packed = read_small(roots, beneath(repository.common, name), MOST_COMMIT)
        plain = zlib.decompressobj().decompress(packed, MOST_COMMIT)
    except (Absent, zlib.error):
        return None
    header, _, raw = plain.partition(b"\0")
    return raw if header == b"commit %d" % len(raw) else None


def _in_packs(roots: Roots, repository: Repository, commit: str) -> bytes | None:
    """Read the commit from the one pack that holds it; anything a broken pack brings about is ``NotUnderstood``."""
    directory = beneath(repository.common, b"objects/pack")
    try:
        with roots.find(directory) as found, found.opened() as descriptor, os.scandir(descriptor) as entries:
            names = sorted(os.fsencode(entry.name) for entry in entries if entry.name.endswith(".idx"))
    except Absent:
        return None
    for name in names[:MOST_PACKS]:
        try:
            return _in_pack(roots, beneath(directory, name.removesuffix(b".idx")), commit)
        except KeyError:
            continue
        except (NotAllowed, Absent, Unreadable, NotUnderstood):
            raise
        except Exception as error:  # the reader meets hostile bytes, and asserts
            raise NotUnderstood("A pack of the repository is not understood.") from error
    return None


def _in_pack(roots: Roots, stem: bytes, commit: str) -> bytes:
    """Return the raw commit; raise ``KeyError`` where the pack has none such, and whatever the reader raises."""
    wanted = RawObjectID(bytes.fromhex(commit))
    with (
        roots.find(stem + b".idx") as listed,
        listed.opened() as descriptor,
        os.fdopen(os.dup(descriptor), "rb") as file,
        closing(load_pack_index_file("", file, SHA1)) as index,
    ):
        index.object_offset(wanted)
        with (
            roots.find(stem + b".pack") as found,
            found.opened() as data,
            os.fdopen(os.dup(data), "rb") as packed,
            closing(PackData.from_file(packed, SHA1)) as objects,
            closing(Pack.from_lazy_objects(lambda: objects, lambda: index)) as pack,
        ):
            kind, raw = pack.get_raw(wanted)
    if kind != COMMIT_TYPE or len(raw) > MOST_COMMIT:
        raise NotUnderstood("HEAD names something that is no commit.")
    return raw


def _object_id(raw: bytes) -> str:
    return hashlib.sha1(b"commit %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest()
