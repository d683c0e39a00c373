"""``wingman audit receipt | check``: the story of one execution, taken from the API, verified without it."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wingman_cli.audit import outcome_of
from wingman_cli.named_files import read_text, write_text
from wingman_cli.options import Json, KeyFile
from wingman_cli.screen import Screen, visible
from wingman_cli.session import Session

if TYPE_CHECKING:
    from wingman_core.receipt import CheckedReceipt

STANDARD_INPUT = "-"


def receipt(
    context: typer.Context,
    execution_id: Annotated[str, typer.Argument(help="An execution's id, exe_...")],
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it here instead of showing it.")] = None,
) -> None:
    """Fetch the receipt of an execution: one JSON document that verifies offline (see check)."""
    session: Session = context.obj
    with session.client() as client:
        document = client.receipt(execution_id).model_dump_json(indent=2) + "\n"
    if output is None:
        sys.stdout.write(document)
        return
    write_text(output, document)
    Screen().say(f"Written to {output}; verify it anywhere: wingman audit check {output} --verifier-key KEY")


def check(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="A receipt, or - for standard input.")],
    *,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Verify a receipt with the log's public key alone: no server, no database. Exit code 1 if it does not hold."""
    from wingman_core.notes import parse_verifier_key
    from wingman_core.receipt import check_receipt

    session: Session = context.obj
    key = parse_verifier_key(read_text(key_file or session.instance.verifier_key, "the log's public key"))
    document = sys.stdin.read() if file == STANDARD_INPUT else read_text(Path(file), "the receipt")
    checked = check_receipt(document.encode("utf-8", "surrogateescape"), [key])
    screen = Screen(as_json=as_json)
    if as_json:
        screen.document(_document(checked))
        return
    for line in _lines(checked):
        screen.say(visible(line))


def _settlement(checked: "CheckedReceipt") -> list[str]:
    """Say who settled an outcome that was UNKNOWN, and why."""
    settled = checked.settlement
    if settled is None:
        return []
    said = json.loads(settled.evidence)
    return [f"  settled     {settled.outcome} at {settled.created_at[:19]} UTC by {said['by']}: {said['note']}"]


def _lines(checked: "CheckedReceipt") -> list[str]:
    """Return what a receipt proves, for people."""
    from wingman_core.approval import Status

    intent, outcome = checked.intent, checked.outcome
    people = [
        f"{each.person} {'approved' if each.approve else 'rejected'} at {each.at[:19]} UTC ({each.channel})"
        for each in checked.request.decisions
    ]
    automatic = checked.request.status == Status.AUTO_APPROVED
    ended = "no outcome yet" if outcome is None else f"{outcome_of(outcome)} at {outcome.created_at[:19]} UTC"
    return [
        "The receipt holds.",
        f"  command     {intent.command}",
        f"  for         {intent.worker}, asked by {checked.request.requested_by}, request {checked.request.id}",
        f"  decided     {'automatic: the policy asks nobody' if automatic else '; '.join(people)}",
        f"  began       {intent.created_at[:19]} UTC, {intent.execution_id}, position {checked.intent_position}",
        f"  ended       {ended}" + ("" if outcome is None else f", position {checked.outcome_position}"),
        *_settlement(checked),
        f"  presented   by {intent.client}",
        f"  log         {checked.checkpoint.origin}, {checked.checkpoint.size} records",
    ]


def _document(checked: "CheckedReceipt") -> dict[str, object]:
    """Return what a receipt proves, for programs."""
    outcome = checked.outcome
    return {
        "holds": True,
        "intent": {"position": checked.intent_position, **json.loads(checked.intent.to_bytes())},
        "outcome": None
        if outcome is None
        else {"position": checked.outcome_position, **json.loads(outcome.to_bytes())},
        "settlement": None if checked.settlement is None else json.loads(checked.settlement.to_bytes()),
        "request": checked.request.model_dump(mode="json"),
        "checkpoint": {
            "origin": checked.checkpoint.origin,
            "size": checked.checkpoint.size,
            "root": checked.checkpoint.root.hex(),
        },
    }
