"""The desk: makes the chat show what the API says of each request, by one card a request.

Procedure for a request: 1. read it, and what ran of it. 2. Where it has no message: send the announcement, a line
without buttons, and keep its id. 3. Where the card is too long, or its document no longer has what the API holds: take
the buttons from the old document, send the new one, without buttons, and keep its id. 4. Edit the message, or both,
into the card as it is now, buttons included. 5. Keep what is shown; a request that is over is forgotten.

Guarantees: only step 4 makes a card, and an edit may be repeated; so a request has at most one, whatever is killed and
whenever. A crash within step 2 or 3 leaves at most a line or a file without buttons behind (docs/decisions/0009).
Buttons are on a document of what they decide on. Nothing is forgotten before it was shown, but what ended before it
was announced. Edits do not wait behind new cards, nor new cards in the order in which they came (``card_queue``).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from itertools import count
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from wingman_bot.api_client import ApiClient
from wingman_bot.backoff import delays
from wingman_bot.card_queue import FIELDS, CardQueue, place_of
from wingman_bot.cards import Card, announcement, card
from wingman_bot.endings import is_over, look_again
from wingman_bot.ledger import Ledger, Superseded
from wingman_bot.pace import Urgency
from wingman_bot.telegram import Gone, Refused, Telegram, Unauthorized, Unreachable
from wingman_bot.views import Execution, Request
from wingman_core.errors import Code, Unavailable, WingmanError

KEY: Final = "apr_"
"""How the keys of requests' notes begin."""
EDITORS: Final = 4
SWEEP: Final = 20.0
TROUBLE: Final = 30.0
"""Seconds until the next try where Telegram refused."""


class Desk:
    """All requests that are not over; ``now`` returns aware times."""

    def __init__(  # noqa: PLR0913 - collaborators, by name
        self,
        api: ApiClient,
        telegram: Telegram,
        ledger: Ledger,
        *,
        chat: int,
        operators: Iterable[str],
        now: Callable[[], datetime],
        log: FilteringBoundLogger,
    ) -> None:
        """Take the collaborators; cards go to ``chat``."""
        self._api = api
        self._telegram = telegram
        self._ledger = ledger
        self._chat = chat
        self._operators = tuple(operators)
        self._now = now
        self._log = log
        self._numbers = count()
        self._cards = CardQueue()
        self._edits: asyncio.PriorityQueue[tuple[int, int, str]] = asyncio.PriorityQueue()
        self._queued: dict[str, int] = {}
        """Requests that wait for an edit, and how urgent it is, the urgent ones with 0."""
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._failures: dict[str, Any] = {}
        self.asked_twice: set[str] = set()
        """Requests whose card asks for the second tap."""

    @property
    def waiting(self) -> int:
        """How many requests wait to be shown."""
        return len(self._queued) + len(self._cards)

    def sizes(self) -> dict[str, int]:
        """Return how much of each kind is remembered; none of it outgrows the ledger's notes."""
        return {
            "cards": len(self._cards),
            "edits": self._edits.qsize(),
            "queued": len(self._queued),
            "busy": len(self._busy),
            "again": len(self._again),
            "failures": len(self._failures),
            "asked_twice": len(self.asked_twice),
        }

    async def run(self) -> None:
        """Show what is due, for ever."""
        for key, note in sorted(self._ledger.notes.items(), key=lambda each: int(each[1].get("e", 0))):
            if key.startswith(KEY) and (note.get("s", -1) < note["e"] or "h" not in note):
                self.wake(key)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deal(), name="cards")
            for number in range(EDITORS):
                group.create_task(self._edit(), name=f"edits {number}")
            group.create_task(self._sweep(), name="sweep")

    def wake(self, request_id: str, *, urgent: bool = False) -> None:
        """Have a request shown as it is now; the ``urgent`` ones first."""
        note = self._ledger.notes.get(request_id)
        if note is None:
            return
        rank = 0 if urgent else 1
        if request_id in self._busy:
            self._again.add(request_id)
        elif "m" not in note:
            self._cards.put(request_id, place_of(note))
        elif rank < self._queued.get(request_id, rank + 1):
            self._queued[request_id] = rank
            self._edits.put_nowait((rank, next(self._numbers), request_id))

    def place(self, request_id: str) -> tuple[int, int] | None:
        """Return chat and message of the buttons of a request's card; None where it has no card that is known."""
        note = self._ledger.notes.get(request_id, {})
        message = note.get("d", note.get("m"))
        return None if message is None else (int(note["c"]), int(message))

    async def _deal(self) -> None:
        """Make cards, one at a time; which one is chosen when there is room for it."""
        while True:
            await self._cards.filled()
            await self._telegram.room(self._chat)
            await self._work(self._cards.take())

    async def _edit(self) -> None:
        while True:
            _, _, request_id = await self._edits.get()
            if request_id not in self._busy and self._queued.pop(request_id, None) is not None:
                await self._work(request_id)  # else the same again: it was urgent meanwhile

    async def _work(self, request_id: str) -> None:
        self._busy.add(request_id)
        try:
            await self._tried(request_id, self._show)
        finally:
            self._busy.discard(request_id)
        if request_id in self._again:
            self._again.discard(request_id)
            self.wake(request_id)

    async def _tried(self, request_id: str, work: Callable[[str], Awaitable[None]]) -> None:
        """Do the work; where that fails, come back to it later. Nothing is given up."""
        try:
            await work(request_id)
        except (Unavailable, Unreachable) as error:
            wait = next(self._failures.setdefault(request_id, delays()))
            self._log.warning("desk.waits", request=request_id, error=str(error))
        except Refused as refused:
            wait = TROUBLE
            self._log.error("desk.refused", request=request_id, chat=self._chat, error=str(refused))
        except WingmanError as error:
            wait = TROUBLE
            self._log.error("desk.failed", request=request_id, error=str(error))
        except (Superseded, Unauthorized):
            raise
        except Exception:  # noqa: BLE001 - one request that cannot be shown must not keep the others from it
            wait = TROUBLE
            self._log.exception("desk.failed", request=request_id)
        else:
            self._failures.pop(request_id, None)
            return
        asyncio.get_running_loop().call_later(wait, self.wake, request_id)

    async def _show(self, request_id: str) -> None:
        """Bring one card up to date (the numbered procedure)."""
        note = self._ledger.notes.get(request_id)
        if note is None:
            return
        due = int(note["e"])
        # 1. As it is now.
        try:
            request = await self._api.request(request_id)
        except WingmanError as error:
            if error.code is not Code.APPROVAL_UNKNOWN:
                raise
            self._log.warning("desk.unknown", request=request_id)
            self._forget(request_id)
            return
        executions = await self._executions(request)
        over = is_over(request, executions, self._now())
        if over and "m" not in note:
            self._log.info("desk.over_unseen", request=request_id, status=request.status)
            self._forget(request_id)
            return
        if request.status != "PENDING":
            self.asked_twice.discard(request_id)
        wanted = card(
            request,
            executions,
            self._operators,
            has_document="d" in note,
            asked_twice=request_id in self.asked_twice,
        )
        await self._send_what_is_missing(request, wanted)
        # 4. The card.
        note = self._ledger.notes.get(request_id, note)
        if note.get("h") != wanted.seal and not await self._edited(note, wanted):
            self._log.warning("desk.card_gone", request=request_id)
            self._forget(request_id)  # it was sent, and that is that; /show and /approve still work
            return
        # 5. Done, for now or for good.
        if over:
            self._forget(request_id)
            return
        shown = self._noted(request_id, s=due, h=wanted.seal, u=look_again(request, executions, self._now()))
        if shown != self._ledger.notes.get(request_id):
            self._ledger.keep({request_id: shown})
        if int(shown["e"]) > due:
            self._again.add(request_id)

    def _forget(self, request_id: str) -> None:
        """Let go of a request for good."""
        self._ledger.keep({request_id: None})
        self.asked_twice.discard(request_id)

    async def _kept(self, request_id: str, **changes: Any) -> None:  # noqa: ANN401 - a note's values
        """Have a message's id stored before anything is made of it; raise ``WingmanError`` where it is not."""
        if not await self._ledger.kept({request_id: self._noted(request_id, **changes)}):
            self._forget(request_id)
            raise WingmanError(Code.REQUEST_INVALID, "the card's place cannot be kept", hint="/show and /approve work")

    async def _strip(self, note: Mapping[str, Any]) -> None:
        """Take the buttons from a document that is no longer true."""
        with suppress(Gone, Refused):  # a tap on them would decide nothing
            await self._telegram.edit_buttons(int(note["c"]), int(note["d"]), None)

    async def _send_what_is_missing(self, request: Request, wanted: Card) -> None:
        """Send the announcement and the document; their ids are kept before anything is made of them (2. and 3.)."""
        note = self._ledger.notes[request.id]
        if "m" not in note:
            message = await self._telegram.send(self._chat, announcement(request), Urgency.CARD)
            await self._kept(request.id, c=self._chat, m=message, **dict.fromkeys(FIELDS))
        if wanted.document is not None and note.get("k") != wanted.document.digest:
            if "d" in note:
                await self._kept(request.id, h=None)  # unfinished from here on, also for the next life
                await self._strip(note)
            chat = int(self._ledger.notes[request.id]["c"])
            message = await self._telegram.send_document(chat, wanted.document, Urgency.CARD)
            await self._kept(request.id, d=message, k=wanted.document.digest, h=None)

    async def _edited(self, note: Mapping[str, Any], wanted: Card) -> bool:
        """Edit a card's message, or both of its messages; return whether they are there."""
        chat, message = int(note["c"]), int(note["m"])
        try:
            if "d" not in note or wanted.document is None:
                await self._telegram.edit(chat, message, wanted.body, wanted.buttons)
            else:
                await self._telegram.edit(chat, message, wanted.body, None)
                await self._telegram.edit_buttons(chat, int(note["d"]), wanted.buttons)
        except Gone:
            return False
        except Refused:
            if chat == self._chat:
                raise
            return False  # a chat of earlier settings, which the bot has left
        return True

    async def _executions(self, request: Request) -> dict[str, Execution]:
        found = await asyncio.gather(
            *(self._api.execution(each.execution_id) for each in request.commands if each.execution_id)
        )
        return {each.execution_id: each for each in found}

    def _noted(self, request_id: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - a note's values
        """Return a request's note as it stands, with changes; None takes a value out."""
        note = {**self._ledger.notes.get(request_id, {}), **changes}
        return {key: value for key, value in note.items() if value is not None}

    async def _sweep(self) -> None:
        """Look at what should have changed by now."""
        while True:
            await asyncio.sleep(SWEEP)
            now = int(self._now().timestamp())
            for key, note in list(self._ledger.notes.items()):
                if key.startswith(KEY) and note.get("u", now + 1) <= now:
                    self.wake(key)
