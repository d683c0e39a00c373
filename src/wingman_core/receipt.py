"""A receipt: the story of one execution in one JSON document, verified with the log's public key and nothing else.

``check_receipt`` guarantees, in this order,

1. the document has exactly the known parts;
2. each record is in canonical form, and its tlog-proof leads to a checkpoint that a known key signed;
3. the records are one INTENT, at most its outcome, which repeats what was approved, and where that is UNKNOWN at most
   what a person settled;
4. the decision (who asked, who said what, on which commands) has the digest that the INTENT relied on; it is an
   approval, by the rules of ``approval`` and in time, of the people that the INTENT names; and the command that ran
   is one of those it approved.

Not covered by any signature is ``shown``: what people saw beside that (instruction, preview, votes). It is there for
readers, and marked as such. Not guaranteed either: that the log has no fork (compare checkpoints for that), or that
people were who their keys say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue, ValidationError

from wingman_core.approval import DECISION_DOMAIN, Decision, Request, Status, replay
from wingman_core.audit_record import AuditRecord, RecordKind, from_bytes
from wingman_core.audit_story import Story
from wingman_core.canonical import digest, rfc3339
from wingman_core.checkpoint import Checkpoint
from wingman_core.command.frozen import Frozen
from wingman_core.errors import ApprovalRefused, CanonicalError, Code, LogCorrupt
from wingman_core.notes import VerifierKey
from wingman_core.proofs import open_proof
from wingman_core.translog import leaf_hash

FORMAT: Final = "wingman-receipt/1"
FOLLOWING: Final = (frozenset({RecordKind.RESULT, RecordKind.RECONCILED}), frozenset({RecordKind.SETTLED}))
"""What may stand behind an INTENT, in this order."""


class Entry(Frozen):
    """One record of the log."""

    record: str = Field(description="The record's canonical JSON (RFC 8785), the leaf's data.")
    proof: str = Field(description="C2SP tlog-proof: the record's position, its inclusion proof, a signed checkpoint.")


class ReceiptDecision(Frozen):
    """What one person said."""

    person: str
    approve: bool
    at: str
    channel: str
    note: str


class ReceiptCommand(Frozen):
    """One command of the request, by digest."""

    approval_id: str
    operation_digest: str
    target_digest: str


class ReceiptRequest(Frozen):
    """The decision record: exactly what ``approval.decision_digest`` covers."""

    id: str
    worker: str
    requested_by: str
    status: str
    people_needed: int
    expires_at: str
    decisions: Annotated[tuple[ReceiptDecision, ...], Field(strict=False)]
    commands: Annotated[tuple[ReceiptCommand, ...], Field(strict=False)]


class Receipt(Frozen):
    """The whole document."""

    format: Literal["wingman-receipt/1"] = FORMAT
    request: ReceiptRequest
    log: Annotated[tuple[Entry, ...], Field(strict=False, min_length=1, max_length=3)]
    shown: dict[str, JsonValue] = Field(description="What people were shown. Not covered by a signature.")


@dataclass(frozen=True, slots=True)
class CheckedReceipt:
    """What a receipt proves."""

    intent: AuditRecord
    intent_position: int
    outcome: AuditRecord | None
    outcome_position: int | None
    settlement: AuditRecord | None
    """What a person found out, where the outcome is UNKNOWN."""
    request: ReceiptRequest
    checkpoint: Checkpoint
    """The newest that it holds."""


def check_receipt(document: str | bytes, keys: Sequence[VerifierKey]) -> CheckedReceipt:
    """Return what the receipt proves; raise ``LogCorrupt`` with the first thing that does not hold."""
    # 1. The form.
    try:
        receipt = Receipt.model_validate_json(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "document"
        raise _invalid(f"it is no receipt of format {FORMAT}: {place}: {first['msg'].lower()}") from error
    # 2. The records, each in a signed tree.
    found = [_opened(entry, keys) for entry in receipt.log]
    (position, intent, checkpoint), *rest = found
    # 3. An INTENT, and its outcome if there is one yet.
    if intent.kind is not RecordKind.INTENT:
        raise _invalid("the first record is no INTENT")
    story = Story(checkpoint.origin.split("/")[1])
    _tell(story, position, intent)
    followed = position
    for (later_position, record, later), kinds, what in zip(rest, FOLLOWING, ("second", "third"), strict=False):
        checkpoint = max(checkpoint, later, key=lambda each: each.size)
        if later_position <= followed or record.kind not in kinds:
            raise _invalid(f"the {what} record is no outcome of the first")
        _tell(story, later_position, record)
        followed = later_position
    outcome_position, outcome = (rest[0][0], rest[0][1]) if rest else (None, None)
    settlement = rest[1][1] if len(rest) > 1 else None
    # 4. The decision that the INTENT relied on.
    if digest(DECISION_DOMAIN, receipt.request.model_dump(mode="json")) != intent.decision_digest:
        raise _invalid("the decision is not the one that the INTENT relied on")
    ran = ReceiptCommand(
        approval_id=intent.approval_id, operation_digest=intent.operation_digest, target_digest=intent.target_digest
    )
    if ran not in receipt.request.commands or intent.worker != receipt.request.worker:
        raise _invalid("what ran is none of the commands that were approved for this worker")
    _require_approved(receipt.request, intent)
    return CheckedReceipt(intent, position, outcome, outcome_position, settlement, receipt.request, checkpoint)


def _require_approved(told: ReceiptRequest, intent: AuditRecord) -> None:
    """Refuse a request that its own decisions do not approve, or that other people approved than the INTENT names."""
    if told.status not in {Status.APPROVED, Status.AUTO_APPROVED}:
        raise _invalid(f"nothing was approved: the request is {told.status}")
    decisions = tuple(
        Decision(each.person, each.approve, _moment(each.at), each.channel, each.note) for each in told.decisions
    )
    request = Request(
        told.id,
        told.worker,
        told.requested_by,
        Status(told.status),
        told.people_needed,
        _moment(told.expires_at),
        decisions,
    )
    try:
        played = replay(request)
    except ApprovalRefused as error:
        raise _invalid(f"its decisions were not allowed: {error.message}") from error
    except ValueError as error:
        raise _invalid(f"its decisions were not allowed: {error}") from error
    if played.status is not request.status:
        raise _invalid(f"the decisions make it {played.status}, not {request.status}")
    approved = {(each.person, int(each.at.timestamp()), each.channel) for each in request.approvers}
    if approved != {(each.name, each.at, each.via) for each in intent.deciders}:
        raise _invalid("the INTENT names other people than those who approved")


def _moment(text: str) -> datetime:
    """Return the time that ``canonical.rfc3339`` wrote so."""
    try:
        moment = datetime.fromisoformat(text)
        if rfc3339(moment) == text:
            return moment
    except (ValueError, CanonicalError):
        pass
    raise _invalid("the decision has a time that is no time of the log's form")


def _opened(entry: Entry, keys: Sequence[VerifierKey]) -> tuple[int, AuditRecord, Checkpoint]:
    data = entry.record.encode("utf-8", "surrogatepass")
    try:
        record = from_bytes(data)
    except CanonicalError as error:
        raise _invalid(error.message) from error
    position, checkpoint = open_proof(entry.proof, leaf_hash(data), keys)
    return position, record, checkpoint


def _tell(story: Story, position: int, record: AuditRecord) -> None:
    """Take the next record of the story; raise ``LogCorrupt`` (RECEIPT_INVALID) where it cannot be."""
    try:
        story.tell(position, record.columns())
    except LogCorrupt as error:
        raise _invalid(error.message) from error


def _invalid(reason: str) -> LogCorrupt:
    return LogCorrupt(
        Code.RECEIPT_INVALID, f"the receipt does not hold: {reason}", hint="ask for it again, and compare with the log"
    )
