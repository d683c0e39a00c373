"""The server of the contract suite: one process, reset for each test, asked over plain HTTP."""

from collections.abc import AsyncIterator

import httpx
import pytest
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer

from tests.bot.telegram_server.client import Telegram, telegram_server
from tests.bot.telegram_server.wire import Chat, Person
from tests.bot.test_telegram_server.raw import Raw


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[Telegram]:
    """A server in a process of its own."""
    async with telegram_server() as running:
        yield running


@pytest.fixture
async def telegram(server: Telegram) -> Telegram:
    """The server as if it had just started."""
    await server.reset()
    return server


@pytest.fixture
async def raw(telegram: Telegram) -> AsyncIterator[Raw]:
    """Calls without any library's help."""
    async with httpx.AsyncClient(base_url=f"{telegram.url}/bot{telegram.token}", timeout=30, trust_env=False) as http:
        yield Raw(http)


@pytest.fixture
async def bot(telegram: Telegram) -> AsyncIterator[Bot]:
    """Aiogram's own client, pointed at the server."""
    session = AiohttpSession(api=TelegramAPIServer.from_base(telegram.url))
    async with Bot(telegram.token, session=session).context() as running:
        yield running


@pytest.fixture
async def alice(telegram: Telegram) -> Person:
    """Somebody."""
    return await telegram.person("Alice", username="alice", language="en")


@pytest.fixture
async def chat(telegram: Telegram, alice: Person) -> Chat:
    """Alice's private chat with the bot."""
    return await telegram.starts(alice)
