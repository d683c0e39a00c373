"""``python -m tests.bot.telegram_server``: serve on a free port until standard input ends.

Prints one line of JSON, ``{"url", "token"}``, once it listens. Whoever starts it keeps the other end of its input, so
that it does not outlive them.
"""

import argparse
import asyncio
import json
import sys

from aiohttp import web

from tests.bot.telegram_server.server import Server

BOT_ID = 7_000_000_001
DEFAULT_TOKEN = f"{BOT_ID}:AAtest-server-token-opens-nothing-00000"


async def serve(host: str, port: int, token: str) -> None:
    """Serve until standard input ends."""
    runner = web.AppRunner(Server(token).application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    taken = runner.addresses[0][1]
    print(json.dumps({"url": f"http://{host}:{taken}", "token": token}), flush=True)  # noqa: T201 - its one answer
    try:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    finally:
        await runner.cleanup()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="telegram_server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="such as a bridge's, for a bot in a container")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--token", default=DEFAULT_TOKEN)
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.host, chosen.port, chosen.token))


if __name__ == "__main__":
    main()
