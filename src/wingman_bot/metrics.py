"""What Prometheus scrapes of the bot.

Guarantees: labels are closed sets (methods, outcomes, kinds of updates), never what somebody wrote.
"""

from collections.abc import Callable
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
Outcome = Literal["ok", "429", "lost", "refused"]


class Metrics:
    """One bot's counters."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._registry = CollectorRegistry()
        self._calls = self._counter("telegram_calls", "Calls to Telegram.", "method", "outcome")
        self._strangers = self._counter("refused_updates", "Messages and taps that were refused.", "kind", "why")
        self._decisions = self._counter("decisions", "Decisions relayed.", "verb", "outcome")
        self._events = self._counter("events", "Events of the feed that were taken.")
        self._alerts = self._counter("alerts", "Alerts sent.")
        self._in_short = self._counter("alerts_told_in_short", "Alerts that Telegram did not take as they are.")
        self._conflicts = self._counter("conflicts", "Times that another bot used the token.")

    def call(self, method: str, outcome: Outcome) -> None:
        """Count one call to Telegram."""
        self._calls.labels(method, outcome).inc()

    def refused(self, kind: str, why: str) -> None:
        """Count a message or tap of somebody who may not."""
        self._strangers.labels(kind, why).inc()

    def decided(self, verb: str, outcome: str) -> None:
        """Count a decision that was relayed."""
        self._decisions.labels(verb, outcome).inc()

    def event(self) -> None:
        """Count an event."""
        self._events.inc()

    def alert(self) -> None:
        """Count an alert."""
        self._alerts.inc()

    def alert_in_short(self) -> None:
        """Count an alert that was refused and told in short."""
        self._in_short.inc()

    def conflict(self) -> None:
        """Count a conflict over the token."""
        self._conflicts.inc()

    def watch(self, name: str, text: str, look: Callable[[], float]) -> None:
        """Show what ``look`` returns at the moment of each scrape."""
        Gauge(f"wingman_bot_{name}", text, registry=self._registry).set_function(look)

    def text(self) -> bytes:
        """Return everything in Prometheus's text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"wingman_bot_{name}", text, labels, registry=self._registry)
