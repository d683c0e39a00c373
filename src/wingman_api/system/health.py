"""Whether the API, and what it stands on, is well. Every look is bounded, and takes less than a second."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
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
    feed: Status

    @property
    def components(self) -> dict[str, Status]:
        """Each part by name."""
        return asdict(self)

    @property
    def overall(self) -> Status:
        """Nothing works without the database; without the others something does."""
        if self.database != "healthy":
            return "unhealthy"
        return "healthy" if self.gateway == self.engine == self.feed == "healthy" else "degraded"


class Health:
    """Looks at the database, through the gateway at the engine, and at this process's feed of events."""

    def __init__(self, database: Pinged, gateway: Gateway, feed: Callable[[], Status]) -> None:
        """Take what to look at; ``feed`` says how the feed is."""
        self._database = database
        self._gateway = gateway
        self._feed = feed

    async def look(self) -> Report:
        """Return what all parts say now."""
        database, gateway, engine = await asyncio.gather(
            self.database(), self._gateway.condition(""), self._gateway.condition("engine")
        )
        return Report(database, _status(gateway), "healthy" if engine == "serving" else "unhealthy", self._feed())

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
