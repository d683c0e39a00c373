"""Spans of the OpenTelemetry SDK, sent to a collector over OTLP/HTTP; loaded only where there is one (``tracing``)."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from wingman_gateway.tracing import Metadata, Tracing

EXPORT_SECONDS: Final = 5
"""For one request; at the end also for all but the last of what was not sent yet."""
OURS: Final = "/wingman_rpc."
CARRIED: Final = frozenset({"traceparent", "tracestate"})


@contextmanager
def exporting(endpoint: str, environment: str) -> Iterator[Tracing]:
    """Yield how spans are opened; what was not sent yet is sent when the context ends."""
    resource = Resource.create({"service.name": "wingman-gateway", "deployment.environment.name": environment})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer, propagator = provider.get_tracer("wingman_gateway"), TraceContextTextMapPropagator()

    def call(method: str, metadata: Metadata) -> AbstractContextManager[object]:
        if not method.startswith(OURS):
            return nullcontext()  # probes come every second
        carrier = {name: value for name, value in metadata if name in CARRIED and isinstance(value, str)}
        parent = propagator.extract(carrier)
        return tracer.start_as_current_span(method.lstrip("/"), context=parent, kind=SpanKind.SERVER)

    @contextmanager
    def request(name: str) -> Iterator[None]:
        # Never the current one: an answer may be read to its end elsewhere than where it was asked for.
        span = tracer.start_span(name, kind=SpanKind.CLIENT)
        try:
            yield
        finally:
            span.end()

    try:
        yield Tracing(call, tracer.start_as_current_span, request)
    finally:
        # A collector that is silent costs spans, not the end: once the exporter is shut down it takes no further batch.
        late = threading.Timer(EXPORT_SECONDS, exporter.shutdown)
        late.start()
        provider.shutdown()
        late.cancel()
