"""The OpenAPI document: what FastAPI derives, the problem every operation may answer with, and the way in."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from wingman_api.idempotency.dependencies import HEADER
from wingman_api.links import LINKS
from wingman_api.problems import Problem
from wingman_api.system.schemas import Endpoint

DESCRIPTION: Final = """
Human-approved, typed, audited Docker commands for AI agents and operators. Ask with `requestApproval`; once enough
people approved, `startExecution` has the gateway run exactly that, once. Errors are RFC 9457 problems with a code.
"""
TAGS: Final = (
    {"name": "system", "description": "The API itself; needs no key."},
    {"name": "instructions", "description": "Checks before anybody is asked."},
    {"name": "approvals", "description": "Requests, previews, decisions."},
    {"name": "executions", "description": "Approved commands, their records and output."},
    {"name": "audit", "description": "The append-only log, and receipts that verify offline."},
    {"name": "events", "description": "What happens, in order, and durable places in it."},
    {"name": "identity", "description": "Who calls."},
    {"name": "claims", "description": "What workers say they did, and whether it is so."},
    {"name": "policy", "description": "What the policy would say."},
)
LIMITS: Final = ("RateLimit-Policy", "RateLimit")
RETRIED: Final = ("429", "503")
CONFLICT: Final = "409"
"""Where a request with an idempotency key may have to wait for an identical one."""
FIELDS: Final = {
    "RateLimit-Policy": ("string", 'The quota that counts the request: `"writes";q=600;w=60` is 600 within 60 s.'),
    "RateLimit": ("string", 'What is left of it: `"writes";r=599;t=42` is 599, and more in 42 s.'),
    "Retry-After": ("integer", "Seconds to wait before trying again."),
    "Idempotent-Replayed": ("string", "`true` where the answer is an earlier one, and nothing happened again."),
}
"""Header fields of answers: the type, and what it says."""
SUCCESS: Final = "2"
JSON: Final = "application/json"
STREAM: Final = "text/event-stream"
ANSWERS: Final[Mapping[str, Any]] = json.loads((files("wingman_api") / "answers.json").read_text("utf-8"))
"""An example of a successful answer, by operation."""
SCHEMA_PLACE: Final = "#/components/schemas/{model}"


def install(app: FastAPI) -> None:
    """Have ``app`` describe itself so."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign] # as FastAPI documents it


def text(app: FastAPI) -> str:
    """Return the document as a file holds it: the same bytes for the same document, one line a change."""
    return json.dumps(app.openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def endpoints(routers: Sequence[APIRouter]) -> tuple[Endpoint, ...]:
    """Return the operations of ``routers``, by path; without the document, which takes a while to build."""
    routes = [
        route
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute) and route.include_in_schema
    ]
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
    document["components"]["headers"] = {
        name: {"description": text, "schema": {"type": kind}} for name, (kind, text) in FIELDS.items()
    }
    for path in document["paths"].values():
        for operation in path.values():
            _name_fields(operation)
            _complete_success(operation)
    return document


def _name_fields(operation: dict[str, Any]) -> None:
    """Say which header fields the operation's answers may carry."""
    limited = "security" in operation
    repeatable = any(parameter["name"] == HEADER for parameter in operation.get("parameters", ()))
    for status, response in operation["responses"].items():
        names = [*LIMITS] if limited else []
        if status in RETRIED or (repeatable and status == CONFLICT):
            names.append("Retry-After")
        if repeatable and status.startswith("2"):
            names.append("Idempotent-Replayed")
        if names:
            response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _complete_success(operation: dict[str, Any]) -> None:
    """Say what a successful answer looks like, and what may follow it."""
    name = operation["operationId"]
    for status, response in operation["responses"].items():
        if not status.startswith(SUCCESS):
            continue
        if name in LINKS:
            response["links"] = {step: link.document() for step, link in LINKS[name].items()}
        for kind, content in response.get("content", {}).items():
            if kind == STREAM and "schema" in content:
                content["itemSchema"] = _item(content.pop("schema"))
            if kind == JSON and name in ANSWERS:
                content["example"] = ANSWERS[name]


def _item(data: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a server-sent event whose data is JSON (OpenAPI 3.2; FastAPI has the form)."""
    text = {"type": "string"}
    told = {keyword: value for keyword, value in data.items() if keyword != "title"}
    embedded = {**text, "contentMediaType": JSON, "contentSchema": told}
    return {
        "type": "object",
        "properties": {"data": embedded, "event": text, "id": text, "retry": {"type": "integer", "minimum": 0}},
        "required": ["data"],
    }
