"""The table of escapes: none gets past the parser and every environment's policy, in any way to make a container."""

import tomllib
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.conftest import FakeEngine, Minter, Served, execute, refusal
from wingman_core.capability import Decider
from wingman_core.command import Operation, parse, references
from wingman_core.errors import Code, CommandRefused
from wingman_core.target import Target
from wingman_core.verdict import Forbidden
from wingman_gateway.engine.privileges import (
    PLAIN_RUNTIMES,
    container_privileges,
    image_privileges,
    network_privileges,
)
from wingman_gateway.policy import Policy
from wingman_gateway.resources import unresolved

VECTORS = Path(__file__).parents[1] / "vectors" / "escapes.toml"
SHIPPED = Path(str(resources.files("wingman_gateway") / "policies"))
RUNS = ("docker run", "docker create", "docker container run", "docker container create")
OBJECTS = ("container", "image", "network")
"""What a family may say of the objects that its commands name."""
FAMILIES: list[dict[str, Any]] = tomllib.loads(VECTORS.read_text(encoding="utf-8"))["family"]


def written(family: dict[str, Any]) -> list[str]:
    """The family's commands, in each way to make a container."""
    return [
        command.replace("{run}", run)
        for command in family["commands"]
        for run in (RUNS if "{run}" in command else ("",))
    ]


def inspected(family: dict[str, Any], op: Operation) -> tuple[Target, ...]:
    """What the command names, with what the family's objects bring along."""
    plain = family.get("runtime", "runc") in PLAIN_RUNTIMES
    read: dict[str, Callable[[Any], tuple[str, ...]]] = {
        "container": container_privileges,
        "image": lambda image: image_privileges(image, plain=plain),
        "network": network_privileges,
    }
    brought = {kind: privileges(family[kind]) for kind, privileges in read.items() if kind in family}
    return tuple(
        replace(target, privileges=brought.get(target.reference.kind, target.privileges)) for target in unresolved(op)
    )


@pytest.fixture(scope="module")
def policies() -> tuple[Policy, Policy]:
    return Policy.load(SHIPPED, "test"), Policy.load(SHIPPED, "prd")


def test_there_are_enough_of_them_and_none_twice() -> None:
    commands = [command for family in FAMILIES for command in family["commands"]]
    assert len(set(commands)) == len(commands) >= 700


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family["name"])
def test_none_reaches_an_engine(family: dict[str, Any], policies: tuple[Policy, Policy]) -> None:
    got_past = []
    for command in written(family):
        try:
            op = parse(command)
        except CommandRefused as refused:
            if str(refused.code) not in family.get("refused", "").split():
                got_past.append((command, str(refused)))
            continue
        for policy in policies:
            verdict = policy.verdict(op, inspected(family, op), "worker")
            if not isinstance(verdict, Forbidden) or not set(verdict.policies) & set(
                family.get("forbidden", "").split()
            ):
                got_past.append((command, verdict.reason))
    assert got_past == []


async def test_a_sample_gets_nowhere_through_the_whole_gateway(
    served: Served, engine: FakeEngine, minter: Minter
) -> None:
    """Over gRPC, with a token for exactly that command and three people behind it."""
    people = tuple(Decider(name, 1, "rest") for name in ("Ann", "Bob", "Cho"))
    sample = [(family, written(family)[number]) for family in FAMILIES for number in (0, len(family["commands"]) // 2)]
    async with served.channel("api") as channel:
        for family, command in sample:
            try:
                op = parse(command)
            except CommandRefused:
                token = minter.mint("docker stop web", engine)
            else:
                engine.ids |= {each.name: "e" * 64 for each in references(op)}
                engine.privileges = {each.name: each.privileges for each in inspected(family, op)}
                token = minter.mint(command, engine, by=people)
            refused = await refusal(execute(channel, token, command))
            assert refused.reason == Code.POLICY_FORBIDS or refused.reason.startswith("COMMAND_"), command
    assert engine.acts == []


@pytest.mark.parametrize("command", ["exec web ls", "start web", "restart web", "create --volumes-from web busybox"])
async def test_a_container_that_holds_the_host_hands_nothing_on(
    command: str, served: Served, engine: FakeEngine, minter: Minter
) -> None:
    engine.ids["busybox"] = "c" * 64
    engine.privileges["web"] = ("privileged",)
    async with served.channel("api") as channel:
        refused = await refusal(execute(channel, minter.mint(f"docker {command}", engine), f"docker {command}"))
    assert refused.reason == Code.POLICY_FORBIDS
    assert engine.acts == []
