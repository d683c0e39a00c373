"""``wingman check``: the instruction gate on a file, without an API."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from wingman_cli.exits import Exit
from wingman_cli.options import Json
from wingman_cli.screen import Screen
from wingman_core.errors import Code, WingmanError

STDIN: Final = "-"
MOST: Final = 256 * 1024
"""Bytes of an instruction, as over HTTP."""


def check(
    file: Annotated[str, typer.Argument(help="A file with an instruction; - reads standard input.")],
    *,
    as_json: Json = False,
) -> None:
    """Check an instruction: its ten sections, its score, and the policies it breaks. Exit code 1 if not approved."""
    text = _read(file)
    from wingman_api.instructions.checking import checked
    from wingman_api.instructions.schemas import CheckAnswer
    from wingman_cli.check_card import check_card

    answer = CheckAnswer.of(checked(text))
    Screen(as_json=as_json).show(answer, check_card(answer))
    if not answer.approved:
        raise typer.Exit(Exit.FAILED)


def _read(file: str) -> str:
    """Return the text; raise ``WingmanError`` (REQUEST_INVALID, REQUEST_TOO_LARGE) where there is none to check."""
    try:
        data = sys.stdin.buffer.read(MOST + 1) if file == STDIN else _beginning(Path(file))
    except OSError as error:
        raise _invalid(f"the file cannot be read: {error.strerror}", "name a readable file, or - for input") from error
    if len(data) > MOST:
        raise WingmanError(Code.REQUEST_TOO_LARGE, "the text is larger than 256 KiB", hint="check a part of it")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid(f"the text is not UTF-8: byte {error.start}", "save it as UTF-8") from error
    if not text.strip():
        raise _invalid("there is no text", "write an instruction first")
    return text


def _beginning(path: Path) -> bytes:
    """Return at most one byte more than is allowed."""
    with path.open("rb") as opened:
        return opened.read(MOST + 1)


def _invalid(message: str, hint: str) -> WingmanError:
    return WingmanError(Code.REQUEST_INVALID, message, hint=hint)
