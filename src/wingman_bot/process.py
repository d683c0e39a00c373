"""The bot's process: settings, keys and logs around it, signals, and how it ends.

Guarantees: SIGTERM and SIGINT let what was begun end, for a few seconds, and store what must not be forgotten. A
setting, token or key that cannot be used ends the process with one line and ``EXIT_SETTING``; another bot that took
over ends it with ``EXIT_SUPERSEDED``.
"""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import Final

from structlog.typing import FilteringBoundLogger

from wingman_bot.api_client import ApiClient, open_http
from wingman_bot.bot import WingmanBot, open_bot
from wingman_bot.ledger import Superseded
from wingman_bot.log import json_log
from wingman_bot.settings import Settings, api_key, load
from wingman_bot.telegram import Unauthorized
from wingman_core.errors import WingmanError

EXIT_BUG: Final = 1
EXIT_SETTING: Final = 2
EXIT_SUPERSEDED: Final = 3
SUPERSEDED: Final = (
    "another bot uses this consumer and goes on: stop one of them, or give this one a WINGMAN_BOT_CONSUMER of its own"
)


async def serve(settings: Settings, key: str, log: FilteringBoundLogger) -> None:
    """Run the bot until SIGTERM or SIGINT."""
    bot, api = open_bot(settings), ApiClient(open_http(settings.api_url, key))
    running = asyncio.create_task(WingmanBot(settings, bot, api, log).run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    try:
        log.info("starting", api=settings.api_url, chats=list(settings.chats), operators=len(settings.operators))
        with suppress(asyncio.CancelledError):
            await running
        log.info("stopped")
    finally:
        await api.close()
        await bot.session.close()


def main() -> int:
    """Run the bot; return the exit code, with one line on standard error where it cannot go on."""
    try:
        settings = load(os.environ)
        key = api_key(settings)
    except WingmanError as error:
        return _ended(str(error))
    hidden = (settings.bot_token, settings.telegram_webhook_secret)
    log = json_log([key, *(each.get_secret_value() for each in hidden)])
    try:
        asyncio.run(serve(settings, key, log))
    except (WingmanError, Unauthorized, Superseded, BaseExceptionGroup) as error:
        match _first(error):
            case Superseded():
                sys.stderr.write(f"wingman-bot: {SUPERSEDED}\n")
                return EXIT_SUPERSEDED
            case Unauthorized() as unknown:
                return _ended(f"BOT_TOKEN: Telegram does not know it ({unknown}); @BotFather shows the right one")
            case WingmanError() as refused:
                return _ended(str(refused))
            case _:
                log.exception("ended")
                return EXIT_BUG
    return 0


def _ended(why: str) -> int:
    sys.stderr.write(f"wingman-bot: {why}\n")
    return EXIT_SETTING


def _first(error: BaseException) -> BaseException:
    """Return the first error of nested groups, or the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
