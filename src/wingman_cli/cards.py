"""What people see of requests, risks and executions, as Rich renderables.

Guarantees: text that workers wrote is shown as text (no markup, no control characters); ids, digests and commands are
whole, however narrow the terminal is.
"""

from collections.abc import Iterable
from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from wingman_api.approvals.schemas import HistoryView, RequestView, RiskView
from wingman_api.executions.schemas import ExecutionView
from wingman_api.previews import PreviewView, TargetView, VerdictView
from wingman_cli.screen import visible

COLOURS: Final = {
    "LOW": "green",
    "MEDIUM": "yellow",
    "HIGH": "red",
    "PENDING": "yellow",
    "APPROVED": "green",
    "AUTO_APPROVED": "green",
    "REJECTED": "red",
    "EXPIRED": "dim",
    "CANCELLED": "dim",
    "RUNNING": "yellow",
    "SUCCEEDED": "green",
    "FAILED": "red",
    "TIMED_OUT": "red",
    "UNKNOWN": "magenta",
    "automatic": "green",
    "people": "yellow",
    "forbidden": "red",
}


def word(text: str) -> Text:
    """Return a state or level in its colour."""
    return Text(text, style=COLOURS.get(text, ""))


def request_card(request: RequestView, history: Iterable[HistoryView] = ()) -> RenderableType:
    """Return everything a person needs to decide on a request."""
    facts = _facts()
    _row(facts, "status", word(request.status.value), _people(request))
    _row(facts, "worker", _text(request.worker_id), _by(request))
    _row(facts, "task", _text(request.task_name))
    _row(facts, "instruction", _text(request.instruction))
    _row(facts, "risk", risk_line(request.risk))
    _row(facts, "until" if request.decided_at is None else "decided", _when(request))
    for decision in request.decisions:
        said = f"{decision.person} {decision.decision}d at {decision.decided_at:%H:%M:%S} UTC ({decision.channel})"
        _row(facts, "decision", _text(f"{said}: {decision.note}" if decision.note else said))
    parts: list[RenderableType] = [facts]
    parts += [preview_card(command.preview, command.approval_id) for command in request.commands]
    if not request.commands:
        parts.append(Text("no command: a sign-off, nothing will run", style="dim"))
    lines = [f"{entry.at:%Y-%m-%d %H:%M:%S} UTC  {entry.event} by {entry.actor}" for entry in history]
    parts += [_text(line, style="dim") for line in lines]
    return Panel(Group(*parts), title=_text(request.id), title_align="left")


def preview_card(preview: PreviewView, approval_id: str = "") -> RenderableType:
    """Return a command, what it names, what it does, and what the policy says."""
    facts = _facts()
    if approval_id:
        _row(facts, "approval", _text(approval_id))
    _row(facts, "command", _text(preview.canonical_command, style="bold"))
    for target in preview.targets:
        _row(facts, target.kind, _target(target))
        for name, value in (("id", target.id), ("image digest", target.image_digest)):
            if value:
                _row(facts, name, _text(value))
    radius = preview.blast_radius
    undo = "can be undone" if radius.reversible else "cannot be undone"
    _row(facts, "effect", _text(f"{radius.summary} ({preview.facts.effect}, {undo})"))
    if radius.expected_time:
        _row(facts, "expected time", _text(radius.expected_time))
    for name, lines in (
        ("stops", radius.stops),
        ("ports drop", radius.ports_dropped),
        ("dependents", radius.dependents),
        ("data lost", radius.data_lost),
        ("privileges", preview.facts.privileges),
        ("shell", preview.facts.shell),
        ("mounts", preview.facts.mounts),
    ):
        if lines:
            _row(facts, name, _text(", ".join(lines)))
    _row(facts, "policy", verdict_line(preview.verdict))
    return Panel(facts, border_style="dim")


def verdict_line(verdict: VerdictView) -> Text:
    """Return the policy's verdict, its reason and the policies that decided."""
    need = f"{verdict.people} people" if verdict.people > 1 else "1 person"
    outcome = Text(need, style=COLOURS["people"]) if verdict.outcome == "people" else word(verdict.outcome)
    return Text.assemble(outcome, visible(f"  {verdict.reason}  [{', '.join(verdict.policies) or 'no policy'}]"))


def risk_line(risk: RiskView) -> Text:
    """Return the level, every vote with its reason, and who was absent."""
    line = Text.assemble(word(risk.level))
    for vote in risk.votes:
        line.append(visible(f"\n{vote.source}: {vote.level}, {vote.reason}"), style="dim")
    for absence in risk.absent:
        line.append(visible(f"\n{absence.source}: absent, {absence.reason}"), style="dim")
    return line


def pending_list(requests: Iterable[RequestView]) -> Text:
    """Return a line a request, and one below for each of its commands, which nothing in it can end."""
    lines: list[Text] = []
    for request in requests:
        until = f"  until {request.expires_at:%H:%M:%S} UTC"
        lines.append(Text.assemble(request.id, "  ", word(request.risk.level), _people(request), until))
        asked = [each.command for each in request.commands] or [f"({request.task_name})"]
        lines += [Text("  " + visible(f"{request.worker_id}: {each}").replace("\n", "\\n")) for each in asked]
    return Text("\n").join(lines)


def execution_card(execution: ExecutionView) -> RenderableType:
    """Return the receipt of an execution: what ran for whom, how it went, and where the log says so."""
    facts = _facts()
    _row(facts, "command", _text(execution.command, style="bold"))
    code = "" if execution.exit_code is None else f"  exit code {execution.exit_code}"
    took = "" if execution.duration_ms is None else f"  in {execution.duration_ms / 1000:.2f} s"
    _row(facts, "state", word(execution.state), Text(code + took))
    _row(facts, "worker", _text(f"{execution.worker_id}, approval {execution.approval_id}"))
    _row(facts, "presented by", _text(execution.client))
    for record in (execution.intent, execution.result):
        if record is not None:
            when = f"{record.created_at:%Y-%m-%d %H:%M:%S} UTC"
            _row(facts, record.kind, Text(f"position {record.position}, {when}"))
            _row(facts, "leaf", Text(record.leaf_hash))
    for name, digest in (
        ("operation", execution.operation_digest),
        ("target", execution.target_digest),
        ("decision", execution.decision_digest),
        ("output", execution.output_digest),
    ):
        if digest:
            _row(facts, name, Text(f"sha256:{digest}"))
    if execution.evidence:
        _row(facts, "evidence", _text(execution.evidence))
    if execution.checkpoint:
        _row(facts, "checkpoint", _text(execution.checkpoint.strip(), style="dim"))
    return Panel(facts, title=_text(execution.execution_id), title_align="left")


def _target(target: TargetView) -> Text:
    words = [target.name or target.reference, "" if target.id else "(nothing there yet)", target.image, target.state]
    words += [f"project {target.project}"] if target.project else []
    words += [f"holds {', '.join(target.privileges)}"] if target.privileges else []
    return _text("  ".join(part for part in words if part))


def _people(request: RequestView) -> Text:
    return Text(f"  {request.people_approved} of {request.people_needed} people" if request.people_needed else "")


def _by(request: RequestView) -> Text:
    return Text("" if request.requested_by == request.worker_id else f"  asked by {request.requested_by}")


def _when(request: RequestView) -> Text:
    return Text(f"{request.decided_at or request.expires_at:%Y-%m-%d %H:%M:%S} UTC")


def _facts() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _row(table: Table, name: str, *parts: Text) -> None:
    table.add_row(name, Text.assemble(*parts))


def _text(text: str, *, style: str = "") -> Text:
    return Text(visible(text), style=style)
