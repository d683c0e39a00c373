"""The instruction gate with every scanner that this deployment has."""

from wingman_api.instructions import secret_scan
from wingman_core.instruction.report import Report, check
from wingman_core.risk_votes import Structure


def checked(text: str) -> Report:
    """Check an instruction, for secrets also with detect-secrets."""
    return check(text, (secret_scan.scan,))


def structure_of(instruction: str) -> Structure:
    """Return what the gate says of an instruction, as the consensus on its risk takes it."""
    standing = checked(instruction).standing
    missing, failed = [each.value for each in standing.missing], [each.value for each in standing.failed]
    return Structure(score=standing.score, missing=missing, failed_checks=failed)
