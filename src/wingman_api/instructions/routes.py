"""``/check``: the instruction gate."""

from typing import Annotated, Final

from fastapi import Depends, Request, Response
from pydantic import ValidationError
from pydantic_core import to_json
from starlette.requests import ClientDisconnect

from wingman_api.approvals.routes import BODY, KEY
from wingman_api.identity.caller import Caller, Permission
from wingman_api.identity.dependencies import ClosedRoute, Handler, authenticated, caller_of, closed
from wingman_api.instructions.checking import check
from wingman_api.instructions.schemas import CheckAnswer, Instruction, document
from wingman_api.problems import declared

JSON: Final = "application/json"


class _CheckRoute(ClosedRoute):
    """Takes a body that is right straight from its bytes, and leaves any other to FastAPI, which says what is wrong.

    FastAPI's own way from bytes to arguments costs as much as the check itself.
    """

    def open_handler(self) -> Handler:
        """Return what answers once the caller is known."""
        otherwise = super().open_handler()

        async def answer(request: Request) -> Response:
            asked = await _asked(request)
            return await (otherwise(request) if asked is None else check_instruction(asked, caller_of(request)))

        return answer


async def _asked(request: Request) -> Instruction | None:
    """Return the body, if it is as it should be."""
    if request.headers.get("content-type") != JSON:
        return None
    try:
        return Instruction.model_validate_json(await request.body())
    except (ValidationError, ClientDisconnect):
        return None


router = closed(tags=["instructions"], route_class=_CheckRoute)


@router.post("/check", operation_id="checkInstruction", responses=declared(*KEY, *BODY), response_model=CheckAnswer)
async def check_instruction(asked: Instruction, caller: Annotated[Caller, Depends(authenticated)]) -> Response:
    """Say which of the ten sections an instruction has, what it scores, and which policies it breaks and where."""
    caller.require(Permission.READ)
    report = await check(asked.instruction)
    return Response(to_json(document(report)), media_type=JSON)
