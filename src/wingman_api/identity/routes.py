"""``/whoami``: what a key is good for."""

from typing import Annotated, Final

from fastapi import Depends

from wingman_api.identity.caller import Caller
from wingman_api.identity.dependencies import authenticated, closed
from wingman_api.identity.schemas import WhoAmI
from wingman_api.problems import declared
from wingman_core.errors import Code

KEY: Final = (Code.KEY_MISSING, Code.KEY_INVALID)

router = closed(prefix="/whoami", tags=["identity"])


@router.get("", operation_id="getWhoAmI", responses=declared(*KEY))
async def whoami(caller: Annotated[Caller, Depends(authenticated)]) -> WhoAmI:
    """Return whose key it is, its role and permissions, and when it ends."""
    return WhoAmI.of(caller)
