"""Dangerous commands: what takes the host, its data or its protection with it, or hands the host to a container.

Guarantees: a rule looks for a command with the arguments that make it dangerous, not for a word: a graceful
shutdown, pruned trees and a dropped connection are prose. Does not: know every way to do harm. What Wingman
itself runs is judged by ``wingman_core.command`` and the policy, whatever the text says.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from wingman_core.instruction import container_dangers, host_dangers
from wingman_core.instruction.commands import Script, Segment, Word
from wingman_core.instruction.findings import Suspect, suspect
from wingman_core.instruction.vocabulary import words

NEEDLES: Final = (
    *host_dangers.NEEDLES,
    *container_dangers.NEEDLES,
    *("curl", "wget", "base64", "(){", "() {", "( )", "drop ", "truncate ", "delete from", "flushall", "flushdb"),
    *("/etc/passwd", "/etc/shadow", "/etc/sudoers", "sysrq-trigger", "nc -", "ncat -"),
)
"""In lower case; a line without one is not looked at."""

_SHELLS: Final = words("sh bash zsh dash ksh fish python python3 perl ruby node php pwsh")
_FETCHERS: Final = frozenset({"curl", "wget", "fetch", "base64"})
_PREFIXES: Final = words("sudo doas env exec nohup xargs")
_RUNNING: Final = _SHELLS | {"eval", "source", ".", "-c"}
_NAME: Final = r"[\w\"'`.$]{1,64}"

_LINES: Final[tuple[tuple[str, str, re.Pattern[str]], ...]] = (
    (
        "fork-bomb",
        "it takes every process slot",
        re.compile(r"\b(\w{1,16}|:)\s?\(\s?\)\s?\{\s?\1\s?\|\s?\1\s?&\s?\}|:\s?\(\s?\)\s?\{\s?:\s?\|\s?:\s?&"),
    ),
    (
        "sql-drop",
        "it takes data with it",
        re.compile(
            rf"\b(?:DROP\s{{1,4}}(?:DATABASE|SCHEMA|TABLE|USER|ROLE)|TRUNCATE\s{{1,4}}TABLE)\s{{1,4}}{_NAME}"
            rf"|\b(?i:drop\s{{1,4}}(?:database|schema|table)|truncate\s{{1,4}}table)\s{{1,4}}"
            rf"(?:(?i:if\s{{1,4}}exists)\s{{1,4}})?{_NAME};"
        ),
    ),
    (
        "sql-delete-all",
        "without WHERE it empties the table",
        re.compile(r"\b(?:DELETE FROM|delete from)\s{1,4}[\w.]{1,64}\s{0,4}(?:;|[\"'`]|$)", re.MULTILINE),
    ),
    (
        "redis-flush",
        "it empties the whole store",
        re.compile(r"\bFLUSH(?:ALL|DB)\b|\bredis-cli\b[^\n]{0,80}?\b(?i:flush(?:all|db))\b"),
    ),
    ("device-write", "it overwrites a disk", re.compile(r">\s?/dev/(?:sd|hd|vd|xvd|nvme|mmcblk|mapper|md|dm-)")),
    ("account-write", "it writes accounts or their rights", re.compile(r">\s?/etc/(?:passwd|shadow|sudoers)\b")),
    ("kernel-trigger", "it reboots or crashes the host at once", re.compile(r">\s?/proc/sysrq-trigger")),
    (
        "reverse-shell",
        "it hands a shell to another machine",
        re.compile(r"/dev/(?:tcp|udp)/|\bnc(?:at)?(?:\s{1,4}-\w{1,8}){0,4}\s{1,4}-[a-z]{0,4}e\s"),
    ),
)


def suspects(script: Script, places: Iterable[int]) -> Iterator[Suspect]:
    """Yield the dangerous commands in the lines around ``places`` (of ``NEEDLES``)."""
    for bounds in script.lines_at(places):
        yield from _in_line(script, bounds)


def _in_line(script: Script, bounds: tuple[int, int]) -> Iterator[Suspect]:
    segments = script.segments(bounds)
    for segment in segments:
        yield from _commands(segment)
    yield from _piped(segments)
    yield from _substituted(segments)
    yield from container_dangers.commands(segments)
    yield from container_dangers.privileges(script, bounds, segments)
    for rule, message, pattern in _LINES:
        for match in pattern.finditer(script.text, *bounds):
            yield Suspect(rule, message, match.start(), match.end())


def _commands(segment: Segment) -> Iterator[Suspect]:
    for at, word in enumerate(segment.words):
        name = word.name
        if name in host_dangers.POWER:
            yield from host_dangers.power(segment, at)
        elif name in container_dangers.DOCKERS:
            yield from container_dangers.docker([word, *segment.arguments(at, until=container_dangers.DOCKERS)])
        elif rule := host_dangers.rule_for(name):
            until = {"find"} if name == "find" else host_dangers.RULES
            words = [word, *segment.arguments(at, until=until)]
            if len(words) > 1:
                yield from rule(words)


def _piped(segments: Sequence[Segment]) -> Iterator[Suspect]:
    """Yield what is fetched or decoded and piped into an interpreter: ``curl x | sh``."""
    fetching: Word | None = None
    for segment in segments:
        if segment.before != "|":
            fetching = None
        command = next((word for word in segment.words if word.name not in _PREFIXES and word.text[0] != "-"), None)
        if fetching and command and command.name in _SHELLS:
            yield suspect("pipe-to-shell", fetching, "it runs what it fetches, unseen")
            fetching = None
        fetching = next((word for word in segment.words if word.name in _FETCHERS), fetching)


def _substituted(segments: Sequence[Segment]) -> Iterator[Suspect]:
    """Yield what is fetched for an interpreter to run: ``sh -c "$(curl x)"``, ``bash <(curl x)``, ``eval `curl x```."""
    running: Word | None = None
    for one, other in pairwise(segments):
        if one.words:
            running = one.words[-1] if one.words[-1].name in _RUNNING else None
        is_inside = other.before in {"$(", "`", "("}
        if running and is_inside and other.words and other.words[0].name in _FETCHERS:
            yield suspect("pipe-to-shell", other.words[0], "it runs what it fetches, unseen")
