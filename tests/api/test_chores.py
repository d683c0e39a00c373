"""What runs beside the answers: it goes on after failures, says when it ends, and stops with the process."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import structlog

from wingman_api.system.chores import chores
from wingman_api.system.sweeper import Sweeper
from wingman_core.errors import Code, Unavailable

AT = datetime(2026, 1, 2, tzinfo=UTC)


def log_into(lines: list[Any]) -> Any:  # noqa: ANN401
    def collect(_logger: object, _method: str, event: Any) -> Any:  # noqa: ANN401
        lines.append(dict(event))
        raise structlog.DropEvent

    return structlog.wrap_logger(None, processors=[collect])


async def test_a_sweep_that_fails_stops_no_other_and_is_tried_again():
    lines: list[Any] = []
    swept: asyncio.Queue[datetime] = asyncio.Queue()

    async def fails(_now: datetime) -> None:
        raise Unavailable(Code.DATABASE_UNAVAILABLE, "down")

    async def works(now: datetime) -> None:
        swept.put_nowait(now)

    async with chores(
        log_into(lines), {"sweeper": Sweeper([fails, works], now=lambda: AT, log=log_into(lines)).run(every=0)}
    ):
        assert [await swept.get() for _ in range(2)] == [AT, AT]
    assert {line["event"] for line in lines} == {"sweep.failed"}
    assert "DATABASE_UNAVAILABLE" in lines[0]["error"]


async def test_a_chore_that_ends_by_itself_is_said():
    lines: list[Any] = []
    failing = asyncio.Event()

    async def fails() -> None:
        try:
            raise ValueError("a bug")
        finally:
            failing.set()

    async def ends() -> None:
        return None

    async def stays() -> None:
        await asyncio.Event().wait()

    async with chores(log_into(lines), {"fails": fails(), "ends": ends(), "stays": stays()}):
        await failing.wait()
        await asyncio.sleep(0)
    assert {line["chore"]: str(line["exc_info"]) for line in lines} == {"fails": "a bug", "ends": "None"}
