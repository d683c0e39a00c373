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
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

CORRELATION: Final = "correlation_id"
CORRELATION_METADATA: Final = "x-correlation-id"
PROBES: Final = frozenset({"/livez", "/readyz", "/health", "/metrics", "/metrics/gateway"})
EXPORT_SECONDS: Final = 5
OFF: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


class _NoQuery(SpanProcessor):
    """Takes the query string out of each span: it may hold a worker's text."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 - the SDK's signature
        """Overwrite what the instrumentation wrote; attributes cannot be taken back."""
        if span.attributes and "url.query" in span.attributes:
            span.set_attribute("url.query", "REDACTED")


def _is_probe(scope: MutableMapping[str, Any]) -> bool:
    return scope.get("path") in PROBES


@contextmanager
def traced(endpoint: str, version: str, environment: str) -> Iterator[TelemetryConfig]:
    """Yield FastAPI's telemetry settings; export to ``endpoint`` (``http://host:4318``) until the context ends."""
    if not endpoint:
        yield OFF
        return
    resource = Resource.create(
        {"service.name": "wingman-api", "service.version": version, "deployment.environment.name": environment}
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(_NoQuery())
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield {**OFF, "tracing": True, "tracer_provider": provider, "operation_spans": False, "exclude": _is_probe}
    finally:
        provider.shutdown()


def onward() -> tuple[tuple[str, str], ...]:
    """Return the gRPC metadata that lets the gateway continue this request's trace and correlation id."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    correlation_id = structlog.contextvars.get_contextvars().get(CORRELATION)
    if correlation_id is not None:
        carrier[CORRELATION_METADATA] = str(correlation_id)
    return tuple(carrier.items())
