"""Flood control: https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this."""

from tests.bot.telegram_server.client import Telegram
from tests.bot.telegram_server.wire import DOCUMENTED, Chat, Limits, Person
from tests.bot.test_telegram_server.raw import Raw, Reply


async def send(raw: Raw, chat: Chat, times: int = 1) -> list[Reply]:
    return [await raw("sendMessage", chat_id=chat.id, text="x") for _ in range(times)]


def waits(replies: list[Reply]) -> list[int | None]:
    """The retry_after of each, None where it worked."""
    return [None if r.status == 200 else r.body["parameters"]["retry_after"] for r in replies]


async def test_nothing_is_limited_until_asked_for(raw: Raw, chat: Chat):
    assert waits(await send(raw, chat, 50)) == [None] * 50


async def test_the_shape_of_a_429(telegram: Telegram, raw: Raw, chat: Chat):
    await telegram.limits(Limits(chat_seconds=30))
    await send(raw, chat)
    answer = await raw.http.post("sendMessage", json={"chat_id": chat.id, "text": "x"})
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "30"
    assert answer.json() == {
        "ok": False,
        "error_code": 429,
        "description": "Too Many Requests: retry after 30",
        "parameters": {"retry_after": 30},
    }
    assert len(await telegram.from_bot(chat)) == 1
    [_, refused] = await telegram.calls("sendMessage")
    assert (refused.outcome, refused.retry_after, refused.took_effect) == ("refused", 30, False)


async def test_a_chat_gets_a_burst_and_then_one_a_second(telegram: Telegram, raw: Raw, chat: Chat):
    other = await telegram.starts(await telegram.person("Bob"))
    await telegram.limits(Limits(chat_seconds=100, chat_burst=3))
    assert waits(await send(raw, chat, 4)) == [None, None, None, 300]
    assert waits(await send(raw, other)) == [None]
    await telegram.passes(150)
    [early] = waits(await send(raw, chat))
    assert early is not None
    assert 148 <= early <= 150
    await telegram.passes(150)
    assert waits(await send(raw, chat, 3)) == [None] * 3


async def test_a_group_gets_so_many_a_minute(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    group = await telegram.group("ops", alice)
    await telegram.limits(Limits(group_per_minute=20))
    assert waits(await send(raw, chat, 21)) == [None] * 21
    replies = waits(await send(raw, group, 21))
    assert replies[:20] == [None] * 20
    assert replies[20] is not None
    assert 50 <= replies[20] <= 60
    await telegram.passes(61)
    assert waits(await send(raw, group)) == [None]


async def test_all_chats_together_get_so_many_a_second(telegram: Telegram, raw: Raw):
    chats = [await telegram.starts(await telegram.person(f"p{number}")) for number in range(3)]
    await telegram.limits(Limits(total_per_second=2))
    assert waits([*await send(raw, chats[0]), *await send(raw, chats[1]), *await send(raw, chats[2])]) == [
        None,
        None,
        1,
    ]
    await telegram.passes(1)
    assert waits(await send(raw, chats[2])) == [None]


async def test_coming_back_too_early_is_refused_until_the_time_is_over(telegram: Telegram, raw: Raw, chat: Chat):
    await telegram.limits(Limits(total_per_second=1))
    assert waits(await send(raw, chat)) == [None]
    await telegram.passes(0.6)
    assert waits(await send(raw, chat)) == [1]
    await telegram.passes(0.6)  # a second after the message, not yet after the refusal
    assert waits(await send(raw, chat)) == [1]
    await telegram.passes(0.4)
    assert waits(await send(raw, chat)) == [None]


async def test_documents_count_and_edits_and_answers_do_not(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    keyboard = {"inline_keyboard": [[{"text": "x", "callback_data": "x"}]]}
    sent = (await raw("sendMessage", chat_id=chat.id, text="x", reply_markup=keyboard)).result
    [card] = await telegram.from_bot(chat)
    await telegram.limits(Limits(chat_seconds=100))
    first, second = [await raw.multipart("sendDocument", {"document": ("a", b"a")}, chat_id=chat.id) for _ in range(2)]
    assert (first.status, second.status) == (200, 429)
    tap = await telegram.taps(alice, card, "x")
    assert (await raw("answerCallbackQuery", callback_query_id=tap.id)).status == 200
    edited = await raw("editMessageText", chat_id=chat.id, message_id=sent["message_id"], text="y")
    assert edited.status == 200


async def test_a_refused_message_counts_for_nothing(telegram: Telegram, raw: Raw, chat: Chat):
    await telegram.limits(Limits(chat_seconds=100))
    assert (await raw("sendMessage", chat_id=chat.id, text="")).status == 400
    assert (await raw("sendMessage", chat_id=chat.id, text="x")).status == 200


async def test_what_is_documented(telegram: Telegram, raw: Raw, chat: Chat):
    assert (DOCUMENTED.chat_seconds, DOCUMENTED.group_per_minute, DOCUMENTED.total_per_second) == (1, 20, 30)
    await telegram.limits()
    assert waits(await send(raw, chat, 20)).count(None) < 20
    await telegram.limits(Limits())
    assert waits(await send(raw, chat, 20)) == [None] * 20
