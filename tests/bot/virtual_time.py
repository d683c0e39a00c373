"""A time that passes only while everybody waits for it: half an hour of cards in as long as they take to make.

The bot's clock stands still but for the jumps made here, and Telegram's makes the same jumps beside going on by itself:
so for Telegram the bot's calls are never closer to each other than the bot believes.
"""

# ruff: noqa: ANN401 - a middleware's signature

import asyncio
import heapq
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any

from aiogram import Bot

from tests.bot.telegram_server.client import Telegram


class Timer:
    """A call to come."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Have it not come."""
        self.callback = None


class VirtualTime:
    """Seconds from 0; they pass up to ``until``."""

    def __init__(self, telegram: Telegram) -> None:
        self.now = 0.0
        self.until = 0.0
        self._telegram = telegram
        self._numbers = count()
        self._timers: list[tuple[float, int, Timer]] = []
        self._calls = 0
        self._bell = asyncio.Event()

    def clock(self) -> float:
        """The time."""
        return self.now

    def later(self, delay: float, callback: Callable[[], None], /) -> Timer:
        """Call back once so many seconds have passed."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (self.now + delay, next(self._numbers), timer))
        self._bell.set()
        return timer

    def passes(self, until: float) -> None:
        """Let time pass up to a moment, as soon as nothing else can be done."""
        self.until = until
        self._bell.set()

    def stops(self) -> float:
        """Let no time pass; the time."""
        self.until = self.now
        return self.now

    async def watched(self, make: Callable[[Bot, Any], Awaitable[Any]], bot: Bot, method: Any) -> Any:
        """A call to Telegram, during which no time passes (a middleware of aiogram's session)."""
        if method.__api_method__ == "getUpdates":
            return await make(bot, method)
        self._calls += 1
        try:
            return await make(bot, method)
        finally:
            self._calls -= 1
            self._bell.set()

    @asynccontextmanager
    async def running(self, look: Callable[[], None]) -> AsyncIterator[None]:
        """Time that passes for the length of the block; ``look`` is called before each jump."""
        task = asyncio.create_task(self._run(look))
        try:
            yield
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self, look: Callable[[], None]) -> None:
        while True:
            for _ in range(5):
                await asyncio.sleep(0)  # whoever can go on goes on first
            while self._timers and self._timers[0][2].callback is None:
                heapq.heappop(self._timers)
            if self._calls or not self._timers or self._timers[0][0] > self.until:
                self._bell.clear()
                await self._bell.wait()
                continue
            look()
            at, _, timer = heapq.heappop(self._timers)
            await self._telegram.passes(max(0.0, at - self.now))
            self.now = max(self.now, at)
            if timer.callback is not None:
                timer.callback()
