"""Kills a bot of this process before or after any of its calls, as SIGKILL would: nothing is finished or tidied up."""

# ruff: noqa: ANN401, ASYNC109 - the libraries' signatures

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer

from tests.bot.running import FAST, Office
from wingman_bot.api_client import TIMEOUT, ApiClient
from wingman_bot.bot import WingmanBot
from wingman_bot.settings import api_key

START = frozenset({"getMe", "setMyCommands", "deleteWebhook"})


class Killed(BaseException):
    """The process is no more."""


class Trap:
    """Kills at the step numbered ``at``, counted from 0 since it is set; None lets live."""

    def __init__(self, at: int | None, *, is_set: bool = True) -> None:
        self.at = at
        self.is_set = is_set
        self.steps: list[str] = []
        self.dead = asyncio.Event()

    def step(self, label: str) -> None:
        """Take one step of the bot's, or die; the dead take none."""
        if self.dead.is_set():
            raise Killed
        if not self.is_set:
            return
        self.steps.append(label)
        if len(self.steps) - 1 == self.at:
            self.dead.set()
            raise Killed


class TrappedSession(AiohttpSession):
    """Telegram, with a trap before and after each call that is made of what people see or say."""

    def __init__(self, trap: Trap, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._trap = trap

    async def close(self) -> None:
        """Close at once; aiogram waits a quarter of a second for TLS."""
        if self._session is not None:
            await self._session.close()

    async def make_request(self, bot: Bot, method: Any, timeout: int | None = None) -> Any:
        name = method.__api_method__
        if name in START:
            return await super().make_request(bot, method, timeout)
        if name != "getUpdates" or self._trap.dead.is_set():
            self._trap.step(f"before {name}")
        done = await super().make_request(bot, method, timeout)
        if name != "getUpdates" or done:
            self._trap.step(f"after {name}")
        return done


class TrappedTransport(httpx.AsyncBaseTransport):
    """The API, with a trap before and after each call."""

    def __init__(self, trap: Trap) -> None:
        self._trap = trap
        self._real = httpx.AsyncHTTPTransport(verify=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        what = f"{request.method} {request.url.path.split('/')[1]}"
        if request.method == "PUT":
            what += f" {sorted(json.loads(request.content)['notes'])}"
        self._trap.step(f"before {what}")
        response = await self._real.handle_async_request(request)
        self._trap.step(f"after {what}")
        return response

    async def aclose(self) -> None:
        await self._real.aclose()


@asynccontextmanager
async def mortal(office: Office, trap: Trap) -> AsyncIterator[WingmanBot]:
    """A bot that dies in the trap; what it does not survive is no failure."""
    settings = office.settings()
    session = TrappedSession(trap, api=TelegramAPIServer.from_base(office.telegram.url))
    bot = Bot(settings.bot_token.get_secret_value(), session=session)
    http = httpx.AsyncClient(
        base_url=settings.api_url,
        headers={"Authorization": f"Bearer {api_key(settings)}"},
        timeout=TIMEOUT,
        transport=TrappedTransport(trap),
    )
    running = WingmanBot(settings, bot, ApiClient(http), office.logger(settings), limits=FAST)
    task = asyncio.create_task(running.run())
    try:
        yield running
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Killed, BaseExceptionGroup):
            await task
        await http.aclose()
        await session.close()
