"""One command on two equal starting states: through the adapter, and by the docker binary; and what must be equal."""

import asyncio
import json
import re
import shlex
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.gateway.engine.conftest import Docker, perform
from wingman_core.errors import TargetRefused
from wingman_gateway.engine import Engine

VECTORS = Path(__file__).parents[2] / "vectors" / "documented.toml"
HEX = re.compile(r"\b(?:sha256:)?[0-9a-f]{64}\b|\b[0-9a-f]{12}\b")
MASKS = (
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+(?:Z| \+0000 UTC|[+-][0-9:]+)?"), "TIME"),
    (re.compile(r"(?:Less than a second|[0-9]+ (?:seconds?|minutes?|hours?)|About a(?:n hour| minute))"), "A WHILE"),
    (re.compile(r"(127\.0\.0\.1:)[0-9]+|(HostPort\": ?\")[0-9]+"), r"\1\2PORT"),
    (re.compile(r"\b(?:172|192)\.[0-9.]+(?:/[0-9]+)?\b|\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b"), "ADDRESS"),
    (re.compile(r"/proc/[0-9]+/|overlay2/[0-9a-f-]+(?:init)?|/netns/[0-9a-f]+"), "X"),
    (re.compile(r",?wingman\.execution=exe_test|Flag --time has been deprecated, use --timeout instead\n"), ""),
    (re.compile(r"(\"Pid\": ?)[0-9]+"), r"\g<1>0"),
    (re.compile(r"\bPATH=[^\"]*"), "PATH=[redacted]"),
)
OBJECT = re.compile(r"\{([a-z_0-9]+)\}")


@dataclass(frozen=True)
class Group:
    """Commands that share a starting state."""

    name: str
    setup: tuple[str, ...]
    commands: tuple[str, ...]


@dataclass
class Effect:
    """What a command did: what it said, and how the group's objects are."""

    stdout: str
    stderr: str
    code: int
    state: dict[str, Any]


class Side:
    """One of the two: it has objects of its own, whose names are as long as the other's."""

    def __init__(self, letter: str, docker: Docker, subnet: str) -> None:
        self._letter = letter
        self._docker = docker
        self._subnet = subnet
        self._prefix = f"{docker.name('')[:-1]}{letter}"

    def text(self, command: str) -> str:
        """Put this side's objects into a command."""
        return OBJECT.sub(lambda match: self.name(match[1]), command)

    def name(self, word: str) -> str:
        """The object's name on this side."""
        known = {"image": self._docker.image, "subnet": self._subnet}
        return known.get(word, f"{self._prefix}{word.replace('_', '-')}")

    def neutral(self, text: str) -> str:
        """The text with what differs between two equal states masked: names, ids, times, free ports, addresses."""
        text = text.replace(self._prefix, "").replace(self._subnet, "10.SUB")
        text = HEX.sub("ID", text)
        for mask, word in MASKS:
            text = mask.sub(word, text)
        return re.sub(r" {2,}", "  ", text)

    def state(self, words: Sequence[str]) -> dict[str, Any]:
        """How each object of the group that exists is, as far as commands mean to change it."""
        if not words:
            return {}
        stdout, _, _ = self._docker.all("inspect", *(self.name(word) for word in words))
        found = [json.loads(self.neutral(json.dumps(each))) for each in json.loads(stdout)]
        return {str(each.get("Name", each.get("RepoTags"))): essential(_meant(each)) for each in found}


def _meant(found: dict[str, Any]) -> dict[str, Any]:
    """What a command means to change, without what another moment or the execution's label makes different."""
    state = found.get("State") or {}
    labels = (found.get("Config") or found).get("Labels") or {}
    networks = (found.get("NetworkSettings") or {}).get("Networks") or {}
    config = {key: value for key, value in (found.get("Config") or {}).items() if key not in {"Labels", "Image"}}
    return {
        "status": state.get("Status"),
        "paused": state.get("Paused"),
        "code": state.get("ExitCode"),
        "restarts": found.get("RestartCount"),
        "labels": labels,
        "config": config,
        "host": found.get("HostConfig"),
        "networks": {name: (each.get("Aliases") or [])[:-1] for name, each in networks.items()},
        "tags": found.get("RepoTags"),
        **{key: found.get(key) for key in ("Driver", "Options", "IPAM", "Internal", "Attachable", "EnableIPv6")},
    }


def essential(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Leave out what says nothing, and the label by which Wingman finds again what it made."""
    if isinstance(value, dict):
        kept = {key: essential(each) for key, each in value.items() if key not in {"wingman.execution", "Health"}}
        return {key: each for key, each in kept.items() if each not in (None, "", 0, [], {}, "PORT")}
    return [essential(each) for each in value] if isinstance(value, list) else value


def groups() -> list[Group]:
    """The documented commands."""
    found = tomllib.loads(VECTORS.read_text(encoding="utf-8"))["group"]
    return [Group(each["name"], tuple(each["setup"]), tuple(each["commands"])) for each in found]


def objects(group: Group) -> list[str]:
    """The objects that a group speaks of."""
    words = {word for line in (*group.setup, *group.commands) for word in OBJECT.findall(line)}
    return sorted(words - {"image", "subnet"})


async def by_wingman(side: Side, engine: Engine, command: str, words: Sequence[str]) -> Effect:
    """Run it through the adapter; what does not resolve is what the binary says of it."""
    try:
        ran = await perform(engine, side.text(command))
    except TargetRefused as refused:
        return Effect("", side.neutral(refused.message), 1, await asyncio.to_thread(side.state, words))
    state = await asyncio.to_thread(side.state, words)
    return Effect(side.neutral(ran.stdout), side.neutral(ran.stderr), ran.code, state)


async def by_binary(side: Side, docker: Docker, command: str, words: Sequence[str]) -> Effect:
    """Run it with the docker binary."""
    stdout, stderr, code = await asyncio.to_thread(docker.all, *shlex.split(side.text(command))[1:])
    state = await asyncio.to_thread(side.state, words)
    return Effect(side.neutral(stdout), side.neutral(stderr), code, state)
