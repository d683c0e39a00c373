"""The ``Allow`` field of a 405: every method of a path, where the router knows the first route's alone."""

from collections.abc import Awaitable, Callable, Sequence

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from wingman_api.problems import refused_by_framework


def install(app: FastAPI, routers: Sequence[APIRouter]) -> None:
    """Have ``app`` say what ``routers`` let be done with a path, where a method is not among it."""
    app.add_exception_handler(405, _answer(tuple(routers)))


def allowed(routers: Sequence[APIRouter], scope: Scope) -> list[str]:
    """Return the documented methods of the first path that fits, sorted."""
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    fitting = [route for route in routes if route.matches(scope)[0] is not Match.NONE]
    return sorted(
        method
        for route in fitting
        if route.include_in_schema and route.path == fitting[0].path
        for method in route.methods or ()
    )


def _answer(routers: tuple[APIRouter, ...]) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise TypeError("registered for HTTPException alone") from error
        response = await refused_by_framework(request, error)
        response.headers["Allow"] = ", ".join(allowed(routers, request.scope))
        return response

    return answer
