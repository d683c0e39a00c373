"""Flood control: which message comes too soon, and for how many seconds.

The numbers are Telegram's (``wire.DOCUMENTED``); how it counts is not documented. Here all windows slide, and a chat's
is as long as its burst may take: three messages at once, then one a second. A refused message counts for nothing, but
until its ``retry_after`` has passed everything else of the same scope is refused, too.
"""

import math
from collections import defaultdict, deque
from dataclasses import dataclass, field

from tests.bot.telegram_server.wire import Limits

MINUTE = 60.0
SECOND = 1.0


@dataclass
class Window:
    """At most ``most`` events in ``seconds``."""

    most: int
    seconds: float
    events: deque[float] = field(default_factory=deque)

    def wait(self, now: float) -> float:
        """Seconds until one more fits, zero or less if it does."""
        while self.events and self.events[0] <= now - self.seconds:
            self.events.popleft()
        return self.events[0] + self.seconds - now if len(self.events) >= self.most else 0.0


@dataclass
class FloodControl:
    """What was sent of late."""

    limits: Limits = field(default_factory=Limits)
    chats: dict[int, Window] = field(default_factory=dict)
    groups: dict[int, Window] = field(default_factory=dict)
    total: Window | None = None
    barred: dict[object, float] = field(default_factory=lambda: defaultdict(float))
    """Until when, by scope."""

    def admit(self, chat_id: int, now: float, *, group: bool) -> int | None:
        """Count a message, or say after how many seconds (1 or more) it may be tried again."""
        windows: dict[object, Window] = {}
        if self.limits.chat_seconds is not None:
            burst = self.limits.chat_burst
            windows["chat", chat_id] = self.chats.setdefault(chat_id, Window(burst, burst * self.limits.chat_seconds))
        if self.limits.group_per_minute is not None and group:
            windows["group", chat_id] = self.groups.setdefault(chat_id, Window(self.limits.group_per_minute, MINUTE))
        if self.limits.total_per_second is not None:
            self.total = self.total or Window(self.limits.total_per_second, SECOND)
            windows["total"] = self.total
        waits = {scope: max(window.wait(now), self.barred[scope] - now) for scope, window in windows.items()}
        scope, wait = max(waits.items(), key=lambda item: item[1], default=(None, 0.0))
        if wait > 0:
            seconds = max(1, math.ceil(wait))
            if self.barred[scope] <= now:
                self.barred[scope] = now + seconds
            return seconds
        for window in windows.values():
            window.events.append(now)
        return None
