"""Work that a process does again and again beside its requests."""

import asyncio
from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from wingman_core.errors import Unavailable


async def rounds(work: Callable[[], Awaitable[object]], *, every: float, name: str, log: FilteringBoundLogger) -> None:
    """Do ``work`` for ever, ``every`` seconds after it was done; what goes wrong is logged and ends nothing."""
    while True:
        try:
            await work()
        except Unavailable as error:
            log.warning("round.waits", work=name, error=str(error))
        except Exception:
            log.exception("round.failed", work=name)
        await asyncio.sleep(every)
