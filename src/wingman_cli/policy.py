"""``wingman policy explain``: what the policy says of a command now, without asking anybody."""

import typer

from wingman_cli.exits import Exit
from wingman_cli.options import Json, Words, Worker
from wingman_cli.requests import commands_of
from wingman_cli.screen import Screen
from wingman_cli.session import OPERATOR, Session
from wingman_core.errors import Code, WingmanError


def explain(context: typer.Context, words: Words, *, worker: Worker = "", as_json: Json = False) -> None:
    """Say what a command would do, how many people it needs, and which policy says so. Exit code 3 if forbidden."""
    session: Session = context.obj
    commands = commands_of(words)
    if len(commands) > 1:
        raise WingmanError(Code.REQUEST_INVALID, "one command at a time", hint="put the whole command in quotes")
    with session.client(OPERATOR) as client:
        preview = client.explain(commands[0], worker)
    from wingman_cli.cards import preview_card

    Screen(as_json=as_json).show(preview, preview_card(preview))
    if preview.verdict.outcome == "forbidden":
        raise typer.Exit(Exit.REFUSED)
