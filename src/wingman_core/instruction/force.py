"""Force flags: ``--force`` and its kind wherever they stand, ``-f`` where it means force.

Guarantees: ``-f`` counts only behind a command of the table, since elsewhere it names a file (``docker compose -f``,
``grep -f``) or follows (``tail -f``). Does not: know every tool that has a force flag.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from wingman_core.instruction.commands import Script, Segment, flags_of, subcommand
from wingman_core.instruction.findings import Suspect, suspect
from wingman_core.instruction.vocabulary import words

_FORCES: Final = "forces past a question or a safeguard"
_HARMLESS: Final = frozenset({"--force-color", "--force-colors", "--force-exclude", "--force-polling"})
"""Long flags that begin with force and force nothing past anybody."""
_SKIPPING: Final[Mapping[str, str]] = {
    "--no-verify": "skip-verification",
    "--allow-unauthenticated": "skip-verification",
    "--no-preserve-root": "no-preserve-root",
}
_KNOWN: Final = frozenset({"--force", "-force", "--force-with-lease", "--force-recreate", *_SKIPPING})
"""Flags that a message names; of others it repeats nothing."""
_OFF: Final = frozenset({"=false", "=0", "=no"})
_LONG_FLAG: Final = re.compile(r"(?<![\w-])(--?[a-z][a-z-]{1,40})(=[a-z0-9]{0,8})?")

_FORCEFUL: Final = words(
    "rm mv cp umount userdel groupdel lvremove vgremove pvremove wipefs mkfs reboot halt poweroff shutdown npm "
    "npx yarn pnpm rpm dropdb"
)
"""Commands whose -f is force, whatever follows."""
_DOCKER: Final = frozenset({"rm", "rmi", "remove", "prune", "leave", "disable"})
_SUBCOMMANDS: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(("docker", "docker-compose", "podman", "nerdctl"), _DOCKER),
    "git": words("push clean checkout switch branch rm mv add tag worktree"),
    "zfs": words("destroy rollback unmount"),
    "zpool": words("destroy export create"),
    "systemctl": words("reboot poweroff halt"),
}
"""Commands whose -f is force behind these subcommands, and something else before them."""
_KILL: Final = frozenset({"kill", "pkill", "killall"})
_NEAR: Final = 4
"""Words behind a kill in which its signal is looked for."""
_SIGNALS: Final = frozenset({"-9", "-kill", "-sigkill", "9", "kill", "sigkill", "--signal=9", "--signal=kill"})
LONG_NEEDLES: Final = ("-force", *_SKIPPING)
SHORT_NEEDLES: Final = (
    *(f"{before}-{letters}f" for before in " \"'" for letters in ("", *"abcdeghijklmnopqrstuvwxyz", "xd")),
    *("branch -d", "branch --d", "clean -", " -9", " -kill", "sigkill", "-s kill", "-s 9", "signal=9", " +"),
)
VERB_NEEDLES: Final = tuple(
    f"{verb}{behind}"
    for behind in " \"'"
    for verb in sorted({*_FORCEFUL, *_KILL, *(verb for verbs in _SUBCOMMANDS.values() for verb in verbs)})
)
"""In lower case; a short flag in a line without one is no force flag."""


def long_flags(script: Script, places: Iterable[int]) -> Iterator[Suspect]:
    """Yield the flags around ``places`` (of ``LONG_NEEDLES``) that say force by their own name."""
    for at in places:
        start = at - 1 if at and script.lower[at - 1] == "-" else at
        match = _LONG_FLAG.match(script.lower, start)
        if match is None or match[1] in _HARMLESS or match[2] in _OFF:
            continue
        name = match[1]
        if name in {"--force", "-force"} or name.startswith("--force-") or name in _SKIPPING:
            shown = name if name in _KNOWN else "--force-..."
            yield Suspect(_SKIPPING.get(name, "long-force-flag"), f"the flag {shown} {_FORCES}", start, match.end())


def short_flags(script: Script, places: Iterable[int], verbs: Iterable[int]) -> Iterator[Suspect]:
    """Yield the short force flags in lines with ``places`` (of ``SHORT_NEEDLES``) and ``verbs`` (``VERB_NEEDLES``)."""
    flagged = set(script.lines_at(places))
    for bounds in script.lines_at(verbs) if flagged else ():
        if bounds not in flagged:
            continue
        for segment in script.segments(bounds):
            for at, word in enumerate(segment.words):
                if word.name in _FORCEFUL:
                    yield from _short(segment, at)
                elif word.name in _SUBCOMMANDS:
                    yield from _below(segment, at)
                elif word.name in _KILL:
                    yield from _kill(segment, at)


def _short(segment: Segment, at: int) -> Iterator[Suspect]:
    name = segment.words[at].name
    for word, flag in flags_of(segment.arguments(at, until=_FORCEFUL)):
        if flag == "-f":
            yield suspect("short-force-flag", word, f"-f behind {name} {_FORCES}")
            return


def _below(segment: Segment, at: int) -> Iterator[Suspect]:
    """Yield the force of a command with subcommands: ``docker rm -f``, ``git push -f``, ``git push origin +main``."""
    name = segment.words[at].name
    below = list(subcommand(segment.arguments(at, until=_SUBCOMMANDS)))
    if not below or below[0].name not in _SUBCOMMANDS[name]:
        return
    title, arguments = f"{name} {below[0].name}", below[1:]
    for word, flag in flags_of(arguments):
        if flag == "-f" or (flag == "-D" and title == "git branch"):
            yield suspect("short-force-flag", word, f"{flag} behind {title} {_FORCES}")
            return
    for word in arguments if title == "git push" else ():
        if word.text.startswith("+") and len(word.text) > 1:
            yield suspect("forced-refspec", word, "a refspec with + overwrites what others pushed")
            return


def _kill(segment: Segment, at: int) -> Iterator[Suspect]:
    is_next_signal = False
    for word in islice(segment.arguments(at), _NEAR):
        text = word.text.lower()
        if text in _SIGNALS and (text.startswith("-") or is_next_signal):
            yield suspect("kill-signal", word, "SIGKILL gives a process no chance to end in order")
            return
        is_next_signal = text in {"-s", "--signal"}
