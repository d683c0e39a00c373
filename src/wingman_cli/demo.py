"""``wingman demo``: the whole story on a private instance, in a directory and on ports of its own, gone afterwards."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import typer

from wingman_cli.exits import Exit
from wingman_cli.instance import Instance
from wingman_cli.options import Choice, Engine
from wingman_cli.screen import Screen
from wingman_cli.session import OPERATOR, WORKER
from wingman_cli.up import confirm, stop_signals
from wingman_core.errors import Code, Unavailable

if TYPE_CHECKING:
    from wingman_cli.client import Client
    from wingman_cli.demo_containers import Containers
    from wingman_cli.embedded_db import Connection
    from wingman_cli.engine import DockerEngine, EngineSource, Found
    from wingman_cli.local import Local


def demo(*, engine: Engine = Choice.ASK) -> None:
    """Play the whole story: ask, approve, run, verify, and three attacks. Exit code 1 if anything differs."""
    from wingman_cli.engine import DockerEngine, EngineSource

    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # read once; its remarks are no part of the story
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # its handlers may crash a child that is to stop Postgres
    screen, began = Screen(), time.monotonic()
    source = EngineSource(os.environ)
    found = source.find(engine, ask=confirm, tell=screen.say)
    if not found.version:
        raise Unavailable(
            Code.ENGINE_UNAVAILABLE,
            f"the demo needs a Docker engine: {found.reason}",
            hint="start Docker, set WINGMAN_DOCKER_HOST, or let it start a private one with --engine auto",
        )
    try:
        with TemporaryDirectory(prefix="wingman-demo-") as place, DockerEngine(found.address) as docker:
            screen.say(f"A private Wingman on Docker {found.version} at {found.address} ...")
            checks = asyncio.run(_perform(Path(place), docker, source, found, screen))
    except asyncio.CancelledError:
        screen.err.print("Stopped before the end; everything is cleaned up.")
        raise typer.Exit(Exit.FAILED) from None
    finally:
        source.stop(found)
    screen.out.print()
    screen.out.print(
        f"All as it must be: {checks} checks in {time.monotonic() - began:.0f} s. Everything is cleaned up.",
        style="bold green",
    )


async def _perform(place: Path, docker: "DockerEngine", source: "EngineSource", found: "Found", screen: Screen) -> int:
    """Start a private instance, play, stop; return how many things were checked."""
    from wingman_cli.demo_containers import Containers
    from wingman_cli.local import Local, Plan

    task = asyncio.current_task()
    if task is not None:
        for number in stop_signals():  # each cleans up as Ctrl-C does
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    containers = Containers(docker)
    await asyncio.to_thread(containers.find_image, source, private=found.private)
    try:
        plan = Plan(Instance(place / "data"), 0, found.address, has_engine=True)
        async with Local(plan, tell=screen.say, environ=os.environ) as local:
            return await asyncio.to_thread(_play, local, plan.instance, containers, screen)
    finally:
        containers.clean()


def _play(local: "Local", instance: Instance, containers: "Containers", screen: Screen) -> int:
    from secrets import token_hex

    from wingman_cli.story import Cast, Story
    from wingman_cli.thief import Thief

    access = local.postgres.connection("wingman_auditor")
    with _client(local.api, instance, WORKER) as worker, _client(local.api, instance, OPERATOR) as operator:
        cast = Cast(
            worker,
            operator,
            containers,
            Thief(instance, local.gateway),
            verify=_verifier(access, instance),
            records=lambda: asyncio.run(_records(access)),
        )
        return Story(cast, screen, f"demo-web-{token_hex(3)}").play()


def _client(api: str, instance: Instance, name: str) -> "Client":
    from wingman_cli.client import Client, open_http

    return Client(open_http(api, instance.api_key_file(name).read_text("ascii")))


def _verifier(access: "Connection", instance: Instance) -> Callable[[], str]:
    from wingman_cli.audit import summary_line, verify_log
    from wingman_core.notes import parse_verifier_key

    key = parse_verifier_key(instance.verifier_key.read_text("ascii").strip())

    def verify() -> str:
        return summary_line(asyncio.run(verify_log(access, key)))

    return verify


async def _records(access: "Connection") -> list[tuple[str, str]]:
    from wingman_gateway.audit_reader import AuditReader

    async with AuditReader.connect(access.url, access.password) as reader:
        return [(row.record.kind.value, row.record.reason) for row in await reader.last(100)]
