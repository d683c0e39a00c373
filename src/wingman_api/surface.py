"""The API's surface: every route, and the document that describes them; needs no setting, key or database.

Guarantees: what ``wingman openapi`` prints and what a running API serves come from the same application.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig

from wingman_api import methods, openapi, problems
from wingman_api.approvals import routes as approvals
from wingman_api.audit import routes as audit
from wingman_api.claims import routes as claims
from wingman_api.events import routes as events
from wingman_api.executions import routes as executions
from wingman_api.idempotency import dependencies as repeatable
from wingman_api.identity import routes as identity
from wingman_api.instructions import routes as instructions
from wingman_api.policy import routes as policy
from wingman_api.system import routes as system
from wingman_api.telemetry import OFF
from wingman_api.tokens import routes as tokens

NAME: Final = "wingman"
FEATURES: Final = (instructions, system, identity, approvals, executions, tokens, claims, events, audit, policy)
ROUTERS: Final[tuple[APIRouter, ...]] = tuple(feature.router for feature in FEATURES)


def surface(
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None, telemetry: TelemetryConfig = OFF
) -> FastAPI:
    """Return an application with every route; what they stand on, ``lifespan`` puts into its state."""
    app = FastAPI(
        title="Wingman",
        version=version(NAME),
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
        telemetry=telemetry,
    )
    problems.install(app)
    repeatable.install(app)
    openapi.install(app)
    methods.install(app, ROUTERS)
    for router in ROUTERS:
        app.include_router(router)
    return app
