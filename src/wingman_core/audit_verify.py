"""Verification of the whole audit log, row by row: anybody with the public key can run it on what they read.

Feed each row in order of position, and each stored checkpoint right behind the last row it covers; then
``finish``. Guarantees: the first difference raises ``LogCorrupt`` with ``details['position']``. Checked are

1. positions without a gap, records in canonical form, each column equal to its record, each leaf hash;
2. the stored interior nodes, where the reader brings them;
3. each checkpoint: the signature, the origin, its columns, its root against the tree of the rows so far;
   every row is covered by one; an older checkpoint that somebody kept (``against``) is on this very history;
4. the story, see ``audit_story``: each record can be, and can follow the ones before it.

Where rows were rewritten along with their leaf hashes, the first difference is the first row that the failing
checkpoint covers and the one before it did not. Not guaranteed: that no middle checkpoint row was dropped
(the next one covers the same leaves), or that nothing was cut off the end, unless ``against`` is given.

Memory does not grow with the rows, except for what the story remembers. A row is read at a glance (``audit_columns``)
where that settles it, and the long way where not, which is what says what differs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from wingman_core.audit_columns import Columns, record_bytes, well_formed
from wingman_core.audit_record import AuditRecord, RecordKind, from_bytes
from wingman_core.audit_story import Story, differs
from wingman_core.checkpoint import Checkpoint, environment_of, open_checkpoint
from wingman_core.errors import CanonicalError, Code, LogCorrupt
from wingman_core.notes import VerifierKey
from wingman_core.translog import Frontier, grow, leaf_hash


class Row(NamedTuple):
    """One row as it was read: the table's columns (see ``AuditRecord.columns``), and what binds them."""

    position: int
    columns: Columns
    record: bytes
    leaf_hash: bytes
    nodes: list[bytes] | None = None
    """The hashes stored for the subtrees that this row completes, the lowest first; ``None``: not read."""


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """One row of the checkpoint table as it was read."""

    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What a log holds that was found whole."""

    size: int
    root: bytes
    checkpoints: int
    counts: Mapping[RecordKind, int]
    unfinished: tuple[tuple[int, str], ...]
    """Position and execution id of each INTENT without an outcome: running, or to be reconciled."""
    checkpoint: str
    """The newest checkpoint, which covers all of it, as a signed note; empty for an empty log."""


class LogVerifier:
    """One pass over one log."""

    def __init__(self, *, origin: str, keys: Sequence[VerifierKey], against: Checkpoint | None = None) -> None:
        """Check a log of this origin, signed with any of ``keys``; ``against`` comes from ``open_checkpoint``.

        Raises ``LogCorrupt`` (CHECKPOINT_INVALID) for an origin that no deployment has, and for another log's
        checkpoint.
        """
        self._origin: Final = origin
        self._keys: Final = tuple(keys)
        self._against: Final = against
        self._size = 0
        self._peaks: list[bytes] = []
        self._covered = 0
        self._checkpoints = 0
        self._note = ""
        self._story: Final = Story(environment_of(origin))
        if against is not None and against.origin != origin:
            raise LogCorrupt(
                Code.CHECKPOINT_INVALID, "the older checkpoint is of another log", hint="compare the log ids"
            )
        self._compare_against()

    @property
    def size(self) -> int:
        """How many rows were verified so far; the position of the next one."""
        return self._size

    def row(self, row: Row) -> None:
        """Verify the next row; raise ``LogCorrupt`` for the first thing that differs."""
        position = self._size
        if row.position != position:
            differs(position, "position", "the row is missing, or one was inserted")
        if not _at_a_glance(row):
            _compare_columns(position, _record_at(position, row.record), row.columns)
        if row.leaf_hash != leaf_hash(row.record):
            differs(position, "leaf_hash", "the leaf hash is not the record's")
        self._story.tell(position, row.columns)
        nodes = grow(self._peaks, position, row.leaf_hash)
        self._size = position + 1
        if row.nodes is not None and row.nodes != nodes:
            differs(position, "nodes", "the stored nodes are not those of the leaves")
        if self._against is not None:
            self._compare_against()

    def checkpoint(self, stored: StoredCheckpoint) -> None:
        """Verify the checkpoint that covers the rows so far; raise ``LogCorrupt`` for the first thing that differs."""
        if stored.size != self.size:
            differs(min(stored.size, self.size), "position", f"a checkpoint covers {stored.size} rows")
        first = self._covered
        try:
            signed = open_checkpoint(stored.note, self._keys)
        except LogCorrupt as error:
            differs(first, "checkpoint", f"the checkpoint of {stored.size} rows: {error.message}", error)
        if signed.origin != self._origin:
            differs(first, "checkpoint", f"the checkpoint of {stored.size} rows is of another log")
        if (signed.size, signed.root) != (stored.size, stored.root):
            differs(first, "checkpoint", f"the checkpoint of {stored.size} rows has columns that were not signed")
        if signed.root != self._root():
            differs(first, "root", f"rows {first} to {stored.size - 1} are not the ones that were signed")
        self._covered, self._note = stored.size, stored.note
        self._checkpoints += 1

    def finish(self) -> Summary:
        """Return what was verified; raise ``LogCorrupt`` when rows are uncovered or the end is missing."""
        if self._covered != self.size:
            differs(self._covered, "checkpoint", "no checkpoint covers the rows from here on")
        if self._against is not None and self._against.size > self.size:
            differs(self.size, "against", f"the log was truncated: the older checkpoint has {self._against.size} rows")
        counts, unfinished = self._story.counts(), self._story.unfinished()
        return Summary(self.size, self._root(), self._checkpoints, counts, unfinished, self._note)

    def _root(self) -> bytes:
        return Frontier(self._size, tuple(self._peaks)).root()

    def _compare_against(self) -> None:
        """Compare the older checkpoint once the tree has its size."""
        older = self._against
        if older is not None and older.size == self.size and older.root != self._root():
            differs(0, "against", f"somewhere the first {older.size} rows are not the older checkpoint's")


def _record_at(position: int, data: bytes) -> AuditRecord:
    try:
        return from_bytes(data)
    except CanonicalError as error:
        differs(position, "record", error.message, error)


def _at_a_glance(row: Row) -> bool:
    """Tell whether the record is surely what the columns say, in its one form."""
    try:
        return record_bytes(row.columns) == row.record and well_formed(row.columns)
    except (TypeError, UnicodeError):  # a value of a type, or of characters, that no record has
        return False


def _compare_columns(position: int, record: AuditRecord, columns: Columns) -> None:
    """Compare each column with the record, in the record's order; a value of another type differs too."""
    for name, value, found in zip(Columns._fields, record.columns(), columns, strict=True):
        if type(found) is not type(value) or found != value:
            differs(position, name, f"the column {name} is not what the record says")
