"""What the bot's tests share: the Telegram test server, a real API on a real database in front of a fake gateway."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.conftest import Api, api, clock, environ, gateway, token_keys
from tests.bot.running import Office, open_office
from tests.bot.telegram_server.client import Telegram, telegram_server

__all__ = ["api", "clock", "environ", "gateway", "token_keys"]


@pytest.fixture(scope="session")
async def telegram_process() -> AsyncIterator[Telegram]:
    """A Telegram of this session's own."""
    async with telegram_server() as running:
        yield running


@pytest.fixture
async def telegram(telegram_process: Telegram) -> Telegram:
    """It, as if it had just started."""
    await telegram_process.reset()
    return telegram_process


@pytest.fixture
async def office(telegram: Telegram, api: Api, tmp_path: Path) -> Office:
    """People, chats and settings for a bot."""
    return await open_office(telegram, api, tmp_path)
