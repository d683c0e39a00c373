"""OpenTelemetry traces, where an OTLP endpoint is set: the caller's trace goes on through stages and Docker calls.

Guarantees: a span tells a method, a stage, or a kind of engine object: nothing of a command, an output or a name. A
collector that is down costs spans, never an execution. The SDK is loaded only where there is a collector.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

from wingman_gateway.engine.connection import Span, no_span

Metadata = Iterable[tuple[str, str | bytes]]
Call = Callable[[str, Metadata], AbstractContextManager[object]]
"""Opens the span of one call, by its method and metadata."""


@dataclass(frozen=True, slots=True)
class Tracing:
    """How spans are opened: for a method that was called, a stage of it, and a request that the stage makes."""

    call: Call
    stage: Span
    request: Span


OFF: Final = Tracing(lambda _method, _metadata: nullcontext(), no_span, no_span)
