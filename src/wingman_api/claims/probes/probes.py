"""Probes: each looks at one kind of fact, where looking is allowed, within seconds; only they testify.

Guarantees: a look ends within ``SECONDS`` and never raises for what it meets; few looks of a kind run at once; what
may not be looked at, or could not be, is ``unknown`` in words that are the same whatever is there.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, Literal, assert_never

from wingman_api.claims.finding import Finding, Probes
from wingman_api.claims.probes.answers import Answers, open_answers
from wingman_api.claims.probes.containers import look_at_container
from wingman_api.claims.probes.files import look_at_file
from wingman_api.claims.probes.git import look_at_git
from wingman_api.claims.probes.packages import look_at_package
from wingman_api.claims.probes.ports import look_at_port
from wingman_api.claims.probes.processes import Processes
from wingman_api.claims.probes.roots import Root, Roots
from wingman_api.claims.probes.seen import Seen, unknown
from wingman_api.claims.probes.threads import Threads, open_threads
from wingman_api.gateway import Gateway
from wingman_api.settings import Settings
from wingman_core.assertions import (
    Assertion,
    ContainerHealthy,
    ContainerImage,
    ContainerRestarted,
    ContainerRunning,
    ContainerStopped,
    FileChanged,
    FileContains,
    FileDigest,
    FileExists,
    FileGone,
    GitBranch,
    GitClean,
    GitCommit,
    HttpAnswer,
    PackageInstalled,
    PortClosed,
    PortListening,
    ProcessGone,
    ProcessRunning,
)

__all__ = ["SECONDS", "open_probes"]

Kind = Literal["file", "process", "port", "http", "container", "git", "package"]

SECONDS: Final = 5.0
"""For one look, the wait for its turn included."""
AT_ONCE: Final[Mapping[Kind, int]] = {
    "file": 4,
    "process": 2,
    "port": 2,
    "http": 8,
    "container": 8,
    "git": 2,
    "package": 2,
}
TOO_LONG: Final = f"It could not be looked at within {SECONDS:g} s."
BROKE: Final = "The probe could not make sense of what it met."


class _Probes:
    """Every probe; satisfies ``finding.Probes``."""

    def __init__(  # noqa: PLR0913 - what the probes look with
        self,
        *,
        roots: Roots,
        gateway: Gateway,
        answers: Answers,
        threads: Threads,
        machine: bool,
        now: Callable[[], datetime],
    ) -> None:
        self._roots = roots
        self._gateway = gateway
        self._answers = answers
        self._threads = threads
        self._machine = machine
        self._processes = Processes(gateway, threads, machine=machine)
        self._now = now
        self._places = {kind: asyncio.Semaphore(number) for kind, number in AT_ONCE.items()}

    async def look(self, assertion: Assertion) -> Finding:
        """Look at one assertion, within its time."""
        kind = kind_of(assertion)
        try:
            async with asyncio.timeout(SECONDS), self._places[kind]:
                seen = await self._look(assertion)
        except TimeoutError:
            seen = unknown(TOO_LONG)
        except Exception:  # noqa: BLE001 - whatever a hostile thing brings about in a probe is no testimony
            seen = unknown(BROKE)
        return Finding(assertion, seen.outcome, seen.words, kind, self._now())

    async def _look(self, assertion: Assertion) -> Seen:  # noqa: PLR0911 - one case a probe
        match assertion:
            case FileExists() | FileGone() | FileChanged() | FileContains() | FileDigest() as claim:
                now = self._now()
                return await self._threads.run(lambda stop: look_at_file(self._roots, claim, now, stop))
            case ProcessRunning() | ProcessGone():
                return await self._processes.look(assertion)
            case PortListening() | PortClosed():
                return await look_at_port(self._threads, assertion, machine=self._machine)
            case HttpAnswer():
                return await self._answers.look(assertion)
            case ContainerRunning() | ContainerStopped() | ContainerHealthy() | ContainerImage() | ContainerRestarted():
                return await look_at_container(self._gateway, assertion)
            case GitBranch() | GitCommit() | GitClean():
                return await look_at_git(self._roots, self._threads, assertion)
            case PackageInstalled():
                return await look_at_package(self._threads, assertion, machine=self._machine)
            case _:
                assert_never(assertion)


def kind_of(assertion: Assertion) -> Kind:  # noqa: PLR0911 - one case a probe
    """Return which probe looks at it."""
    match assertion:
        case FileExists() | FileGone() | FileChanged() | FileContains() | FileDigest():
            return "file"
        case ProcessRunning() | ProcessGone():
            return "process"
        case PortListening() | PortClosed():
            return "port"
        case HttpAnswer():
            return "http"
        case ContainerRunning() | ContainerStopped() | ContainerHealthy() | ContainerImage() | ContainerRestarted():
            return "container"
        case GitBranch() | GitCommit() | GitClean():
            return "git"
        case PackageInstalled():
            return "package"
        case _:
            assert_never(assertion)


@asynccontextmanager
async def open_probes(settings: Settings, gateway: Gateway, now: Callable[[], datetime]) -> AsyncIterator[Probes]:
    """Yield the probes as the settings allow them; ``now`` returns aware times."""
    hidden = (settings.tls_key.parent, settings.token_key.parent, *settings.hidden_directories)
    roots = Roots([Root.at(path) for path in settings.root_directories], [str(path) for path in hidden])
    async with open_threads() as threads, open_answers(settings.hosts) as answers:
        yield _Probes(
            roots=roots,
            gateway=gateway,
            answers=answers,
            threads=threads,
            machine=settings.claim_machine,
            now=now,
        )
