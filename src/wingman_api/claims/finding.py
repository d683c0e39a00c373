"""What a probe saw, and the port through which claims are looked at.

Guarantees: a finding says ``confirmed`` or ``contradicted`` only of what was observed; whatever could not be
looked at, or was not allowed to be, is ``unknown``, and its words reveal nothing of what is there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from wingman_core.assertions import Assertion

Outcome = Literal["confirmed", "contradicted", "unknown"]
Verdict = Literal["TRUE", "FALSE", "UNVERIFIABLE", "ERROR"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One assertion, and what looking at it brought."""

    assertion: Assertion
    outcome: Outcome
    seen: str
    """One sentence: what was observed, or why nothing was."""
    probe: str
    """Which probe looked, such as ``file`` or ``container``."""
    at: datetime


class Probes(Protocol):
    """Looks at assertions."""

    async def look(self, assertion: Assertion) -> Finding:
        """Return what is observed now, within a limit of seconds of its own; never raise for what it sees."""
        ...


def verdict_of(findings: Sequence[Finding]) -> Verdict:
    """Return FALSE if evidence contradicts any, TRUE if it confirms all (at least one), else UNVERIFIABLE."""
    outcomes = {finding.outcome for finding in findings}
    if "contradicted" in outcomes:
        return "FALSE"
    return "TRUE" if outcomes == {"confirmed"} else "UNVERIFIABLE"
