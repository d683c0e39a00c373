"""One record of the audit log, and its canonical bytes: what a leaf of the transparency log stands for.

Guarantees: a record has one encoding (RFC 8785), every field is always there, and ``from_bytes`` takes back
nothing that ``to_bytes`` could not have written. A record does not hold its position: that is the index of
its leaf. What the fields of one kind mean together, ``audit_verify`` checks over the whole log.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final, Literal

from wingman_core import translog
from wingman_core.audit_columns import EXIT_CODES, MAX_INTEGER, VERSION, Columns, record_bytes
from wingman_core.audit_columns import RecordKind as RecordKind  # noqa: PLC0414 - a part of records, for whoever reads them
from wingman_core.canonical import canonical_bytes
from wingman_core.claims import DECIDER_FIELDS, Decider
from wingman_core.errors import CanonicalError, CapabilityRefused, Code
from wingman_core.target import Target

_CREATED_AT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_DIGEST: Final = re.compile(r"(?:[0-9a-f]{64})?")
_UNSHOWABLE: Final = re.compile(
    r"[^\S\t\n ]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
)

Outcome = Literal["", "SUCCEEDED", "FAILED", "TIMED_OUT", "UNKNOWN"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("", "SUCCEEDED", "FAILED", "TIMED_OUT", "UNKNOWN")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """Everything one row says; raises ``CanonicalError`` for a value that no row can hold.

    Text is empty and a number ``None`` where it does not apply.
    """

    kind: RecordKind
    environment: str
    created_at: str
    """RFC 3339 UTC with microseconds, as ``canonical.rfc3339`` writes it."""
    execution_id: str = ""
    approval_id: str = ""
    """The approval of one command, ``<request id>.<n>``; an INTENT spends it."""
    jti: str = ""
    """The token's id; an INTENT spends it."""
    worker: str = ""
    command: str = ""
    """The canonical command with its secrets hidden (``command.hidden``); of a refused text, what is safe to show."""
    operation_digest: str = ""
    targets: tuple[str, ...] = ()
    """Each target's identity as canonical JSON text, see ``identities``."""
    target_digest: str = ""
    decision_digest: str = ""
    """Of the decision record that the token relied on."""
    deciders: tuple[Decider, ...] = ()
    outcome: Outcome = ""
    reason: str = ""
    """The code of the refusal, or of what made an outcome other than SUCCEEDED."""
    exit_code: int | None = None
    duration_ms: int | None = None
    output_excerpt: str = ""
    """Redacted, see ``excerpt_of``."""
    output_digest: str = ""
    """SHA-256 over all redacted output, 64 hex digits."""
    token_hash: str = ""
    client: str = ""
    """The SPIFFE id of the certificate that presented the token."""
    evidence: str = ""
    """JSON text: what Docker testified, or how many refusals this one stands for."""
    version: int = VERSION

    def __post_init__(self) -> None:
        """Refuse what has no canonical bytes or does not fit the table's columns."""
        if self.version != VERSION:
            raise _invalid("version", f"this is version {VERSION}")
        if not _CREATED_AT.fullmatch(self.created_at):
            raise _invalid("created_at", "RFC 3339 UTC with six digits of microseconds")
        for name in ("operation_digest", "target_digest", "decision_digest", "output_digest", "token_hash"):
            if not _DIGEST.fullmatch(getattr(self, name)):
                raise _invalid(name, "64 hex digits, or nothing")
        if self.outcome not in OUTCOMES:
            raise _invalid("outcome", "one of the outcomes, or nothing")
        for name in _PLAIN_FIELDS:
            value = getattr(self, name)
            if isinstance(value, str) and "\0" in value:
                raise _invalid(name, "text without NUL")
            if type(value) is int and abs(value) > MAX_INTEGER:
                raise _invalid(name, f"a number of at most {MAX_INTEGER}")
        if self.exit_code is not None and self.exit_code not in EXIT_CODES:
            raise _invalid("exit_code", "a number of 32 bits")

    def to_bytes(self) -> bytes:
        """Return the record's canonical JSON; raise ``CanonicalError`` for text that is not Unicode."""
        try:
            return record_bytes(self.columns())
        except UnicodeError as error:
            raise CanonicalError(Code.CANONICAL_INVALID, f"the audit record has no canonical form: {error}") from error

    def leaf_hash(self) -> bytes:
        """Return the 32 bytes that stand for the record in the tree."""
        return translog.leaf_hash(self.to_bytes())

    def columns(self) -> Columns:
        """Return the row's columns: one for each field, ``targets`` and ``deciders`` as canonical JSON."""
        deciders = [{"name": person.name, "at": person.at, "via": person.via} for person in self.deciders]
        return Columns(
            kind=self.kind.value,
            environment=self.environment,
            created_at=self.created_at,
            execution_id=self.execution_id,
            approval_id=self.approval_id,
            jti=self.jti,
            worker=self.worker,
            command=self.command,
            operation_digest=self.operation_digest,
            targets=canonical_bytes(self.targets).decode(),
            target_digest=self.target_digest,
            decision_digest=self.decision_digest,
            deciders=canonical_bytes(deciders).decode(),
            outcome=self.outcome,
            reason=self.reason,
            exit_code=self.exit_code,
            duration_ms=self.duration_ms,
            output_excerpt=self.output_excerpt,
            output_digest=self.output_digest,
            token_hash=self.token_hash,
            client=self.client,
            evidence=self.evidence,
            version=self.version,
        )

    def concluded(  # noqa: PLR0913 - the fields in which an outcome differs from its INTENT
        self,
        kind: Literal[RecordKind.RESULT, RecordKind.RECONCILED, RecordKind.SETTLED],
        outcome: Literal["SUCCEEDED", "FAILED", "TIMED_OUT", "UNKNOWN"],
        created_at: str,
        *,
        reason: str = "",
        exit_code: int | None = None,
        duration_ms: int | None = None,
        output_excerpt: str = "",
        output_digest: str = "",
        evidence: str = "",
    ) -> "AuditRecord":
        """Return the outcome of this INTENT: the same execution in every field that says what was approved."""
        return replace(
            self,
            kind=kind,
            outcome=outcome,
            created_at=created_at,
            reason=reason,
            exit_code=exit_code,
            duration_ms=duration_ms,
            output_excerpt=output_excerpt,
            output_digest=output_digest,
            evidence=evidence,
        )


_FIELDS: Final = frozenset(field.name for field in fields(AuditRecord))
_PLAIN_FIELDS: Final = tuple(sorted(_FIELDS - {"kind", "targets", "deciders"}))
COLUMNS: Final = Columns._fields
"""The names of ``AuditRecord.columns``, in the record's order."""


def from_bytes(data: bytes) -> AuditRecord:
    """Return the record whose canonical bytes ``data`` are; raise ``CanonicalError`` for anything else."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CanonicalError(Code.CANONICAL_INVALID, "the audit record is not JSON") from error
    if not isinstance(value, dict) or value.keys() != _FIELDS:
        raise CanonicalError(Code.CANONICAL_INVALID, "the audit record does not have exactly the known fields")
    record = _record_of(value)
    if record.to_bytes() != data:
        raise CanonicalError(Code.CANONICAL_INVALID, "the audit record is not in canonical form")
    return record


def identities(targets: Sequence[Target]) -> tuple[str, ...]:
    """Return each target's identity as canonical JSON text, in the command's order."""
    return tuple(canonical_bytes(target.identity()).decode() for target in targets)


def excerpt_of(output: bytes, limit: int) -> str:
    """Return redacted output as text of at most ``limit`` characters, fit for a column and a terminal.

    What is not UTF-8, control characters but tab and newline, and bidirectional controls become U+FFFD.
    """
    return _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", output[: 4 * limit].decode("utf-8", "replace"))[:limit]


def exit_code_of(code: int) -> int:
    """Return an engine's exit code, or the nearest that 32 bits hold: what it was is for the evidence to say."""
    return max(EXIT_CODES.start, min(code, EXIT_CODES.stop - 1))


def _record_of(value: dict[str, object]) -> AuditRecord:
    """Return the record of a JSON object with the known fields, each of its type."""
    for name in _PLAIN_FIELDS:
        _require_type(name, value[name])
    kind, targets, deciders = value["kind"], value["targets"], value["deciders"]
    if not isinstance(kind, str) or kind not in tuple(RecordKind):
        raise _invalid("kind", "one of the kinds")
    if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
        raise _invalid("targets", "a list of text")
    if not isinstance(deciders, list):
        raise _invalid("deciders", "a list")
    plain = {name: value[name] for name in _PLAIN_FIELDS}
    return AuditRecord(
        **plain,  # type: ignore[arg-type] # each type was checked above
        kind=RecordKind(kind),
        targets=tuple(targets),
        deciders=tuple(_decider_of(decider) for decider in deciders),
    )


def _decider_of(value: object) -> Decider:
    if not isinstance(value, dict) or value.keys() != DECIDER_FIELDS:
        raise _invalid("deciders", "objects with name, at and via")
    try:
        return Decider(**value)
    except CapabilityRefused as error:
        raise _invalid("deciders", "people with a time and a channel") from error


def _require_type(name: str, value: object) -> None:
    match name:
        case "version":
            fits = type(value) is int
        case "exit_code" | "duration_ms":
            fits = value is None or type(value) is int
        case _:
            fits = isinstance(value, str)
    if not fits:
        raise _invalid(name, "a value of its type")


def _invalid(name: str, form: str) -> CanonicalError:
    return CanonicalError(Code.CANONICAL_INVALID, f"the audit record's {name} is not {form}", field=name)
