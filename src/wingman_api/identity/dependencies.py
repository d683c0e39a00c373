"""How routes ask who calls: ``authenticated`` for a router, ``permitted`` for a route."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final, cast

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from wingman_api.identity.authenticator import Authenticator
from wingman_api.identity.caller import Caller, Permission

SCHEME: Final = HTTPBearer(
    scheme_name="ApiKey", bearerFormat="wm_<id>_<secret>", description="`wingman keys create`", auto_error=False
)
"""For the OpenAPI document; ``authenticated`` reads the header itself, since this one lets other schemes pass."""


async def authenticated(request: Request, _documented: Annotated[object, Security(SCHEME)]) -> Caller:
    """Return who calls; raise ``CallerRefused`` (KEY_MISSING, KEY_INVALID)."""
    authenticator = cast("Authenticator", request.app.state.authenticator)
    return await authenticator.authenticate(request.headers.getlist("authorization"))


def permitted(permission: Permission) -> Callable[[Caller], Awaitable[Caller]]:
    """Return a dependency that yields the caller where its role includes ``permission``."""

    async def check(caller: Annotated[Caller, Depends(authenticated)]) -> Caller:
        caller.require(permission)
        return caller

    return check
