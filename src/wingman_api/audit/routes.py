"""``/audit``: read the log, its head, and the receipt of an execution."""

from typing import Annotated, Final, cast

from fastapi import Depends, Path, Query, Request

from wingman_api.approvals.schemas import Name
from wingman_api.audit.receipts import Receipts
from wingman_api.audit.schemas import MAX_PAGE, AuditPage, CheckpointAnswer, RecordView
from wingman_api.audit.store import AuditLog
from wingman_api.executions.schemas import ExecutionId
from wingman_api.identity.caller import Caller, Permission
from wingman_api.identity.dependencies import closed, permitted
from wingman_api.problems import declared
from wingman_core.audit_record import RecordKind
from wingman_core.errors import Code, WingmanError
from wingman_core.receipt import Receipt

KEY: Final = (Code.KEY_MISSING, Code.KEY_INVALID, Code.ROLE_MISSING)

router = closed(prefix="/audit", tags=["audit"])


def _log(request: Request) -> AuditLog:
    return cast("AuditLog", request.app.state.audit_log)


def _receipts(request: Request) -> Receipts:
    return cast("Receipts", request.app.state.receipts)


Log = Annotated[AuditLog, Depends(_log)]
Reader = Annotated[Caller, Depends(permitted(Permission.READ))]


@router.get("", operation_id="listAuditRecords", responses=declared(*KEY, Code.PERSON_MISMATCH))
async def list_records(  # noqa: PLR0913 - query parameters
    log: Log,
    caller: Reader,
    *,
    first: Annotated[int, Query(alias="from", ge=0, le=2**62, description="The first position.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    worker: Annotated[Name | None, Query()] = None,
    kind: RecordKind | None = None,
    execution_id: ExecutionId | None = None,
) -> AuditPage:
    """Return records in order, from a position on; a worker's key sees its own."""
    if worker is not None:
        caller.require_worker(worker)
    head = await log.head()
    found = await log.page(first, limit, worker=worker or caller.only_worker, kind=kind, execution_id=execution_id)
    return AuditPage(
        records=tuple(RecordView.of(entry) for entry in found),
        next=found[-1].position + 1 if len(found) == limit else None,
        size=head.size if head else 0,
    )


@router.get("/checkpoint", operation_id="getCheckpoint", responses=declared(*KEY, Code.NOT_FOUND))
async def get_checkpoint(log: Log, _caller: Reader) -> CheckpointAnswer:
    """Return the newest signed checkpoint: the whole log in three lines."""
    head = await log.head()
    if head is None:
        raise WingmanError(Code.NOT_FOUND, "the log is empty: nothing has been executed or refused", hint="try later")
    return CheckpointAnswer.of(head)


@router.get(
    "/{execution_id}/receipt",
    operation_id="getReceipt",
    responses=declared(*KEY, Code.EXECUTION_UNKNOWN, Code.APPROVAL_UNKNOWN),
)
async def get_receipt(
    execution_id: Annotated[ExecutionId, Path(description="The execution's id.")],
    receipts: Annotated[Receipts, Depends(_receipts)],
    caller: Reader,
) -> Receipt:
    """Return the story of one execution with inclusion proofs, to be verified without this server."""
    return await receipts.receipt(execution_id, caller)
