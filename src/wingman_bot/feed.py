"""The feed: follows what happens at the API and writes down what of it has to be shown.

Guarantees: an event counts as handled once the ledger holds, in the same change as the cursor, that something is due
for it; so none is missed, however the connection or the process ends. It waits neither for Telegram nor for people.
After events were lost (the API keeps them for a while only), everything that waits and everything that is shown is
looked at again.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from pydantic import ValidationError
from structlog.typing import FilteringBoundLogger

from wingman_bot.alerts import Alerts
from wingman_bot.api_client import ApiClient
from wingman_bot.backoff import delays
from wingman_bot.card_queue import noted
from wingman_bot.desk import KEY, Desk
from wingman_bot.ledger import BATCH, Ledger, Value
from wingman_bot.metrics import Metrics
from wingman_bot.views import Happened, Request, is_high
from wingman_core.errors import Code, Unavailable, WingmanError
from wingman_core.event_stream import Event

MARK: Final = "feed.mark"
UNSTORED: Final = 200
"""Changes that may wait to be stored before the feed waits, too."""
FIRST, LONGEST = 0.2, 15.0
STALE: Final = 45.0
"""Seconds without a sign of life after which the feed is not live."""


class Feed:
    """One bot's reading of the feed."""

    def __init__(  # noqa: PLR0913 - collaborators, by name
        self,
        api: ApiClient,
        ledger: Ledger,
        desk: Desk,
        alerts: Alerts,
        *,
        clock: Callable[[], float],
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        """Take the collaborators; ``clock`` returns seconds that only grow."""
        self._api = api
        self._ledger = ledger
        self._desk = desk
        self._alerts = alerts
        self._clock = clock
        self._metrics = metrics
        self._log = log
        self._heard: float | None = None

    @property
    def is_live(self) -> bool:
        """Whether the API was heard a moment ago."""
        return self._heard is not None and self._clock() - self._heard < STALE

    async def run(self) -> None:
        """Follow for ever; raise ``WingmanError`` where the API refuses this bot."""
        waits = delays(FIRST, LONGEST)
        while True:
            try:
                if not self._ledger.ready:
                    await self._look_at_everything()
                async for item in self._api.events(self._ledger.cursor):
                    self._heard = self._clock()
                    if item is not None:
                        waits = delays(FIRST, LONGEST)
                        await self._take(item)
            except Unavailable as error:
                self._log.warning("feed.waits", error=str(error), after=self._ledger.cursor)
            except WingmanError as error:
                if error.code is not Code.EVENTS_LOST:
                    raise
                self._log.warning("feed.lost", error=str(error), after=self._ledger.cursor)
                self._ledger.ready = False
            await asyncio.sleep(next(waits))

    async def _take(self, item: Event) -> None:
        if item.name == MARK or not item.id.isdigit():
            return
        position = int(item.id)
        if position <= self._ledger.cursor:
            return
        try:
            event = Happened.model_validate_json(item.data)
        except ValidationError:
            self._log.warning("feed.not_understood", type=item.name, position=position)
            event = Happened(type="")
        await self._ledger.room()
        notes = self._notes_of(event, position)
        stored = self._ledger.keep(notes, cursor=position)
        stored.add_done_callback(lambda _: self._tell(event, notes))
        self._metrics.event()
        if self._ledger.unstored > UNSTORED:
            await asyncio.shield(stored)

    def _notes_of(self, event: Happened, position: int) -> dict[str, Value | None]:
        """Return what is due after an event."""
        notes: dict[str, Value | None] = dict(self._alerts.note_of(event, position))
        known = self._ledger.notes.get(event.request_id)
        if known is not None:
            notes[event.request_id] = known | {"e": position}
        elif event.type == "approval.requested" and event.status == "PENDING":
            notes[event.request_id] = {"e": position} | noted(
                is_high=is_high(event.risk),
                expires_at=event.expires_at,
                asker=event.requested_by,
                worker=event.worker_id,
            )
        return notes

    def _tell(self, event: Happened, notes: dict[str, Value | None]) -> None:
        """Have done what has become due and durable."""
        for key in notes:
            if key == event.request_id:
                self._desk.wake(key)
            else:
                self._alerts.ring()
        if event.type.startswith("approval."):
            self._alerts.count()

    async def _look_at_everything(self) -> None:
        """Take what waits now for due, and all that is shown for old; then follow from here on."""
        newest = await self._newest()
        due: dict[str, Value] = {key: note for key, note in self._ledger.notes.items() if key.startswith(KEY)}
        due |= {each.id: due.get(each.id, _waits(each)) for each in await self._api.every_pending()}
        keys = list(due)
        for first in range(0, len(keys), BATCH):
            await self._ledger.room()
            some = {key: self._ledger.notes.get(key, due[key]) | {"e": newest} for key in keys[first : first + BATCH]}
            await self._ledger.kept(some)
            for key in some:
                self._desk.wake(key)
        self._ledger.ready = True
        await self._ledger.kept({}, cursor=newest)
        self._alerts.count()
        self._log.info("feed.begins", after=newest, requests=len(keys))

    async def _newest(self) -> int:
        """Return where the feed is; raise ``Unavailable`` where it does not say."""
        async for item in self._api.events(None):
            if item is not None and item.name == MARK and item.id.isdigit():
                return int(item.id)
        raise Unavailable(Code.GATEWAY_UNAVAILABLE, "the feed ended before it began", hint="it is tried again")


def _waits(request: Request) -> Value:
    """Return what a note says of a request that waits for its card."""
    return noted(
        is_high=request.is_high, expires_at=request.expires_at, asker=request.requested_by, worker=request.worker_id
    )
