"""Faults on order: what a client sees, and whether the call took effect."""

import asyncio

import httpx
import pytest

from tests.bot.telegram_server.client import Telegram
from tests.bot.telegram_server.wire import Chat, Fault, Order, Person
from tests.bot.test_telegram_server.raw import Raw


async def send(raw: Raw, chat: Chat, text: str = "x") -> int:
    return (await raw("sendMessage", chat_id=chat.id, text=text)).status


async def test_the_next_calls_are_too_many(telegram: Telegram, raw: Raw, chat: Chat):
    await telegram.too_many(7, times=2)
    first = await raw("sendMessage", chat_id=chat.id, text="x")
    assert first.refusal == (429, "Too Many Requests: retry after 7")
    assert first.body["parameters"] == {"retry_after": 7}
    assert [await send(raw, chat), await send(raw, chat)] == [429, 200]
    assert len(await telegram.from_bot(chat)) == 1
    [call, *_] = await telegram.calls("sendMessage")
    assert (call.outcome, call.took_effect, call.retry_after) == ("faulted", False, 7)


@pytest.mark.parametrize("status", [500, 502])
async def test_a_server_error_before_or_after_the_effect(telegram: Telegram, raw: Raw, chat: Chat, status: int):
    await telegram.fails(status, "sendMessage")
    await telegram.fails(status, "sendMessage", after=True)
    assert [await send(raw, chat, "lost"), await send(raw, chat, "kept"), await send(raw, chat, "fine")] == [
        status,
        status,
        200,
    ]
    assert [message.text for message in await telegram.from_bot(chat)] == ["kept", "fine"]
    assert [call.took_effect for call in await telegram.calls("sendMessage")] == [False, True, True]


async def test_a_proxys_page_is_no_json(telegram: Telegram, raw: Raw):
    await telegram.fails(502, page=True)
    answer = await raw.http.post("getMe")
    assert answer.status_code == 502
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "502 Bad Gateway" in answer.text


async def test_a_connection_is_reset_before_or_after_the_effect(telegram: Telegram, raw: Raw, chat: Chat):
    for after in (False, True):
        await telegram.drops("sendMessage", after=after)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await raw("sendMessage", chat_id=chat.id, text=f"after: {after}")
    assert [message.text for message in await telegram.from_bot(chat)] == ["after: True"]
    calls = await telegram.called("sendMessage", 2)
    assert [(call.outcome, call.status, call.took_effect) for call in calls] == [
        ("faulted", 0, False),
        ("faulted", 0, True),
    ]
    assert await send(raw, chat) == 200


@pytest.mark.parametrize("after", [False, True])
async def test_a_call_that_hangs_takes_effect_for_nobody(telegram: Telegram, raw: Raw, chat: Chat, after: bool):
    await telegram.hangs(1, "sendMessage", after=after)
    with pytest.raises(httpx.ReadTimeout):
        await raw.http.post("sendMessage", json={"chat_id": chat.id, "text": "late"}, timeout=0.3)
    assert [message.text for message in await telegram.from_bot(chat)] == (["late"] if after else [])
    assert (await telegram.message(chat)).text == "late"


@pytest.mark.parametrize("after", [False, True])
async def test_a_call_is_held_until_released(telegram: Telegram, raw: Raw, chat: Chat, after: bool):
    await telegram.holds("sendMessage", after=after)
    sending = asyncio.create_task(send(raw, chat))
    held = await telegram.held("sendMessage")
    if after:
        await telegram.message(chat)
    assert await send(raw, chat, "another") == 200
    assert (await telegram.from_bot(chat))[0].text == ("x" if after else "another")
    assert not sending.done()
    await telegram.releases()
    assert await sending == 200
    first, _ = await telegram.called("sendMessage", 2)
    assert first.number == held.number


async def test_orders_are_for_a_method_or_for_all_but_polls(telegram: Telegram, raw: Raw, chat: Chat):
    await telegram.fails(502, "editMessageText")
    assert await send(raw, chat) == 200
    await telegram.obliges()
    await telegram.fails(502)
    assert (await raw("getUpdates")).status == 200
    assert await send(raw, chat) == 502
    await telegram.fails(502, "getUpdates")
    assert (await raw("getUpdates")).status == 502


async def test_orders_are_used_in_turn_and_forgotten_on_demand(telegram: Telegram, raw: Raw, chat: Chat):
    await telegram.fails(500)
    await telegram.too_many(1)
    await telegram.fails(502, times=None)
    assert [await send(raw, chat) for _ in range(5)] == [500, 429, 502, 502, 502]
    await telegram.obliges()
    assert await send(raw, chat) == 200


@pytest.mark.parametrize("status", [400, 404])
async def test_a_server_without_set_my_commands(telegram: Telegram, raw: Raw, status: int):
    await telegram.refuses("setMyCommands", status, "Not here")
    for _ in range(2):
        reply = await raw("setMyCommands", commands=[{"command": "help", "description": "help"}])
        assert reply.refusal == (status, "Not here")
    assert await telegram.commands() == []


async def test_a_server_without_parse_modes(telegram: Telegram, raw: Raw, chat: Chat):
    await telegram.refuses_parse_mode()
    sent = (await raw("sendMessage", chat_id=chat.id, text="x")).result
    place = {"chat_id": chat.id, "message_id": sent["message_id"]}
    for reply in (
        await raw("sendMessage", chat_id=chat.id, text="x", parse_mode="HTML"),
        await raw("editMessageText", **place, text="y", parse_mode="HTML"),
    ):
        assert reply.refusal == (400, "Bad Request: unsupported parse_mode")
    entities = [{"type": "bold", "offset": 0, "length": 1}]
    assert (await raw("editMessageText", **place, text="x", entities=entities)).result["entities"] == entities


async def test_any_other_fault(telegram: Telegram, raw: Raw, chat: Chat):
    fault = Fault(kind="answer", status=403, description="Forbidden: bot was blocked by the user")
    await telegram.order(Order(fault=fault, method="sendMessage"))
    reply = await raw("sendMessage", chat_id=chat.id, text="x")
    assert reply.refusal == (403, "Forbidden: bot was blocked by the user")


async def test_a_pause(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    async with telegram.paused():
        sending = asyncio.create_task(send(raw, chat))
        await telegram.held("sendMessage")
        await telegram.says(alice, chat, "meanwhile")
        polling = asyncio.create_task(raw("getUpdates"))
        await telegram.held("getUpdates")
        assert await telegram.from_bot(chat) == []
        assert not polling.done()
    assert await sending == 200
    assert [update["message"]["text"] for update in (await polling).result] == ["meanwhile"]


async def test_who_waits_for_what_never_comes_is_told_what_was_seen(telegram: Telegram, raw: Raw, chat: Chat):
    await send(raw, chat, "something else")
    with pytest.raises(TimeoutError, match="something else"):
        await telegram.message(chat, lambda message: message.text == "this", seconds=0.2)
