"""Sending, editing and deleting: https://core.telegram.org/bots/api#sendmessage and its neighbours."""

import pytest

from tests.bot.telegram_server.client import Telegram
from tests.bot.telegram_server.wire import Chat, Person
from tests.bot.test_telegram_server.raw import Raw

ROCKET = "\N{ROCKET}"
KEYBOARD = {"inline_keyboard": [[{"text": "Go", "callback_data": "go"}], [{"text": "Stop", "callback_data": "stop"}]]}
NOT_MODIFIED = (
    "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a "
    "current content and reply markup of the message"
)
DAY = 24 * 3600


async def test_a_message_as_it_was_sent(telegram: Telegram, raw: Raw, chat: Chat):
    sent = (
        await raw("sendMessage", chat_id=chat.id, text="hello", reply_markup=KEYBOARD, disable_notification=True)
    ).result
    assert sent["chat"]["id"] == chat.id
    assert sent["from"]["id"] == telegram.bot_id
    assert sent["reply_markup"] == KEYBOARD
    assert "edit_date" not in sent
    [message] = await telegram.from_bot(chat)
    assert (message.id, message.text, message.silent) == (sent["message_id"], "hello", True)
    assert [(b.text, b.callback_data) for b in message.buttons] == [("Go", "go"), ("Stop", "stop")]


@pytest.mark.parametrize("text", [None, ""])
async def test_a_message_needs_a_text(raw: Raw, chat: Chat, text: str | None):
    given = {} if text is None else {"text": text}
    assert (await raw("sendMessage", chat_id=chat.id, **given)).refusal == (400, "Bad Request: message text is empty")


@pytest.mark.parametrize("text", [" \n ", "\u200b\u2060"[:1], "\u2800", "\u202e", "<b></b>", "\x01"])
async def test_a_text_of_nothing_visible_is_refused(raw: Raw, chat: Chat, text: str):
    reply = await raw("sendMessage", chat_id=chat.id, text=text, parse_mode="HTML")
    assert reply.refusal == (400, "Bad Request: text must be non-empty")


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("x" * 4096, True),
        ("x" * 4097, False),
        (ROCKET * 2048, True),
        (ROCKET * 2048 + "x", False),
        ("<b>" + "&lt;" * 4096 + "</b>", True),
        ("&lt;" * 4097, False),
        (" " * 10 + "x" * 4096, True),
    ],
    ids=["4096", "4097", "2048 pairs", "2048 pairs and one", "4096 after parsing", "4097 after parsing", "trimmed"],
)
async def test_4096_units_after_parsing(raw: Raw, chat: Chat, text: str, fits: bool):
    sent = await raw("sendMessage", chat_id=chat.id, text=text, parse_mode="HTML")
    first = (await raw("sendMessage", chat_id=chat.id, text="x")).result["message_id"]
    edited = await raw("editMessageText", chat_id=chat.id, message_id=first, text=text, parse_mode="HTML")
    if fits:
        assert sent.result["text"] == edited.result["text"]
    else:
        assert sent.refusal == (400, "Bad Request: message is too long")
        assert edited.refusal == (400, "Bad Request: MESSAGE_TOO_LONG")


async def test_a_source_beyond_32_kib_is_not_parsed(raw: Raw, chat: Chat):
    reply = await raw("sendMessage", chat_id=chat.id, text="&lt;" * 8193, parse_mode="HTML")
    assert reply.refusal == (400, "Bad Request: text is too long")


async def test_where_the_bot_may_write(telegram: Telegram, raw: Raw, alice: Person):
    bob = await telegram.person("Bob")
    group = await telegram.group("ops", alice, bob)

    async def write(chat_id: object) -> tuple[int, str]:
        reply = await raw("sendMessage", chat_id=chat_id, text="hello")
        return (200, "") if reply.status == 200 else reply.refusal

    assert await write(999) == (400, "Bad Request: chat not found")
    assert await write("@nobody") == (400, "Bad Request: chat not found")
    assert await write("") == (400, "Bad Request: chat_id is empty")
    assert await write(bob.id) == (400, "Bad Request: chat not found")
    await telegram.says(bob, group, "/hello")
    assert await write(bob.id) == (403, "Forbidden: bot can't initiate conversation with a user")
    private = await telegram.starts(bob)
    assert await write(str(bob.id)) == (200, "")
    await telegram.bars(private)
    assert await write(bob.id) == (403, "Forbidden: bot was blocked by the user")
    await telegram.takes_back(private)
    assert await write(bob.id) == (200, "")
    await telegram.bars(group)
    assert await write(group.id) == (403, "Forbidden: bot was kicked from the group chat")


async def test_a_group_that_became_a_supergroup_says_where_it_is(telegram: Telegram, raw: Raw, alice: Person):
    group = await telegram.group("ops", alice)
    upgraded = await telegram.upgrades(group)
    reply = await raw("sendMessage", chat_id=group.id, text="hello")
    assert reply.refusal == (400, "Bad Request: group chat was upgraded to a supergroup chat")
    assert reply.body["parameters"] == {"migrate_to_chat_id": upgraded.id}
    assert str(upgraded.id).startswith("-100")
    assert (await raw("sendMessage", chat_id=upgraded.id, text="hello")).result["chat"]["type"] == "supergroup"


async def test_get_chat(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    group = await telegram.group("ops", alice)
    assert (await raw("getChat", chat_id=group.id)).result["title"] == "ops"
    private = (await raw("getChat", chat_id=chat.id)).result
    assert (private["type"], private["first_name"], private["username"]) == ("private", "Alice", "alice")
    assert (await raw("getChat", chat_id=1)).refusal == (400, "Bad Request: chat not found")


async def test_a_reply(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    said = await telegram.says(alice, chat, "hello")
    reply = {"message_id": said.id}
    sent = (await raw("sendMessage", chat_id=chat.id, text="hi", reply_parameters=reply)).result
    assert sent["reply_to_message"]["text"] == "hello"
    gone = {"message_id": 999}
    refused = await raw("sendMessage", chat_id=chat.id, text="hi", reply_parameters=gone)
    assert refused.refusal == (400, "Bad Request: message to be replied not found")
    wrong = await raw("sendMessage", chat_id=chat.id, text="hi", reply_parameters=[1])
    assert wrong.refusal == (400, "Bad Request: object expected as reply parameters")
    lenient = {**gone, "allow_sending_without_reply": True}
    sent = (await raw("sendMessage", chat_id=chat.id, text="hi", reply_parameters=lenient)).result
    assert "reply_to_message" not in sent


async def test_an_edit_keeps_the_history(telegram: Telegram, raw: Raw, chat: Chat):
    sent = (await raw("sendMessage", chat_id=chat.id, text="one", reply_markup=KEYBOARD)).result
    place = {"chat_id": chat.id, "message_id": sent["message_id"]}
    edited = (await raw("editMessageText", **place, text="<b>two</b>", parse_mode="HTML")).result
    assert (edited["message_id"], edited["text"]) == (sent["message_id"], "two")
    assert edited["edit_date"] >= sent["date"]
    assert "reply_markup" not in edited
    [message] = await telegram.from_bot(chat)
    assert [(version.text, len(version.keyboard)) for version in message.versions] == [("one", 2), ("two", 0)]
    assert message.spans("bold") == ["two"]


async def test_an_edit_that_changes_nothing_is_refused(telegram: Telegram, raw: Raw, chat: Chat):
    sent = (await raw("sendMessage", chat_id=chat.id, text="<b>x</b>", parse_mode="HTML", reply_markup=KEYBOARD)).result
    place = {"chat_id": chat.id, "message_id": sent["message_id"]}
    bold = [{"type": "bold", "offset": 0, "length": 1}]
    for same in (
        {"text": "<b>x</b>", "parse_mode": "HTML", "reply_markup": KEYBOARD},
        {"text": " x ", "entities": [{"type": "bold", "offset": 1, "length": 1}], "reply_markup": KEYBOARD},
    ):
        assert (await raw("editMessageText", **place, **same)).refusal == (400, NOT_MODIFIED)
    assert (await raw("editMessageReplyMarkup", **place, reply_markup=KEYBOARD)).refusal == (400, NOT_MODIFIED)
    assert (await raw("editMessageText", **place, text="x", reply_markup=KEYBOARD)).status == 200
    assert (await raw("editMessageText", **place, text="x", entities=bold, reply_markup=KEYBOARD)).status == 200
    assert (await raw("editMessageText", **place, text="x", entities=bold)).status == 200
    assert (await raw("editMessageReplyMarkup", **place)).refusal == (400, NOT_MODIFIED)
    [message] = await telegram.from_bot(chat)
    assert len(message.versions) == 4


async def test_an_edit_of_the_buttons_alone(telegram: Telegram, raw: Raw, chat: Chat):
    sent = (await raw("sendMessage", chat_id=chat.id, text="x", reply_markup=KEYBOARD)).result
    place = {"chat_id": chat.id, "message_id": sent["message_id"]}
    edited = (await raw("editMessageReplyMarkup", **place)).result
    assert edited["text"] == "x"
    assert "reply_markup" not in edited


async def test_what_cannot_be_edited(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    async def edit(message_id: int, method: str = "editMessageText") -> tuple[int, str]:
        return (await raw(method, chat_id=chat.id, message_id=message_id, text="y", reply_markup=KEYBOARD)).refusal

    said = await telegram.says(alice, chat, "hello")
    assert await edit(said.id) == (400, "Bad Request: message can't be edited")
    assert await edit(999) == (400, "Bad Request: message to edit not found")
    assert await edit(999, "editMessageReplyMarkup") == (400, "Bad Request: message to edit not found")
    document = await raw.multipart("sendDocument", {"document": ("a.txt", b"a")}, chat_id=chat.id)
    assert await edit(document.result["message_id"]) == (400, "Bad Request: there is no text in the message to edit")
    sent = (await raw("sendMessage", chat_id=chat.id, text="x")).result
    await raw("deleteMessage", chat_id=chat.id, message_id=sent["message_id"])
    assert await edit(sent["message_id"]) == (400, "Bad Request: message to edit not found")
    assert (await raw("editMessageText", text="x")).refusal == (
        400,
        "Bad Request: message identifier is not specified",
    )


async def test_an_edit_in_a_chat_that_is_barred_is_refused(telegram: Telegram, raw: Raw, chat: Chat):
    sent = (await raw("sendMessage", chat_id=chat.id, text="x")).result
    await telegram.bars(chat)
    reply = await raw("editMessageText", chat_id=chat.id, message_id=sent["message_id"], text="y")
    assert reply.refusal == (403, "Forbidden: bot was blocked by the user")


async def test_deleting(telegram: Telegram, raw: Raw, alice: Person, chat: Chat):
    group = await telegram.group("ops", alice)

    async def delete(chat_id: int, message_id: int) -> tuple[int, object]:
        reply = await raw("deleteMessage", chat_id=chat_id, message_id=message_id)
        return (200, reply.result) if reply.status == 200 else reply.refusal

    sent = (await raw("sendMessage", chat_id=chat.id, text="x")).result["message_id"]
    assert await delete(chat.id, sent) == (200, True)
    assert await delete(chat.id, sent) == (400, "Bad Request: message to delete not found")
    [kept] = await telegram.messages(chat, deleted=True)
    assert kept.deleted
    assert await telegram.messages(chat) == []
    said = await telegram.says(alice, chat, "secret")
    assert await delete(chat.id, said.id) == (200, True)
    foreign = await telegram.says(alice, group, "hello")
    assert await delete(group.id, foreign.id) == (400, "Bad Request: message can't be deleted")
    old = (await raw("sendMessage", chat_id=chat.id, text="x")).result["message_id"]
    await telegram.passes(2 * DAY + 1)
    assert await delete(chat.id, old) == (400, "Bad Request: message can't be deleted")


async def test_a_document(telegram: Telegram, raw: Raw, chat: Chat):
    content = bytes(range(256)) * 100
    sent = (
        await raw.multipart(
            "sendDocument", {"document": ("command.txt", content)}, chat_id=chat.id, reply_markup=KEYBOARD
        )
    ).result
    assert (sent["document"]["file_name"], sent["document"]["file_size"]) == ("command.txt", 25600)
    assert "text" not in sent
    again = (await raw("sendDocument", chat_id=chat.id, document=sent["document"]["file_id"])).result
    assert again["document"] == sent["document"]
    [first, second] = await telegram.from_bot(chat)
    assert first.document is not None
    assert first.document.content == content
    assert second.document == first.document
    assert first.button("Go").callback_data == "go"


async def test_documents_that_are_refused(raw: Raw, chat: Chat):
    async def send(files: dict[str, tuple[str, bytes]], **parameters: object) -> tuple[int, str]:
        return (await raw.multipart("sendDocument", files, chat_id=chat.id, **parameters)).refusal

    attached = {"file": ("a.txt", b"abc")}
    assert await send({"document": ("a.txt", b"")}) == (400, "Bad Request: file must be non-empty")
    assert await send(attached) == (400, "Bad Request: there is no document in the request")
    assert (await raw("sendDocument", chat_id=chat.id, document="BQunknown")).refusal == (
        400,
        "Bad Request: wrong file identifier/HTTP URL specified",
    )
    caption = "x" * 1025
    assert await send({"document": ("a.txt", b"abc")}, caption=caption) == (
        400,
        "Bad Request: message caption is too long",
    )
    worked = await raw.multipart(
        "sendDocument", attached, chat_id=chat.id, document="attach://file", caption="x" * 1024
    )
    assert worked.result["document"]["file_name"] == "a.txt"


async def test_a_document_is_at_most_50_mib(telegram: Telegram, raw: Raw, chat: Chat):
    most = 50 * 1024 * 1024
    fits = await raw.multipart("sendDocument", {"document": ("a.bin", bytes(most))}, chat_id=chat.id)
    assert fits.result["document"]["file_size"] == most
    beyond = await raw.multipart("sendDocument", {"document": ("a.bin", bytes(most + 1))}, chat_id=chat.id)
    assert beyond.refusal == (413, "Request Entity Too Large")
    await telegram.reset()


@pytest.mark.parametrize(
    ("button", "reason"),
    [
        ({"text": "x", "callback_data": "é" * 32}, None),
        ({"text": "x", "callback_data": "é" * 32 + "x"}, "BUTTON_DATA_INVALID"),
        ({"text": "x", "callback_data": ""}, "BUTTON_DATA_INVALID"),
        ({"text": "x"}, "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"),
        ({"callback_data": "x"}, "can't parse inline keyboard button: Can't find field \"text\""),
        ({"text": 1, "callback_data": "x"}, 'can\'t parse inline keyboard button: Field "text" must be of type String'),
        ({"text": " ", "callback_data": "x"}, "inline keyboard button text must be non-empty"),
        ({"text": "x", "url": "https://example.org/"}, None),
        ({"text": "x", "url": "nowhere"}, "inline keyboard button URL 'nowhere' is invalid: Wrong HTTP URL"),
        ({"text": "x", "copy_text": {"text": "docker ps"}}, None),
        ({"text": "x", "copy_text": {"text": "x" * 257}}, "BUTTON_COPY_TEXT_INVALID"),
        ("x", "can't parse inline keyboard button: InlineKeyboardButton must be an Object"),
    ],
)
async def test_buttons(raw: Raw, chat: Chat, button: object, reason: str | None):
    reply = await raw("sendMessage", chat_id=chat.id, text="x", reply_markup={"inline_keyboard": [[button]]})
    if reason is None:
        assert reply.result["reply_markup"]["inline_keyboard"] == [[button]]
    else:
        assert reply.refusal == (400, f"Bad Request: {reason}")


async def test_keyboards(raw: Raw, chat: Chat):
    async def send(markup: object) -> tuple[int, str]:
        return (await raw("sendMessage", chat_id=chat.id, text="x", reply_markup=markup)).refusal

    button = {"text": "x", "callback_data": "x"}
    assert (await send({"inline_keyboard": [[button] * 101]}))[1] == "Bad Request: reply markup is too long"
    assert (await send({"inline_keyboard": [button]}))[0] == 400
    assert (await send([])) == (400, "Bad Request: object expected as reply markup")
    assert (await send("{")) == (400, "Bad Request: can't parse reply keyboard markup JSON object")
    empty = await raw("sendMessage", chat_id=chat.id, text="x", reply_markup={"inline_keyboard": []})
    assert "reply_markup" not in empty.result


async def test_messages_are_numbered_through_private_chats_and_apart_in_a_supergroup(
    telegram: Telegram, raw: Raw, alice: Person, chat: Chat
):
    other = await telegram.starts(await telegram.person("Bob"))
    group = await telegram.group("ops", alice, supergroup=True)
    ids = [(await raw("sendMessage", chat_id=c.id, text="x")).result["message_id"] for c in (chat, other, chat, group)]
    assert ids == [1, 2, 3, 1]
