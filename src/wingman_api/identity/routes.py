"""``/whoami``: what a key is good for."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends

from wingman_api.identity.caller import Caller
from wingman_api.identity.dependencies import authenticated
from wingman_api.identity.schemas import WhoAmI
from wingman_api.problems import declared
from wingman_core.errors import Code

KEY: Final = (Code.KEY_MISSING, Code.KEY_INVALID)

router = APIRouter(prefix="/whoami", tags=["identity"], dependencies=[Depends(authenticated)])


@router.get("", operation_id="getWhoAmI", responses=declared(*KEY))
async def whoami(caller: Annotated[Caller, Depends(authenticated)]) -> WhoAmI:
    """Return whose key it is, its role and permissions, and when it ends."""
    return WhoAmI.of(caller)
