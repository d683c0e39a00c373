"""The bot in this process, between the Telegram test server and an API, and the people around it."""

# ruff: noqa: ANN401 - settings and parts are of any kind here

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from aiogram import Bot

from tests.api.conftest import Api, eventually
from tests.bot.telegram_server.client import Telegram
from tests.bot.telegram_server.wire import Chat, Message, Person, Tap
from wingman_bot.api_client import ApiClient, open_http
from wingman_bot.bot import Clocks, WingmanBot, open_bot
from wingman_bot.log import without
from wingman_bot.pace import Limits
from wingman_bot.settings import Settings, api_key, load

FAST = Limits((10_000, 1.0), (10_000, 1.0), (10_000, 1.0))


@dataclass
class Office:
    """Operators at their phones: alice and bob in a group, alice in private, and a stranger."""

    telegram: Telegram
    api: Api
    group: Chat
    private: Chat
    alice: Person
    bob: Person
    stranger: Person
    environ: dict[str, str]
    log: list[dict[str, Any]] = field(default_factory=list)

    def settings(self, **changes: str) -> Settings:
        """The bot's settings."""
        return load(self.environ | changes)

    @asynccontextmanager
    async def bot(
        self, *, clocks: Clocks | None = None, limits: Limits = FAST, **changes: str
    ) -> AsyncIterator[WingmanBot]:
        """A running bot; what ends it early fails the test."""
        settings = self.settings(**changes)
        async with self.parts(settings) as (bot, client):
            running = WingmanBot(settings, bot, client, self.logger(settings), limits=limits, clocks=clocks)
            task = asyncio.create_task(running.run())
            try:
                yield running
                assert not task.done(), task.exception()
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    @asynccontextmanager
    async def parts(self, settings: Settings) -> AsyncIterator[tuple[Bot, ApiClient]]:
        """Connections to Telegram and the API, closed afterwards."""
        bot, client = open_bot(settings), ApiClient(open_http(settings.api_url, api_key(settings)))
        try:
            yield bot, client
        finally:
            await client.close()
            await bot.session.close()

    def logger(self, settings: Settings) -> Any:
        """A log that a test can read, cleaned as the real one is."""

        def collect(_logger: object, _method: str, event: Any) -> Any:
            self.log.append(dict(event))
            raise structlog.DropEvent

        secrets = (settings.bot_token.get_secret_value(), api_key(settings))
        return structlog.wrap_logger(
            None,
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.format_exc_info,
                without(secrets),
                collect,
            ],
        )

    def said(self, event: str) -> list[dict[str, Any]]:
        """The log's lines of one kind."""
        return [line for line in self.log if line["event"] == event]

    async def asks(self, who: str | None = "worker", **changes: Any) -> str:
        """Somebody asks; the request's id."""
        request_id: str = (await self.api.asked(who, **changes))["request"]["id"]
        return request_id

    async def card(
        self, request_id: str, having: str = "", *, chat: Chat | None = None, seconds: float = 60
    ) -> Message:
        """The request's card, once its buttons are there and its text has ``having``."""

        def fits(message: Message) -> bool:
            return bool(message.buttons) and request_id in message.text and having in message.text

        return await self.telegram.message(chat or self.group, fits, seconds=seconds)

    async def taps(self, person: Person, message: Message, label: str) -> tuple[Tap, str]:
        """A tap and what the tapper is told."""
        tap = await self.telegram.taps(person, message, label)
        return tap, (await self.telegram.answer(tap)).text or ""

    async def says(self, person: Person, text: str, having: str, *, chat: Chat | None = None) -> Message:
        """Somebody writes, and the bot's next message that has ``having``."""
        where = chat or self.group
        before = {message.id for message in await self.telegram.from_bot(where)}
        await self.telegram.says(person, where, text)
        return await self.telegram.message(where, lambda m: m.id not in before and having in m.text)

    async def status(self, request_id: str) -> str:
        """Where the API says a request stands."""
        view: dict[str, Any] = (await self.api.call("operator", "GET", f"/approvals/{request_id}")).json()
        return str(view["status"])

    async def cards(self, request_id: str) -> list[Message]:
        """Every message that is, or ever was, a card of the request: one with a button that decides on it."""

        def decides(message: Message) -> bool:
            payloads = [
                button.callback_data or "" for version in message.versions for row in version.keyboard for button in row
            ]
            return any(request_id in payload for payload in payloads)

        return [message for message in await self.telegram.messages(self.group, deleted=True) if decides(message)]


async def following(bot: WingmanBot) -> None:
    """Return once the bot has looked at everything and follows the feed."""

    async def look() -> bool | None:
        return True if bot.ledger.ready and bot.feed.is_live else None

    await eventually(look)


async def open_office(telegram: Telegram, api: Api, place: Path) -> Office:
    """People, chats and settings for a bot."""
    alice, bob, stranger = [await telegram.person(name) for name in ("Alice", "Bob", "Mallory")]
    group = await telegram.group("Ops", alice, bob, stranger)
    private = await telegram.starts(alice)
    key = place / "bot.key"
    key.touch(mode=0o600)
    key.write_text(await api.key("bot"))
    environ = {
        "BOT_TOKEN": telegram.token,
        "WINGMAN_TELEGRAM_OPERATORS": f"{alice.id}:alice, {bob.id}:bob",
        "WINGMAN_TELEGRAM_CHATS": f"{group.id},{private.id}",
        "WINGMAN_TELEGRAM_API": telegram.url,
        "WINGMAN_API_URL": api.url,
        "WINGMAN_API_KEY_FILE": str(key),
    }
    return Office(telegram, api, group, private, alice, bob, stranger, environ)
