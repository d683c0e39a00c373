"""When a request is over for its card, and when to look at it again though nothing was told."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from wingman_bot.views import Execution, Request

LAPSE: Final = timedelta(hours=25)
"""After which nothing can come of an approval that nobody used: a day, and some."""
RUNNING_LOOK: Final = timedelta(minutes=1)
"""How often a running execution is looked at, should its event have come before its record."""
DONE: Final = frozenset({"REJECTED", "EXPIRED", "CANCELLED"})


def is_over(request: Request, executions: Mapping[str, Execution], now: datetime) -> bool:
    """Return whether nothing more can come of a request that its card would have to show."""
    if request.status in DONE:
        return True
    if request.status == "PENDING":
        return False
    ran = [executions.get(each.execution_id or "") for each in request.commands]
    states = [execution.state if execution is not None else "" for execution in ran]
    if "RUNNING" in states:
        return False
    lapsed = now >= (request.decided_at or datetime.max.replace(tzinfo=UTC) - LAPSE) + LAPSE
    return all(states) or lapsed


def look_again(request: Request, executions: Mapping[str, Execution], now: datetime) -> int:
    """Return when (Unix seconds) to look at a request again: something should have been told by then."""
    if any(each.state == "RUNNING" for each in executions.values()):
        return int((now + RUNNING_LOOK).timestamp())
    if request.status == "PENDING":
        return int((request.expires_at + RUNNING_LOOK).timestamp())
    return int(((request.decided_at or now) + LAPSE).timestamp()) + 1
