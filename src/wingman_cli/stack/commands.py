"""``wingman stack up | down``: an environment from images, as ``make test-env`` and ``make prd-env`` call it."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from wingman_cli.options import Choice, Engine
from wingman_cli.screen import Screen
from wingman_core.errors import Code, Unavailable

Env = Annotated[str, typer.Option("--env", "-e", help="test or prd.")]
Root = Annotated[Path, typer.Option("--root", help="The clone of Wingman's repository.")]


def up(
    *,
    env: Env,
    root: Root = Path(),
    build: Annotated[bool, typer.Option(help="Build the images before.")] = True,
    engine: Engine = Choice.ASK,
) -> None:
    """Bring an environment up from nothing: secrets, images, containers; return once it is healthy.

    PRD refuses to start on secrets that are missing, default or weak, before anything is built or started.
    """
    from wingman_cli.stack.environment import Environment
    from wingman_cli.stack.starting import Stack, judged_secrets

    screen, environment = Screen(), Environment.of(env, root)
    first, _ = judged_secrets(environment)
    stack = Stack(environment, os.environ, engine=engine_address(engine, screen), tell=screen.say)
    started = stack.up(build=build)
    compose = f"docker compose -f {environment.compose_file.relative_to(environment.root)} -p {environment.project}"
    here = environment.config.relative_to(environment.root)
    lines = [
        f"{environment.title} is up and healthy.",
        f"  API      {started.api}   (curl -s {started.api}/health)",
        f"  secrets  {environment.secrets_file.name}" + (" (made just now)" if first else ""),
        f"  keys     {here}/keys, certificates in {here}/pki, policies in {here}/policies",
        f"  ledger   {environment.data.relative_to(environment.root)}/claims_audit.jsonl",
        f"  compose  {compose} ps",
        f"  try      wingman --api {started.api} --data-dir {here} --as operator pending",
    ]
    if not started.bot:
        lines.insert(2, f"  telegram no bot: set BOT_TOKEN in {environment.secrets_file.name} (docs/telegram.md)")
    for line in lines:
        screen.say(line)


def down(
    *,
    env: Env,
    root: Root = Path(),
    volumes: Annotated[
        bool, typer.Option("--volumes", help="Also delete the database and the gateway's journal, for good.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Stop an environment and remove its containers; database, keys and ledger stay."""
    from wingman_cli.stack.environment import Environment
    from wingman_cli.stack.starting import Stack

    screen, environment = Screen(), Environment.of(env, root)
    if volumes:
        screen.err.print(
            f"This deletes {environment.title}'s database for good: approvals, keys, and the audit log.",
            style="bold red",
        )
        if not yes and not (sys.stdin.isatty() and typer.confirm("Delete it?", default=False)):
            raise typer.Exit(1)
    Stack(environment, os.environ, engine=engine_address(Choice.NONE, screen), tell=screen.say).down(volumes=volumes)
    kept = "its data are gone; keys and secrets are kept" if volumes else "its data are kept"
    screen.say(f"{environment.title} is stopped; {kept}.")


def engine_address(choice: Choice, screen: Screen) -> str:
    """Return the address of the engine; raise ``Unavailable`` where none answers."""
    from wingman_cli.engine import EngineSource
    from wingman_cli.up import confirm

    environ = dict(os.environ)
    if environ.get("DOCKER_HOST"):
        environ.setdefault("WINGMAN_DOCKER_HOST", environ["DOCKER_HOST"])
    found = EngineSource(environ).find(choice, ask=confirm, tell=screen.say)
    if not found.version:
        raise Unavailable(
            Code.ENGINE_UNAVAILABLE,
            f"an environment needs a Docker engine: {found.reason}",
            hint="start Docker, set WINGMAN_DOCKER_HOST, or let a private one start with --engine auto",
        )
    return found.address
