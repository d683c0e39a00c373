"""The OpenAPI document: what FastAPI derives, the problem every operation may answer with, and the way in."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from wingman_api.problems import Problem
from wingman_api.system.schemas import Endpoint

DESCRIPTION: Final = """
Human-approved, typed, audited Docker commands for AI agents and operators. Ask with `requestApproval`; once enough
people approved, `startExecution` has the gateway run exactly that, once. Errors are RFC 9457 problems with a code.
"""
TAGS: Final = (
    {"name": "system", "description": "The API itself; needs no key."},
    {"name": "approvals", "description": "Requests, previews, decisions."},
    {"name": "executions", "description": "Approved commands, their records and output."},
    {"name": "claims", "description": "What workers say they did, and whether it is so."},
    {"name": "policy", "description": "What the policy would say."},
)
SCHEMA_PLACE: Final = "#/components/schemas/{model}"


def install(app: FastAPI) -> None:
    """Have ``app`` describe itself so."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign] # as FastAPI documents it


def endpoints(routers: Sequence[APIRouter]) -> tuple[Endpoint, ...]:
    """Return the operations of ``routers``, by path; without the document, which takes a while to build."""
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return tuple(
        Endpoint(method=method, path=route.path, operation=route.operation_id or route.name, summary=_summary(route))
        for route in sorted(routes, key=lambda route: route.path)
        for method in sorted(route.methods or ())
    )


def _summary(route: APIRoute) -> str:
    return route.summary or route.name.replace("_", " ").capitalize()


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=DESCRIPTION.strip(), routes=app.routes, tags=list(TAGS)
    )
    problem = Problem.model_json_schema(ref_template=SCHEMA_PLACE, mode="serialization")
    schemas = document["components"]["schemas"]
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    return document
