"""Whether the gateway is fit to serve, and what settles what is open; two loops until they are cancelled.

Guarantees: serving means that engine and database answered within the last look, a first reconciliation has asked
about all that was open, and no outcome waits in the journal. Each part has its own answer as well.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from wingman_core.errors import WingmanError
from wingman_gateway.journal import Journal
from wingman_gateway.reconcile import Reconciler
from wingman_gateway.refusals import Refusals

ENGINE: Final = "engine"
DATABASE: Final = "database"
JOURNAL: Final = "journal"
PARTS: Final = ("", ENGINE, DATABASE, JOURNAL)
"""The names under which health is published; the empty one is the whole."""
MOST_SECONDS: Final = 10.0
"""Between two reconciliations of what is not settled yet."""
LOOK_SECONDS: Final = 60.0
"""Between two looks at a log in which all is settled: another gateway may have left something open, or closed it."""


class Pinged(Protocol):
    """Something that may be down."""

    async def ping(self) -> object:
        """Raise ``Unavailable`` unless it answers within seconds."""
        ...


class Health:
    """Looks at what the gateway stands on, every few seconds."""

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        *,
        engine: Pinged,
        database: Pinged,
        journal: Journal,
        reconciler: Reconciler,
        refusals: Refusals,
        unsettled: asyncio.Event,
        publish: Callable[[Mapping[str, bool]], Awaitable[None]],
        interval: float,
        log: FilteringBoundLogger,
    ) -> None:
        """Take what to look at, ``publish`` for the answers by part, and seconds between two looks."""
        self._engine = engine
        self._database = database
        self._journal = journal
        self._reconciler = reconciler
        self._refusals = refusals
        self._unsettled = unsettled
        self._publish = publish
        self._interval = interval
        self._log = log
        self._settled_once = False
        self._last: dict[str, bool] = {}

    async def watch(self) -> None:
        """Look and publish until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:  # noqa: BLE001 - the loop must go on, and nothing is fit that cannot be looked at
                self._log.error("the look at health broke", exc_info=True)
                self._last = {}
                await self._publish(dict.fromkeys(PARTS, False))
            await asyncio.sleep(self._interval)

    async def look(self) -> None:
        """Look once, and publish."""
        engine, database = await asyncio.gather(_answers(self._engine), _answers(self._database))
        journal = self._settled_once and self._journal.empty()
        parts = {ENGINE: not engine, DATABASE: not database, JOURNAL: journal}
        if parts != self._last:
            self._log.info("health", **parts, reasons=[reason for reason in (engine, database) if reason])
            self._last = parts
        await self._publish({**parts, "": all(parts.values())})
        await self._refusals.flush(only_if_due=True)

    async def settle(self) -> None:
        """Reconcile now, again whenever something is unsettled, and every minute, until cancelled."""
        self._unsettled.set()
        delay = self._interval
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):  # ``wait_for`` of 3.11 may lose the end of this loop
                    await self._unsettled.wait()
            self._unsettled.clear()
            try:
                settled = await self._reconciler.run()
                self._settled_once = True
            except WingmanError as error:
                settled = False
                self._log.warning("reconciliation waits", error=str(error))
            except Exception:  # noqa: BLE001 - the loop must go on
                settled = False
                self._log.error("reconciliation broke", exc_info=True)
            if settled:
                delay = self._interval
            else:
                self._unsettled.set()
                await asyncio.sleep(delay)
                delay = min(2 * delay, MOST_SECONDS)


async def _answers(part: Pinged) -> str:
    """Return why a part is not fit; empty where it is."""
    try:
        await part.ping()
    except Exception as error:  # noqa: BLE001 - whatever it raises, it is not fit, and the next look comes
        return str(error) or type(error).__name__
    return ""
