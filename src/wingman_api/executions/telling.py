"""What the feed is told of an execution, as the relay sees it; what no relay sees, ``events.watch`` tells."""

from datetime import datetime

from wingman_api.events.event import ExecutionFinished, ExecutionStarted, ExecutionUnknown
from wingman_api.gateway import Accepted, Finished


def started(accepted: Accepted, approval_id: str, worker: str, at: datetime) -> ExecutionStarted:
    """Return the event for an execution that the gateway took on."""
    return ExecutionStarted(
        at=at,
        request_id=approval_id.partition(".")[0],
        worker_id=worker,
        execution_id=accepted.execution_id,
        approval_id=approval_id,
        audit_position=accepted.audit_position,
    )


def finished(
    execution_id: str, ending: Finished, approval_id: str, worker: str
) -> ExecutionFinished | ExecutionUnknown:
    """Return the event for an outcome."""
    request_id = approval_id.partition(".")[0]
    if ending.outcome == "UNKNOWN":
        return ExecutionUnknown(
            at=ending.at,
            request_id=request_id,
            worker_id=worker,
            execution_id=execution_id,
            approval_id=approval_id,
            audit_position=ending.audit_position,
        )
    return ExecutionFinished(
        at=ending.at,
        request_id=request_id,
        worker_id=worker,
        execution_id=execution_id,
        approval_id=approval_id,
        state=ending.outcome,
        exit_code=ending.exit_code,
        duration_ms=ending.duration_ms,
        audit_position=ending.audit_position,
    )
