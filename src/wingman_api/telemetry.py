"""OpenTelemetry traces, where an OTLP endpoint is set: FastAPI's own instrumentation, exported over HTTP.

Guarantees: a span tells the route, never a query string or a body; a request's trace and correlation id go on into
the gateway; without an endpoint nothing is recorded. A collector that is down costs spans, never a request.
"""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Final

import structlog
from fastapi.telemetry import TelemetryConfig
from opentelemetry import propagate

CORRELATION: Final = "correlation_id"
CORRELATION_METADATA: Final = "x-correlation-id"
PROBES: Final = frozenset({"/livez", "/readyz", "/health", "/metrics", "/metrics/gateway"})
OFF: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def _is_probe(scope: MutableMapping[str, Any]) -> bool:
    return scope.get("path") in PROBES


@contextmanager
def traced(endpoint: str, version: str, environment: str) -> Iterator[TelemetryConfig]:
    """Yield FastAPI's telemetry settings; export to ``endpoint`` (``http://host:4318``) until the context ends."""
    if not endpoint:
        yield OFF
        return
    from wingman_api.otlp import exporting  # noqa: PLC0415 - megabytes that an API without a collector does not hold

    with exporting(endpoint, version, environment) as provider:
        yield {**OFF, "tracing": True, "tracer_provider": provider, "operation_spans": False, "exclude": _is_probe}


def onward() -> tuple[tuple[str, str], ...]:
    """Return the gRPC metadata that lets the gateway continue this request's trace and correlation id."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    correlation_id = structlog.contextvars.get_contextvars().get(CORRELATION)
    if correlation_id is not None:
        carrier[CORRELATION_METADATA] = str(correlation_id)
    return tuple(carrier.items())
