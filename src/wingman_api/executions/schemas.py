"""Executions as HTTP carries them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from wingman_api.executions.record import AuditEntry, Execution, OutputRow, Started, State
from wingman_api.gateway import Outcome, Stream
from wingman_api.previews import Digest, View

ExecutionId = Annotated[str, Field(pattern=r"^exe_[a-z0-9]{26}$", examples=["exe_dbc7jx2mqvg5s3k2h6t4yw7raa"])]


class ToExecute(BaseModel):
    """Which approved command to run."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        json_schema_extra={"example": {"approval_id": "apr_dbc7jx2mqvg5s3k2h6t4yw7raa.0"}},
    )

    approval_id: Annotated[str, Field(pattern=r"^apr_[a-z2-7]{26}(\.(0|[1-9][0-9]{0,2}))?$")] = Field(
        description="A command's approval; the request's id alone where it has one command."
    )


class Links(View):
    """Where to look next."""

    self: str
    output: str
    approval: str


class StartedAnswer(View):
    """The gateway took it on: from here on the approval is spent."""

    execution_id: str
    state: Literal["RUNNING"]
    approval_id: str
    audit_position: int = Field(description="Of the INTENT record, from 0.")
    links: Links

    @classmethod
    def of(cls, started: Started) -> "StartedAnswer":
        """Return the answer for a started execution."""
        return cls(
            execution_id=started.accepted.execution_id,
            state="RUNNING",
            approval_id=started.approval_id,
            audit_position=started.accepted.audit_position,
            links=links(started.accepted.execution_id, started.approval_id),
        )


class AuditView(View):
    """A record of the audit log about this execution."""

    position: int
    kind: Literal["INTENT", "RESULT", "RECONCILED", "SETTLED"]
    leaf_hash: Digest
    created_at: datetime

    @classmethod
    def of(cls, entry: AuditEntry) -> "AuditView":
        """Return the view of an entry."""
        return cls.model_validate(
            {
                "position": entry.position,
                "kind": entry.kind,
                "leaf_hash": entry.leaf_hash,
                "created_at": entry.created_at,
            }
        )


class ExecutionView(View):
    """An execution, and where the audit log holds it."""

    execution_id: str
    approval_id: str
    worker_id: str
    environment: str
    command: str
    state: State
    exit_code: int | None
    duration_ms: int | None
    truncated: bool
    started_by: str = Field(description="Whose key started it here; empty where another client of the gateway did.")
    started_at: datetime
    finished_at: datetime | None
    operation_digest: str
    target_digest: str
    decision_digest: str
    output_digest: str = Field(description="SHA-256 over all redacted output; empty before the end.")
    evidence: str = Field(description="What Docker testified, or who settled it and why.")
    client: str = Field(description="The SPIFFE id of the certificate that presented the token.")
    intent: AuditView
    result: AuditView | None = Field(description="Null while it runs, or waits in the gateway's journal.")
    checkpoint: str = Field(description="The signed note (C2SP tlog-checkpoint) that covers these records.")
    links: Links

    @classmethod
    def of(cls, execution: Execution) -> "ExecutionView":
        """Return the view of an execution."""
        result = execution.result
        return cls(
            execution_id=execution.id,
            approval_id=execution.approval_id,
            worker_id=execution.worker,
            environment=execution.environment,
            command=execution.command,
            state=execution.state,
            exit_code=result and result.exit_code,
            duration_ms=result and result.duration_ms,
            truncated=execution.truncated,
            started_by=execution.started_by,
            started_at=execution.intent.created_at,
            finished_at=result and result.at,
            operation_digest=execution.operation_digest,
            target_digest=execution.target_digest,
            decision_digest=execution.decision_digest,
            output_digest=result.output_digest if result else "",
            evidence=result.evidence if result else "",
            client=execution.client,
            intent=AuditView.of(execution.intent),
            result=AuditView.of(result.entry) if result and result.entry else None,
            checkpoint=execution.checkpoint,
            links=links(execution.id, execution.approval_id),
        )


class OutputEvent(View):
    """The data of an output event: ``stdout``, ``stderr`` or ``progress``."""

    stream: Stream
    text: str = Field(description="Redacted output; bytes that are no UTF-8 show as U+FFFD.")

    @classmethod
    def of(cls, row: OutputRow) -> "OutputEvent":
        """Return the event for a stored piece."""
        return cls(stream=row.stream, text=row.data.decode("utf-8", "replace"))


class FinishedEvent(View):
    """The data of the last event, ``finished``."""

    execution_id: str
    state: Outcome
    exit_code: int | None
    duration_ms: int | None
    output_digest: str
    truncated: bool
    audit_position: int | None


def links(execution_id: str, approval_id: str) -> Links:
    """Return the paths around an execution."""
    place = f"/executions/{execution_id}"
    return Links(self=place, output=f"{place}/output", approval=f"/approvals/{approval_id.partition('.')[0]}")
