"""The bot's updates: kept until confirmed, handed to one poller, https://core.telegram.org/bots/api#getupdates.

Ids are consecutive. An update is confirmed, and forgotten, by a poll whose ``offset`` is higher than its id; one that
was handed out and not confirmed comes again. A second poll ends the first one with 409. Which kinds are wanted counts
when an update is made, not when it is fetched, and stays until it is said anew.
"""

import asyncio
import json
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from tests.bot.telegram_server.refusal import conflict

FIRST = 700_000_001
MOST = 100
LONGEST_POLL = 50
"""Seconds, as the Bot API server has it; the documentation gives no number."""
ONLY_WHEN_ASKED_FOR = {"chat_member", "message_reaction", "message_reaction_count"}
OTHER_POLLER = "terminated by other getUpdates request; make sure that only one bot instance is running"
WEBHOOK_CAME = "terminated by setWebhook request"
WEBHOOK_IS_SET = "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"


@dataclass
class Updates:
    """The queue, and who waits for it."""

    pending: "OrderedDict[int, dict[str, Any]]" = field(default_factory=OrderedDict)
    allowed: tuple[str, ...] = ()
    """Empty is all but the ones that come only when asked for."""
    next_id: int = FIRST
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    poller: asyncio.Future[str] | None = None
    """Of the poll that waits; its result is why it has to end."""

    def add(self, kind: str, what: dict[str, Any]) -> int | None:
        """Queue an update; returns its id, or None if the bot does not want the kind."""
        wanted = kind in self.allowed if self.allowed else kind not in ONLY_WHEN_ASKED_FOR
        if not wanted:
            return None
        update_id = self.next_id
        self.next_id += 1
        self.pending[update_id] = {"update_id": update_id, kind: what}
        self.arrived.set()
        return update_id

    def allow(self, value: object) -> None:
        """Take the ``allowed_updates`` of a call, None where it has none."""
        if isinstance(value, list) and all(isinstance(kind, str) for kind in value):
            self.allowed = tuple(kind.lower() for kind in value)

    def confirm(self, offset: int) -> None:
        """Forget what an offset confirms: all before it, or all but the last ``-offset``."""
        if offset < 0:
            offset = [*self.pending][offset] if len(self.pending) > -offset else 0
        for update_id in [known for known in self.pending if known < offset]:
            del self.pending[update_id]

    def end_poll(self, reason: str) -> None:
        """End the poll that waits."""
        if self.poller is not None and not self.poller.done():
            self.poller.set_result(reason)
        self.poller = None

    async def poll(self, offset: int, limit: int, seconds: float) -> list[dict[str, Any]]:
        """Confirm, then wait until there is something; raises 409 when another poll or a webhook takes over."""
        self.confirm(offset)
        if not self.pending and seconds > 0:
            await self._wait(seconds)
        return [*self.pending.values()][: min(max(limit, 1), MOST)]

    async def _wait(self, seconds: float) -> None:
        self.end_poll(OTHER_POLLER)
        mine: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.poller = mine
        self.arrived.clear()
        arriving: asyncio.Future[bool] = asyncio.ensure_future(self.arrived.wait())
        both: list[asyncio.Future[Any]] = [mine, arriving]
        try:
            await asyncio.wait(both, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            arriving.cancel()
            if self.poller is mine:
                self.poller = None
        if mine.done():
            raise conflict(mine.result())


def wanted_kinds(text: str) -> object:
    """The JSON of ``allowed_updates``; None for none, and for what is no JSON, which Telegram ignores."""
    try:
        found: object = json.loads(text) if text else None
    except ValueError:
        return None
    return found
