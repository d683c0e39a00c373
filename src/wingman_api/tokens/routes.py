"""``/gateway/token``: a capability for tooling that speaks to the gateway itself."""

from typing import Annotated, Final, cast

from fastapi import Depends, Request

from wingman_api.identity.caller import Caller, Permission
from wingman_api.identity.dependencies import closed, permitted
from wingman_api.problems import declared
from wingman_api.tokens.schemas import TokenAnswer, Wanted
from wingman_api.tokens.tokens import Tokens
from wingman_core.errors import Code

MINTING: Final = (
    Code.KEY_MISSING,
    Code.KEY_INVALID,
    Code.ROLE_MISSING,
    Code.REQUEST_TOO_LARGE,
    *(code for code in Code if code.startswith("COMMAND_")),
    Code.APPROVAL_UNKNOWN,
    Code.APPROVAL_PENDING,
    Code.APPROVAL_DECIDED,
    Code.APPROVAL_EXPIRED,
    Code.APPROVAL_SIGN_OFF,
    Code.OPERATION_MISMATCH,
)

router = closed(prefix="/gateway", tags=["executions"])


def _tokens(request: Request) -> Tokens:
    return cast("Tokens", request.app.state.tokens)


@router.post("/token", operation_id="mintToken", responses=declared(*MINTING))
async def mint_token(
    wanted: Wanted,
    service: Annotated[Tokens, Depends(_tokens)],
    caller: Annotated[Caller, Depends(permitted(Permission.EXECUTE))],
) -> TokenAnswer:
    """Return a capability for an approved command, bound to the client certificate that will present it."""
    return TokenAnswer.of(await service.mint(wanted.approval_id, wanted.command, wanted.client_thumbprint, caller))
