"""Telegram as the bot uses it: every call waits for its turn, obeys 429, and is repeated where that makes sense.

Guarantees: a 429 holds the chat, or the answers to taps, for as long as it says; 5xx and a lost network are tried
again with growing, uneven pauses, for ``LOSSES`` times, so that what Telegram cannot do for one message holds up no
other, and are ``Unreachable`` then; no error of this module holds the bot's token (it stands in every address). A
refusal that repeating cannot mend is raised at once as ``Refused`` or ``Gone``.
Does not: know whether a message was sent where the answer got lost: ``send`` may send twice then, so nothing that may
exist only once depends on it (docs/decisions/0009).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import islice
from typing import Final, TypeVar

from aiogram import Bot
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramUnauthorizedError,
)
from aiogram.types import BufferedInputFile, InlineKeyboardMarkup, LinkPreviewOptions, Message
from structlog.typing import FilteringBoundLogger

from wingman_bot.backoff import delays
from wingman_bot.cards import Document, Piece
from wingman_bot.metrics import Metrics
from wingman_bot.pace import TAPS, Pace, Scope, Urgency

FOREVER: Final = float("inf")
SHORTLY: Final = 12.0
"""Seconds for an answer to somebody who waits."""
CALL: Final = 30
"""Seconds for one call."""
LOSSES: Final = 5
"""Times that a call which got lost is made again at once; whoever needs it comes back to it."""
NOT_MODIFIED: Final = "message is not modified"
GONE: Final = ("message to edit not found", "message can't be edited", "message_id_invalid", "message to be edited")
LONGEST_ANSWER: Final = 200
LONGEST_WORDS: Final = 300
REFUSALS: Final = (
    TelegramBadRequest,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNotFound,
)
"""What repeating does not mend; too large is a network error by descent, and yet an answer."""
NO_PREVIEW: Final = LinkPreviewOptions(is_disabled=True)

T = TypeVar("T")


class Refused(Exception):
    """Telegram says no, and will again: the chat is not there, the bot was blocked, or the call is wrong."""


class Gone(Exception):
    """The message is not there any more, or not the bot's to change."""


class Unreachable(Exception):
    """Telegram did not answer in the time there was."""


class Unauthorized(Exception):
    """The token is not, or no longer, good."""


class Telegram:
    """One bot's calls."""

    def __init__(self, bot: Bot, pace: Pace, metrics: Metrics, log: FilteringBoundLogger) -> None:
        """Take the collaborators; ``bot`` brings the session."""
        self.bot = bot
        self._pace = pace
        self._metrics = metrics
        self._log = log

    async def room(self, chat: int) -> None:
        """Return once a card could be sent to a chat."""
        await self._pace.turn(Urgency.CARD, chat, is_message=True, takes=False)

    async def send(
        self,
        chat: int,
        piece: Piece,
        urgency: Urgency,
        *,
        buttons: InlineKeyboardMarkup | None = None,
        patience: float = FOREVER,
    ) -> int:
        """Send a message and return its id."""

        async def call() -> Message:
            return await self.bot.send_message(
                chat,
                piece.text,
                entities=list(piece.entities) or None,
                parse_mode=None,
                reply_markup=buttons,
                link_preview_options=NO_PREVIEW,
                request_timeout=CALL,
            )

        return (await self._made("sendMessage", call, urgency, chat, is_message=True, patience=patience)).message_id

    async def send_document(self, chat: int, document: Document, urgency: Urgency, *, patience: float = FOREVER) -> int:
        """Send a file and return its message's id."""

        async def call() -> Message:
            return await self.bot.send_document(
                chat,
                BufferedInputFile(document.data, document.name),
                caption=document.caption.text,
                caption_entities=list(document.caption.entities) or None,
                parse_mode=None,
                disable_content_type_detection=True,
                request_timeout=CALL,
            )

        return (await self._made("sendDocument", call, urgency, chat, is_message=True, patience=patience)).message_id

    async def edit(self, chat: int, message: int, piece: Piece, buttons: InlineKeyboardMarkup | None) -> None:
        """Make a message say this, with these buttons; raise ``Gone`` where it is not there."""

        async def call() -> object:
            return await self.bot.edit_message_text(
                piece.text,
                chat_id=chat,
                message_id=message,
                entities=list(piece.entities) or None,
                parse_mode=None,
                reply_markup=buttons,
                link_preview_options=NO_PREVIEW,
                request_timeout=CALL,
            )

        await self._edited("editMessageText", call, chat)

    async def edit_buttons(self, chat: int, message: int, buttons: InlineKeyboardMarkup | None) -> None:
        """Give a message these buttons, or none; raise ``Gone`` where it is not there."""

        async def call() -> object:
            return await self.bot.edit_message_reply_markup(
                chat_id=chat, message_id=message, reply_markup=buttons, request_timeout=CALL
            )

        await self._edited("editMessageReplyMarkup", call, chat)

    async def answer(self, query: str, text: str, *, alert: bool = False, urgency: Urgency = Urgency.ANSWER) -> None:
        """Answer a tap, if it is still fresh; a late answer is nobody's loss, since the card shows it too."""

        async def call() -> object:
            shown = text if len(text) <= LONGEST_ANSWER else f"{text[: LONGEST_ANSWER - 2]} …"
            return await self.bot.answer_callback_query(query, shown, show_alert=alert, request_timeout=CALL)

        with suppress(Refused, Unreachable):
            await self._made("answerCallbackQuery", call, urgency, TAPS, is_message=False, patience=SHORTLY)

    async def _edited(self, name: str, call: Callable[[], Awaitable[object]], chat: int) -> None:
        try:
            await self._made(name, call, Urgency.EDIT, chat, is_message=False, patience=FOREVER)
        except Refused as refused:
            said = str(refused).casefold()
            if NOT_MODIFIED in said:
                return
            if any(words in said for words in GONE):
                raise Gone(str(refused)) from None
            raise

    async def _made(  # noqa: PLR0913 - one call
        self,
        name: str,
        call: Callable[[], Awaitable[T]],
        urgency: Urgency,
        scope: Scope,
        *,
        is_message: bool,
        patience: float,
    ) -> T:
        """Make a call in its turn, and again until it is done, refused, lost too often, or the patience is over."""
        loop = asyncio.get_running_loop()
        deadline, waits = loop.time() + patience, islice(delays(), LOSSES)
        while True:
            try:
                async with asyncio.timeout(None if patience == FOREVER else max(0.0, deadline - loop.time())):
                    await self._pace.turn(urgency, scope, is_message=is_message)
            except TimeoutError:
                raise Unreachable(f"{name}: no turn in time") from None
            try:
                done = await call()
            except TelegramRetryAfter as error:
                self._metrics.call(name, "429")
                self._log.warning("telegram.slow_down", method=name, scope=scope, seconds=error.retry_after)
                self._pace.pause(scope, error.retry_after)
                continue
            except TelegramUnauthorizedError as error:
                raise Unauthorized(words(error)) from None
            except REFUSALS as error:
                self._metrics.call(name, "refused")
                raise Refused(words(error)) from None
            except (TelegramAPIError, ClientDecodeError) as error:
                self._metrics.call(name, "lost")
                self._log.warning("telegram.lost", method=name, scope=scope, error=words(error))
            else:
                self._metrics.call(name, "ok")
                return done
            wait = next(waits, FOREVER)
            if wait == FOREVER or loop.time() + wait > deadline:
                raise Unreachable(f"{name}: no answer in time")
            await asyncio.sleep(wait)


def words(error: Exception) -> str:
    """Return what an error says, in short; what a server sent that is not of the Bot API is left out."""
    if isinstance(error, ClientDecodeError):
        return "an answer that is not of the Bot API"
    said = error.message if isinstance(error, TelegramAPIError) else str(error)
    return " ".join(said.split())[:LONGEST_WORDS]
