"""How much one caller may ask at once and in a second, and one mutation at a time for each target.

Guarantees: a caller over its limits is refused before anything else is done for it, and others do not feel
it; executions that share a target take turns, and no set of turns can deadlock (keys are taken in order).
Does not: know of another gateway on the same engine.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Final

from wingman_core.errors import Code, LimitExceeded

BURST_SECONDS: Final = 4.0
CALLERS: Final = 4096


class Limits:
    """Calls in flight, and a token bucket, per caller."""

    def __init__(self, *, concurrency: int, rate: float, clock: Callable[[], float]) -> None:
        """Take calls in flight, calls per second, and a monotonic clock in seconds."""
        self._concurrency = concurrency
        self._rate = rate
        self._capacity = max(1.0, rate * BURST_SECONDS)
        self._clock = clock
        self._running: Counter[str] = Counter()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @contextmanager
    def admit(self, caller: str) -> Iterator[None]:
        """Hold one of the caller's places; raise ``LimitExceeded`` if it is too fast or has too many."""
        self._take(caller)
        if self._running[caller] >= self._concurrency:
            raise LimitExceeded(
                Code.LIMIT_EXCEEDED,
                f"{self._concurrency} calls are in flight already",
                hint="wait for one to finish",
                limit="concurrency",
            )
        self._running[caller] += 1
        try:
            yield
        finally:
            self._running[caller] -= 1
            if not self._running[caller]:
                del self._running[caller]

    def _take(self, caller: str) -> None:
        now = self._clock()
        level, since = self._buckets.pop(caller, (self._capacity, now))
        level = min(self._capacity, level + (now - since) * self._rate)
        allowed = level >= 1.0
        self._buckets[caller] = (level - 1.0 if allowed else level, now)
        while len(self._buckets) > CALLERS:
            self._buckets.popitem(last=False)
        if not allowed:
            raise LimitExceeded(
                Code.LIMIT_EXCEEDED,
                f"more than {self._rate:g} calls in a second",
                hint="slow down and try again",
                limit="rate",
            )


class Turns:
    """One holder at a time for each key."""

    def __init__(self, *, wait: float, queue: int) -> None:
        """Take the longest wait for a turn in seconds, and how many may wait for one key."""
        self._wait = wait
        self._queue = queue
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def take(self, keys: Iterable[str]) -> AsyncIterator[bool]:
        """Hold every key; yield whether somebody else held one first.

        Raises ``LimitExceeded`` after the wait, and at once where too many wait already.
        """
        ordered = sorted(set(keys))
        if any(self._users[key] > self._queue for key in ordered):  # one of them holds it
            raise LimitExceeded(
                Code.LIMIT_EXCEEDED,
                f"{self._queue} executions wait for the same target already",
                hint="wait for one to finish",
                limit="target",
            )
        for key in ordered:
            self._users[key] += 1
        try:
            async with AsyncExitStack() as stack:
                waited = await self._enter(stack, ordered)
                yield waited
        finally:
            for key in ordered:
                self._users[key] -= 1
                if not self._users[key]:
                    del self._users[key]
                    self._locks.pop(key, None)

    async def _enter(self, stack: AsyncExitStack, keys: list[str]) -> bool:
        waited = False
        try:
            async with asyncio.timeout(self._wait):
                for key in keys:
                    lock = self._locks.setdefault(key, asyncio.Lock())
                    waited = waited or self._users[key] > 1  # also who waits, and holds nothing yet
                    await stack.enter_async_context(lock)
        except TimeoutError as error:
            raise LimitExceeded(
                Code.LIMIT_EXCEEDED,
                f"another execution has held the same target for {self._wait:g} s",
                hint="wait for it to finish",
                limit="target",
            ) from error
        return waited
