"""``/policy/explain``: a preview and the policy's verdict, without asking anybody."""

from typing import Annotated, cast

from fastapi import Depends, Query, Request

from wingman_api.approvals.requests import Requests
from wingman_api.approvals.routes import KEY, PREVIEW
from wingman_api.approvals.schemas import Name
from wingman_api.identity.caller import Caller, Permission
from wingman_api.identity.dependencies import closed, permitted
from wingman_api.previews import PreviewView
from wingman_api.problems import declared
from wingman_core.errors import Code

router = closed(prefix="/policy", tags=["policy"])


async def _requests(request: Request) -> Requests:
    return cast("Requests", request.app.state.requests)


@router.get("/explain", operation_id="explainPolicy", responses=declared(*KEY, *PREVIEW, Code.PERSON_MISMATCH))
async def explain(
    service: Annotated[Requests, Depends(_requests)],
    caller: Annotated[Caller, Depends(permitted(Permission.READ))],
    command: Annotated[str, Query(min_length=1, max_length=4096, examples=["docker restart web"])],
    worker_id: Annotated[Name | None, Query(description="For whom; the key's person by default.")] = None,
) -> PreviewView:
    """Return what the command would do now, and which policy decides; nothing is stored, nothing runs."""
    worker = worker_id or caller.person
    caller.require_worker(worker)
    return PreviewView.of(await service.explain(command, worker))
