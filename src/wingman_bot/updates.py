"""How updates come from Telegram: by asking (long polling), or by being called (webhook).

Guarantees: an update is confirmed after it was handled, so that one whose handling was cut off comes again; what
decides carries its own idempotency key, so that this does no harm. One person's updates are handled one after the
other, in their order, and different people's beside each other; each is given up after ``HANDLING`` seconds. Memory: at
most ``MOST`` updates. An update that this version cannot read counts as handled, so that it keeps no other from being
heard. A webhook call without the secret is nothing.
"""

import asyncio
import hmac
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from aiogram import Bot, Dispatcher
from aiogram.exceptions import (
    AiogramError,
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
ONCE: Final = 15
"""Seconds for a call at the start."""
HANDLING: Final = 50.0
"""Seconds for one update; what a handler waits for is shorter."""
LOOK: Final = 1.0
"""Seconds after which new updates are asked for though earlier ones are still being handled."""
MOST: Final = 100
"""Updates that are handled at once; Telegram gives no more unless earlier ones are confirmed."""
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
        self._open: dict[int, asyncio.Task[None]] = {}
        self._last: dict[int, asyncio.Task[None]] = {}
        self._done: deque[int] = deque(maxlen=2 * MOST)
        self.state = "starting"
        """How it goes, in a few words."""

    def sizes(self) -> dict[str, int]:
        """Return how much of each kind is remembered; none is more than twice ``MOST``."""
        return {"open": len(self._open), "last": len(self._last), "done": len(self._done)}

    async def poll(self) -> None:
        """Ask for ever; raise ``Unauthorized`` where the token is not good.

        A webhook that an earlier set-up left is taken away first: while there is one, nobody may ask. Asking from an
        update on confirms all before it, so that it is asked from the first that is not handled.
        """
        try:
            await self._bot.delete_webhook(drop_pending_updates=False, request_timeout=ONCE)
        except AiogramError as error:
            self._log.warning("telegram.lost", method="deleteWebhook", error=words(error))
        offset, waits = 0, delays(0.5, 15.0)
        while True:
            wait, patience = next(waits), 0 if self._open else POLL
            try:
                found = await self._found(offset, patience)
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
                offset = await self._work(found)
                continue
            await asyncio.sleep(wait)

    async def register(self, url: str, secret: str) -> None:
        """Have Telegram call ``url``; go on trying, and raise ``Unauthorized`` where the token is not good."""
        for wait in delays():
            try:
                await self._bot.set_webhook(url, secret_token=secret, allowed_updates=ALLOWED, request_timeout=ONCE)
            except TelegramUnauthorizedError as error:
                raise Unauthorized(words(error)) from None
            except AiogramError as error:
                self._log.warning("telegram.lost", method="setWebhook", error=words(error))
            else:
                return
            await asyncio.sleep(wait)

    async def _found(self, offset: int, patience: int) -> Sequence[Update]:
        """Return the updates from ``offset`` on; where one of them cannot be read, the others all the same."""
        try:
            return await self._bot.get_updates(
                offset=offset, timeout=patience, allowed_updates=ALLOWED, request_timeout=POLL + MARGIN
            )
        except ClientDecodeError as error:
            sent = error.data.get("result") if isinstance(error.data, Mapping) else None
            if not isinstance(sent, list):
                raise
            return [self._read(each) for each in sent]

    def _read(self, sent: object) -> Update:
        """Return an update, empty where its content cannot be read; raise ``ValidationError`` for what is none."""
        try:
            return Update.model_validate(sent, context={"bot": self._bot})
        except ValidationError:
            number = sent.get("update_id") if isinstance(sent, Mapping) else None
            bare = Update.model_validate({"update_id": number})
            self._log.error("update.not_understood", update=bare.update_id)
            return bare

    async def _work(self, found: Sequence[Update]) -> int:
        """Handle what is new, for a moment at least, and return from where to ask next."""
        for update in found:
            self._begin(update)
        beyond = max((update.update_id + 1 for update in found), default=0)
        if self._open:
            await asyncio.wait(self._open.values(), timeout=LOOK)
        return min(self._open, default=beyond)

    async def handle(self, update: Update) -> None:
        """Handle one update, in its turn; whoever no longer waits for that does not cut it off."""
        if (task := self._begin(update)) is not None:
            await asyncio.wait({task})

    @property
    def is_full(self) -> bool:
        """Whether no more updates should come for now."""
        return len(self._open) >= MOST

    def _begin(self, update: Update) -> "asyncio.Task[None] | None":
        """Begin to handle an update, once, after all that the same person did before; None where that is done."""
        number, person = update.update_id, _person(update)
        if number in self._open or number in self._done:
            return self._open.get(number)
        task = asyncio.create_task(self._handled(update, self._last.get(person)), name=f"update {number}")
        self._open[number] = self._last[person] = task

        def done(_: "asyncio.Task[None]") -> None:
            del self._open[number]
            self._done.append(number)
            if self._last.get(person) is task:
                del self._last[person]

        task.add_done_callback(done)
        return task

    async def _handled(self, update: Update, earlier: "asyncio.Task[None] | None") -> None:
        if earlier is not None:
            await asyncio.wait({earlier})
        try:
            async with asyncio.timeout(HANDLING):
                await self._dispatcher.feed_update(self._bot, update)
        except TimeoutError:
            self._log.error("update.given_up", update=update.update_id, seconds=HANDLING)
        except Exception:  # noqa: BLE001 - one update that cannot be handled must not stop the others
            self._log.exception("update.failed", update=update.update_id)

    async def close(self) -> None:
        """End what is being handled."""
        for task in list(self._open.values()):
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
                update = self._read(json.loads(await request.read()))
            except ValueError:
                return web.Response(status=400)
            self.state = "ok"
            if self.is_full:
                return web.Response(status=503)
            await self.handle(update)
            return web.Response()

        return called


def _person(update: Update) -> int:
    """Return whose doing an update is; 0 where it is nobody's."""
    done = update.message or update.callback_query
    return 0 if done is None or done.from_user is None else done.from_user.id
