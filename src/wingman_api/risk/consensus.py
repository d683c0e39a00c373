"""Asking every source about a request, all at once.

Guarantees: where it happens, what the commands do and how it is worded are always judged; of the other sources,
one that fails or is late is named as absent, and changes nothing of what the rest say. No wait is longer than
the slowest source's limit.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from structlog.typing import FilteringBoundLogger

from wingman_core import risk_votes
from wingman_core.risk import Absence, Risk, Source, Vote, consensus
from wingman_core.risk_votes import Effect
from wingman_core.verdict import BlastRadius


@dataclass(frozen=True, slots=True)
class Case:
    """A request as the sources see it; ``at`` is aware."""

    worker: str
    task_name: str
    instruction: str
    at: datetime
    commands: tuple[str, ...] = ()
    """In canonical text, each with an effect and a blast radius."""
    effects: tuple[Effect, ...] = ()
    radii: tuple[BlastRadius, ...] = ()


@dataclass(frozen=True, slots=True)
class Consulted:
    """A source that may be away: how to ask it, and the seconds it gets."""

    source: Source
    seconds: float
    ask: Callable[[Case], Awaitable[Vote | None]]
    """Returns None where there is nothing to judge; raises ``NoAnswer`` with a reason for people, or anything."""


class NoAnswer(Exception):
    """A source has no vote, although it should; the message is shown."""


class Consensus:
    """Weighs requests."""

    def __init__(self, environment: str, consulted: Sequence[Consulted], *, log: FilteringBoundLogger) -> None:
        """Take where this is, and the sources besides effect, environment and wording."""
        self._environment = environment
        self._consulted = tuple(consulted)
        self._log = log

    async def weigh(self, case: Case) -> Risk:
        """Return the consensus."""
        votes = [risk_votes.of_environment(self._environment)]
        if case.effects:
            votes.append(risk_votes.of_effects(case.effects))
        if case.radii:
            votes.append(risk_votes.of_radii(case.radii))
        votes.append(risk_votes.of_wording((case.task_name, case.instruction)))
        said = await asyncio.gather(*(self._ask(source, case) for source in self._consulted))
        votes += [answer for answer in said if isinstance(answer, Vote)]
        return consensus(votes, [answer for answer in said if isinstance(answer, Absence)])

    async def _ask(self, consulted: Consulted, case: Case) -> Vote | Absence | None:
        """Return one source's vote, or why there is none; what it raises stays here."""
        try:
            async with asyncio.timeout(consulted.seconds):
                return await consulted.ask(case)
        except TimeoutError:
            reason = f"no answer within {consulted.seconds:g} s"
        except NoAnswer as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - whatever a source does, the others are heard
            reason = "it failed"
            self._log.warning("risk.source_failed", source=consulted.source.value, error=type(error).__name__)
        return Absence(consulted.source, reason)
