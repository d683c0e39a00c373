"""Text or argument vector to a typed operation: lexing, then the command table.

Guarantees: returns an operation whose canonical text is itself a command within the limits and parses to the
equal operation (I2), or raises ``CommandRefused`` with a stable code, the reason and a way out. Nothing else.
"""

import difflib
from collections.abc import Callable, Sequence
from typing import Final

from pydantic import TypeAdapter

from wingman_core.command.compose_commands import LEADING
from wingman_core.command.flags import Given
from wingman_core.command.grammar import COMMANDS
from wingman_core.command.lexer import check_argv, shown, tokenize
from wingman_core.command.operations import Operation
from wingman_core.command.refused import GLOBAL_FLAGS, GROUPS, REFUSED
from wingman_core.command.render import render
from wingman_core.command.tables import Command, Fields, Positional
from wingman_core.command.values import BadValue
from wingman_core.errors import Code, CommandRefused

_PROGRAM: Final = "docker"
_BY_SPELLING: Final = {tuple(spelling.split()): command for command in COMMANDS for spelling in command.spellings}
_OPERATION: Final[TypeAdapter[Operation]] = TypeAdapter(Operation)


def parse(text: str) -> Operation:
    """Read a command line."""
    return _operation(tokenize(text))


def parse_argv(argv: Sequence[str]) -> Operation:
    """Read an argument vector, ``docker`` first; there is nothing to unquote in it."""
    return _operation(check_argv(argv))


def _operation(tokens: tuple[str, ...]) -> Operation:
    if tokens[0] != _PROGRAM:
        raise CommandRefused(
            Code.COMMAND_NOT_DOCKER,
            f"the first word is {shown(tokens[0])}, not docker",
            hint="a command begins with docker: no path, no sudo, no environment before it",
        )
    leading, words = _without_leading(tokens[1:])
    command, rest = _find(words)
    fields = _fields(command, rest, leading)
    operation = _OPERATION.validate_python(fields)
    # The canonical text can be longer than what was written; it must be a command as well.
    tokenize(render(operation))
    return operation


def _without_leading(words: tuple[str, ...]) -> tuple[tuple[Given, ...], tuple[str, ...]]:
    """Take out the flags between ``compose`` and its verb."""
    if words[:1] != ("compose",):
        return (), words
    scanned = LEADING.scan(words[1:])
    return scanned.flags, ("compose", *scanned.positionals)


def _find(words: tuple[str, ...]) -> tuple[Command, tuple[str, ...]]:
    if not words:
        raise CommandRefused(Code.COMMAND_EMPTY, "docker alone does nothing", hint="write one, such as: docker ps")
    length = 2 if words[0] in GROUPS else 1
    for word in words[:length]:
        if word.startswith("-"):
            raise _leading_flag(word)
    spelling = words[:length]
    if command := _BY_SPELLING.get(spelling):
        return command, words[length:]
    name = " ".join(spelling)
    if reason := REFUSED.get(name) or REFUSED.get(spelling[0]):
        raise CommandRefused(
            Code.COMMAND_REFUSED,
            f"docker {name if name in REFUSED else spelling[0]} is refused: {reason}",
            hint="Wingman does not run it, whoever approves",
            command=name if name in REFUSED else spelling[0],
        )
    near = difflib.get_close_matches(spelling[-1], _verbs(spelling[:-1]), n=1)
    meant = f"did you mean docker {' '.join((*spelling[:-1], *near))}?"
    raise CommandRefused(
        Code.COMMAND_UNKNOWN,
        f"docker {shown(name)} is not a command that Wingman knows",
        hint=meant if near else "it knows " + ", ".join(_verbs(())),
    )


def _verbs(group: tuple[str, ...]) -> list[str]:
    return [spelling[-1] for spelling in _BY_SPELLING if spelling[:-1] == group]


def _leading_flag(word: str) -> CommandRefused:
    name = word.partition("=")[0]
    if name in GLOBAL_FLAGS or (not word.startswith("--") and word[:2] in GLOBAL_FLAGS):
        return CommandRefused(
            Code.COMMAND_GLOBAL_FLAG,
            f"{shown(name)}: which engine is used, and how, is not the caller's choice",
            hint="leave it out; the gateway has one engine",
            flag=shown(name),
        )
    return CommandRefused(
        Code.COMMAND_FLAG,
        f"{shown(word)} stands before the command",
        hint="write the command first, then its flags",
        flag=shown(word),
    )


def _fields(command: Command, words: tuple[str, ...], leading: tuple[Given, ...]) -> Fields:
    scanned = command.flags.scan(words)
    fields: Fields = {**command.fixed, "verb": command.operation.model_fields["verb"].default}
    gathered: dict[str, list[Given]] = {}
    for given in (*leading, *scanned.flags):
        gathered.setdefault(given.flag.name, []).append(given)
    for several in gathered.values():
        value = _value(several)
        if field := several[0].flag.field:
            fields[field] = value
    try:
        _read_positionals(command.positionals, scanned.positionals, fields)
        command.rules(fields)
    except BadValue as error:
        raise CommandRefused(Code.COMMAND_VALUE, str(error), hint="see docker's reference for the command") from None
    return fields


def _value(several: list[Given]) -> object:
    values = [_read(given) for given in several]
    flag = several[0].flag
    if flag.gather:
        return _gather(flag.name, flag.gather, values)
    spellings = {given.spelling for given in several}
    if flag.aliases and len(spellings) > 1:
        raise CommandRefused(
            Code.COMMAND_FLAG,
            " and ".join(sorted(spellings)) + " are one flag, given twice",
            hint="leave one out",
            flag=f"--{flag.name}",
        )
    return values[-1]


def _gather(name: str, gather: Callable[[tuple[object, ...]], object], values: list[object]) -> object:
    try:
        return gather(tuple(values))
    except BadValue as error:
        raise CommandRefused(
            Code.COMMAND_VALUE, f"--{name}: {error}", hint="correct the values", flag=f"--{name}"
        ) from None


def _read(given: Given) -> object:
    try:
        return given.flag.read(given.value)
    except BadValue as error:
        raise CommandRefused(
            Code.COMMAND_VALUE,
            f"{given.spelling} {shown(given.value)}: {error}",
            hint="correct the value",
            flag=given.spelling,
        ) from None


def _read_positionals(table: tuple[Positional, ...], words: tuple[str, ...], fields: Fields) -> None:
    rest = list(words)
    for positional in table:
        taken = rest if positional.many else rest[:1]
        rest = rest[len(taken) :]
        if len(taken) < positional.least:
            raise CommandRefused(
                Code.COMMAND_ARGUMENTS,
                f"{positional.field} missing: the command needs more arguments",
                hint="add what it should act on",
            )
        values = tuple(_read_word(positional, word) for word in taken)
        if positional.many:
            fields[positional.field] = values
        elif values:
            fields[positional.field] = values[0]
    if rest:
        raise CommandRefused(
            Code.COMMAND_ARGUMENTS,
            f"{shown(rest[0])} is one argument too many",
            hint="leave it out; flags that take a value need it right after them",
        )


def _read_word(positional: Positional, word: str) -> object:
    try:
        return positional.read(word)
    except BadValue as error:
        raise BadValue(f"{shown(word)}: {error}") from None
