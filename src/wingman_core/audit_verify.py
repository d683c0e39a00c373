"""Verification of the whole audit log, row by row: anybody with the public key can run it on what they read.

Feed each row in order of position, and each stored checkpoint right behind the last row it covers; then
``finish``. Guarantees: the first difference raises ``LogCorrupt`` with ``details['position']``. Checked are

1. positions without a gap, records in canonical form, each column equal to its record, each leaf hash;
2. the stored interior nodes, where the reader brings them;
3. each checkpoint: the signature, the origin, its columns, its root against the tree of the rows so far;
   every row is covered by one; an older checkpoint that somebody kept (``against``) is on this very history;
4. the story: an outcome follows its INTENT, agrees with it on what was approved, and is the only one; no
   execution id, token or approval is spent twice; a refusal has a reason.

Where rows were rewritten along with their leaf hashes, the first difference is the first row that the failing
checkpoint covers and the one before it did not. Not guaranteed: that no middle checkpoint row was dropped
(the next one covers the same leaves), or that nothing was cut off the end, unless ``against`` is given.

Memory does not grow with the rows, except for 16 bytes and their overhead for each spent id, and the INTENTs
that have no outcome yet.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, assert_never

from wingman_core.audit_record import AuditRecord, Column, RecordKind, from_bytes
from wingman_core.checkpoint import Checkpoint, open_checkpoint
from wingman_core.errors import CanonicalError, Code, LogCorrupt
from wingman_core.notes import VerifierKey
from wingman_core.translog import Frontier, Node, leaf_hash

SPENT_BYTES: Final = 16
APPROVED_FIELDS: Final = (
    "environment",
    "worker",
    "approval_id",
    "jti",
    "command",
    "operation_digest",
    "targets",
    "target_digest",
    "decision_digest",
)
"""What an outcome must repeat of its INTENT."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it was read: the table's columns by name (see ``AuditRecord.columns``), and what binds them."""

    position: int
    columns: Mapping[str, Column]
    record: bytes
    leaf_hash: bytes
    nodes: tuple[Node, ...] | None = None
    """The interior nodes stored for the subtrees that this row completes, the lowest first; ``None``: not read."""


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


class LogVerifier:
    """One pass over one log."""

    def __init__(self, *, origin: str, keys: Sequence[VerifierKey], against: Checkpoint | None = None) -> None:
        """Check a log of this origin, signed with any of ``keys``; ``against`` comes from ``open_checkpoint``."""
        self._origin: Final = origin
        self._keys: Final = tuple(keys)
        self._against: Final = against
        self._frontier = Frontier()
        self._covered = 0
        self._checkpoints = 0
        self._story: Final = _Story()
        if against is not None and against.origin != origin:
            raise LogCorrupt(
                Code.CHECKPOINT_INVALID, "the older checkpoint is of another log", hint="compare the log ids"
            )
        self._compare_against()

    @property
    def size(self) -> int:
        """How many rows were verified so far; the position of the next one."""
        return self._frontier.size

    def row(self, row: Row) -> None:
        """Verify the next row; raise ``LogCorrupt`` for the first thing that differs."""
        position = self.size
        if row.position != position:
            _differs(position, "position", "the row is missing, or one was inserted")
        record = _record_at(position, row.record)
        _compare_columns(position, record, row.columns)
        if row.leaf_hash != leaf_hash(row.record):
            _differs(position, "leaf_hash", "the leaf hash is not the record's")
        self._story.tell(position, record)
        self._frontier, nodes = self._frontier.append(row.leaf_hash)
        if row.nodes is not None and row.nodes != nodes:
            _differs(position, "nodes", "the stored nodes are not those of the leaves")
        self._compare_against()

    def checkpoint(self, stored: StoredCheckpoint) -> None:
        """Verify the checkpoint that covers the rows so far; raise ``LogCorrupt`` for the first thing that differs."""
        if stored.size != self.size:
            _differs(min(stored.size, self.size), "position", f"a checkpoint covers {stored.size} rows")
        first = self._covered
        try:
            signed = open_checkpoint(stored.note, self._keys)
        except LogCorrupt as error:
            _differs(first, "checkpoint", f"the checkpoint of {stored.size} rows: {error.message}", error)
        if signed.origin != self._origin:
            _differs(first, "checkpoint", f"the checkpoint of {stored.size} rows is of another log")
        if (signed.size, signed.root) != (stored.size, stored.root):
            _differs(first, "checkpoint", f"the checkpoint of {stored.size} rows has columns that were not signed")
        if signed.root != self._frontier.root():
            _differs(first, "root", f"rows {first} to {stored.size - 1} are not the ones that were signed")
        self._covered = stored.size
        self._checkpoints += 1

    def finish(self) -> Summary:
        """Return what was verified; raise ``LogCorrupt`` when rows are uncovered or the end is missing."""
        if self._covered != self.size:
            _differs(self._covered, "checkpoint", "no checkpoint covers the rows from here on")
        if self._against is not None and self._against.size > self.size:
            _differs(self.size, "against", f"the log was truncated: the older checkpoint has {self._against.size} rows")
        return Summary(
            self.size, self._frontier.root(), self._checkpoints, self._story.counts(), self._story.unfinished()
        )

    def _compare_against(self) -> None:
        """Compare the older checkpoint once the tree has its size."""
        older = self._against
        if older is not None and older.size == self.size and older.root != self._frontier.root():
            _differs(0, "against", f"somewhere the first {older.size} rows are not the older checkpoint's")


class _Story:
    """What executions may do, one record after the other."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(RecordKind, 0)
        self._open: dict[str, tuple[int, bytes]] = {}
        self._spent: set[bytes] = set()

    def tell(self, position: int, record: AuditRecord) -> None:
        """Take the next record; raise ``LogCorrupt`` when it cannot follow what was told so far."""
        self._counts[record.kind] += 1
        match record.kind:
            case RecordKind.INTENT:
                self._begin(position, record)
            case RecordKind.RESULT | RecordKind.RECONCILED:
                self._conclude(position, record)
            case RecordKind.REFUSED:
                if record.outcome or not record.reason:
                    _differs(position, "reason", "a refusal has a reason and no outcome")
            case RecordKind.BOUNDARY:
                if record.execution_id:
                    _differs(position, "execution_id", "a boundary proof belongs to no execution")
            case _ as never:
                assert_never(never)

    def counts(self) -> Mapping[RecordKind, int]:
        return dict(self._counts)

    def unfinished(self) -> tuple[tuple[int, str], ...]:
        return tuple((position, execution) for execution, (position, _) in self._open.items())

    def _begin(self, position: int, record: AuditRecord) -> None:
        for name in ("execution_id", "approval_id", "jti"):
            value = getattr(record, name)
            if not value:
                _differs(position, name, f"an INTENT has no {name}")
            if not self._spend(name, value):
                _differs(position, name, f"the {name} was used before")
        if record.outcome:
            _differs(position, "outcome", "an INTENT has an outcome")
        self._open[record.execution_id] = (position, _approved(record))

    def _conclude(self, position: int, record: AuditRecord) -> None:
        if not record.outcome:
            _differs(position, "outcome", f"a {record.kind.value} has no outcome")
        intent = self._open.pop(record.execution_id, None)
        if intent is None:
            _differs(position, "execution_id", "no INTENT waits for this outcome: none was, or it had one")
        if intent[1] != _approved(record):
            _differs(position, "execution_id", f"the outcome is not of what INTENT {intent[0]} approved")

    def _spend(self, name: str, value: str) -> bool:
        """Spend an id; tell whether it was still unspent."""
        spent = _fingerprint(f"{name}\n{value}".encode())
        fresh = spent not in self._spent
        self._spent.add(spent)
        return fresh


def _record_at(position: int, data: bytes) -> AuditRecord:
    try:
        return from_bytes(data)
    except CanonicalError as error:
        _differs(position, "record", error.message, error)


def _compare_columns(position: int, record: AuditRecord, columns: Mapping[str, Column]) -> None:
    """Compare each column with the record, in the record's order; a value of another type differs too."""
    expected = record.columns()
    if columns.keys() != expected.keys():
        _differs(position, "columns", "the row does not have exactly the record's columns")
    for name, value in expected.items():
        if type(columns[name]) is not type(value) or columns[name] != value:
            _differs(position, name, f"the column {name} is not what the record says")


def _approved(record: AuditRecord) -> bytes:
    """Return a fingerprint over what was approved."""
    columns = record.columns()
    return _fingerprint("\n".join(f"{name} {columns[name]!a}" for name in APPROVED_FIELDS).encode("ascii"))


def _fingerprint(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:SPENT_BYTES]


def _differs(position: int, what: str, reason: str, cause: Exception | None = None) -> NoReturn:
    raise LogCorrupt(
        Code.LOG_CORRUPT,
        f"position {position}: {reason}",
        hint="keep the database as it is, and compare with a backup and an older checkpoint",
        position=str(position),
        what=what,
    ) from cause
