"""Options that several commands share, declared once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

JSON_ASKED = "wingman.json"
"""The key under which a command line remembers that its errors are for programs too."""


class Choice(StrEnum):
    """What to do on a machine where no engine answers."""

    ASK = "ask"
    AUTO = "auto"
    NONE = "none"


def _remember(context: typer.Context, *, value: bool) -> bool:
    context.meta[JSON_ASKED] = value
    return value


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.", callback=_remember)]
Note = Annotated[str, typer.Option("--note", "-n", help="Why; kept with the decision.")]
Worker = Annotated[str, typer.Option("--worker", "-w", help="Who wants it done (default: the key's person).")]
RequestId = Annotated[str, typer.Argument(help="A request's id, apr_...")]
Words = Annotated[list[str], typer.Argument(help="docker restart web, or whole commands in quotes.")]

VERBATIM = {"allow_interspersed_args": False}
"""For commands that take a docker command: what follows the first word is the command's, not ours."""

Engine = Annotated[
    Choice,
    typer.Option("--engine", help="Where no Docker engine answers: ask, start a private one (auto), or do without."),
]

Env = Annotated[
    str,
    typer.Option("--env", "-e", help="An environment of containers, test or prd (default: the data directory's)."),
]
Root = Annotated[Path, typer.Option("--root", help="The clone of Wingman's repository.")]
KeyFile = Annotated[
    Path | None, typer.Option("--verifier-key", help="The log's public key (default: the data directory's).")
]
