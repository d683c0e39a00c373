"""Flags as spf13/pflag reads them (v1.0.6, the one in docker 28.2): the whole of ``parseArgs``, table-driven.

Guarantees: for a table that mirrors Docker's, every spelling is split into flag and raw value exactly as the
docker binary splits it: ``-t 5``, ``-t=5``, ``-t5``, ``--time 5``, ``--time=5``, ``-aq``, ``-aq=false``, flags
between or only before the positionals, ``--``. Nothing is abbreviated. docs/decisions/0001-own-flag-scanner.md
says why no argument-parsing library does.

Does not: read values; that is the grammar's business.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wingman_core.command.lexer import shown
from wingman_core.command.refused import ENGINE_FLAGS
from wingman_core.errors import Code, CommandRefused


@dataclass(frozen=True, slots=True)
class Flag:
    """One row of a command's table: how the flag is spelled, what it sets, and how its value is read and shown."""

    name: str
    field: str
    read: Callable[[str], object]
    """Raw text to value; raises ``values.BadValue``."""
    show: Callable[[Any], str] = str
    """Value back to text that ``read`` takes."""
    short: str = ""
    aliases: tuple[str, ...] = ()
    switch: bool = False
    """May stand alone, meaning ``true``; then it never takes the next word."""
    gather: Callable[[tuple[Any, ...]], object] | None = None
    """Several occurrences to one value; without it, the last one counts."""
    refused: str = ""
    """Why Wingman does not take this flag at all."""


@dataclass(frozen=True, slots=True)
class Given:
    """One flag as it was given: the row, the spelling, and the raw value."""

    flag: Flag
    spelling: str
    value: str


@dataclass(frozen=True, slots=True)
class Scanned:
    """An argument vector, split."""

    flags: tuple[Given, ...]
    positionals: tuple[str, ...]


class FlagTable:
    """The flags of one command, found by any of their spellings."""

    def __init__(self, flags: Sequence[Flag], *, interspersed: bool = True) -> None:
        self.flags: Final = tuple(sorted(flags, key=lambda flag: flag.name))
        self._interspersed = interspersed
        self._long = {name: flag for flag in flags for name in (flag.name, *flag.aliases)}
        self._short = {flag.short: flag for flag in flags if flag.short}

    def scan(self, argv: Sequence[str]) -> Scanned:
        """Split ``argv`` into flags and positionals, in pflag's order; raise ``CommandRefused``."""
        given: list[Given] = []
        positionals: list[str] = []
        rest = list(argv)
        while rest:
            word = rest.pop(0)
            if not word.startswith("-") or word == "-":
                positionals.append(word)
                if not self._interspersed:
                    positionals += rest
                    break
            elif word == "--":
                positionals += rest
                break
            elif word.startswith("--"):
                given.append(self._read_long(word, rest))
            else:
                given += self._read_short(word, rest)
        return Scanned(tuple(given), tuple(positionals))

    def _read_long(self, word: str, rest: list[str]) -> Given:
        name, equals, value = word[2:].partition("=")
        if not name or name.startswith("-"):
            raise _refusal(f"{shown(word)} is not a flag", word, "a flag is --name or --name=value")
        flag = self._long.get(name)
        if flag is None:
            raise self._unknown(f"--{name}", word)
        _check_served(flag, f"--{name}")
        if equals:
            return Given(flag, f"--{name}", value)
        if flag.switch:
            return Given(flag, f"--{name}", "true")
        return Given(flag, f"--{name}", _next(rest, f"--{name}", word))

    def _read_short(self, word: str, rest: list[str]) -> list[Given]:
        given: list[Given] = []
        letters = word[1:]
        while letters:
            letter, after = letters[0], letters[1:]
            flag = self._short.get(letter)
            if flag is None:
                raise self._unknown(f"-{letter}", word)
            spelling = f"-{letter}"
            _check_served(flag, spelling)
            letters = ""
            # pflag asks for something after the '=': "-t=" alone is the value "=".
            if len(after) > 1 and after.startswith("="):
                given.append(Given(flag, spelling, after[1:]))
            elif flag.switch:
                given.append(Given(flag, spelling, "true"))
                letters = after
            else:
                given.append(Given(flag, spelling, after or _next(rest, spelling, word)))
        return given

    def _unknown(self, spelling: str, word: str) -> CommandRefused:
        if spelling in {"--help", "-h"}:
            return _refusal(f"{spelling} only prints usage", word, "run docker's --help on your own machine")
        if spelling in ENGINE_FLAGS:
            return CommandRefused(
                Code.COMMAND_GLOBAL_FLAG,
                f"{spelling}: which engine is used, and how, is not the caller's choice",
                hint="leave it out; the gateway has one engine",
                flag=spelling,
            )
        near = difflib.get_close_matches(spelling.lstrip("-"), self._long, n=1)
        hint = f"did you mean --{near[0]}?" if near else "see docker's own reference for this command"
        return _refusal(f"{shown(spelling)} is no flag of this command", word, hint)


def _check_served(flag: Flag, spelling: str) -> None:
    if flag.refused:
        raise _refusal(f"{spelling} is refused: {flag.refused}", spelling, "leave it out")


def _next(rest: list[str], spelling: str, word: str) -> str:
    if not rest:
        raise _refusal(f"{spelling} needs a value", word, f"write {spelling} and the value after it")
    return rest.pop(0)


def _refusal(message: str, word: str, hint: str) -> CommandRefused:
    return CommandRefused(Code.COMMAND_FLAG, message, hint=hint, flag=shown(word))
