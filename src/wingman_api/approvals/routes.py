"""``/approvals``: ask, list, look, decide, withdraw."""

from typing import Annotated, Final, cast

from fastapi import Depends, HTTPException, Path, Query, Request

from wingman_api.approvals import cursor as cursors
from wingman_api.approvals.record import Asked as AskedRecord
from wingman_api.approvals.record import Record, Selection
from wingman_api.approvals.requests import Requests, Wish
from wingman_api.approvals.schemas import (
    MAX_PAGE,
    ApprovalId,
    Asked,
    AskedAnswer,
    Decided,
    HistoryView,
    LevelName,
    Moment,
    Name,
    PageAnswer,
    PendingAnswer,
    RequestDetail,
    RequestView,
)
from wingman_api.idempotency.dependencies import REPEATABLE, once
from wingman_api.idempotency.once import Once
from wingman_api.identity.caller import Caller, Permission
from wingman_api.identity.dependencies import closed, permitted
from wingman_api.problems import declared
from wingman_core.approval import Status
from wingman_core.errors import Code
from wingman_core.risk import Level

KEY: Final = (Code.KEY_MISSING, Code.KEY_INVALID, Code.ROLE_MISSING)
BODY: Final = (Code.REQUEST_TOO_LARGE,)
PREVIEW: Final = (
    *(code for code in Code if code.startswith("COMMAND_")),
    Code.TARGET_NOT_FOUND,
    Code.TARGET_AMBIGUOUS,
    Code.TARGET_EXISTS,
    Code.TARGET_TOO_MANY,
    Code.LIMIT_EXCEEDED,
    Code.ENGINE_REFUSED,
    Code.CALLER_ROLE,
    Code.ENGINE_UNAVAILABLE,
    Code.GATEWAY_UNAVAILABLE,
    Code.DEADLINE_EXCEEDED,
)
ASKING: Final = (
    *KEY,
    *BODY,
    *PREVIEW,
    *REPEATABLE,
    Code.POLICY_FORBIDS,
    Code.ENVIRONMENT_MISMATCH,
    Code.PERSON_MISMATCH,
)
DECIDING: Final = (
    *KEY,
    *BODY,
    *REPEATABLE,
    Code.APPROVAL_UNKNOWN,
    Code.APPROVAL_DECIDED,
    Code.APPROVAL_EXPIRED,
    Code.APPROVAL_TWICE,
    Code.APPROVAL_SELF,
    Code.PERSON_MISMATCH,
)

NOTHING_SAID: Final = Decided()
"""A decision without a body."""

router = closed(prefix="/approvals", tags=["approvals"])


async def _requests(request: Request) -> Requests:
    return cast("Requests", request.app.state.requests)


Service = Annotated[Requests, Depends(_requests)]
Reader = Annotated[Caller, Depends(permitted(Permission.READ))]
Asker = Annotated[Caller, Depends(permitted(Permission.REQUEST))]
Decider = Annotated[Caller, Depends(permitted(Permission.DECIDE))]
Canceller = Annotated[Caller, Depends(permitted(Permission.CANCEL))]
AskedOnce = Annotated[Once[AskedRecord] | None, Depends(once("requestApproval", AskedAnswer.of))]
ApprovedOnce = Annotated[Once[Record] | None, Depends(once("approveApproval", RequestView.of))]
RejectedOnce = Annotated[Once[Record] | None, Depends(once("rejectApproval", RequestView.of))]
CancelledOnce = Annotated[Once[Record] | None, Depends(once("cancelApproval", RequestView.of))]
RequestId = Annotated[ApprovalId, Path(description="The request's id.")]


@router.post("/request", operation_id="requestApproval", responses=declared(*ASKING))
async def request_approval(asked: Asked, service: Service, caller: Asker, once: AskedOnce) -> AskedAnswer:
    """Preview the commands, weigh the risk, and wait for as many people as policy and risk ask for."""
    wish = Wish(
        worker=asked.worker_id,
        task_name=asked.task_name,
        instruction=asked.instruction,
        commands=None if asked.commands is None else tuple(asked.commands),
        environment=asked.deployment_env,
    )
    return AskedAnswer.of(await service.ask(wish, caller, once))


@router.get("/request", include_in_schema=False)
async def request_by_get() -> None:
    """Refuse the method: without this, the word would be taken for an id."""
    raise HTTPException(405)


@router.get("/pending", operation_id="listPendingApprovals", responses=declared(*KEY))
async def list_pending(
    service: Service, caller: Reader, limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = MAX_PAGE
) -> PendingAnswer:
    """Return the requests that wait for people, oldest first."""
    records, count = await service.pending(limit, caller)
    return PendingAnswer(pending=tuple(RequestView.of(record) for record in records), count=count)


@router.get("", operation_id="listApprovals", responses=declared(*KEY, Code.PERSON_MISMATCH))
async def list_approvals(  # noqa: PLR0913 - query parameters
    service: Service,
    caller: Reader,
    *,
    status: Status | None = None,
    worker: Annotated[Name | None, Query()] = None,
    risk: Annotated[LevelName | None, Query()] = None,
    since: Annotated[Moment | None, Query(description="Asked at this time or later (RFC 3339).")] = None,
    until: Annotated[Moment | None, Query(description="Asked before this time (RFC 3339).")] = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> PageAnswer:
    """Return a page of requests, newest first."""
    before = None if cursor is None else cursors.decode(cursor)
    level = None if risk is None else Level[risk]
    selection = Selection(status=status, worker=worker, level=level, since=since, until=until, before=before)
    found = await service.page(selection, limit + 1, caller)
    shown = found[:limit]
    more = cursors.encode(shown[-1].created_at, shown[-1].request.id) if len(found) > limit else None
    return PageAnswer(approvals=tuple(RequestView.of(record) for record in shown), next_cursor=more)


@router.get("/{request_id}", operation_id="getApproval", responses=declared(*KEY, Code.APPROVAL_UNKNOWN))
async def get_approval(request_id: RequestId, service: Service, caller: Reader) -> RequestDetail:
    """Return one request with its history."""
    record = await service.get(request_id, caller)
    history = tuple(HistoryView.of(entry) for entry in await service.history(request_id))
    return RequestDetail(**RequestView.of(record).model_dump(), history=history)


@router.post("/{request_id}/approve", operation_id="approveApproval", responses=declared(*DECIDING))
async def approve(
    request_id: RequestId, service: Service, caller: Decider, once: ApprovedOnce, decided: Decided = NOTHING_SAID
) -> RequestView:
    """Record an approval; the request is APPROVED once enough distinct people said so."""
    record = await service.decide(
        request_id, caller, approve=True, decided_by=decided.decided_by, note=decided.note, once=once
    )
    return RequestView.of(record)


@router.post("/{request_id}/reject", operation_id="rejectApproval", responses=declared(*DECIDING))
async def reject(
    request_id: RequestId, service: Service, caller: Decider, once: RejectedOnce, decided: Decided = NOTHING_SAID
) -> RequestView:
    """Record a rejection; one is enough."""
    record = await service.decide(
        request_id, caller, approve=False, decided_by=decided.decided_by, note=decided.note, once=once
    )
    return RequestView.of(record)


@router.post("/{request_id}/cancel", operation_id="cancelApproval", responses=declared(*DECIDING))
async def cancel(
    request_id: RequestId, service: Service, caller: Canceller, once: CancelledOnce, decided: Decided = NOTHING_SAID
) -> RequestView:
    """Withdraw a request that the caller made, or that was made in its name."""
    record = await service.cancel(request_id, caller, decided_by=decided.decided_by, note=decided.note, once=once)
    return RequestView.of(record)
