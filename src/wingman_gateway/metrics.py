"""What the gateway counts and times, for Prometheus.

Guarantees: labels are closed sets (verbs, outcomes, codes, stages, parts), never what a caller made up; numbers alone
leave. The gateway has no HTTP port: the API asks for the text over gRPC and shows it (docs/decisions/0031).
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from wingman_gateway.engine.connection import Span, no_span

REFUSED: Final = "REFUSED"
WATCHED: Final = ("token keys", "policies", "certificates")
"""What is read again when it changes."""
SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
ROWS: Final = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """This gateway's numbers; a stage that is timed is a span of the trace as well."""

    def __init__(self, span: Span = no_span) -> None:
        """Begin at zero; ``span`` opens the spans of stages."""
        self._span = span
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._executions = Counter(
            "wingman_gateway_executions",
            "Executions that ended or were refused, by verb (empty where the command was not read), verdict and code.",
            ["verb", "verdict", "reason"],
            registry=self._registry,
        )
        self._stages = Histogram(
            "wingman_gateway_stage_seconds",
            "Seconds that a stage of an execution took.",
            ["stage"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._rows = Histogram(
            "wingman_gateway_audit_batch_rows",
            "Records that shared one transaction, those that it refused included.",
            buckets=ROWS,
            registry=self._registry,
        )
        self._lag = Histogram(
            "wingman_gateway_audit_lag_seconds",
            "Seconds from a record's coming to its commit, the longest of each batch.",
            buckets=SECONDS,
            registry=self._registry,
        )
        self._up = Gauge(
            "wingman_gateway_up",
            "Whether a part is fit: engine, database, journal; all: the gateway serves.",
            ["part"],
            registry=self._registry,
        )
        self._reloads = Counter(
            "wingman_gateway_reloads",
            "Files that changed and were read again, by what they hold and whether they could be used.",
            ["what", "usable"],
            registry=self._registry,
        )
        for what in WATCHED:  # counted from nothing, or the first failure would be no increase
            for usable in ("true", "false"):
                self._reloads.labels(what, usable)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage, also one that fails."""
        began = time.perf_counter()
        try:
            with self._span(name):
                yield
        finally:
            self._stages.labels(name).observe(time.perf_counter() - began)

    def executed(self, verb: str, outcome: str, reason: str) -> None:
        """Count an execution that ended."""
        self._executions.labels(verb, outcome, reason).inc()

    def refused(self, verb: str, reason: str) -> None:
        """Count an attempt that was refused; ``verb`` is empty where the command was not read."""
        self._executions.labels(verb, REFUSED, reason).inc()

    def committed(self, rows: int, seconds: float) -> None:
        """Count a batch of the audit log, and how long the first of it waited."""
        self._rows.observe(rows)
        self._lag.observe(seconds)

    def health(self, parts: Mapping[str, bool]) -> None:
        """Show which parts are fit; the empty name is the whole."""
        for name, fit in parts.items():
            self._up.labels(name or "all").set(fit)

    def reloaded(self, what: str, *, usable: bool) -> None:
        """Count files that changed."""
        self._reloads.labels(what, str(usable).lower()).inc()

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a number that is read at each scrape."""
        Gauge(f"wingman_gateway_{name}", text, registry=self._registry).set_function(read)

    def text(self) -> bytes:
        """Return everything in Prometheus's text format."""
        return generate_latest(self._registry)
