"""Docker's documented commands: each does through Wingman what it does by the docker binary on an equal state."""

import asyncio
import json
import re
import shlex

import pytest

from tests.gateway.engine.conftest import Docker
from tests.gateway.engine.sides import Effect, Group, Side, by_binary, by_wingman, essential, groups, objects
from wingman_core.command import facts, parse, render
from wingman_core.errors import TargetRefused
from wingman_gateway.engine import Engine

GROUPS = groups()
CLIENT = re.compile(r"\AClient:.*?\n\n(?=Server:)", re.DOTALL)


def test_at_least_a_hundred_are_held_and_each_verb_is_among_them() -> None:
    commands = [command for group in GROUPS for command in group.commands]
    assert len(set(commands)) >= 100


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
async def test_what_docker_does_wingman_does(group: Group, engine: Engine, docker: Docker) -> None:
    ours, theirs = Side("w", docker, "10.77"), Side("d", docker, "10.78")
    for line in group.setup:
        await asyncio.gather(*(asyncio.to_thread(docker, *shlex.split(side.text(line))[1:]) for side in (ours, theirs)))
    words, differences = objects(group), []
    for command in group.commands:
        op = parse(ours.text(command))
        assert parse(render(op)) == op
        try:
            radius = await engine.blast_radius(op, await engine.resolve(op))
            assert radius.summary
        except TargetRefused:
            pass  # compared below: neither side finds it
        looked_at = [] if facts(op).effect == "read" else words
        done, wanted = await asyncio.gather(
            by_wingman(ours, engine, command, looked_at), by_binary(theirs, docker, command, looked_at)
        )
        differences += [(command, *each) for each in _differences(done, wanted)]
    assert not differences, "\n".join(map(str, differences))


def _differences(done: Effect, wanted: Effect) -> list[tuple[object, object]]:
    """Return where an effect is not the docker binary's: exit code, state, and output where there was no error."""
    found: list[tuple[object, object]] = []
    if (done.code, wanted.code) != (1, 1) and done.code != wanted.code:
        found.append(((done.code, done.stderr), (wanted.code, wanted.stderr)))
    found += [
        (f"{word}.{key}", (value, wanted.state.get(word, {}).get(key)))
        for word, state in done.state.items()
        for key, value in state.items()
        if wanted.state.get(word, {}).get(key) != value
    ]
    if not found and done.state != wanted.state:
        found.append((done.state, wanted.state))
    said, expected = _lines(done.stdout), _lines(CLIENT.sub("", wanted.stdout))
    if wanted.code == 0 and said != expected:
        found.append((said, expected))
    return found


def _lines(text: str) -> object:
    """Return what was printed: as JSON where it is, so that no way to write a character counts."""
    lines = [line.rstrip() for line in text.splitlines()] or [""]
    # The binary names runtimes in any order.
    lines = [" ".join(sorted(line.split())) if "Runtimes:" in line else line for line in lines]
    try:
        return essential(json.loads(text) if text.startswith("[") else [json.loads(line) for line in lines])
    except ValueError:
        return lines[:1] if "PID" in lines[0].split() else lines  # the processes' numbers and times are their own
