"""``wingman up``: everything on this machine, in the foreground, until Ctrl-C."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wingman_cli.instance import DEFAULT_DIRECTORY, DEFAULT_PORT, Instance
from wingman_cli.options import Choice, Engine
from wingman_cli.screen import Screen
from wingman_cli.session import Session

if TYPE_CHECKING:
    from wingman_cli.engine import Found
    from wingman_cli.local import Local, Plan


def up(
    context: typer.Context,
    *,
    port: Annotated[
        int, typer.Option(help="The API's port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)
    ] = DEFAULT_PORT,
    engine: Engine = Choice.ASK,
    workers: Annotated[int, typer.Option(help="Processes of the API.", min=1, max=64)] = 1,
) -> None:
    """Start Wingman here: embedded Postgres, gateway, API; with BOT_TOKEN a Telegram bot, too.

    The first start makes keys, certificates and database.
    """
    from wingman_cli.engine import EngineSource
    from wingman_cli.local import Plan
    from wingman_cli.telegram import asked

    session: Session = context.obj
    tell = telling(Screen().say)
    for number in stop_signals():  # until the instance runs, they end what is being done, as Ctrl-C does
        signal.signal(number, signal.default_int_handler)
    source = EngineSource(os.environ)
    found = source.find(engine, ask=confirm, tell=tell)
    instance = Instance(session.data_dir)
    bot, telegram = asked(os.environ, instance)
    try:
        plan = Plan(instance, port, found.address, has_engine=bool(found.version), workers=workers, bot=bot)
        asyncio.run(serve(plan, tell, found, telegram))
    finally:
        source.stop(found)
    tell("Stopped; the data are kept.")


def confirm(question: str) -> bool:
    """Ask on a terminal; without one the answer is no."""
    return sys.stdin.isatty() and sys.stdout.isatty() and typer.confirm(question, default=True)


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return what asks a program to stop; a terminal that is closed does unless the shell said otherwise (nohup)."""
    asked = (signal.SIGINT, signal.SIGTERM)
    return asked if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (*asked, signal.SIGHUP)


def telling(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return ``say`` for a program that outlives who listens: once that fails, nothing is printed any more."""

    def tell(text: str) -> None:
        try:
            say(text)
        except (OSError, SystemExit):  # a terminal that is gone; a broken pipe, on which Rich would end the program
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for descriptor in (1, 2):
                os.dup2(nowhere, descriptor)
            os.close(nowhere)

    return tell


async def serve(plan: "Plan", tell: Callable[[str], None], found: "Found", telegram: str = "") -> None:
    """Start, say where everything is, and stop in order when asked to; a second signal changes nothing."""
    from wingman_cli.local import Local

    loop, stopping, signals = asyncio.get_running_loop(), asyncio.Event(), stop_signals()
    for number in signals:
        loop.add_signal_handler(number, stopping.set)
    try:
        tell("Starting Wingman (Ctrl-C stops it) ...")
        local = Local(plan, tell=tell, environ=os.environ)
        running = asyncio.create_task(run(local, plan, tell, found, stopping, telegram))
        asked = asyncio.create_task(stopping.wait())
        await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if stopping.is_set() and not local.is_up:
            running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def run(  # noqa: PLR0913, PLR0917 - what is run, and what is told of it
    local: "Local",
    plan: "Plan",
    tell: Callable[[str], None],
    found: "Found",
    stopping: asyncio.Event,
    telegram: str = "",
) -> None:
    """Hold the instance until ``stopping``."""
    async with local:
        directory = plan.instance.directory
        lines = welcome(local.api, local.gateway, directory, found, first_start=local.first_start, telegram=telegram)
        for line in lines:
            tell(line)
        await stopping.wait()
        tell("Stopping ...")


def welcome(  # noqa: PLR0913 - what is told, by name
    api: str, gateway: str, directory: Path, found: "Found", *, first_start: bool, telegram: str = ""
) -> list[str]:
    """Return the few lines that tell where everything is and what to try."""
    wingman = program()
    engine = f"Docker {found.version} at {found.address}"
    if not found.version:
        engine = f"none ({found.reason}); requests cannot be previewed until one runs: tools/engine.sh start"
    elif found.started:
        engine += " (private, started here, stops with this)"
    made = " (made just now: keys, certificates, database, policies)" if first_start else ""
    lines = [
        "Wingman is up.",
        f"  API      {api}   (GET / lists the endpoints, /openapi.json describes them)",
        f"  engine   {engine}",
        f"  gateway  {gateway}   (gRPC over mutual TLS, for tools: examples/deploy_tool.py)",
        f"  data     {directory}{made}",
        f'  try      {wingman} request "docker ps"',
        f"           {wingman} pending | approve <id> | run <id> | audit verify",
    ]
    if telegram:
        lines.insert(4, f"  telegram {telegram}")
    if directory != DEFAULT_DIRECTORY:
        lines.insert(-2, f"           in another shell: export WINGMAN_DATA_DIR={directory.absolute()}")
    return lines


def program() -> str:
    """Return how this shell calls wingman."""
    if shutil.which("wingman") or not sys.argv[0].endswith("wingman"):
        return "wingman"
    here = os.path.relpath(sys.argv[0])
    return sys.argv[0] if here.startswith("..") else here
