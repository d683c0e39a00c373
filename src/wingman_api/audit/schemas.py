"""The audit log as HTTP carries it."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from wingman_api.audit.store import Head, Positioned
from wingman_api.previews import Digest, View
from wingman_core.audit_record import Outcome, RecordKind

MAX_PAGE = 500


class DeciderView(View):
    """Who approved, as the token said."""

    name: str
    at: Annotated[int, Field(description="Unix seconds.")]
    via: str


class RecordView(View):
    """One record; text is empty and a number null where it does not apply."""

    position: int
    leaf_hash: Digest
    kind: RecordKind
    environment: str
    created_at: datetime
    execution_id: str
    approval_id: str
    worker_id: str
    command: str
    operation_digest: str
    target_digest: str
    decision_digest: str
    deciders: tuple[DeciderView, ...]
    outcome: Outcome
    reason: str
    exit_code: int | None
    duration_ms: int | None
    output_excerpt: str
    output_digest: str
    token_hash: str
    client: str
    evidence: str

    @classmethod
    def of(cls, entry: Positioned) -> "RecordView":
        """Return the view of a record."""
        record = entry.record
        return cls(
            position=entry.position,
            leaf_hash=entry.leaf_hash.hex(),
            kind=record.kind,
            environment=record.environment,
            created_at=datetime.fromisoformat(record.created_at),
            execution_id=record.execution_id,
            approval_id=record.approval_id,
            worker_id=record.worker,
            command=record.command,
            operation_digest=record.operation_digest,
            target_digest=record.target_digest,
            decision_digest=record.decision_digest,
            deciders=tuple(DeciderView(name=each.name, at=each.at, via=each.via) for each in record.deciders),
            outcome=record.outcome,
            reason=record.reason,
            exit_code=record.exit_code,
            duration_ms=record.duration_ms,
            output_excerpt=record.output_excerpt,
            output_digest=record.output_digest,
            token_hash=record.token_hash,
            client=record.client,
            evidence=record.evidence,
        )


class AuditPage(View):
    """Records in order; not verified: `wingman audit verify` does that, a receipt can be."""

    records: tuple[RecordView, ...]
    next: int | None = Field(description="`from` of the next page; null where the log ends here for now.")
    size: int = Field(description="How many records the newest checkpoint covers.")


class CheckpointAnswer(View):
    """The log's head. Keep one outside of this machine: with it, truncation and rewriting show."""

    origin: str
    size: int
    root: Digest
    note: str = Field(description="The signed note (C2SP tlog-checkpoint); for `wingman audit verify --against`.")

    @classmethod
    def of(cls, head: Head) -> "CheckpointAnswer":
        """Return the view of a head."""
        return cls(origin=head.note.partition("\n")[0], size=head.size, root=head.root.hex(), note=head.note)
