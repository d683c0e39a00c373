"""What looks at assertions. Here: processes of this host, from ``/proc``; of the rest nothing is known."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from wingman_api.claims.finding import Finding, Probes
from wingman_api.gateway import Gateway
from wingman_api.settings import Settings
from wingman_core.assertions import Assertion, ProcessGone, ProcessRunning


class HostProbes:
    """Satisfies ``finding.Probes``."""

    async def look(self, assertion: Assertion) -> Finding:
        """Look at a process of this host; say of everything else that it was not looked at."""
        now = datetime.now(UTC)
        match assertion:
            case ProcessRunning(name=name, container=None) | ProcessGone(name=name, container=None):
                is_running = name in await asyncio.to_thread(process_names)
                confirms = is_running == isinstance(assertion, ProcessRunning)
                seen = f"a process {name} runs on this host" if is_running else f"no process {name} runs on this host"
                return Finding(assertion, "confirmed" if confirms else "contradicted", seen, "process", now)
            case _:
                return Finding(assertion, "unknown", f"nothing here looks at {assertion.kind}", "none", now)


@asynccontextmanager
async def open_probes(_settings: Settings, _gateway: Gateway) -> AsyncIterator[Probes]:
    """Yield the probes of this host."""
    yield HostProbes()


def process_names() -> frozenset[str]:
    """Return the names of the processes that this one can see, as the kernel has them (15 bytes)."""
    names: set[str] = set()
    for place in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            names.add(place.read_text("utf-8", "replace").rstrip("\n"))
    return frozenset(names)
