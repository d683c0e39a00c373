"""How routes ask who calls: ``closed`` makes a router, ``permitted`` is for a route.

Guarantees: on a closed router nothing of a request but its head is read before its caller is known and counted, so
that a body that is no JSON passes neither authentication nor limits; and each request is counted once.
"""

from collections.abc import Awaitable, Callable, Coroutine
from enum import Enum
from typing import Annotated, Any, Final, TypeAlias, cast

from fastapi import APIRouter, Depends, Request, Response
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase

from wingman_api.edge import fields_of
from wingman_api.identity.authenticator import Authenticator
from wingman_api.identity.caller import Caller, Permission
from wingman_api.limits.limiter import Limiter
from wingman_api.limits.visit import Quotas, Visit
from wingman_core.quota import subject_of

READING: Final = frozenset({"GET", "HEAD"})
CALLER: Final = "caller"
"""Where a request's state holds who calls."""


class _Authentication(SecurityBase):
    """The scheme that the OpenAPI document names, and the check itself: FastAPI's own would let other schemes pass."""

    model = HTTPBearerModel(bearerFormat="wm_<id>_<secret>", description="`wingman keys create`")
    scheme_name = "ApiKey"

    async def __call__(self, request: Request) -> Caller:
        """Return who calls, as the route has found out; ``declared`` says what that may refuse."""
        return caller_of(request)

    async def find(self, request: Request) -> Caller:
        """Return who calls, and count the request; raise ``CallerRefused`` (KEY_...), ``QuotaExceeded``."""
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


Handler: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]


class ClosedRoute(APIRoute):
    """A route that knows its caller before it looks at the body, which FastAPI parses before any dependency."""

    def get_route_handler(self) -> Handler:
        """Return the handler behind the check."""
        handle = self.open_handler()

        async def known(request: Request) -> Response:
            request.scope["state"][CALLER] = await authenticated.find(request)
            return await handle(request)

        return known

    def open_handler(self) -> Handler:
        """Return what answers once the caller is known."""
        return super().get_route_handler()


def caller_of(request: Request) -> Caller:
    """Return who calls, on a ``ClosedRoute``."""
    return cast("Caller", request.scope["state"][CALLER])


def closed(*, tags: list[str | Enum], prefix: str = "", route_class: type[ClosedRoute] = ClosedRoute) -> APIRouter:
    """Return a router whose every route asks for a key and is limited."""
    return APIRouter(prefix=prefix, tags=tags, dependencies=[Depends(authenticated)], route_class=route_class)


def address_of(request: Request) -> str:
    """Return whom requests from this one's address count for."""
    return subject_of(request.client.host if request.client else "")


def permitted(permission: Permission) -> Callable[[Caller], Awaitable[Caller]]:
    """Return a dependency that yields the caller where its role includes ``permission``."""

    async def check(caller: Annotated[Caller, Depends(authenticated)]) -> Caller:
        caller.require(permission)
        return caller

    return check
