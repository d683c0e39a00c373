"""Which commands a request carries, each parsed here before the gateway parses it again on its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wingman_core.command import operation_digest, parse, render
from wingman_core.errors import Code, WingmanError

FIRST_WORD: Final = "docker "
MAX_COMMANDS: Final = 16


@dataclass(frozen=True, slots=True)
class Parsed:
    """A command in canonical text, and the digest of its operation."""

    text: str
    operation_digest: str


def commands_of(commands: Sequence[str] | None, instruction: str) -> tuple[Parsed, ...]:
    """Return the commands given, else the instruction's lines that begin with ``docker``; may be none.

    Raises ``CommandRefused`` for the first one that is no command, its index (from 0) in ``details["index"]``,
    and ``WingmanError`` (REQUEST_INVALID) for more than ``MAX_COMMANDS``.
    """
    texts = _in_instruction(instruction) if commands is None else commands
    if len(texts) > MAX_COMMANDS:
        raise WingmanError(
            Code.REQUEST_INVALID, f"more than {MAX_COMMANDS} commands", hint="ask for less at once, or twice"
        )
    return tuple(_parsed(text, index) for index, text in enumerate(texts))


def at_index(error: WingmanError, index: int) -> WingmanError:
    """Return the same error, saying which command it is about."""
    return type(error)(error.code, error.message, hint=error.hint, **{**error.details, "index": str(index)})


def _in_instruction(instruction: str) -> list[str]:
    lines = (line.strip() for line in instruction.splitlines())
    return [line for line in lines if line.startswith(FIRST_WORD)]


def _parsed(text: str, index: int) -> Parsed:
    try:
        operation = parse(text)
    except WingmanError as error:
        raise at_index(error, index) from error
    return Parsed(render(operation), operation_digest(operation))
