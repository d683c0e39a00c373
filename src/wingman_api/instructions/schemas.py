"""Checks of instructions as HTTP carries them."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from wingman_api.previews import View
from wingman_core.instruction.findings import Check
from wingman_core.instruction.headings import Section
from wingman_core.instruction.report import WITHHELD, Report
from wingman_core.instruction.sections import Part

MAX_INSTRUCTION: Final = 256 * 1024
_NO_CONTROLS: Final = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"
"""As for a request for approval: tab and line ends, but no other control character."""
_EXAMPLE: Final = "\n".join(f"{section}: x" for section in Section)


class Instruction(BaseModel):
    """What a worker would be told to do."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, json_schema_extra={"example": {"instruction": _EXAMPLE}}
    )

    instruction: Annotated[str, Field(max_length=MAX_INSTRUCTION, pattern=_NO_CONTROLS)]


class PolicyChecks(View):
    """The four policy checks; true is good."""

    no_force_flags: bool
    no_hardcoded_secrets: bool
    no_dangerous_commands: bool
    has_mitigation_plan: bool


class SectionView(View):
    """One section: its text, or what is wrong with it."""

    present: bool
    line: int = Field(description="Of its heading, from 1; 0 where there is none.")
    text: str | None = Field(description="Null where the section is missing, or a secret stands in it.")
    problem: str | None = Field(description="Null where nothing is wrong.")


class FindingView(View):
    """Where an instruction breaks a rule; never the text that does."""

    check: Check
    rule: str = Field(examples=["long-force-flag"])
    line: int = Field(description="From 1; 0 where something is missing.")
    message: str


class CheckAnswer(View):
    """What the gate says of an instruction."""

    approved: bool = Field(description="80 points or more, and every policy check true.")
    score: int = Field(ge=0, le=100, description="Ten for each section.")
    missing_sections: tuple[Section, ...]
    policy_checks: PolicyChecks
    sections: dict[Section, SectionView] = Field(description="All ten, by name.")
    findings: tuple[FindingView, ...] = Field(description="By line; at most 50 of each check.")

    @classmethod
    def of(cls, report: Report) -> "CheckAnswer":
        """Return the view of a report."""
        return cls.model_validate(document(report))


def document(report: Report) -> dict[str, object]:
    """Return a ``CheckAnswer`` as JSON will say it: models of its parts would take a good part of the check's time."""
    standing, withheld = report.standing, report.withheld
    return {
        "approved": standing.approved,
        "score": standing.score,
        "missing_sections": standing.missing,
        "policy_checks": {check: check not in standing.failed for check in Check},
        "sections": {
            section: _section(part, withheld=section in withheld) for section, part in report.sections.items()
        },
        "findings": [
            {"check": finding.check, "rule": finding.rule, "line": finding.line, "message": finding.message}
            for finding in report.findings
        ],
    }


def _section(part: Part, *, withheld: bool) -> dict[str, object]:
    problem = part.problem or (WITHHELD if withheld else None)
    return {
        "present": part.is_present,
        "line": part.line,
        "text": part.text if problem is None else None,
        "problem": problem,
    }
