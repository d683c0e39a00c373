"""The story that an audit log tells: what may happen to executions, one record after the other.

Guarantees: ``Story.tell`` raises ``LogCorrupt`` for the first record that cannot be, though hashed and signed:

1. every record is of the log's environment, at a moment that the calendar has, and nothing took less than no time;
2. an INTENT says who, what and on whose word, and nothing yet of an outcome; no execution id, token or approval is
   spent twice;
3. a RESULT or RECONCILED follows its INTENT, agrees with it on all that was approved and by whom, and is its only
   outcome; RECONCILED holds what Docker testified, or who says that its gateway never reported;
4. a SETTLED follows an outcome that is UNKNOWN, once, agrees with its INTENT as an outcome does, says SUCCEEDED or
   FAILED, and holds who says so and why;
5. a refusal has a reason and no outcome, a boundary proof no execution.

Does not: compare the moments of records, because clocks are set back. Memory grows with the spent ids (``spent_ids``:
some fifty bytes an execution) and the INTENTs without an outcome or with an unknown one.
"""

import json
from collections.abc import Mapping
from operator import itemgetter
from typing import Final, NoReturn

from wingman_core.audit_columns import Columns, is_moment
from wingman_core.audit_record import RecordKind
from wingman_core.errors import Code, LogCorrupt
from wingman_core.spent_ids import SpentIds

SETTLED_OUTCOMES: Final = frozenset({"SUCCEEDED", "FAILED"})
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

_spent = itemgetter(*map(Columns._fields.index, SPENT_FIELDS))
_stated = itemgetter(*map(Columns._fields.index, STATED_FIELDS))
_unknown = itemgetter(*map(Columns._fields.index, OUTCOME_FIELDS))
_approved = itemgetter(*map(Columns._fields.index, APPROVED_FIELDS))
_NOTHING: Final = ("", "", None, None, "", "")


KINDS: Final = {kind.value: kind for kind in RecordKind}


class Story:
    """One log's story so far."""

    def __init__(self, environment: str) -> None:
        """Begin the story of an environment's log."""
        self._environment: Final = environment
        self._counts = dict.fromkeys(RecordKind, 0)
        self._open: dict[str, tuple[int, tuple[int, int]]] = {}
        self._doubtful: dict[str, tuple[int, tuple[int, int]]] = {}
        self._spent: Final = SpentIds()

    def tell(self, position: int, row: Columns) -> None:
        """Take the next record; raise ``LogCorrupt`` when it cannot follow what was told so far."""
        kind = row.kind
        self._counts[KINDS[kind]] += 1
        if row.environment != self._environment:
            differs(position, "environment", "the record is of another environment than the log")
        if not is_moment(row.created_at):
            differs(position, "created_at", "no calendar has the moment")
        if row.duration_ms is not None and row.duration_ms < 0:
            differs(position, "duration_ms", "it took less than no time")
        if kind == RecordKind.INTENT:
            self._begin(position, row)
        elif kind == RecordKind.REFUSED:
            if row.outcome or not row.reason:
                differs(position, "reason", "a refusal has a reason and no outcome")
        elif kind == RecordKind.BOUNDARY:
            if row.execution_id:
                differs(position, "execution_id", "a boundary proof belongs to no execution")
        elif kind == RecordKind.SETTLED:
            self._settle(position, row)
        else:
            self._conclude(position, row)

    def counts(self) -> Mapping[RecordKind, int]:
        """Return how many records of each kind were told."""
        return dict(self._counts)

    def unfinished(self) -> tuple[tuple[int, str], ...]:
        """Return position and execution id of each INTENT without an outcome."""
        return tuple((position, execution) for execution, (position, _) in self._open.items())

    def _begin(self, position: int, row: Columns) -> None:
        spent = _spent(row)
        if not (all(spent) and all(_stated(row))):
            name = next(name for name in (*SPENT_FIELDS, *STATED_FIELDS) if not getattr(row, name))
            differs(position, name, f"an INTENT has no {name}")
        if _unknown(row) != _NOTHING:
            name = next(name for name in OUTCOME_FIELDS if getattr(row, name) not in {"", None})
            differs(position, name, f"an INTENT has an {name}" if name == "outcome" else f"an INTENT has {name}")
        for name, value in zip(SPENT_FIELDS, spent, strict=True):
            if not self._spent.spend(f"{name} {value}"):
                differs(position, name, f"the {name} was used before")
        self._open[row.execution_id] = (position, _fingerprint(row))

    def _conclude(self, position: int, row: Columns) -> None:
        if not row.outcome:
            differs(position, "outcome", f"a {row.kind} has no outcome")
        if row.kind == RecordKind.RECONCILED and not _is_testimony(row.evidence):
            differs(position, "evidence", "a RECONCILED does not hold what Docker testified")
        intent = self._open.pop(row.execution_id, None)
        if intent is None:
            differs(position, "execution_id", "no INTENT waits for this outcome: none was, or it had one")
        if intent[1] != _fingerprint(row):
            differs(position, "execution_id", f"the outcome is not of what INTENT {intent[0]} approved")
        if row.outcome == "UNKNOWN":
            self._doubtful[row.execution_id] = intent

    def _settle(self, position: int, row: Columns) -> None:
        if row.outcome not in SETTLED_OUTCOMES:
            differs(position, "outcome", "a SETTLED says neither SUCCEEDED nor FAILED")
        if not _is_settlement(row.evidence):
            differs(position, "evidence", "a SETTLED does not hold who says so, and why")
        intent = self._doubtful.pop(row.execution_id, None)
        if intent is None:
            differs(position, "execution_id", "no outcome that is UNKNOWN waits for this: none was, or it is settled")
        if intent[1] != _fingerprint(row):
            differs(position, "execution_id", f"what was settled is not what INTENT {intent[0]} approved")


def differs(position: int, what: str, reason: str, cause: Exception | None = None) -> NoReturn:
    """Raise ``LogCorrupt`` for the row at ``position`` and what of it differs."""
    raise LogCorrupt(
        Code.LOG_CORRUPT,
        f"position {position}: {reason}",
        hint="keep the database as it is, and compare with a backup and an older checkpoint",
        position=str(position),
        what=what,
    ) from cause


def _is_testimony(evidence: str) -> bool:
    """Whether it is a JSON object with something in it."""
    try:
        testimony = json.loads(evidence)
    except (ValueError, RecursionError):
        return False
    return isinstance(testimony, dict) and bool(testimony)


def _is_settlement(evidence: str) -> bool:
    """Whether it is a JSON object that names a person and has a note."""
    try:
        settlement = json.loads(evidence)
    except (ValueError, RecursionError):
        return False
    return isinstance(settlement, dict) and bool(settlement.get("by")) and bool(settlement.get("note"))


def _fingerprint(row: Columns) -> tuple[int, int]:
    """Return 128 bits over what was approved, of this process's own key; no text holds the NUL that parts them."""
    approved = "\0".join(_approved(row))
    return hash(approved), hash(f"{approved}\0")
