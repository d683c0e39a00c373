"""Who is heard: the outermost check of every message and every tap.

Guarantees: nothing reaches a handler but what a listed person did themselves, in a listed chat: the tapper counts, not
the chat, nor whoever wrote the message under the button. Forwarded and automatic messages, anonymous administrators
and channels are nobody. Everybody else gets one polite refusal, for taps one a minute, and is logged and counted.
Does not: protect a person's Telegram account; whoever holds it is that person here.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiogram import BaseMiddleware
from aiogram.types import CallbackQuery, Message, TelegramObject, Update, User
from aiogram.utils.formatting import Code, Text
from structlog.typing import FilteringBoundLogger

from wingman_bot.cards import Piece
from wingman_bot.metrics import Metrics
from wingman_bot.pace import Urgency
from wingman_bot.telegram import Refused, Telegram, Unreachable

REMEMBERED: Final = 1000
"""Strangers of whom it is known that they were told."""
PATIENCE: Final = 5.0
MINUTE: Final = 60.0
"""Seconds in which a stranger's taps are answered once: each answer is a call that operators' answers wait for."""
Handler = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]


class Gate(BaseMiddleware):
    """Lets operators through, as ``person`` in the handler's data."""

    def __init__(  # noqa: PLR0913 - collaborators, by name
        self,
        operators: Mapping[int, str],
        chats: tuple[int, ...],
        *,
        telegram: Telegram,
        clock: Callable[[], float],
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        """Take people by user id, and the chats in which they are heard; ``clock`` returns seconds that only grow."""
        self._operators = dict(operators)
        self._chats = frozenset(chats)
        self._telegram = telegram
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._told: OrderedDict[tuple[int, int], None] = OrderedDict()
        self._answered: OrderedDict[int, float] = OrderedDict()

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:  # noqa: ANN401
        """Pass an update on, or refuse it."""
        if not isinstance(event, Update):
            return None
        if event.message is not None:
            return await self._message(handler, event, event.message, data)
        if event.callback_query is not None:
            return await self._tap(handler, event, event.callback_query, data)
        return None

    async def _message(self, handler: Handler, event: Update, message: Message, data: dict[str, Any]) -> Any:  # noqa: ANN401
        if not (message.text or "").startswith("/"):
            return None  # people may talk to each other
        if message.forward_origin is not None or message.via_bot is not None or message.is_automatic_forward:
            await self._refuse_message(message, "forwarded", "A forwarded command is nobody's word. Type it yourself.")
            return None
        why = self._stranger(message.from_user, message.chat.id, anonymous=message.sender_chat is not None)
        if why:
            await self._refuse_message(message, why, None)
            return None
        return await handler(event, {**data, "person": self._person(message.from_user)})

    async def _tap(self, handler: Handler, event: Update, tap: CallbackQuery, data: dict[str, Any]) -> Any:  # noqa: ANN401
        chat = tap.message.chat.id if tap.message is not None else None
        why = self._stranger(tap.from_user, chat, anonymous=False)
        if why:
            self._count("tap", why, tap.from_user, chat)
            if self._was_answered(tap.from_user.id):
                return None
            said = "This is not for this chat." if why == "chat" else "You are not an operator here, sorry."
            await self._telegram.answer(tap.id, said, alert=True, urgency=Urgency.ALERT)  # operators go first
            return None
        return await handler(event, {**data, "person": self._person(tap.from_user)})

    def _was_answered(self, user: int) -> bool:
        """Return whether somebody's tap was answered within this minute; it counts as answered now."""
        now = self._clock()
        if now - self._answered.get(user, -MINUTE) < MINUTE:
            return True
        self._answered[user] = now
        self._answered.move_to_end(user)
        if len(self._answered) > REMEMBERED:
            self._answered.popitem(last=False)
        return False

    def _stranger(self, user: User | None, chat: int | None, *, anonymous: bool) -> str:
        """Return why somebody is not heard; empty for an operator."""
        if user is None or anonymous or user.is_bot or user.id not in self._operators:
            return "person"
        return "" if chat in self._chats else "chat"

    def _person(self, user: User | None) -> str:
        return self._operators[user.id] if user is not None else ""

    async def _refuse_message(self, message: Message, why: str, said: str | None) -> None:
        user, chat = message.from_user, message.chat.id
        self._count("message", why, user, chat)
        number = user.id if user is not None else 0
        key = (chat, number)
        if key in self._told:
            return
        self._told[key] = None
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        text = Text(said) if said else Text("Sorry, I only work with this deployment's operators")
        if why == "person":
            text = Text(text, ". Whoever runs it can add your user id: ", Code(number))
        elif why == "chat":
            text = Text(text, " in chats that they listed. This chat's id: ", Code(chat))
        try:
            await self._telegram.send(chat, Piece.of(text), Urgency.ALERT, patience=PATIENCE)
        except (Refused, Unreachable) as error:
            self._log.info("gate.untold", chat=chat, error=str(error))

    def _count(self, kind: str, why: str, user: User | None, chat: int | None) -> None:
        self._metrics.refused(kind, why)
        self._log.warning("gate.refused", kind=kind, why=why, user=user.id if user is not None else None, chat=chat)
