"""``/executions``: start, look, follow the output."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, assert_never, cast

from fastapi import Depends, Header, Path, Request, status
from fastapi.sse import EventSourceResponse, ServerSentEvent

from wingman_api.events.dependencies import held
from wingman_api.events.streams import Place
from wingman_api.executions.executions import Executions
from wingman_api.executions.record import Execution, OutputRow, Started
from wingman_api.executions.schemas import (
    ExecutionId,
    ExecutionView,
    FinishedEvent,
    OutputEvent,
    StartedAnswer,
    ToExecute,
)
from wingman_api.idempotency.dependencies import REPEATABLE, once
from wingman_api.idempotency.once import Once
from wingman_api.identity.caller import Caller, Permission
from wingman_api.identity.dependencies import closed, permitted
from wingman_api.problems import declared
from wingman_core.errors import Code

KEY: Final = (Code.KEY_MISSING, Code.KEY_INVALID, Code.ROLE_MISSING)
STARTING: Final = (
    *KEY,
    *REPEATABLE,
    Code.REQUEST_TOO_LARGE,
    Code.APPROVAL_UNKNOWN,
    Code.APPROVAL_PENDING,
    Code.APPROVAL_DECIDED,
    Code.APPROVAL_EXPIRED,
    Code.APPROVAL_SPENT,
    Code.APPROVAL_SIGN_OFF,
    Code.TARGET_NOT_FOUND,
    Code.TARGET_AMBIGUOUS,
    Code.TARGET_CHANGED,
    Code.TARGET_EXISTS,
    Code.TARGET_TOO_MANY,
    Code.POLICY_FORBIDS,
    Code.BOUNDARY_VIOLATED,
    Code.POLICY_NEEDS_PEOPLE,
    Code.LIMIT_EXCEEDED,
    Code.ENGINE_REFUSED,
    *(code for code in Code if code.startswith("TOKEN_")),
    Code.CALLER_ROLE,
    Code.ENGINE_UNAVAILABLE,
    Code.GATEWAY_UNAVAILABLE,
    Code.DEADLINE_EXCEEDED,
)
OUTPUT: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": OutputEvent | FinishedEvent,
        "description": "Server-sent events: `stdout`, `stderr`, `progress`, and `finished` as the last one.",
    }
}

router = closed(prefix="/executions", tags=["executions"])


async def _executions(request: Request) -> Executions:
    return cast("Executions", request.app.state.executions)


Service = Annotated[Executions, Depends(_executions)]
Starter = Annotated[Caller, Depends(permitted(Permission.EXECUTE))]
Reader = Annotated[Caller, Depends(permitted(Permission.READ))]
StartedOnce = Annotated[
    Once[Started] | None, Depends(once("startExecution", StartedAnswer.of, status.HTTP_202_ACCEPTED))
]


async def _known(
    execution_id: Annotated[ExecutionId, Path(description="The execution's id.")], service: Service, caller: Reader
) -> Execution:
    """Return the execution before a stream begins, so that an unknown one is a 404."""
    return await service.get(execution_id, caller)


Known = Annotated[Execution, Depends(_known)]


@router.post("", operation_id="startExecution", status_code=202, responses=declared(*STARTING))
async def start_execution(wanted: ToExecute, service: Service, caller: Starter, once: StartedOnce) -> StartedAnswer:
    """Spend an approval: have the gateway run the command, once; answered when its intent is durable."""
    return StartedAnswer.of(await service.start(wanted.approval_id, caller, once))


@router.get(
    "/{execution_id}",
    operation_id="getExecution",
    responses=declared(*KEY, Code.EXECUTION_UNKNOWN),
)
async def get_execution(execution: Known) -> ExecutionView:
    """Return where an execution stands, and where the audit log holds it."""
    return ExecutionView.of(execution)


@router.get(
    "/{execution_id}/output",
    operation_id="followExecutionOutput",
    response_class=EventSourceResponse,
    responses={**OUTPUT, **declared(*KEY, Code.EXECUTION_UNKNOWN, Code.LIMIT_EXCEEDED)},
)
async def follow_output(
    execution: Known,
    service: Service,
    place: Annotated[Place, Depends(held)],
    last_event_id: Annotated[int, Header(ge=-1, le=2**53, description="Continue after this event.")] = -1,
) -> AsyncIterator[ServerSentEvent]:
    """Stream the redacted output from the start, or after ``Last-Event-ID``; ``finished`` is the last event."""
    async for item in service.output(execution.id, last_event_id, place):
        match item:
            case OutputRow(seq, stream, _):
                yield ServerSentEvent(event=stream, id=str(seq), data=OutputEvent.of(item))
            case Execution():
                yield ServerSentEvent(event="finished", data=_finished(item))
            case _:
                assert_never(item)


def _finished(execution: Execution) -> FinishedEvent:
    view = ExecutionView.of(execution)
    return FinishedEvent.model_validate(
        {
            "execution_id": view.execution_id,
            "state": view.state,
            "exit_code": view.exit_code,
            "duration_ms": view.duration_ms,
            "output_digest": view.output_digest,
            "truncated": view.truncated,
            "audit_position": view.result and view.result.position,
        }
    )
