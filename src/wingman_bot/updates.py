"""How updates come from Telegram: by asking (long polling), or by being called (webhook).

Guarantees: an update is confirmed after it was handled, so that one whose handling was cut off comes again; what
decides carries its own idempotency key, so that this does no harm. Handling that takes longer than ``HANDLING``
goes on beside, and no longer keeps others waiting. A webhook call without the secret is nothing.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from aiogram import Bot, Dispatcher
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramAPIError,
    TelegramConflictError,
    TelegramRetryAfter,
    TelegramUnauthorizedError,
)
from aiogram.types import Update
from aiohttp import web
from pydantic import ValidationError
from structlog.typing import FilteringBoundLogger

from wingman_bot.backoff import delays
from wingman_bot.metrics import Metrics
from wingman_bot.telegram import Unauthorized, words

ALLOWED: Final = ["message", "callback_query"]
POLL: Final = 25
"""Seconds that one question waits for an answer."""
MARGIN: Final = 15
HANDLING: Final = 15.0
MOST_BODY: Final = 1 << 20
SECRET_HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - a header's name
PATH: Final = "/telegram"
CONFLICT: Final = (
    "another program uses this bot's token, so that each gets only some of what people say: "
    "stop the other one, or make a bot of its own for it with @BotFather"
)


class Updates:
    """Hands updates to the dispatcher."""

    def __init__(self, bot: Bot, dispatcher: Dispatcher, metrics: Metrics, log: FilteringBoundLogger) -> None:
        """Take the collaborators."""
        self._bot = bot
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._log = log
        self._beside: set[asyncio.Task[None]] = set()
        self.state = "starting"
        """How it goes, in a few words."""

    async def poll(self) -> None:
        """Ask for ever; raise ``Unauthorized`` where the token is not good."""
        offset, waits = 0, delays(0.5, 15.0)
        while True:
            wait = next(waits)
            try:
                found = await self._bot.get_updates(
                    offset=offset, timeout=POLL, allowed_updates=ALLOWED, request_timeout=POLL + MARGIN
                )
            except TelegramConflictError as error:
                self.state = "conflict: two bots on one token"
                self._metrics.conflict()
                self._log.error("telegram.conflict", problem=CONFLICT, error=words(error))
            except TelegramUnauthorizedError as error:
                raise Unauthorized(words(error)) from None
            except TelegramRetryAfter as error:
                wait = max(wait, float(error.retry_after))
            except (TelegramAPIError, ClientDecodeError) as error:
                self.state = "Telegram does not answer"
                self._log.warning("telegram.lost", method="getUpdates", error=words(error))
            else:
                self.state, waits = "ok", delays(0.5, 15.0)
                await asyncio.gather(*(self.handle(update) for update in found))
                offset = max([offset, *(update.update_id + 1 for update in found)])
                continue
            await asyncio.sleep(wait)

    async def handle(self, update: Update) -> None:
        """Handle one update, or leave it to itself after a while."""
        task = asyncio.create_task(self._handled(update), name=f"update {update.update_id}")
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
        await asyncio.wait({task}, timeout=HANDLING)

    async def _handled(self, update: Update) -> None:
        try:
            await self._dispatcher.feed_update(self._bot, update)
        except Exception:  # noqa: BLE001 - one update that cannot be handled must not stop the others
            self._log.exception("update.failed", update=update.update_id)

    async def close(self) -> None:
        """End what goes on beside."""
        for task in list(self._beside):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def webhook(self, secret: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return the handler of Telegram's calls; what does not bring ``secret`` is refused unread."""
        expected = secret.encode()

        async def called(request: web.Request) -> web.StreamResponse:
            given = request.headers.get(SECRET_HEADER, "").encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(given, expected):
                self._metrics.refused("webhook", "secret")
                self._log.warning("webhook.refused", peer=request.remote)
                return web.Response(status=401)
            try:
                update = Update.model_validate_json(await request.read(), context={"bot": self._bot})
            except ValidationError:
                return web.Response(status=400)
            self.state = "ok"
            await self.handle(update)
            return web.Response()

        return called
