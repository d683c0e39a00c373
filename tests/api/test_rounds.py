"""Work beside the requests: whatever goes wrong in one round, the next one comes."""

import asyncio
from typing import Any

import pytest
import structlog

from wingman_api.rounds import rounds
from wingman_core.errors import Code, Unavailable


async def test_what_goes_wrong_is_logged_and_ends_nothing():
    log: list[Any] = []
    done = asyncio.Event()
    turns = iter((Unavailable(Code.DATABASE_UNAVAILABLE, "down"), ValueError("nobody foresaw it")))

    async def work() -> None:
        for turn in turns:
            raise turn
        done.set()

    def collect(_logger: object, method: str, event: Any) -> Any:  # noqa: ANN401 - structlog's
        log.append((method, event["event"], event["work"]))
        raise structlog.DropEvent

    logger = structlog.wrap_logger(None, processors=[collect])
    running = asyncio.create_task(rounds(work, every=0, name="pump", log=logger))
    await done.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert log == [("warning", "round.waits", "pump"), ("error", "round.failed", "pump")]
