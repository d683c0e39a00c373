"""``wingman-bot check``: a look at all that the bot needs, one line each, with the way out where something is amiss."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiogram import Bot
from aiogram.exceptions import AiogramError

from wingman_bot.api_client import ApiClient
from wingman_bot.settings import Settings, not_spoken_for
from wingman_bot.telegram import words
from wingman_core.errors import Code, WingmanError

CALL: Final = 10
FEED: Final = 10.0


class NotWell(Exception):
    """Something does not work."""


class Checks:
    """The looks; ``well`` raises nothing."""

    def __init__(self, settings: Settings, bot: Bot, api: ApiClient) -> None:
        """Take the connections that the bot would have."""
        self._settings = settings
        self._bot = bot
        self._api = api

    async def well(self, tell: Callable[[str], None]) -> bool:
        """Look at everything, ``tell`` a line about each, and return whether all is well."""
        looks: dict[str, Callable[[], Awaitable[str]]] = {
            "telegram": self.telegram,
            "chats": self.chats,
            "api": self.api,
            "key": self.key,
            "feed": self.feed,
        }
        well = True
        for name, look in looks.items():
            try:
                said = await look()
            except (NotWell, WingmanError) as error:
                well, said = False, f"NOT WELL  {error}"
            except TimeoutError:
                well, said = False, "NOT WELL  no answer in time"
            except AiogramError as error:
                well, said = False, f"NOT WELL  {words(error)}"
            tell(f"{name:<9} {said}".replace(self._settings.bot_token.get_secret_value(), "[secret]"))
        return well

    async def telegram(self) -> str:
        """Whether the token works."""
        me = await self._bot.get_me(request_timeout=CALL)
        return f"@{me.username} ({me.id})"

    async def chats(self) -> str:
        """Whether the bot is in its chats."""
        found = [await self._bot.get_chat(chat, request_timeout=CALL) for chat in self._settings.chats]
        return ", ".join(f"{each.title or each.full_name or ''!a} ({each.id})" for each in found)

    async def api(self) -> str:
        """Whether the API answers and is well."""
        health = await self._api.health()
        parts = ", ".join(f"{name} {status}" for name, status in health.components.items())
        if health.status == "unhealthy":
            raise NotWell(f"unhealthy: {parts}")
        return f"{health.status}: {parts}"

    async def key(self) -> str:
        """Whether the key is of the right role and speaks for every operator."""
        me = await self._api.whoami()
        if me.role != "service":
            raise NotWell(f"the key is of role {me.role}: make one with wingman keys create ... --role service")
        if dumb := not_spoken_for(self._settings.operators.values(), me.speaks_for):
            added = " ".join(f"--add {person}" for person in dumb)
            raise NotWell(f"the key does not speak for {', '.join(dumb)}: wingman keys speaks-for {me.key_id} {added}")
        return f"{me.person}, speaks for {', '.join(me.speaks_for)}"

    async def feed(self) -> str:
        """Whether the feed is live, and how far the bot is."""
        async with asyncio.timeout(FEED):
            async for item in self._api.events(None):
                if item is not None:
                    return f"at event {item.id}; {await self._consumer()}"
        raise NotWell("it ended before it began")

    async def _consumer(self) -> str:
        name = self._settings.bot_consumer
        try:
            consumer = await self._api.consumer(name)
        except WingmanError as error:
            if error.code is not Code.CONSUMER_UNKNOWN:
                raise
            return f"no bot has followed as {name} yet"
        return f"{name} is {consumer.behind} behind and keeps {max(0, consumer.notes - 1)} cards"
