"""``/``, ``/health``, ``/livez``, ``/readyz``, ``/metrics``: with ``/openapi.json`` all that asks nobody for a key."""

from pathlib import Path
from typing import Annotated, Any, Final, cast

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse

from wingman_api.approvals.requests import Requests
from wingman_api.events.consumers import Consumers
from wingman_api.gateway import Gateway
from wingman_api.metrics import CONTENT_TYPE, Metrics, Snapshot, disk_free
from wingman_api.problems import declared
from wingman_api.system.health import Health
from wingman_api.system.schemas import Components, HealthAnswer, Probe, Welcome
from wingman_core.errors import Code

UNHEALTHY: Final = 503

router = APIRouter(tags=["system"])


async def _health(request: Request) -> Health:
    return cast("Health", request.app.state.health)


Looking = Annotated[Health, Depends(_health)]


def _or_503(model: type[Any], description: str) -> dict[int | str, dict[str, Any]]:
    return {**declared(), UNHEALTHY: {"model": model, "description": description}}


@router.get("/", operation_id="getWelcome", responses=declared())
async def welcome(request: Request) -> Welcome:
    """Return name, version, environment, and the endpoints."""
    return cast("Welcome", request.app.state.welcome)


@router.get("/health", operation_id="getHealth", responses=_or_503(HealthAnswer, "Something is not well."))
async def health(looking: Looking, response: Response) -> HealthAnswer:
    """Return how the API and what it stands on is, in less than a second."""
    report = await looking.look()
    if report.overall != "healthy":
        response.status_code = UNHEALTHY
    return HealthAnswer(
        status=report.overall,
        components=Components.model_validate(report.components),
    )


@router.get(
    "/metrics",
    operation_id="getMetrics",
    response_class=PlainTextResponse,
    responses={**declared(), 200: {"description": "Prometheus's text format."}},
)
async def get_metrics(request: Request, looking: Looking) -> Response:
    """Return counters and states for Prometheus: numbers alone, no names of people or workers."""
    report = await looking.look()
    pending: dict[str, int] | None = None
    behind: int | None = None
    if report.database == "healthy":
        waiting = await cast("Requests", request.app.state.requests).waiting()
        pending = {level.name: count for level, count in waiting.items()}
        behind = await cast("Consumers", request.app.state.consumers).behind()
    components = {
        "database": report.database,
        "gateway": report.gateway,
        "engine": report.engine,
        "feed": report.feed,
    }
    free = disk_free(cast("Path", request.app.state.ledger_directory))
    text = cast("Metrics", request.app.state.metrics).text(Snapshot(components, pending, behind, free))
    return Response(text, media_type=CONTENT_TYPE)


@router.get(
    "/metrics/gateway",
    operation_id="getGatewayMetrics",
    response_class=PlainTextResponse,
    responses={
        **declared(Code.GATEWAY_UNAVAILABLE, Code.DEADLINE_EXCEEDED),
        200: {"description": "Prometheus's text format."},
    },
)
async def get_gateway_metrics(request: Request) -> Response:
    """Return the execution gateway's counters and states for Prometheus, which cannot ask it: it speaks gRPC alone."""
    return Response(await cast("Gateway", request.app.state.gateway).metrics(), media_type=CONTENT_TYPE)


@router.get("/livez", operation_id="getLiveness", responses=declared())
async def livez() -> Probe:
    """Return that the process answers."""
    return Probe(status="ok")


@router.get("/readyz", operation_id="getReadiness", responses=_or_503(Probe, "The database does not answer."))
async def readyz(looking: Looking, response: Response) -> Probe:
    """Return whether requests can be served: the database answers. A gateway that is down is its callers' matter."""
    if await looking.database() == "healthy":
        return Probe(status="ok")
    response.status_code = UNHEALTHY
    return Probe(status="unavailable")
