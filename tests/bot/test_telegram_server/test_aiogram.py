"""aiogram's own client and dispatcher against the server: what it sends is understood, and what comes back it takes."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiogram import Bot, Dispatcher, F
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramConflictError,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.filters import Command
from aiogram.types import (
    BotCommand,
    BotCommandScopeChat,
    BufferedInputFile,
    CallbackQuery,
    InaccessibleMessage,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    Message,
    MessageEntity,
    ReplyParameters,
    TelegramObject,
)

from tests.bot.telegram_server.client import Telegram
from tests.bot.telegram_server.wire import Chat, Person

KEYBOARD = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="Approve", callback_data="a:1")]])


def dumped(objects: Sequence[TelegramObject | None] | None) -> list[dict[str, Any]]:
    """What they say; objects that came from a bot are not equal to others that say the same."""
    return [{} if each is None else each.model_dump(exclude_none=True) for each in objects or []]


async def test_every_method_speaks_aiograms_types(telegram: Telegram, bot: Bot, alice: Person, chat: Chat):
    me = await bot.get_me()
    assert me.id == bot.id == telegram.bot_id
    bold = MessageEntity(type="bold", offset=0, length=4)
    sent = await bot.send_message(chat.id, "card x", entities=[bold], reply_markup=KEYBOARD)
    assert dumped(sent.entities) == dumped([bold])
    assert dumped([sent.reply_markup]) == dumped([KEYBOARD])
    edited = await bot.edit_message_text(
        "<b>card</b> y", chat_id=chat.id, message_id=sent.message_id, parse_mode="HTML"
    )
    assert isinstance(edited, Message)
    assert edited.html_text == "<b>card</b> y"
    marked = await bot.edit_message_reply_markup(chat_id=chat.id, message_id=sent.message_id, reply_markup=KEYBOARD)
    assert isinstance(marked, Message)
    document = await bot.send_document(
        chat.id,
        BufferedInputFile(b"docker run ...", "command.txt"),
        caption="in full",
        reply_parameters=ReplyParameters(message_id=sent.message_id),
        reply_markup=KEYBOARD,
    )
    assert document.document is not None
    assert document.document.file_name == "command.txt"
    assert document.reply_to_message is not None
    stored = await telegram.message(chat, lambda message: message.document is not None)
    assert stored.document is not None
    assert stored.document.content == b"docker run ..."
    again = await bot.send_document(chat.id, document.document.file_id)
    assert dumped([again.document]) == dumped([document.document])
    assert await bot.delete_message(chat.id, sent.message_id)
    full = await bot.get_chat(chat.id)
    assert (full.type, full.first_name) == ("private", "Alice")
    commands = [BotCommand(command="pending", description="What waits")]
    scope = BotCommandScopeChat(chat_id=chat.id)
    assert await bot.set_my_commands(commands, scope=scope, language_code="en")
    assert dumped(await bot.get_my_commands(scope=scope, language_code="en")) == dumped(commands)
    assert await bot.delete_my_commands(scope=scope, language_code="en")
    assert await bot.set_webhook("https://example.org/", allowed_updates=["message"], secret_token="x")
    info = await bot.get_webhook_info()
    assert (info.url, info.allowed_updates) == ("https://example.org/", ["message"])
    assert await bot.delete_webhook()


async def test_updates_in_aiograms_types(telegram: Telegram, bot: Bot, alice: Person, chat: Chat):
    await bot.send_message(chat.id, "card", reply_markup=KEYBOARD)
    [card] = await telegram.from_bot(chat)
    await telegram.says(alice, chat, "/pending", reply_to=card)
    await telegram.taps(alice, card, "Approve")
    await telegram.taps(alice, card, "Approve", inaccessible=True)
    await telegram.forwards(alice, card, chat)
    await telegram.bars(chat)
    said, tapped, old, forwarded, barred = await bot.get_updates(timeout=5)
    assert said.message is not None
    assert said.message.reply_to_message is not None
    assert said.message.reply_to_message.text == "card"
    assert tapped.callback_query is not None
    assert isinstance(tapped.callback_query.message, Message)
    assert dumped([tapped.callback_query.message.reply_markup]) == dumped([KEYBOARD])
    assert old.callback_query is not None
    assert isinstance(old.callback_query.message, InaccessibleMessage)
    assert forwarded.message is not None
    assert forwarded.message.forward_from is None
    assert forwarded.message.forward_origin is not None
    assert barred.my_chat_member is not None
    assert barred.my_chat_member.new_chat_member.status == "kicked"


async def test_a_dispatcher_polls_answers_and_confirms(telegram: Telegram, bot: Bot, alice: Person, chat: Chat):
    dispatcher = Dispatcher()

    @dispatcher.message(Command("pending"))
    async def pending(message: Message) -> None:
        await message.answer("one waits", reply_markup=KEYBOARD)

    @dispatcher.callback_query(F.data == "a:1")
    async def approve(query: CallbackQuery) -> None:
        assert isinstance(query.message, Message)
        await query.message.edit_text("approved")
        await query.answer("done")

    polling = asyncio.create_task(dispatcher.start_polling(bot, handle_signals=False, close_bot_session=False))
    try:
        await telegram.says(alice, chat, "/pending")
        card = await telegram.message(chat, lambda message: message.text == "one waits")
        tap = await telegram.taps(alice, card, "Approve")
        assert (await telegram.answer(tap)).text == "done"
        await telegram.message(chat, lambda message: message.id == card.id and message.text == "approved")
        await telegram.confirmed()
    finally:
        await dispatcher.stop_polling()
        async with asyncio.timeout(10):
            await polling


async def test_every_refusal_has_aiograms_name(telegram: Telegram, bot: Bot, alice: Person, chat: Chat):
    group = await telegram.group("ops", alice)
    upgraded = await telegram.upgrades(group)
    sent = await bot.send_message(chat.id, "x")
    with pytest.raises(TelegramBadRequest, match="message is not modified"):
        await bot.edit_message_text("x", chat_id=chat.id, message_id=sent.message_id)
    with pytest.raises(TelegramMigrateToChat) as moved:
        await bot.send_message(group.id, "x")
    assert moved.value.migrate_to_chat_id == upgraded.id
    await telegram.too_many(5)
    with pytest.raises(TelegramRetryAfter) as wait:
        await bot.send_message(chat.id, "x")
    assert wait.value.retry_after == 5
    await telegram.fails(502)
    with pytest.raises(TelegramServerError):
        await bot.send_message(chat.id, "x")
    await telegram.drops()
    with pytest.raises(TelegramNetworkError):
        await bot.send_message(chat.id, "x")
    await telegram.hangs(2)
    with pytest.raises(TelegramNetworkError, match="timeout"):
        await bot.get_me(request_timeout=1)
    await telegram.refuses("setMyCommands")
    with pytest.raises(TelegramNotFound):
        await bot.set_my_commands([])
    with pytest.raises(TelegramEntityTooLarge):
        await bot.send_document(chat.id, BufferedInputFile(bytes(50 * 1024 * 1024 + 1), "a.bin"))
    await telegram.bars(chat)
    with pytest.raises(TelegramForbiddenError, match="blocked"):
        await bot.send_message(chat.id, "x")
    first = asyncio.create_task(bot.get_updates(offset=2**31 - 1, timeout=20))
    await telegram.held("getUpdates")
    second = asyncio.create_task(bot.get_updates(offset=2**31 - 1, timeout=1))
    with pytest.raises(TelegramConflictError):
        await first
    assert await second == []


async def test_a_wrong_token(telegram: Telegram):
    session = AiohttpSession(api=TelegramAPIServer.from_base(telegram.url))
    async with Bot("42:wrong", session=session).context() as bot:
        with pytest.raises(TelegramUnauthorizedError):
            await bot.get_me()
