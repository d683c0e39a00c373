"""How an act at the engine ended, as its RESULT will say; UNKNOWN where nobody saw it, and then there is no RESULT."""

from dataclasses import dataclass

from wingman_core.audit_record import exit_code_of
from wingman_core.canonical import canonical_bytes
from wingman_core.errors import Code, Unavailable, WingmanError
from wingman_gateway.stream import Outcome


@dataclass(frozen=True, slots=True)
class Ending:
    """An outcome, and what is known of it."""

    outcome: Outcome
    reason: str = ""
    exit_code: int | None = None
    evidence: str = ""
    """The engine's own exit code, where no record holds it."""


def ended_with(code: int | None) -> Ending:
    """Return what the engine's exit code means; None: it told none."""
    if code is None:
        return Ending("UNKNOWN", reason=str(Code.INTERNAL))
    held = exit_code_of(code)
    evidence = "" if held == code else canonical_bytes({"exit_code": code}).decode()
    return Ending("SUCCEEDED" if code == 0 else "FAILED", exit_code=held, evidence=evidence)


def ended_by(error: WingmanError, *, read: bool) -> Ending:
    """Return what an error of the engine's adapter means for the execution."""
    if error.code is Code.DEADLINE_EXCEEDED:
        return Ending("TIMED_OUT", reason=str(error.code))
    if isinstance(error, Unavailable) and not read:
        # It may have been done: the connection broke, not necessarily the act.
        return Ending("UNKNOWN", reason=str(error.code))
    return Ending("FAILED", reason=str(error.code))
