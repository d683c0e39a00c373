"""What hands the host to a container, and what takes every container or its data along.

Guarantees: a rule looks for the flag, mount or Compose key that does it; naming it in a sentence is not enough.
Published ports and ``--network host`` are no findings: the policy judges them on the parsed command.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from wingman_core.instruction.commands import NO_WORD, Script, Segment, Word, flags_of, subcommand
from wingman_core.instruction.findings import Suspect, suspect
from wingman_core.instruction.vocabulary import words

DOCKERS: Final = frozenset({"docker", "docker-compose", "podman", "nerdctl"})
NEEDLES: Final = (
    *("privileged", "docker.sock", "docker sock", "cap-add", "cap_add", "sys_admin", "sys_module", "sys_ptrace"),
    *("sys_rawio", "sys_boot", "dac_read_search", "- all\n", "pid=", "pid ", "pid:", "ipc=", "ipc ", "ipc:", "userns"),
    *("unconfined", "nsenter", "source=/", "source: /", "src=/", "-v /", "-v=/", "-v  ", "volume /", "volume=/"),
    *("- /", "prune", "down -", "ps -q", "ps -a", "ps --quiet", "ps --no-trunc"),
)
"""In lower case; a line without one has nothing for these rules."""

_HOST_PATH: Final = re.compile(
    r"/(?:bin|boot|dev|etc|home|lib|proc|root|run|sbin|sys|usr|var|var/run|var/lib|var/lib/docker)?/?"
)
_CAPABILITIES: Final = words("ALL SYS_ADMIN SYS_MODULE SYS_PTRACE SYS_RAWIO SYS_BOOT DAC_READ_SEARCH BPF")
_NAMESPACES: Final = frozenset({"pid", "--pid", "ipc", "--ipc", "userns", "--userns", "userns_mode"})
_MOUNTING: Final = frozenset({"-v", "--volume", "--mount", "-", "source", "bind", "mount"})
_SOCKET: Final = "docker.sock"
_HARM: Final = frozenset({"rm", "stop", "kill", "rmi", "restart"})
_KEY_DISTANCE: Final = 8
"""List items of a Compose file between a key and what belongs to it."""


def privileges(script: Script, bounds: tuple[int, int], segments: Sequence[Segment]) -> Iterator[Suspect]:
    """Yield what gives a container the host."""
    for segment in segments:
        for word, following in pairwise((*segment.words, NO_WORD)):
            name, _, value = word.text.lower().partition("=")
            told = value or following.text.lower()
            if (name == "--privileged" and value not in {"false", "0"}) or (
                name == "privileged" and told in {"true", "yes", "mode"}
            ):
                yield suspect("privileged", word, "a privileged container is root on the host")
            elif name in _NAMESPACES and told in {"host", "1"}:
                yield suspect("host-namespace", word, "it shares the host's processes or users")
            elif "unconfined" in told and name in {"--security-opt", "-"}:
                yield suspect("unconfined", word, "it takes the container's confinement away")
        if segment.words and any(word.name == "nsenter" for word in segment.words):
            yield suspect("host-namespace", segment.words[0], "it enters the host's namespaces")
        yield from _mounts(segment.words)
        yield from _capabilities(script, bounds, segment.words)


def commands(segments: Sequence[Segment]) -> Iterator[Suspect]:
    """Yield what acts on every container: ``docker rm $(docker ps -aq)``, ``docker ps -q | xargs docker rm``."""
    for one, other in pairwise(segments):
        if (_lists_all(other) and other.before in {"$(", "`"} and _harms(one)) or (
            _lists_all(one) and other.before == "|" and _harms(other)
        ):
            yield suspect("every-container", one.words[0], "it acts on every container at once")


def docker(words: Sequence[Word]) -> Iterator[Suspect]:
    """Yield what removes everything unused, or volumes with their data. ``words`` begin with docker."""
    below = list(subcommand(words[1:]))
    groups = {word.name for word in words[1 : len(words) - len(below)]}
    flags = {flag for _, flag in flags_of(below)}
    verb = below[0].name if below else ""
    if verb == "prune" and (flags & {"-a", "--all", "--volumes"} or "volume" in groups):
        yield suspect("docker-prune-all", below[0], "it removes all that is not running, or its data")
    elif verb == "down" and flags & {"-v", "--volumes"}:
        yield suspect("docker-volumes", below[0], "it removes the volumes with their data")


def _mounts(words: Sequence[Word]) -> Iterator[Suspect]:
    """Yield mounts of the Docker socket, of the host's root, or of a whole system directory."""
    for before, word in pairwise((NO_WORD, *words)):
        text = word.text
        for prefix in ("-v=", "--volume=", "source=", "src=", "--mount="):
            text = text.removeprefix(prefix)
        mounts = text != word.text or before.text.lower() in _MOUNTING
        source, _, target = text.partition(":")
        if _SOCKET in source and (target or mounts):
            yield suspect("docker-socket", word, "who holds the Docker socket is root on the host")
        elif mounts and (target or text != word.text) and _HOST_PATH.fullmatch(source):
            yield suspect("host-mount", word, "it mounts a whole system directory of the host")
        elif word.name in {"socket", "sock"} and before.name == "docker":
            names = {each.name for each in words}
            if names & {"mount", "mounts", "mounting", "mounted", "bind-mount"}:
                yield suspect("docker-socket", word, "who holds the Docker socket is root on the host")


def _capabilities(script: Script, bounds: tuple[int, int], words: Sequence[Word]) -> Iterator[Suspect]:
    """Yield added capabilities that amount to root: on the command line, or in a Compose file."""
    key = ""
    for word in words:
        name, _, value = word.text.partition("=")
        if name.lower() in {"--cap-add", "cap_add", "--cap-drop", "cap_drop"}:
            key = name.lower().lstrip("-").replace("-", "_")
        capability = (value or name).upper().removeprefix("CAP_")
        if capability in _CAPABILITIES and (key or _key_above(script, bounds[0])) == "cap_add":
            yield suspect("capability", word, "that capability amounts to root on the host")


def _key_above(script: Script, start: int) -> str:
    """Return the Compose key that the list item beginning at ``start`` belongs to."""
    for _ in range(_KEY_DISTANCE):
        if start <= 0:
            break
        begin, end = script.bounds(start - 1)
        line = script.text[begin:end].strip()
        if not line.startswith("-"):
            return line.rstrip(":").lower()
        start = begin
    return ""


def _lists_all(segment: Segment) -> bool:
    """Tell whether a segment is ``docker ps -q`` (or ``-aq``) without a filter."""
    names = [word.name for word in segment.words[:3]]
    if names[:1] != ["docker"] or "ps" not in names:
        return False
    flags = {flag for _, flag in flags_of(segment.words)}
    return "-q" in flags and not flags & {"-f", "--filter"}


def _harms(segment: Segment) -> bool:
    names = {word.name for word in segment.words}
    return bool(names & DOCKERS and names & _HARM)
