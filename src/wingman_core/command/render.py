"""An operation as its canonical command: the text that people approve.

Guarantees (I2): ``parse(render(op)) == op`` for every operation the parser makes. Short spelling of the verb, long
flags in sorted order, defaults left out, each word quoted where a POSIX shell would need it.
"""

from typing import Final, get_args

from wingman_core.command.flags import Flag
from wingman_core.command.grammar import COMMANDS
from wingman_core.command.lexer import quote
from wingman_core.command.operations import Operation

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
    for positional in command.positionals:
        value = getattr(op, positional.field)
        words += [value] if isinstance(value, str) and value else []
        words += value if isinstance(value, tuple) else ()
    return tuple(words)


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
