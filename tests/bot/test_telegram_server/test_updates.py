"""getUpdates: https://core.telegram.org/bots/api#getupdates."""

import asyncio
import time

import pytest

from tests.bot.telegram_server.client import Telegram
from tests.bot.telegram_server.wire import Chat, Person
from tests.bot.test_telegram_server.raw import Raw


async def say(telegram: Telegram, person: Person, chat: Chat, *texts: str) -> None:
    for text in texts:
        await telegram.says(person, chat, text)


def texts(updates: list[dict[str, dict[str, str]]]) -> list[str]:
    return [update["message"]["text"] for update in updates]


async def test_what_is_not_confirmed_comes_again(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    await say(telegram, alice, chat, "one", "two")
    first = (await raw("getUpdates")).result
    assert texts(first) == ["one", "two"]
    assert first[1]["update_id"] == first[0]["update_id"] + 1
    assert (await raw("getUpdates")).result == first


async def test_an_offset_confirms_what_is_before_it(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    await say(telegram, alice, chat, "one", "two", "three")
    first = (await raw("getUpdates")).result
    assert texts((await raw("getUpdates", offset=first[0]["update_id"])).result) == ["one", "two", "three"]
    assert texts((await raw("getUpdates", offset=first[1]["update_id"])).result) == ["two", "three"]
    assert texts((await raw("getUpdates")).result) == ["two", "three"]
    assert (await raw("getUpdates", offset=first[2]["update_id"] + 1)).result == []
    assert await telegram.pending() == []


async def test_a_negative_offset_keeps_the_last_ones(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    await say(telegram, alice, chat, "one", "two", "three")
    assert texts((await raw("getUpdates", offset=-5)).result) == ["one", "two", "three"]
    assert texts((await raw("getUpdates", offset=-2)).result) == ["two", "three"]
    assert texts((await raw("getUpdates")).result) == ["two", "three"]


async def test_limit_and_its_bounds(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    await say(telegram, alice, chat, *(str(number) for number in range(101)))
    assert texts((await raw("getUpdates", limit=2)).result) == ["0", "1"]
    assert len((await raw("getUpdates", limit=1000)).result) == 100
    assert len((await raw("getUpdates")).result) == 100
    assert len((await raw("getUpdates", limit=0)).result) == 1


async def test_a_poll_waits_until_something_comes(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    polling = asyncio.create_task(raw("getUpdates", timeout=30))
    await telegram.held("getUpdates")
    assert not polling.done()
    await telegram.says(alice, chat, "here")
    async with asyncio.timeout(5):
        assert texts((await polling).result) == ["here"]


async def test_a_poll_ends_empty_after_its_time(raw: Raw):
    begun = time.monotonic()
    assert (await raw("getUpdates", timeout=1)).result == []
    assert 0.9 < time.monotonic() - begun < 5


async def test_without_timeout_nothing_waits(raw: Raw):
    async with asyncio.timeout(0.9):
        assert (await raw("getUpdates")).result == []


async def test_a_second_poller_ends_the_first(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    first = asyncio.create_task(raw("getUpdates", timeout=30))
    number = (await telegram.held("getUpdates")).number
    second = asyncio.create_task(raw("getUpdates", timeout=30))
    reason = "terminated by other getUpdates request; make sure that only one bot instance is running"
    assert (await first).refusal == (409, f"Conflict: {reason}")
    await telegram.held("getUpdates", since=number + 1)
    await telegram.says(alice, chat, "here")
    assert texts((await second).result) == ["here"]


async def test_allowed_updates_count_from_now_on_and_stay(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    await telegram.says(alice, chat, "before")
    await raw("getUpdates", allowed_updates=["callback_query"])
    await telegram.says(alice, chat, "unwanted")
    await raw("getUpdates")
    await telegram.says(alice, chat, "unwanted still")
    assert texts((await raw("getUpdates", allowed_updates=[])).result) == ["before"]
    await telegram.says(alice, chat, "all again")
    assert texts((await raw("getUpdates")).result) == ["before", "all again"]


async def test_a_block_is_told(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    await telegram.bars(chat)
    await telegram.takes_back(chat)
    changes = [update["my_chat_member"] for update in (await raw("getUpdates")).result]
    seen = [(c["from"]["id"], c["old_chat_member"]["status"], c["new_chat_member"]["status"]) for c in changes]
    assert seen == [(alice.id, "member", "kicked"), (alice.id, "kicked", "member")]


async def test_commands_are_entities_of_a_message(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    await telegram.says(alice, chat, "/approve abc")
    message = (await raw("getUpdates")).result[0]["message"]
    assert message["entities"] == [{"type": "bot_command", "offset": 0, "length": 8}]
    assert message["from"] == {
        "id": alice.id,
        "is_bot": False,
        "first_name": "Alice",
        "username": "alice",
        "language_code": "en",
    }
    assert message["chat"] == {"id": chat.id, "type": "private", "first_name": "Alice", "username": "alice"}


async def test_in_a_group_the_bot_sees_what_is_meant_for_it(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    group = await telegram.group("ops", alice)
    asked = (await raw("sendMessage", chat_id=group.id, text="?")).result
    [question] = await telegram.from_bot(group)
    assert question.id == asked["message_id"]
    await say(telegram, alice, group, "chatter", "/pending", "/pending@wingman_test_bot", "/pending@other_bot")
    await say(telegram, alice, group, "hey @wingman_test_bot", "hey @wingman_test_bot_2")
    answer = await telegram.says(alice, group, "yes", reply_to=question)
    updates = (await raw("getUpdates")).result
    assert texts(updates) == ["/pending", "/pending@wingman_test_bot", "hey @wingman_test_bot", "yes"]
    assert updates[-1]["message"]["reply_to_message"]["message_id"] == question.id
    assert updates[-1]["message"]["message_id"] == answer.id
    assert updates[-1]["message"]["chat"] == {"id": group.id, "type": "group", "title": "ops"}


async def test_allowed_updates_that_are_no_json_change_nothing(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    await raw("getUpdates", allowed_updates="[")
    await telegram.says(alice, chat, "hello")
    assert texts((await raw("getUpdates")).result) == ["hello"]


async def test_only_members_speak_in_a_chat(telegram: Telegram, alice: Person, chat: Chat):
    mallory = await telegram.person("Mallory")
    with pytest.raises(AssertionError, match="Mallory is not in the chat"):
        await telegram.says(mallory, chat, "hello")
    assert await telegram.pending() == []
