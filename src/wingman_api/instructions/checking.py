"""The instruction gate with every scanner that this deployment has."""

from wingman_api.instructions import secret_scan
from wingman_core.instruction.report import Report, check


def checked(text: str) -> Report:
    """Check an instruction, for secrets also with detect-secrets."""
    return check(text, (secret_scan.scan,))
