"""The ``wingman-bot`` command: run the bot, or check whether it can work."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from wingman_bot import lean  # noqa: F401 - before what imports aiogram

# isort: split
from wingman_bot.api_client import ApiClient, open_http
from wingman_bot.bot import open_bot
from wingman_bot.checking import Checks
from wingman_bot.liveness import is_alive
from wingman_bot.process import EXIT_SETTING, main
from wingman_bot.settings import Settings, api_key, load
from wingman_core.errors import WingmanError

EXIT_NOT_WELL: Final = 4

app: Final = typer.Typer(
    help="The Telegram bot: shows requests to operators and relays their decisions. docs/telegram.md sets it up.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 well; 2 a setting, token or key cannot be used; 3 another bot took over; 4 not well.",
)


@app.command()
def run() -> None:
    """Run the bot until Ctrl-C; its settings come from the environment."""
    raise typer.Exit(main())


@app.command()
def check(
    *,
    alive: Annotated[
        Path | None, typer.Option(help="Only see whether a bot wrote this liveness file a moment ago.")
    ] = None,
) -> None:
    """See whether the token works, the API answers, and the feed is live; say what to do where not."""
    if alive is not None:
        well = is_alive(alive)
        typer.echo("alive" if well else f"no sign of life in {alive}")
        raise typer.Exit(0 if well else EXIT_NOT_WELL)
    try:
        settings = load(os.environ)
        key = api_key(settings)
    except WingmanError as error:
        sys.stderr.write(f"wingman-bot: {error}\n")
        raise typer.Exit(EXIT_SETTING) from error
    raise typer.Exit(0 if asyncio.run(_checked(settings, key)) else EXIT_NOT_WELL)


async def _checked(settings: Settings, key: str) -> bool:
    bot, api = open_bot(settings), ApiClient(open_http(settings.api_url, key))
    try:
        return await Checks(settings, bot, api).well(typer.echo)
    finally:
        await api.close()
        await bot.session.close()
