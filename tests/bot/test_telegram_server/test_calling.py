"""How calls are made and refused: https://core.telegram.org/bots/api#making-requests."""

import asyncio

import httpx
import pytest

from tests.bot.telegram_server.client import Telegram, telegram_server
from tests.bot.telegram_server.wire import Chat, Person
from tests.bot.test_telegram_server.raw import Raw


async def test_get_me(raw: Raw, telegram: Telegram):
    me = (await raw("getMe")).result
    assert (me["id"], me["is_bot"]) == (telegram.bot_id, True)
    assert me["username"].endswith("bot")
    assert me["can_read_all_group_messages"] is False


@pytest.mark.parametrize("token", ["7000000001:another", "7000000001:", "nonsense"])
async def test_a_wrong_token_is_unauthorized(telegram: Telegram, token: str):
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{telegram.url}/bot{token}/getMe")
    assert answer.status_code == 401
    assert answer.json() == {"ok": False, "error_code": 401, "description": "Unauthorized"}


async def test_an_unknown_method_is_not_found(raw: Raw):
    assert (await raw("sendTelepathy")).refusal == (404, "Not Found: method not found")


async def test_methods_are_known_in_any_case(raw: Raw):
    assert (await raw("GETME")).result == (await raw("getme")).result


@pytest.mark.parametrize("way", ["__call__", "form", "query"])
async def test_parameters_come_in_every_way(raw: Raw, chat: Chat, way: str):
    keyboard = {"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]}
    sent = (await getattr(raw, way)("sendMessage", chat_id=chat.id, text="é", reply_markup=keyboard)).result
    assert sent["text"] == "é"
    assert sent["reply_markup"] == keyboard


async def test_parameters_come_as_multipart(raw: Raw, chat: Chat):
    sent = await raw.multipart("sendDocument", {"document": ("a.txt", b"abc")}, chat_id=chat.id, caption="é")
    assert sent.result["caption"] == "é"


async def test_a_body_that_is_no_json_object_is_refused(raw: Raw):
    for body in ("{", "[1]"):
        answer = await raw.http.post("getMe", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
        assert answer.json()["ok"] is False


async def test_a_multipart_body_must_be_utf_8_and_named(raw: Raw):
    for part in (b'name="text"\r\n\r\n\xff', b'filename="a"\r\n\r\nx'):
        body = b"--B\r\nContent-Disposition: form-data; " + part + b"\r\n--B--\r\n"
        answer = await raw.http.post("getMe", content=body, headers={"Content-Type": "multipart/form-data; boundary=B"})
        assert answer.status_code == 400
        assert answer.json()["ok"] is False


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
async def test_text_that_is_no_unicode_is_refused(raw: Raw, chat: Chat, text: str):
    reply = await raw("sendMessage", chat_id=chat.id, text=text)
    assert reply.refusal == (400, "Bad Request: strings must be encoded in UTF-8")


async def test_a_body_without_end_is_refused(raw: Raw, chat: Chat):
    large = "x" * (1 << 20)
    beyond = (413, "Request Entity Too Large")
    assert (await raw("sendMessage", chat_id=chat.id, text=large)).refusal == beyond
    assert (await raw.multipart("sendMessage", {"a": ("a", b"a")}, chat_id=chat.id, text=large + "x")).refusal == beyond


async def test_the_log_has_every_call_with_its_outcome(telegram: Telegram, raw: Raw, chat: Chat):
    await raw("sendMessage", chat_id=chat.id, text="hello")
    await raw("sendMessage", chat_id=chat.id)
    await raw.multipart("sendDocument", {"document": ("a.txt", b"abc")}, chat_id=chat.id)
    first, second, third = await telegram.calls()
    assert (first.method, first.parameters) == ("sendMessage", {"chat_id": chat.id, "text": "hello"})
    assert (first.outcome, first.took_effect, first.status) == ("ok", True, 200)
    assert (second.outcome, second.took_effect, second.status) == ("refused", False, 400)
    assert second.description == "Bad Request: message text is empty"
    assert third.parameters["document"] == {"name": "a.txt", "size": 3}
    assert first.ended is not None
    assert first.at <= first.ended <= second.at
    assert [call.number for call in await telegram.calls("SENDDOCUMENT")] == [third.number]
    assert await telegram.calls(since=third.number) == [third]


async def test_a_reset_forgets_everything(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    await telegram.says(alice, chat, "hello")
    await telegram.refuses("getMe")
    polling = asyncio.create_task(raw("getUpdates", offset=2**31 - 1, timeout=30))
    await telegram.held("getUpdates")
    await telegram.reset()
    assert (await polling).status == 409
    assert (await raw("getMe")).status == 200
    assert await telegram.pending() == []
    assert (await raw("sendMessage", chat_id=chat.id, text="x")).refusal == (400, "Bad Request: chat not found")


async def test_the_process_ends_with_its_block_and_keeps_nothing():
    async with telegram_server(token="42:secret") as first:
        port = httpx.URL(first.url).port
        assert first.bot_id == 42
    assert port is not None
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    async with telegram_server(port=port) as second:
        assert httpx.URL(second.url).port == port
        assert await second.calls("getMe") == []


async def test_five_hundred_messages_are_a_matter_of_seconds(telegram: Telegram, raw: Raw, chat: Chat):
    async with asyncio.timeout(10):
        for number in range(500):
            await raw("sendMessage", chat_id=chat.id, text=f"message {number}")
        assert len(await telegram.from_bot(chat)) == 500
