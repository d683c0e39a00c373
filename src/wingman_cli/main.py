"""The ``wingman`` command: which commands there are, the options they share, and the one place errors end.

Guarantees: an error that Wingman raised is one line, the way out, and its exit code (``exits``), never a traceback.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from wingman_cli import (
    audit,
    check,
    demo,
    document,
    executions,
    keys,
    migrations,
    pki_commands,
    policy,
    receipts,
    requests,
    status,
    up,
)
from wingman_cli.backup import commands as backup
from wingman_cli.drill import commands as drill
from wingman_cli.exits import exit_for
from wingman_cli.instance import DEFAULT_DIRECTORY
from wingman_cli.options import JSON_ASKED, VERBATIM
from wingman_cli.rotation import commands as rotation
from wingman_cli.screen import Screen
from wingman_cli.session import Session
from wingman_cli.stack import commands as stack
from wingman_cli.stack import doctor_command
from wingman_core.errors import WingmanError

EXITS_HELP: Final = (
    "Exit codes: 0 done; 1 the command or a check failed; 2 wrong input; 3 refused (policy, approval, key, token); "
    "4 something is down or busy; 5 not found."
)


class Edge(TyperGroup):
    """Turns the errors of every command into words and exit codes."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as its parent has it
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except WingmanError as error:
            Screen(as_json=bool(ctx.meta.get(JSON_ASKED))).error(error)
            raise typer.Exit(exit_for(error.code)) from error


def shared(
    context: typer.Context,
    *,
    api: Annotated[str, typer.Option("--api", envvar="WINGMAN_API_URL", help="The API (default: the local one).")] = "",
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", envvar="WINGMAN_API_KEY_FILE", help="A file with an API key; or WINGMAN_API_KEY."),
    ] = None,
    identity: Annotated[str, typer.Option("--as", help="Use this key of the data directory (operator, worker).")] = "",
    data_dir: Annotated[
        Path, typer.Option("--data-dir", envvar="WINGMAN_DATA_DIR", help="The local instance's directory.")
    ] = DEFAULT_DIRECTORY,
) -> None:
    """Human-approved, typed, audited Docker commands for agents and operators."""
    context.obj = Session(os.environ, api=api, key_file=key_file, identity=identity, data_dir=data_dir)


def build() -> typer.Typer:
    """Put the commands together."""
    app = typer.Typer(
        cls=Edge, callback=shared, no_args_is_help=True, epilog=EXITS_HELP, pretty_exceptions_show_locals=False
    )
    app.command("up")(up.up)
    app.command("demo")(demo.demo)
    app.command("check")(check.check)
    app.command("request", context_settings=VERBATIM)(requests.request)
    app.command("pending")(requests.pending)
    app.command("show")(requests.show)
    app.command("approve")(requests.approve)
    app.command("reject")(requests.reject)
    app.command("cancel")(requests.cancel)
    app.command("run")(requests.run)
    _group(
        app,
        "audit",
        "Read and verify the audit log.",
        {
            "tail": audit.tail,
            "export": audit.export,
            "verify": audit.verify,
            "receipt": receipts.receipt,
            "check": receipts.check,
        },
    )
    key_commands: dict[str, Callable[..., None]] = {
        "create": keys.create,
        "list": keys.list_keys,
        "rotate": keys.rotate,
        "speaks-for": keys.speaks_for,
        "revoke": keys.revoke,
    }
    _group(app, "keys", "API keys.", key_commands)
    _group(app, "executions", "Executions and what became of them.", {"resolve": executions.resolve})
    _group(app, "pki", "Certificates for the gateway.", {"issue": pki_commands.issue, "show": pki_commands.show})
    _group(app, "policy", "What the policy says of a command.", {"explain": policy.explain}, verbatim=True)
    _group(
        app,
        "backup",
        "Backups, and what becomes of them.",
        {"create": backup.create, "verify": backup.verify, "restore": backup.restore},
    )
    _group(app, "stack", "The TEST and PRD environments, from images.", {"up": stack.up, "down": stack.down})
    _group(
        app,
        "rotate",
        "New secrets for old ones, while people work.",
        {
            "passwords": rotation.passwords,
            "token-key": rotation.token_key,
            "certificates": rotation.certificates,
            "bot-token": rotation.bot_token,
        },
    )
    _group(app, "dr", "Disaster recovery.", {"drill": drill.drill})
    app.command("status")(status.status)
    _group(app, "doctor", "Proofs about a deployment that runs.", {"boundary": doctor_command.boundary})
    app.command("migrate")(migrations.migrate)
    app.command("openapi")(document.openapi)
    return app


def _group(
    app: typer.Typer, name: str, text: str, commands: Mapping[str, Callable[..., None]], *, verbatim: bool = False
) -> None:
    group = typer.Typer(help=text, no_args_is_help=True)
    for command_name, command in commands.items():
        group.command(command_name, context_settings=VERBATIM if verbatim else {})(command)
    app.add_typer(group, name=name)


app: Final = build()
