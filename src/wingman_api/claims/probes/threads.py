"""Looks that block, off the event loop: a few threads of their own, each look told when nobody waits any more.

Guarantees: however many looks hang (a file server that went away), no more than ``THREADS`` threads do, and who waits
is let go by its own limit. Does not: end a thread inside a system call; it ends when the call does.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from threading import Event
from typing import Final, TypeVar

T = TypeVar("T")
Stop = Event
"""Set when nobody waits for the look any more; a look that takes long asks it between its steps."""

THREADS: Final = 6


class Threads:
    """Runs looks off the loop."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    async def run(self, look: Callable[[Stop], T]) -> T:
        """Return what ``look`` returns, or raise what it raises; cancelling this tells it to stop."""
        stop = Event()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, look, stop)
        finally:
            stop.set()


@asynccontextmanager
async def open_threads() -> AsyncIterator[Threads]:
    """Yield the threads; a look that still runs at the end is not waited for here."""
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="probe")
    try:
        yield Threads(pool)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
