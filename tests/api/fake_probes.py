"""Probes for the tests of what is built on them: they see what a test says they see."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from wingman_api.claims.finding import Finding, Outcome, Probes
from wingman_api.gateway import Gateway
from wingman_api.settings import Settings
from wingman_core.assertions import Assertion


@dataclass
class FakeProbes:
    """Says ``outcomes`` of a kind or of one assertion, else that it does not know."""

    outcomes: dict[object, Outcome] = field(default_factory=dict)
    seen: str = "so it looked"
    error: Exception | None = None
    gate: asyncio.Event | None = None
    """Where there is one, looking takes until it is set."""
    looked: list[Assertion] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def look(self, assertion: Assertion) -> Finding:
        self.looked.append(assertion)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if self.error is not None:
                raise self.error
            await asyncio.sleep(0)
            outcome = self.outcomes.get(assertion, self.outcomes.get(assertion.kind, "unknown"))
            return Finding(assertion, outcome, self.seen, "fake", datetime.now(UTC))
        finally:
            self.at_once -= 1

    def open(self, _settings: Settings, _gateway: Gateway, _now: object) -> AbstractAsyncContextManager[Probes]:
        """What ``create_app`` opens its probes with."""

        @asynccontextmanager
        async def opened() -> AsyncIterator[Probes]:
            yield self

        return opened()
