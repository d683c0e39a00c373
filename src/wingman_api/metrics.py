"""What Prometheus scrapes: requests as they pass, and the state of things at the moment of the scrape.

Guarantees: labels are closed sets (route templates, methods, status codes, verdicts, components), never what a
caller made up; with several workers, one scrape adds up all of them (``prometheus_client``'s multiprocess mode, which
``workers`` switches on).
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

MULTIPROCESS: Final = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds; alerts look at 1.0."""
VERDICTS: Final = ("TRUE", "FALSE", "UNVERIFIABLE", "ERROR")
HEALTH: Final[Mapping[str, float]] = {"healthy": 1.0, "degraded": 0.5, "unhealthy": 0.0}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is so at the moment of a scrape."""

    components: Mapping[str, str]
    """healthy, degraded or unhealthy, by component."""
    pending: Mapping[str, int] | None
    """Requests that wait for people, by risk level; None where the database does not answer."""
    behind: int | None
    """Events that the slowest consumer has not handled; None where the database does not answer."""
    disk_free: float | None
    """Of 1, where claims are kept; None where that cannot be told."""


class _State(Collector):
    """Shows a snapshot as gauges."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        health = GaugeMetricFamily("wingman_health", "1 healthy, 0.5 degraded, 0 unhealthy.", labels=["component"])
        for component, status in self._snapshot.components.items():
            health.add_metric([component], HEALTH[status])
        yield health
        if self._snapshot.pending is not None:
            waiting = GaugeMetricFamily("wingman_approvals_pending", "Requests that wait for people.", labels=["risk"])
            for level, count in self._snapshot.pending.items():
                waiting.add_metric([level], count)
            yield waiting
        if self._snapshot.behind is not None:
            text = "Events that the slowest durable consumer, such as the bot, has not handled."
            yield GaugeMetricFamily("wingman_events_behind", text, value=self._snapshot.behind)
        if self._snapshot.disk_free is not None:
            text = "Free space on the disk where claims are kept, of 1."
            yield GaugeMetricFamily("wingman_disk_free_ratio", text, value=self._snapshot.disk_free)


def disk_free(place: Path) -> float | None:
    """Return how much of a directory's disk is free for this process, of 1; None where that cannot be told."""
    try:
        usage = shutil.disk_usage(place)
    except OSError:
        return None
    return usage.free / usage.total if usage.total else None


class Metrics:
    """This process's counters."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "wingman_http_requests", "Requests answered.", ["method", "route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "wingman_http_request_seconds",
            "Seconds from a request's first byte to its answer's last.",
            ["method", "route"],
            registry=self._registry,
            buckets=BUCKETS,
        )
        self._verdicts = Counter(
            "wingman_claims_verified", "Claims verified, by verdict.", ["verdict"], registry=self._registry
        )
        for verdict in VERDICTS:  # there from the start: an increase from nothing to one is none to Prometheus
            self._verdicts.labels(verdict)

    def request(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """Count one request; ``route`` is the template, empty where none matched; a stream has no ``seconds``."""
        known = method if method in METHODS else "OTHER"
        self._requests.labels(known, route, str(status)).inc()
        if seconds is not None:
            self._seconds.labels(known, route).observe(seconds)

    def verdict(self, verdict: str) -> None:
        """Count one verified claim."""
        self._verdicts.labels(verdict).inc()

    def text(self, snapshot: Snapshot) -> bytes:
        """Return everything in Prometheus's text format, all workers added up."""
        shown = CollectorRegistry()
        if os.environ.get(MULTIPROCESS):
            MultiProcessCollector(shown)  # type: ignore[no-untyped-call] # its author did not type it
        else:
            shown.register(self._registry)
        shown.register(_State(snapshot))
        return generate_latest(shown)
