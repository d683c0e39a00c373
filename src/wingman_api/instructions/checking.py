"""The instruction gate with every scanner that this deployment has."""

import asyncio
from typing import Final

from wingman_api.instructions import secret_scan
from wingman_core.instruction import report
from wingman_core.instruction.report import Report
from wingman_core.risk_votes import Structure

AT_ONCE: Final = 8 * 1024
"""Characters that are checked on the spot, in about a millisecond; a longer text goes to a thread."""


def checked(text: str) -> Report:
    """Check an instruction, for secrets also with detect-secrets."""
    return report.check(text, (secret_scan.scan,))


async def check(text: str) -> Report:
    """Check an instruction, and let other requests go on where it is a long one."""
    return checked(text) if len(text) <= AT_ONCE else await asyncio.to_thread(checked, text)


async def structure_of(instruction: str) -> Structure:
    """Return what the gate says of an instruction, as the consensus on its risk takes it."""
    standing = (await check(instruction)).standing
    missing, failed = [each.value for each in standing.missing], [each.value for each in standing.failed]
    return Structure(score=standing.score, missing=missing, failed_checks=failed)
