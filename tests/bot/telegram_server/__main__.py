"""``python -m tests.bot.telegram_server``: serve on a free loopback port until standard input ends.

Prints one line of JSON, ``{"url", "token"}``, once it listens. Whoever starts it keeps the other end of its input, so
that it does not outlive them.
"""

import argparse
import asyncio
import json
import sys
from functools import partial

from aiohttp import web

from tests.bot.telegram_server.bot_api import BotApi
from tests.bot.telegram_server.control import Control, explained
from tests.bot.telegram_server.methods import Methods
from tests.bot.telegram_server.parameters import LARGEST_UPLOAD
from tests.bot.telegram_server.state import Person, State
from tests.bot.telegram_server.world import World

BOT_ID = 7_000_000_001
DEFAULT_TOKEN = f"{BOT_ID}:AAtest-server-token-opens-nothing-00000"


def application(state: State) -> web.Application:
    """The Bot API and the control surface."""
    app = web.Application(client_max_size=LARGEST_UPLOAD, middlewares=[explained])
    methods = Methods(state)
    app.router.add_route("*", "/bot{token}/{method}", BotApi(state, methods).handle)
    app.add_routes(Control(state, World(state)).routes())
    app.on_shutdown.append(partial(_end, methods))
    return app


async def _end(methods: Methods, _app: web.Application) -> None:
    await methods.webhook.end()


async def serve(port: int, token: str) -> None:
    """Serve until standard input ends."""
    bot = Person(int(token.partition(":")[0]), "Wingman", username="wingman_test_bot", is_bot=True)
    runner = web.AppRunner(application(State(token, bot)), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, shutdown_timeout=0)
    await site.start()
    host, taken = runner.addresses[0][:2]
    print(json.dumps({"url": f"http://{host}:{taken}", "token": token}), flush=True)  # noqa: T201 - its one answer
    try:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    finally:
        await runner.cleanup()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="telegram_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--token", default=DEFAULT_TOKEN)
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.port, chosen.token))


if __name__ == "__main__":
    main()
