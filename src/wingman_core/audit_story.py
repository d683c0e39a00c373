"""The story that an audit log tells: what may happen to executions, one record after the other.

Guarantees: ``Story.tell`` raises ``LogCorrupt`` for the first record that cannot be, though hashed and signed:

1. every record is of the log's environment, at a moment that the calendar has, and nothing took less than no time;
2. an INTENT says who, what and on whose word, and nothing yet of an outcome; no execution id, token or approval is
   spent twice;
3. a RESULT or RECONCILED follows its INTENT, agrees with it on all that was approved and by whom, and is its only
   outcome; RECONCILED holds what Docker testified;
4. a refusal has a reason and no outcome, a boundary proof no execution.

Does not: compare the moments of records, because clocks are set back. Memory grows with the spent ids (16 bytes and
their overhead each) and the INTENTs without an outcome.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NoReturn, assert_never

from wingman_core.audit_record import AuditRecord, RecordKind
from wingman_core.canonical import rfc3339
from wingman_core.errors import Code, LogCorrupt

SPENT_BYTES: Final = 16
SPENT_FIELDS: Final = ("execution_id", "approval_id", "jti")
"""What an INTENT spends."""
STATED_FIELDS: Final = (
    "worker",
    "command",
    "operation_digest",
    "target_digest",
    "decision_digest",
    "token_hash",
    "client",
)
"""What else no INTENT leaves empty."""
OUTCOME_FIELDS: Final = ("outcome", "reason", "exit_code", "duration_ms", "output_excerpt", "output_digest")
"""What no INTENT can know yet."""
APPROVED_FIELDS: Final = ("environment", "approval_id", "jti", "targets", "deciders", *STATED_FIELDS)
"""What an outcome must repeat of its INTENT."""


class Story:
    """One log's story so far."""

    def __init__(self, environment: str) -> None:
        """Begin the story of an environment's log."""
        self._environment: Final = environment
        self._counts = dict.fromkeys(RecordKind, 0)
        self._open: dict[str, tuple[int, bytes]] = {}
        self._spent: set[bytes] = set()

    def tell(self, position: int, record: AuditRecord) -> None:
        """Take the next record; raise ``LogCorrupt`` when it cannot follow what was told so far."""
        self._counts[record.kind] += 1
        self._require_circumstances(position, record)
        match record.kind:
            case RecordKind.INTENT:
                self._begin(position, record)
            case RecordKind.RESULT | RecordKind.RECONCILED:
                self._conclude(position, record)
            case RecordKind.REFUSED:
                if record.outcome or not record.reason:
                    differs(position, "reason", "a refusal has a reason and no outcome")
            case RecordKind.BOUNDARY:
                if record.execution_id:
                    differs(position, "execution_id", "a boundary proof belongs to no execution")
            case _ as never:
                assert_never(never)

    def counts(self) -> Mapping[RecordKind, int]:
        """Return how many records of each kind were told."""
        return dict(self._counts)

    def unfinished(self) -> tuple[tuple[int, str], ...]:
        """Return position and execution id of each INTENT without an outcome."""
        return tuple((position, execution) for execution, (position, _) in self._open.items())

    def _require_circumstances(self, position: int, record: AuditRecord) -> None:
        if record.environment != self._environment:
            differs(position, "environment", "the record is of another environment than the log")
        if not _is_moment(record.created_at):
            differs(position, "created_at", "no calendar has the moment")
        if record.duration_ms is not None and record.duration_ms < 0:
            differs(position, "duration_ms", "it took less than no time")

    def _begin(self, position: int, record: AuditRecord) -> None:
        for name in (*SPENT_FIELDS, *STATED_FIELDS):
            if not getattr(record, name):
                differs(position, name, f"an INTENT has no {name}")
        for name in OUTCOME_FIELDS:
            if getattr(record, name) not in {"", None}:
                differs(position, name, f"an INTENT has an {name}" if name == "outcome" else f"an INTENT has {name}")
        for name in SPENT_FIELDS:
            if not self._spend(name, getattr(record, name)):
                differs(position, name, f"the {name} was used before")
        self._open[record.execution_id] = (position, _approved(record))

    def _conclude(self, position: int, record: AuditRecord) -> None:
        if not record.outcome:
            differs(position, "outcome", f"a {record.kind.value} has no outcome")
        if record.kind is RecordKind.RECONCILED and not _is_testimony(record.evidence):
            differs(position, "evidence", "a RECONCILED does not hold what Docker testified")
        intent = self._open.pop(record.execution_id, None)
        if intent is None:
            differs(position, "execution_id", "no INTENT waits for this outcome: none was, or it had one")
        if intent[1] != _approved(record):
            differs(position, "execution_id", f"the outcome is not of what INTENT {intent[0]} approved")

    def _spend(self, name: str, value: str) -> bool:
        """Spend an id; tell whether it was still unspent."""
        spent = _fingerprint(f"{name}\n{value}".encode())
        fresh = spent not in self._spent
        self._spent.add(spent)
        return fresh


def differs(position: int, what: str, reason: str, cause: Exception | None = None) -> NoReturn:
    """Raise ``LogCorrupt`` for the row at ``position`` and what of it differs."""
    raise LogCorrupt(
        Code.LOG_CORRUPT,
        f"position {position}: {reason}",
        hint="keep the database as it is, and compare with a backup and an older checkpoint",
        position=str(position),
        what=what,
    ) from cause


def _is_moment(text: str) -> bool:
    """Whether there is such a moment: the form alone would let a 31st of February pass."""
    try:
        return rfc3339(datetime.fromisoformat(text)) == text
    except ValueError:
        return False


def _is_testimony(evidence: str) -> bool:
    """Whether it is a JSON object with something in it."""
    try:
        testimony = json.loads(evidence)
    except (ValueError, RecursionError):
        return False
    return isinstance(testimony, dict) and bool(testimony)


def _approved(record: AuditRecord) -> bytes:
    """Return a fingerprint over what was approved."""
    columns = record.columns()
    return _fingerprint("\n".join(f"{name} {columns[name]!a}" for name in APPROVED_FIELDS).encode("ascii"))


def _fingerprint(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:SPENT_BYTES]
