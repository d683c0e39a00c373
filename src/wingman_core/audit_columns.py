"""An audit record as a row of its table, and the canonical bytes that such a row stands for.

Guarantees: ``record_bytes`` gives what RFC 8785 would, in one pass, for writers and verifiers alike; what
``well_formed`` accepts is a row of a record that ``audit_record`` would accept. It is a glance and no judgement: what
it does not accept may still be a record, and is to be read the long way.
"""

import re
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Final, NamedTuple

MAX_INTEGER: Final = (1 << 53) - 1
"""RFC 8785 numbers are IEEE 754 doubles: integers past this are not exact."""
EXIT_CODES: Final = range(-(1 << 31), 1 << 31)
"""What the column and the API's answers hold."""
VERSION: Final = 1
OUTCOMES: Final = frozenset({"", "SUCCEEDED", "FAILED", "TIMED_OUT", "UNKNOWN"})

_STRING: Final = r'"[^"\\\x00-\x1f]*(?:\\["\\][^"\\\x00-\x1f]*)*"'
"""Text in its one encoding, without the control characters that have escapes of their own."""
_TARGETS: Final = re.compile(rf"\[(?:{_STRING}(?:,{_STRING})*)?\]")
_DECIDER: Final = r'\{"at":[1-9][0-9]{0,9},"name":"[A-Za-z0-9][A-Za-z0-9 .@_-]{0,99}","via":"[a-z0-9_-]{1,32}"\}'
_DECIDERS: Final = re.compile(rf"\[(?:{_DECIDER}(?:,{_DECIDER})*)?\]")
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"  # Python may take 24:00
)
_DIGESTS: Final = re.compile(r"(?:(?:[0-9a-f]{64})?\n){5}")


class RecordKind(StrEnum):
    """What a record tells; ``RESULT`` and ``RECONCILED`` are the outcomes of an ``INTENT``.

    ``SETTLED`` is what a person found out about an outcome that is UNKNOWN.
    """

    INTENT = "INTENT"
    RESULT = "RESULT"
    REFUSED = "REFUSED"
    RECONCILED = "RECONCILED"
    BOUNDARY = "BOUNDARY"
    SETTLED = "SETTLED"


KINDS: Final = frozenset(RecordKind)


class Columns(NamedTuple):
    """The row's columns, in the record's order; ``targets`` and ``deciders`` are canonical JSON."""

    kind: str
    environment: str
    created_at: str
    execution_id: str
    approval_id: str
    jti: str
    worker: str
    command: str
    operation_digest: str
    targets: str
    target_digest: str
    decision_digest: str
    deciders: str
    outcome: str
    reason: str
    exit_code: int | None
    duration_ms: int | None
    output_excerpt: str
    output_digest: str
    token_hash: str
    client: str
    evidence: str
    version: int


def record_bytes(row: Columns) -> bytes:
    """Return the canonical JSON of a record; raise ``UnicodeError`` or ``TypeError`` for what has none.

    What has a form that needs no escapes stands as it is: kind, outcome, moment, digests, ``targets``, ``deciders``.
    """
    text = encode_basestring  # JSON's escapes are those of RFC 8785 (3.2.2.2); the names are in the order of 3.2.3
    return (
        f'{{"approval_id":{text(row.approval_id)},"client":{text(row.client)},"command":{text(row.command)},'
        f'"created_at":"{row.created_at}","deciders":{row.deciders},"decision_digest":"{row.decision_digest}",'
        f'"duration_ms":{_number(row.duration_ms)},"environment":{text(row.environment)},'
        f'"evidence":{text(row.evidence)},"execution_id":{text(row.execution_id)},'
        f'"exit_code":{_number(row.exit_code)},"jti":{text(row.jti)},"kind":"{row.kind}",'
        f'"operation_digest":"{row.operation_digest}","outcome":"{row.outcome}",'
        f'"output_digest":"{row.output_digest}","output_excerpt":{text(row.output_excerpt)},'
        f'"reason":{text(row.reason)},"target_digest":"{row.target_digest}","targets":{row.targets},'
        f'"token_hash":"{row.token_hash}","version":{_number(row.version)},"worker":{text(row.worker)}}}'
    ).encode()


def well_formed(row: Columns) -> bool:
    """Tell whether these are surely the columns of a record; texts hold no NUL, as in any table."""
    digests = (
        f"{row.operation_digest}\n{row.target_digest}\n{row.decision_digest}\n{row.output_digest}\n{row.token_hash}\n"
    )
    return (
        row.version == VERSION
        and row.kind in KINDS
        and row.outcome in OUTCOMES
        and is_moment(row.created_at)
        and _DIGESTS.fullmatch(digests) is not None
        and _are_targets(row.targets)
        and _are_deciders(row.deciders)
        and (row.exit_code is None or row.exit_code in EXIT_CODES)
        and (row.duration_ms is None or -MAX_INTEGER <= row.duration_ms <= MAX_INTEGER)
    )


def is_moment(text: str) -> bool:
    """Tell whether it is a moment that the calendar has, as ``canonical.rfc3339`` writes it."""
    if _MOMENT.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


# An outcome repeats these of its INTENT, and mostly comes soon after it.
@lru_cache(maxsize=1024)
def _are_targets(text: str) -> bool:
    return _TARGETS.fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _are_deciders(text: str) -> bool:
    return _DECIDERS.fullmatch(text) is not None


def _number(value: int | None) -> str:
    if value is None:
        return "null"
    if type(value) is not int:  # a bool is an int, and no number of JSON's
        raise TypeError("a whole number, or nothing")
    return str(value)
