"""``/check``: the instruction gate."""

from typing import Annotated

from fastapi import Depends, Response
from pydantic_core import to_json

from wingman_api.approvals.routes import BODY, KEY
from wingman_api.identity.caller import Caller, Permission
from wingman_api.identity.dependencies import authenticated, closed
from wingman_api.instructions.checking import check
from wingman_api.instructions.schemas import CheckAnswer, Instruction, document
from wingman_api.problems import declared

router = closed(tags=["instructions"])


@router.post("/check", operation_id="checkInstruction", responses=declared(*KEY, *BODY), response_model=CheckAnswer)
async def check_instruction(asked: Instruction, caller: Annotated[Caller, Depends(authenticated)]) -> Response:
    """Say which of the ten sections an instruction has, what it scores, and which policies it breaks and where."""
    caller.require(Permission.READ)
    report = await check(asked.instruction)
    return Response(to_json(document(report)), media_type="application/json")
