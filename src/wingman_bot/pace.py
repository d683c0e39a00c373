"""When the next call to Telegram may be made, and whose it is.

Guarantees: no more messages than Telegram takes (https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this):
about 30 a second over all, one a second in a chat, 20 a minute in a group; nothing in a chat that answered 429 until
its time is over; of those that may go, the most urgent goes first, so that an answer to a tap waits for no card.
Edits and answers are no new messages: only the first limit holds for them, and every 429.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count
from typing import Final, Protocol

MARGIN: Final = 1.03
"""How much longer than Telegram's a window is here: calls do not all take the same time to arrive."""

MOST_CHATS: Final = 500
"""Chats that are remembered; strangers write from many."""


class Timer(Protocol):
    """A call to come."""

    def cancel(self) -> None:
        """Have it not come."""
        ...


class Later(Protocol):
    """How to be called after so many seconds."""

    def __call__(self, delay: float, callback: Callable[[], None], /) -> Timer:
        """Call ``callback`` after ``delay`` seconds."""
        ...


class Urgency(IntEnum):
    """What goes first."""

    ANSWER = 0
    """Somebody waits: the answer to a tap or a command."""
    EDIT = 1
    """A card shows what has happened since."""
    ALERT = 2
    CARD = 3
    """A new card."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Messages and the seconds in which there may be so many."""

    overall: tuple[int, float] = (30, 1.0)
    chat: tuple[int, float] = (1, 1.0)
    group: tuple[int, float] = (20, 60.0)


@dataclass(slots=True)
class _Window:
    """The times of the last so many calls."""

    most: int
    seconds: float
    times: deque[float] = field(default_factory=deque)

    def free_at(self, now: float) -> float:
        """Return when there is room for one more."""
        while self.times and self.times[0] + self.seconds <= now:
            self.times.popleft()
        return now if len(self.times) < self.most else self.times[-self.most] + self.seconds


@dataclass(order=True, slots=True)
class _Waiting:
    urgency: Urgency
    number: int
    chat: int | None = field(compare=False)
    is_message: bool = field(compare=False)
    turn: "asyncio.Future[None]" = field(compare=False)


class Pace:
    """The calls of one bot."""

    def __init__(self, limits: Limits, clock: Callable[[], float], later: Later | None = None) -> None:
        """Begin with everything allowed; ``clock`` returns seconds, ``later`` calls back after some."""
        self._limits = limits
        self._clock = clock
        self._later = later
        self._numbers = count()
        self._waiting: list[_Waiting] = []
        self._overall = _window(limits.overall)
        self._chats: dict[int, list[_Window]] = {}
        self._paused: dict[int | None, float] = {}
        self._timer: Timer | None = None

    @property
    def waiting(self) -> int:
        """How many calls wait for their turn."""
        return len(self._waiting)

    async def turn(self, urgency: Urgency, chat: int | None, *, is_message: bool) -> None:
        """Wait until a call may be made: a new message in ``chat``, or something else there or nowhere."""
        mine = _Waiting(urgency, next(self._numbers), chat, is_message, asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, mine)
        self._give()
        try:
            await mine.turn
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
                heapq.heapify(self._waiting)
            raise

    def pause(self, chat: int | None, seconds: float) -> None:
        """Let nothing go to a chat (None: anywhere) for so many seconds."""
        self._paused[chat] = max(self._paused.get(chat, 0.0), self._clock() + seconds)

    def _give(self) -> None:
        """Let all go that may, the most urgent first, and come again when the next one may."""
        now, kept, soonest = self._clock(), list[_Waiting](), float("inf")
        while self._waiting:
            first = heapq.heappop(self._waiting)
            at = self._free_at(first, now)
            if at > now:
                kept.append(first)
                soonest = min(soonest, at)
            elif not first.turn.done():
                self._count(first, now)
                first.turn.set_result(None)
        self._waiting = kept
        heapq.heapify(self._waiting)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if kept:
            later = self._later or asyncio.get_running_loop().call_later
            self._timer = later(max(0.0, soonest - now), self._give)

    def _free_at(self, waiting: _Waiting, now: float) -> float:
        times = [self._overall.free_at(now), self._paused.get(None, now), self._paused.get(waiting.chat, now)]
        if waiting.is_message and waiting.chat is not None:
            times += [window.free_at(now) for window in self._windows(waiting.chat)]
        return max(times)

    def _count(self, waiting: _Waiting, now: float) -> None:
        self._overall.times.append(now)
        if waiting.is_message and waiting.chat is not None:
            for window in self._windows(waiting.chat):
                window.times.append(now)

    def _windows(self, chat: int) -> list[_Window]:
        """Return a chat's windows; groups, whose ids are negative, have one more."""
        if chat not in self._chats and len(self._chats) >= MOST_CHATS:
            self._forget()
        limits = (self._limits.chat, self._limits.group) if chat < 0 else (self._limits.chat,)
        return self._chats.setdefault(chat, [_window(each) for each in limits])

    def _forget(self) -> None:
        """Drop the chats in which everything is allowed."""
        now = self._clock()
        idle = [chat for chat, each in self._chats.items() if all(window.free_at(now) <= now for window in each)]
        for chat in idle:
            del self._chats[chat]
        self._paused = {chat: until for chat, until in self._paused.items() if until > now}


def _window(limit: tuple[int, float]) -> _Window:
    most, seconds = limit
    return _Window(most, seconds * MARGIN)
