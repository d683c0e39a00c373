"""The engine's own short history: its clock, and the events that it still remembers."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from wingman_gateway.engine.connection import JSON, Connection
from wingman_gateway.engine.stamps import engine_time

HISTORY_SECONDS: Final = 10.0


async def history(connection: Connection, filters: Mapping[str, list[str]], since: datetime) -> dict[str, list[JSON]]:
    """Return the attributes of each event that the engine remembers since then by its action, the oldest first."""
    now = await engine_now(connection)
    times = {"since": f"{since.timestamp():.9f}", "until": f"{now.timestamp():.9f}"}
    actions: dict[str, list[JSON]] = {}
    if since >= now:
        return actions
    params = {**times, "filters": json.dumps(filters)}
    async with connection.reading("GET", "events", params=params, limit=HISTORY_SECONDS) as response:
        async for line in response.content:
            event = json.loads(line)
            actions.setdefault(event["Action"], []).append(event["Actor"]["Attributes"])
    return actions


async def engine_now(connection: Connection) -> datetime:
    """Return the engine's time; raise ``Unavailable``."""
    return engine_time((await connection.ask("GET", "info"))["SystemTime"])
