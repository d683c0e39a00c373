"""Whether the API, and what it stands on, is well.

Guarantees: an answer in less than a second, whatever stalls; one look at a part at a time, so that a part that
stalls is not asked more and more. Does not: end a look that stalls (its own limits do).
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, Protocol, TypeVar, assert_never

from wingman_api.gateway import Condition, Gateway, Part
from wingman_core.errors import Unavailable

LOOK_SECONDS: Final = 0.8

T = TypeVar("T")
Status = Literal["healthy", "degraded", "unhealthy"]


class Pinged(Protocol):
    """What may be down."""

    async def ping(self) -> None:
        """Return once it answered; raise ``Unavailable`` where it does not, after a while."""
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
        self._looks: dict[str, asyncio.Task[Any]] = {}

    async def look(self) -> Report:
        """Return what all parts say now."""
        database, gateway, engine = await asyncio.gather(
            self.database(), self._condition(""), self._condition("engine")
        )
        return Report(database, _status(gateway), "healthy" if engine == "serving" else "unhealthy", self._feed())

    async def database(self) -> Status:
        """Return whether the database answers."""
        return await self._within("database", self._ping, otherwise="unhealthy")

    async def _condition(self, part: Part) -> Condition:
        return await self._within(f"gateway {part}", lambda: self._gateway.condition(part), otherwise="silent")

    async def _ping(self) -> Status:
        try:
            await self._database.ping()
        except (Unavailable, TimeoutError):
            return "unhealthy"
        return "healthy"

    async def _within(self, name: str, look: Callable[[], Coroutine[Any, Any, T]], *, otherwise: T) -> T:
        """Return what a look says within its time; one that takes longer goes on alone, and the next waits for it."""
        task: asyncio.Task[T] | None = self._looks.get(name)
        if task is None or task.done():
            task = self._looks[name] = asyncio.create_task(look())
        await asyncio.wait({task}, timeout=LOOK_SECONDS)
        return task.result() if task.done() else otherwise


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
