"""Taps on a card's buttons.

Guarantees: a tap counts only on the very message that is the request's card, in its chat, with the digest of what the
API holds now; a payload that was altered, replayed, or is of another message decides nothing.
"""

from typing import Any, Final

from aiogram import F, Router
from aiogram.types import CallbackQuery
from structlog.typing import FilteringBoundLogger

from wingman_bot.api_client import ApiClient
from wingman_bot.buttons import Tap, Wish, short_digest
from wingman_bot.cards import Document, Piece
from wingman_bot.decisions import AWAY, REFUSALS, Decisions, Verb, already, settled
from wingman_bot.desk import Desk
from wingman_bot.details import details
from wingman_bot.metrics import Metrics
from wingman_bot.pace import Urgency
from wingman_bot.telegram import Refused, Telegram, Unreachable
from wingman_bot.views import Request
from wingman_core.errors import Unavailable, WingmanError

PATIENCE: Final = 20.0
"""Seconds until details are given up; whoever tapped goes on waiting for what they tap next."""
VERBS: Final[dict[Wish, Verb]] = {Wish.APPROVE: "approve", Wish.CONFIRM: "approve", Wish.REJECT: "reject"}
NOT_MINE: Final = "This button is none of this bot's."
NOT_THE_CARD: Final = (
    "This is not the request's card, so nothing was decided. Use the card itself, or /show and /approve."
)
CHANGED: Final = "The request is not what this card showed, so nothing was decided. Look at the card again."


class Taps:
    """Handles taps; its ``router`` goes into the dispatcher."""

    def __init__(  # noqa: PLR0913 - collaborators, by name
        self,
        api: ApiClient,
        telegram: Telegram,
        desk: Desk,
        decisions: Decisions,
        *,
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        """Take the collaborators."""
        self._api = api
        self._telegram = telegram
        self._desk = desk
        self._decisions = decisions
        self._metrics = metrics
        self._log = log
        self.router: Final = Router(name="taps")
        self.router.callback_query.register(self._tapped, Tap.filter())
        self.router.callback_query.register(self._other, F.id)

    async def _other(self, tap: CallbackQuery, **_: Any) -> None:  # noqa: ANN401 - the dispatcher's data
        self._metrics.refused("tap", "payload")
        self._log.warning("tap.payload", user=tap.from_user.id)
        await self._telegram.answer(tap.id, NOT_MINE, alert=True)

    async def _tapped(self, tap: CallbackQuery, callback_data: Tap, person: str) -> None:
        """Do what a tap asks for, in order: is this the card, is it the same request still, and then the wish."""
        message = tap.message
        here = None if message is None else (message.chat.id, message.message_id)
        place = self._desk.place(callback_data.request)
        if place is not None and here != place:
            await self._refuse(tap, "message", NOT_THE_CARD)
            return
        try:
            request = await self._api.request(callback_data.request)
        except Unavailable:
            await self._telegram.answer(tap.id, AWAY, alert=True)
            return
        except WingmanError as error:
            await self._refuse(tap, "request", REFUSALS.get(error.code, NOT_MINE))
            return
        if callback_data.digest != short_digest(request):
            await self._refuse(tap, "digest", CHANGED)
            self._desk.wake(request.id, urgent=True)
            return
        if callback_data.wish is Wish.DETAILS:
            await self._show_details(tap, request)
        elif request.status != "PENDING":
            verb = VERBS.get(callback_data.wish)
            said = already(request) if verb is None else settled(request, verb, person)
            await self._telegram.answer(tap.id, said, alert=True)
            self._desk.wake(request.id, urgent=True)
        elif place is None:  # a card of another life, whose place nobody knows
            await self._refuse(tap, "message", NOT_THE_CARD)
        else:
            await self._wished(tap, callback_data.wish, request, person)

    async def _wished(self, tap: CallbackQuery, wish: Wish, request: Request, person: str) -> None:
        match wish:
            case Wish.APPROVE | Wish.CONFIRM if self._decisions.is_first_step(
                person, request, repeats=wish is Wish.CONFIRM
            ):
                self._decisions.arm(person, request)
                self._desk.asked_twice.add(request.id)
                said = f"HIGH risk: to approve, tap “Yes, approve {short_digest(request)}” once more."
                await self._telegram.answer(tap.id, said, alert=True)
            case Wish.APPROVE | Wish.CONFIRM:
                await self._decide(tap, request, person, "approve")
            case Wish.REJECT:
                await self._decide(tap, request, person, "reject")
            case Wish.BACK | Wish.DETAILS:
                self._decisions.disarm(person, request)
                self._desk.asked_twice.discard(request.id)
                await self._telegram.answer(tap.id, "Nothing was decided.")
        self._desk.wake(request.id, urgent=True)

    async def _decide(self, tap: CallbackQuery, request: Request, person: str, verb: Verb) -> None:
        said = await self._decisions.decide(request, verb, person=person, note="", once=f"telegram-tap-{tap.id}")
        if said.done:
            self._desk.asked_twice.discard(request.id)
        self._desk.wake(request.id, urgent=True)
        await self._telegram.answer(tap.id, said.text, alert=not said.done)

    async def _show_details(self, tap: CallbackQuery, request: Request) -> None:
        await self._telegram.answer(tap.id, "Here they are.")
        if tap.message is None:
            return
        piece = details(request)
        chat = tap.message.chat.id
        try:
            if piece.fits:
                await self._telegram.send(chat, piece, Urgency.ANSWER, patience=PATIENCE)
            else:
                caption = Piece(f"Details of {request.id}")
                file = Document(f"{request.id}-details.txt", piece.text.encode(), caption)
                await self._telegram.send_document(chat, file, Urgency.ANSWER, patience=PATIENCE)
        except (Refused, Unreachable) as error:
            self._log.warning("details.untold", request=request.id, error=str(error))

    async def _refuse(self, tap: CallbackQuery, why: str, text: str) -> None:
        self._metrics.refused("tap", why)
        self._log.warning("tap.refused", why=why, user=tap.from_user.id)
        await self._telegram.answer(tap.id, text, alert=True)
