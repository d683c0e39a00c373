"""What the process does beside answering, for as long as it serves.

Guarantees: a chore that ends by itself, which none should, is logged with its reason and not just missed.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager

from structlog.typing import FilteringBoundLogger


@asynccontextmanager
async def chores(log: FilteringBoundLogger, named: Mapping[str, Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Run them while the block runs, and cancel them at its end."""
    tasks = [asyncio.create_task(chore, name=name) for name, chore in named.items()]

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            log.error("chore.ended", chore=task.get_name(), exc_info=task.exception())

    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
