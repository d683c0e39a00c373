"""How routes ask who calls: ``authenticated`` for a router, ``permitted`` for a route."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final, cast

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security.base import SecurityBase

from wingman_api.edge import fields_of
from wingman_api.identity.authenticator import Authenticator
from wingman_api.identity.caller import Caller, Permission
from wingman_api.limits.limiter import Limiter
from wingman_api.limits.visit import Quotas, Visit
from wingman_core.quota import subject_of

READING: Final = frozenset({"GET", "HEAD"})


class _Authentication(SecurityBase):
    """The scheme that the OpenAPI document names, and the check itself: FastAPI's own would let other schemes pass."""

    model = HTTPBearerModel(bearerFormat="wm_<id>_<secret>", description="`wingman keys create`")
    scheme_name = "ApiKey"

    async def __call__(self, request: Request) -> Caller:
        """Return who calls, and count the request; raise ``CallerRefused`` (KEY_...), ``QuotaExceeded``.

        A router that has this dependency is limited as well as closed, and ``declared`` says so of its routes.
        """
        authenticator = cast("Authenticator", request.app.state.authenticator)
        visit = Visit(
            cast("Limiter", request.app.state.limiter),
            cast("Quotas", request.app.state.quotas),
            address=address_of(request),
            reads=request.method in READING,
            fields=fields_of(request),
        )
        caller = await authenticator.authenticate(request.headers.getlist("authorization"), visit)
        await visit.count(caller.key_id)
        return caller


authenticated: Final = _Authentication()


def address_of(request: Request) -> str:
    """Return whom requests from this one's address count for."""
    return subject_of(request.client.host if request.client else "")


def permitted(permission: Permission) -> Callable[[Caller], Awaitable[Caller]]:
    """Return a dependency that yields the caller where its role includes ``permission``."""

    async def check(caller: Annotated[Caller, Depends(authenticated)]) -> Caller:
        caller.require(permission)
        return caller

    return check
