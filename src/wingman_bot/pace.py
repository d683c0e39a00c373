"""When the next call to Telegram may be made, and whose it is.

Guarantees: no more messages than Telegram takes (https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this):
about 30 a second over all, one a second in a chat, 20 a minute in a group, of which cards leave some to what is more
urgent; nothing in a chat that answered 429, or to those who tapped, until its time is over; of those that may go, the
most urgent goes first, so that an answer to a tap waits for no card. Edits and answers are no new messages: only the
first limit holds for them, and the 429 of their own scope.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count
from typing import Final, Literal, Protocol

MARGIN: Final = 1.03
"""How much longer than Telegram's a window is here: calls do not all take the same time to arrive."""

TAPS: Final = "taps"
"""The scope of answers to taps, which belong to no chat."""
Scope = int | Literal["taps"]
"""What a 429 holds for: a chat, by its id, or ``TAPS``."""
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
    kept: int = 4
    """Of a group's messages, those that cards leave to answers and alerts."""


@dataclass(slots=True)
class _Window:
    """The times of the last so many calls."""

    most: int
    seconds: float
    times: deque[float] = field(default_factory=deque)

    def free_at(self, now: float, kept: int = 0) -> float:
        """Return when there is room for one more, and for ``kept`` others."""
        while self.times and self.times[0] + self.seconds <= now:
            self.times.popleft()
        most = max(1, self.most - kept)
        return now if len(self.times) < most else self.times[-most] + self.seconds


@dataclass(order=True, slots=True)
class _Waiting:
    urgency: Urgency
    number: int
    scope: Scope = field(compare=False)
    is_message: bool = field(compare=False)
    takes: bool = field(compare=False)
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
        self._paused: dict[Scope, float] = {}
        self._timer: Timer | None = None

    @property
    def waiting(self) -> int:
        """How many calls wait for their turn."""
        return len(self._waiting)

    async def turn(self, urgency: Urgency, scope: Scope, *, is_message: bool, takes: bool = True) -> None:
        """Wait until a call may be made, a new message in a chat or something else, and take its place.

        Without ``takes`` the place is left free, for whoever wants to know first what there is to send.
        """
        turn = asyncio.get_running_loop().create_future()
        mine = _Waiting(urgency, next(self._numbers), scope, is_message, takes, turn)
        heapq.heappush(self._waiting, mine)
        self._give()
        try:
            await mine.turn
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
                heapq.heapify(self._waiting)
            raise

    def pause(self, scope: Scope, seconds: float) -> None:
        """Let nothing go there for so many seconds."""
        self._paused[scope] = max(self._paused.get(scope, 0.0), self._clock() + seconds)
        if len(self._paused) > MOST_CHATS:
            self._forget()

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
                if first.takes:
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
        times = [self._overall.free_at(now), self._paused.get(waiting.scope, now)]
        if waiting.is_message:
            chat, *group = self._windows(waiting.scope)
            kept = self._limits.kept if waiting.urgency is Urgency.CARD else 0
            times += [chat.free_at(now), *(window.free_at(now, kept) for window in group)]
        return max(times)

    def _count(self, waiting: _Waiting, now: float) -> None:
        self._overall.times.append(now)
        if waiting.is_message:
            for window in self._windows(waiting.scope):
                window.times.append(now)

    def _windows(self, scope: Scope) -> list[_Window]:
        """Return a chat's windows; groups, whose ids are negative, have one more."""
        chat = int(scope)
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
