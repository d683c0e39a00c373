"""Callback queries: https://core.telegram.org/bots/api#callbackquery and #answercallbackquery."""

import asyncio

import pytest

from tests.bot.telegram_server.client import Telegram
from tests.bot.telegram_server.wire import Chat, Message, Person
from tests.bot.test_telegram_server.raw import Raw

KEYBOARD = {
    "inline_keyboard": [
        [{"text": "Approve", "callback_data": "a:1"}, {"text": "Reject", "callback_data": "r:1"}],
        [{"text": "Docs", "url": "https://example.org/"}],
    ]
}
TOO_OLD = (400, "Bad Request: query is too old and response timeout expired or query ID is invalid")


@pytest.fixture
async def card(telegram: Telegram, raw: Raw, chat: Chat) -> Message:
    await raw("sendMessage", chat_id=chat.id, text="docker restart web", reply_markup=KEYBOARD)
    return (await telegram.from_bot(chat))[-1]


async def test_a_tap_is_a_callback_query_with_its_message(
    telegram: Telegram, raw: Raw, alice: Person, chat: Chat, card: Message
):
    tap = await telegram.taps(alice, card, "Approve")
    [update] = (await raw("getUpdates")).result
    query = update["callback_query"]
    assert update["update_id"] == tap.update_id
    assert (query["id"], query["data"], query["from"]["id"]) == (tap.id, "a:1", alice.id)
    assert query["message"]["message_id"] == card.id
    assert query["message"]["reply_markup"] == KEYBOARD
    assert query["chat_instance"]
    assert tap.answer is None


async def test_a_tap_is_answered_once(telegram: Telegram, raw: Raw, alice: Person, card: Message):
    tap = await telegram.taps(alice, card, "Reject")
    waiting = asyncio.create_task(telegram.answer(tap))
    assert (await raw("answerCallbackQuery", callback_query_id=tap.id, text="Rejected", show_alert=True)).result is True
    answer = await waiting
    assert (answer.text, answer.show_alert) == ("Rejected", True)
    assert (await raw("answerCallbackQuery", callback_query_id=tap.id, text="Again")).refusal == TOO_OLD
    assert (await telegram.answer(tap)).text == "Rejected"


async def test_a_tap_is_answered_while_fresh(telegram: Telegram, raw: Raw, alice: Person, card: Message):
    early, late = [await telegram.taps(alice, card, "Approve") for _ in range(2)]
    await telegram.passes(14)
    assert (await raw("answerCallbackQuery", callback_query_id=early.id)).result is True
    await telegram.passes(2)
    assert (await raw("answerCallbackQuery", callback_query_id=late.id)).refusal == TOO_OLD
    await telegram.query_seconds(0)
    stale = await telegram.taps(alice, card, "Approve")
    assert (await raw("answerCallbackQuery", callback_query_id=stale.id)).refusal == TOO_OLD


async def test_an_unknown_query_cannot_be_answered(raw: Raw):
    for query_id in ("1", "", "x"):
        assert (await raw("answerCallbackQuery", callback_query_id=query_id)).refusal == TOO_OLD


async def test_an_answer_has_at_most_200_characters(telegram: Telegram, raw: Raw, alice: Person, card: Message):
    tap = await telegram.taps(alice, card, "Approve")
    refused = await raw("answerCallbackQuery", callback_query_id=tap.id, text="x" * 201)
    assert refused.refusal == (400, "Bad Request: MESSAGE_TOO_LONG")
    assert (await raw("answerCallbackQuery", callback_query_id=tap.id, text="x" * 200)).result is True


async def test_anyone_taps_anything_anywhere(telegram: Telegram, raw: Raw, alice: Person, card: Message):
    mallory = await telegram.person("Mallory")
    group = await telegram.group("elsewhere", mallory)
    await telegram.taps(mallory, card, data="forged")
    await telegram.taps(alice, card, "Approve", chat=group)
    first, second = [update["callback_query"] for update in (await raw("getUpdates")).result]
    assert (first["from"]["id"], first["data"]) == (mallory.id, "forged")
    assert first["message"]["chat"]["id"] == card.chat_id
    assert second["message"] == {
        "chat": {"id": group.id, "type": "group", "title": "elsewhere"},
        "message_id": card.id,
        "date": 0,
    }
    assert first["chat_instance"] != second["chat_instance"]


async def test_an_old_message_is_inaccessible(telegram: Telegram, raw: Raw, alice: Person, chat: Chat, card: Message):
    await telegram.taps(alice, card, "Approve", inaccessible=True)
    await raw("deleteMessage", chat_id=chat.id, message_id=card.id)
    await telegram.taps(alice, card, "Approve")
    for update in (await raw("getUpdates")).result:
        message = update["callback_query"]["message"]
        assert (message["date"], message["message_id"], message["chat"]["id"]) == (0, card.id, chat.id)
        assert "text" not in message


async def test_a_tap_may_come_twice(telegram: Telegram, raw: Raw, alice: Person, card: Message):
    tap = await telegram.taps(alice, card, "Approve")
    again = await telegram.taps_again(tap)
    first, second = (await raw("getUpdates")).result
    assert first["callback_query"] == second["callback_query"]
    assert (first["update_id"], second["update_id"]) == (tap.update_id, again.update_id)
    assert tap.update_id != again.update_id


async def test_a_forwarded_card_has_lost_its_payloads(
    telegram: Telegram, raw: Raw, alice: Person, chat: Chat, card: Message
):
    bob = await telegram.person("Bob")
    group = await telegram.group("ops", alice, bob)
    private = await telegram.forwards(alice, card, chat)
    copy = await telegram.forwards(alice, card, group)
    assert (copy.text, copy.forwarded, copy.sender_id) == (card.text, True, alice.id)
    assert [button.text for button in private.buttons] == ["Docs"]
    [seen] = (await raw("getUpdates")).result  # a group's chatter is not the bot's
    origin = seen["message"]["forward_origin"]
    assert (origin["type"], origin["sender_user"]["id"]) == ("user", telegram.bot_id)
    edited = await raw("editMessageText", chat_id=chat.id, message_id=private.id, text="mine now")
    assert edited.refusal == (400, "Bad Request: message can't be edited")
    await telegram.taps(bob, copy, data="a:1")
    tapped = (await raw("getUpdates")).result[-1]["callback_query"]["message"]
    assert tapped["message_id"] == copy.id
    assert tapped["chat"]["id"] == group.id
    assert tapped["forward_origin"]["sender_user"]["id"] == telegram.bot_id


async def test_a_protected_card_is_not_forwarded(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    sent = (await raw("sendMessage", chat_id=chat.id, text="x", protect_content=True)).result
    assert sent["has_protected_content"] is True
    [card] = await telegram.from_bot(chat)
    with pytest.raises(AssertionError, match="protected"):
        await telegram.forwards(alice, card, chat)
