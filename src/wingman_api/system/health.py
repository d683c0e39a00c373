"""Whether the API, and what it stands on, is well. Every look is bounded, and takes less than a second."""

import asyncio
from dataclasses import dataclass
from typing import Final, Literal, Protocol, assert_never

from wingman_api.gateway import Condition, Gateway
from wingman_core.errors import Unavailable

LOOK_SECONDS: Final = 0.8

Status = Literal["healthy", "degraded", "unhealthy"]


class Pinged(Protocol):
    """What may be down."""

    async def ping(self) -> None:
        """Return once it answered; raise ``Unavailable`` where it does not."""
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """What each part says."""

    database: Status
    gateway: Status
    engine: Status

    @property
    def overall(self) -> Status:
        """Nothing works without the database; without the others something does."""
        if self.database != "healthy":
            return "unhealthy"
        return "healthy" if self.gateway == self.engine == "healthy" else "degraded"


class Health:
    """Looks at the database and, through the gateway, at the engine."""

    def __init__(self, database: Pinged, gateway: Gateway) -> None:
        """Take what to look at."""
        self._database = database
        self._gateway = gateway

    async def look(self) -> Report:
        """Return what all parts say now."""
        database, gateway, engine = await asyncio.gather(
            self.database(), self._gateway.condition(""), self._gateway.condition("engine")
        )
        return Report(database, _status(gateway), "healthy" if engine == "serving" else "unhealthy")

    async def database(self) -> Status:
        """Return whether the database answers."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._database.ping()
        except (Unavailable, TimeoutError):
            return "unhealthy"
        return "healthy"


def _status(condition: Condition) -> Status:
    match condition:
        case "serving":
            return "healthy"
        case "not serving":
            return "degraded"
        case "silent":
            return "unhealthy"
        case _:
            assert_never(condition)
