"""Webhooks: https://core.telegram.org/bots/api#setwebhook."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import FormData, MultipartWriter, web

from tests.bot.telegram_server.client import Telegram
from tests.bot.telegram_server.wire import Chat, Person
from tests.bot.test_telegram_server.raw import Raw

SECRET = "s3cret_-"


@dataclass
class Listener:
    """A bot's own server; answers from ``answers``, then 200."""

    url: str = ""
    answers: list[Callable[[], web.Response]] = field(default_factory=list)
    heard: list[tuple[str | None, dict[str, Any]]] = field(default_factory=list)
    """Secret and update."""
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def hear(self, request: web.Request) -> web.Response:
        self.heard.append((request.headers.get("X-Telegram-Bot-Api-Secret-Token"), await request.json()))
        self.more.set()
        return self.answers.pop(0)() if self.answers else web.Response()

    async def until(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(10):
            while len(self.heard) < count:
                self.more.clear()
                await self.more.wait()
        return [update for _, update in self.heard]


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    listener = Listener()
    app = web.Application()
    app.router.add_post("/hook", listener.hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    listener.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield listener
    finally:
        await runner.cleanup()


@pytest.fixture
async def listener(telegram: Telegram) -> AsyncIterator[Listener]:
    async with listening() as running:
        yield running
        await telegram.reset()


async def test_updates_come_in_order_with_the_secret(
    telegram: Telegram, raw: Raw, alice: Person, chat: Chat, listener: Listener
):
    await telegram.says(alice, chat, "before")
    assert (await raw("setWebhook", url=listener.url, secret_token=SECRET)).result is True
    await telegram.says(alice, chat, "after")
    updates = await listener.until(2)
    assert [update["message"]["text"] for update in updates] == ["before", "after"]
    assert [secret for secret, _ in listener.heard] == [SECRET, SECRET]
    await telegram.confirmed()


async def test_without_a_secret_there_is_no_header(
    telegram: Telegram, raw: Raw, alice: Person, chat: Chat, listener: Listener
):
    await raw("setWebhook", url=listener.url)
    await telegram.says(alice, chat, "hello")
    await listener.until(1)
    assert listener.heard[0][0] is None


async def test_what_is_not_taken_comes_again(
    telegram: Telegram, raw: Raw, alice: Person, chat: Chat, listener: Listener
):
    listener.answers = [lambda: web.Response(status=500), lambda: web.Response(status=302)]
    await raw("setWebhook", url=listener.url)
    await telegram.says(alice, chat, "one")
    await telegram.says(alice, chat, "two")
    updates = await listener.until(4)
    assert [update["message"]["text"] for update in updates] == ["one", "one", "one", "two"]
    assert len({update["update_id"] for update in updates}) == 2
    await telegram.confirmed()
    info = (await raw("getWebhookInfo")).result
    assert info["last_error_message"] == "Wrong response from the webhook: 302 Found"
    assert info["last_error_date"] > 0
    assert len(listener.heard) == 4


async def test_a_webhook_that_is_away_gets_it_later(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    async with listening() as listener:
        url, port = listener.url, int(listener.url.split(":")[2].split("/")[0])
    await raw("setWebhook", url=url)
    await telegram.says(alice, chat, "hello")

    async def info() -> dict[str, Any]:
        found: dict[str, Any] = (await raw("getWebhookInfo")).result
        return found

    failed = await telegram.until(info, lambda seen: "last_error_message" in seen)
    assert failed["last_error_message"].startswith("Connection failed")
    assert failed["pending_update_count"] == 1
    heard = asyncio.Event()

    async def hear(_request: web.Request) -> web.Response:
        heard.set()
        return web.Response()

    async with serving(port, hear), asyncio.timeout(10):
        await heard.wait()
        await telegram.confirmed()
    await telegram.reset()


@asynccontextmanager
async def serving(port: int, hear: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_post("/hook", hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield
    await runner.cleanup()


async def test_polling_and_a_webhook_exclude_each_other(telegram: Telegram, raw: Raw, listener: Listener):
    polling = asyncio.create_task(raw("getUpdates", timeout=30))
    await telegram.held("getUpdates")
    await raw("setWebhook", url=listener.url)
    assert (await polling).refusal == (409, "Conflict: terminated by setWebhook request")
    assert (await raw("getUpdates")).refusal == (
        409,
        "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
    )
    assert (await raw("deleteWebhook")).result is True
    assert (await raw("getUpdates")).result == []


async def test_info(telegram: Telegram, raw: Raw, listener: Listener):
    none = (await raw("getWebhookInfo")).result
    assert none == {"url": "", "has_custom_certificate": False, "pending_update_count": 0}
    await raw("setWebhook", url=listener.url, max_connections=7, allowed_updates=["message"])
    assert (await raw("getWebhookInfo")).result == {
        "url": listener.url,
        "has_custom_certificate": False,
        "pending_update_count": 0,
        "max_connections": 7,
        "ip_address": "127.0.0.1",
        "allowed_updates": ["message"],
    }
    await raw("setWebhook", url="")
    assert (await raw("getWebhookInfo")).result["url"] == ""


async def test_pending_updates_are_dropped_on_demand(
    telegram: Telegram, raw: Raw, alice: Person, chat: Chat, listener: Listener
):
    await telegram.says(alice, chat, "old")
    await raw("setWebhook", url=listener.url, drop_pending_updates=True)
    await telegram.says(alice, chat, "new")
    assert [update["message"]["text"] for update in await listener.until(1)] == ["new"]
    await telegram.confirmed()
    await raw("deleteWebhook")
    await telegram.says(alice, chat, "kept")
    await raw("deleteWebhook")
    assert len(await telegram.pending()) == 1
    await raw("deleteWebhook", drop_pending_updates=True)
    assert await telegram.pending() == []


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"url": "ftp://example.org/"}, "invalid webhook URL specified"),
        ({"url": "nowhere"}, "invalid webhook URL specified"),
        ({"url": "http://example.org/"}, "bad webhook: An HTTPS URL must be provided for webhook"),
        ({"url": "https://example.org/", "secret_token": "x" * 257}, "secret token is too long"),
        ({"url": "https://example.org/", "secret_token": "a b"}, "secret token contains unallowed characters"),
    ],
)
async def test_webhooks_that_are_refused(raw: Raw, parameters: dict[str, str], reason: str):
    assert (await raw("setWebhook", **parameters)).refusal == (400, f"Bad Request: {reason}")
    assert (await raw("getWebhookInfo")).result["url"] == ""


async def test_an_answer_may_call_a_method(telegram: Telegram, raw: Raw, alice: Person, chat: Chat, listener: Listener):
    def as_json() -> web.Response:
        return web.json_response({"method": "sendMessage", "chat_id": chat.id, "text": "by JSON"})

    def as_multipart() -> web.Response:
        form = FormData({"method": "sendMessage", "chat_id": str(chat.id), "text": "by multipart"})
        form._is_multipart = True
        writer = form()
        assert isinstance(writer, MultipartWriter)
        return web.Response(body=writer)

    def nonsense() -> web.Response:
        return web.Response(body=b"--B\r\n", headers={"Content-Type": "multipart/form-data; boundary=B"})

    def refused() -> web.Response:
        return web.json_response({"method": "sendMessage", "chat_id": chat.id})

    listener.answers = [nonsense, refused, as_json, as_multipart]
    await raw("setWebhook", url=listener.url)
    for text in ("one", "two", "three", "four"):
        await telegram.says(alice, chat, text)
    await telegram.message(chat, lambda message: message.text == "by JSON")
    await telegram.message(chat, lambda message: message.text == "by multipart")
