"""What runs beside the answers: it goes on after failures, says when it ends, and stops with the process."""

import asyncio
from typing import Any

import structlog

from wingman_api.system.chores import chores


def log_into(lines: list[Any]) -> Any:  # noqa: ANN401
    def collect(_logger: object, _method: str, event: Any) -> Any:  # noqa: ANN401
        lines.append(dict(event))
        raise structlog.DropEvent

    return structlog.wrap_logger(None, processors=[collect])


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
