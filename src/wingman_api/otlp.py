"""Spans of the OpenTelemetry SDK, sent to a collector over OTLP/HTTP; loaded where there is one (``telemetry``)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

EXPORT_SECONDS: Final = 5


class _NoQuery(SpanProcessor):
    """Takes the query string out of each span: it may hold a worker's text."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 - the SDK's signature
        """Overwrite what the instrumentation wrote; attributes cannot be taken back."""
        if span.attributes and "url.query" in span.attributes:
            span.set_attribute("url.query", "REDACTED")


@contextmanager
def exporting(endpoint: str, version: str, environment: str) -> Iterator[TracerProvider]:
    """Yield what makes spans; what was not sent yet is sent when the context ends."""
    resource = Resource.create(
        {"service.name": "wingman-api", "service.version": version, "deployment.environment.name": environment}
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(_NoQuery())
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield provider
    finally:
        provider.shutdown()
