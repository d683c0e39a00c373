"""An operation as its canonical command: the text that people approve.

Guarantees (I2): ``parse(render(op)) == op`` for every operation the parser makes. Short spelling of the verb, long
flags in sorted order, defaults left out, each word quoted where a POSIX shell would need it.
"""

from typing import Final, get_args

from wingman_core.command.flags import Flag
from wingman_core.command.grammar import COMMANDS
from wingman_core.command.lexer import quote
from wingman_core.command.operations import Operation

PROGRAM: Final = "command"
"""The field that holds what runs in a container."""
_CANONICAL: Final = {command.operation: command for command in reversed(COMMANDS)}


def render(op: Operation) -> str:
    """Return the canonical command line."""
    return " ".join(quote(word) for word in render_argv(op))


def render_argv(op: Operation) -> tuple[str, ...]:
    """Return the canonical command as an argument vector."""
    command = _CANONICAL[type(op)]
    group, *verb = command.spellings[0].split()
    words = ["docker", group]
    for flag in command.leading.flags if command.leading else ():
        words += _flag_words(flag, op)
    words += verb
    for flag in command.flags.flags:
        words += _flag_words(flag, op)
    named, program = positional_words(op)
    return *words, *named, *program


def positional_words(op: Operation) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the last words of the canonical command: those that name what it acts on, and the program's own."""
    words: dict[bool, list[str]] = {True: [], False: []}
    for positional in _CANONICAL[type(op)].positionals:
        value = getattr(op, positional.field)
        several = value if isinstance(value, tuple) else (value,) if isinstance(value, str) and value else ()
        words[positional.field == PROGRAM] += several
    return tuple(words[False]), tuple(words[True])


def _flag_words(flag: Flag, op: Operation) -> list[str]:
    field = type(op).model_fields.get(flag.field)
    if field is None:
        return []
    value = getattr(op, flag.field)
    if get_args(field.annotation) == (True,):
        return [f"--{flag.name}"]
    if value == field.default:
        return []
    if flag.switch:
        return [f"--{flag.name}" if value else f"--{flag.name}=false"]
    if flag.gather:
        return [word for each in value for word in (f"--{flag.name}", flag.show(each))]
    return [f"--{flag.name}", flag.show(value)]
