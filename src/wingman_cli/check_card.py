"""What people see of a checked instruction, as a Rich renderable.

Guarantees: what is wrong comes with its line and its rule, and nothing of the instruction's text is shown: it may
hold a secret that no rule knows.
"""

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from wingman_api.instructions.schemas import CheckAnswer
from wingman_cli.screen import visible


def check_card(answer: CheckAnswer) -> RenderableType:
    """Return the score, every section, every policy check, and where each finding stands."""
    parts: list[RenderableType] = [_verdict(answer), _sections(answer), _policies(answer)]
    if answer.findings:
        parts.append(_findings(answer))
    return Panel(Group(*parts), title="instruction", title_align="left")


def _verdict(answer: CheckAnswer) -> Text:
    word = Text("approved", style="bold green") if answer.approved else Text("not approved", style="bold red")
    return Text.assemble(word, f"  score {answer.score} of 100")


def _sections(answer: CheckAnswer) -> Table:
    table = Table(
        Column("section", no_wrap=True), Column("line", justify="right"), Column("", overflow="fold"), box=None
    )
    for name, section in answer.sections.items():
        said = Text(visible(section.problem), style="red") if section.problem else Text("present", style="green")
        table.add_row(name.value, str(section.line or ""), said)
    return table


def _policies(answer: CheckAnswer) -> Table:
    table = Table(Column("policy", no_wrap=True), "", box=None)
    for name, passed in answer.policy_checks.model_dump().items():
        table.add_row(name, Text("passed", style="green") if passed else Text("failed", style="red"))
    return table


def _findings(answer: CheckAnswer) -> Table:
    columns = (Column("line", justify="right"), "check", Column("rule", no_wrap=True), Column("", overflow="fold"))
    table = Table(*columns, box=None)
    for finding in answer.findings:
        table.add_row(str(finding.line or ""), finding.check.value, finding.rule, Text(visible(finding.message)))
    return table
