"""Entities given by the bot, and what Telegram makes of a text: https://core.telegram.org/bots/api#messageentity."""

from typing import Any

import pytest

from tests.bot.telegram_server.client import Telegram
from tests.bot.telegram_server.wire import Chat
from tests.bot.test_telegram_server.raw import Raw

ROCKET = "\N{ROCKET}"


def span(kind: str, offset: int, length: int, **more: object) -> dict[str, Any]:
    return {"type": kind, "offset": offset, "length": length, **more}


KEPT = [
    ("all styles", "abcdef", [span(s, n, 1) for n, s in enumerate(("bold", "code", "italic", "spoiler"))], None),
    ("a language", "ls", [span("pre", 0, 2, language="sh")], None),
    ("a link", "x", [span("text_link", 0, 1, url="https://e.org/")], None),
    ("a mention", "x", [span("text_mention", 0, 1, user={"id": 1})], None),
    ("a custom emoji", "x", [span("custom_emoji", 0, 1, custom_emoji_id="53")], None),
    ("a time", "x", [span("date_time", 0, 1, unix_time=1700000000, date_time_format="r")], None),
    ("UTF-16 units", f"{ROCKET}x", [span("bold", 2, 1)], None),
    ("a whole pair", f"{ROCKET}x", [span("bold", 0, 2)], None),
    ("empty ones go", "x", [span("bold", 0, 0), span("bold", 0, 1)], [span("bold", 0, 1)]),
    ("touching ones merge", "abcd", [span("bold", 0, 2), span("bold", 2, 1)], [span("bold", 0, 3)]),
    ("overlapping ones merge", "abcd", [span("bold", 0, 3), span("bold", 1, 3)], [span("bold", 0, 4)]),
    (
        "styles that cross are cut",
        "abcd",
        [span("bold", 0, 3), span("italic", 1, 3)],
        [span("bold", 0, 1), span("italic", 1, 3), span("bold", 1, 2)],
    ),
    ("nothing inside code", "abcd", [span("code", 0, 4), span("bold", 1, 2)], [span("code", 0, 4)]),
    ("code splits a style", "abc", [span("bold", 0, 3), span("code", 1, 1)], [span(*s) for s in (
        ("bold", 0, 1), ("code", 1, 1), ("bold", 2, 1))]),
    ("links do not cross", "abcd", [span("text_link", 0, 3, url="https://e.org/"), span("code", 2, 2)],
     [span("text_link", 0, 3, url="https://e.org/")]),
    ("quotations do not nest", "abcd", [span("blockquote", 0, 4), span("blockquote", 1, 1)],
     [span("blockquote", 0, 4)]),
    ("code does not leave a quotation", "abcd", [span("blockquote", 0, 2), span("code", 1, 2)],
     [span("blockquote", 0, 2)]),
    ("found kinds are not given", "hello", [span("url", 0, 5), span("bot_command", 0, 5)], []),
]  # fmt: skip

REFUSED = [
    ("x", [span("bold", 2, 1)], "entity begins after the end of the text at UTF-16 offset 2"),
    (
        "x",
        [span("bold", 0, 2)],
        "entity beginning at UTF-16 offset 0 ends after the end of the text at UTF-16 offset 2",
    ),
    (f"{ROCKET}x", [span("bold", 1, 2)], "entity begins in a middle of a UTF-16 symbol at byte offset 4"),
    (
        f"{ROCKET}x",
        [span("bold", 0, 1)],
        "entity beginning at UTF-16 offset 0 ends in a middle of a UTF-16 symbol at byte offset 4",
    ),
    ("x", [span("bold", -1, 1)], "receive an entity with incorrect offset -1"),
    ("x", [span("bold", 0, -1)], "receive an entity with incorrect length -1"),
    ("x", [span("loud", 0, 1)], "can't parse MessageEntity: Unsupported type specified"),
    ("x", [{"type": "bold", "offset": 0}], "can't parse MessageEntity: Can't find field \"length\""),
    ("x", [span("bold", "0", 1)], 'can\'t parse MessageEntity: Field "offset" and "length" must be of type Number'),
    (
        f"{ROCKET}xy",
        [span("bold", 3, 2)],
        "entity beginning at UTF-16 offset 3 ends after the end of the text at UTF-16 offset 5",
    ),
    ("x", ["bold"], "can't parse MessageEntity: expected an Object"),
    ("x", [span("text_mention", 0, 1)], "can't parse MessageEntity: Can't find field \"user\""),
    ("x", [span("text_link", 0, 1, url="")], "entity URL is invalid"),
]

FOUND = [
    ("run /approve abc", [("bot_command", 4, 8)]),
    ("/a@wingman_test_bot x", [("bot_command", 0, 19)]),
    ("a/b </c> //d /é", []),
    ("ask @alice, not a@b", [("mention", 4, 6)]),
    ("see https://example.org/a?b=c.", [("url", 4, 25)]),
    ("see example.com now", [("url", 4, 11)]),
    ("mail ops@example.org", [("email", 5, 15)]),
    ("#urgent", [("hashtag", 0, 7)]),
    ("#1", []),
    (f"{ROCKET} /go", [("bot_command", 3, 3)]),
]

CLEANED = [
    ("  x \n", "x"),
    ("a\tb\x00c\x1fd", "a b c d"),
    ("a\r\nb", "a\nb"),
    ("a\u202eb\u2028c\u202ad", "abcd"),
    ("a\u200bb\u2066c", "a\u200bb\u2066c"),
    ("a\u0333b", "ab"),
]


@pytest.mark.parametrize(("text", "given", "kept"), [case[1:] for case in KEPT], ids=[case[0] for case in KEPT])
async def test_entities_are_kept_by_the_rules(
    raw: Raw, chat: Chat, text: str, given: list[dict[str, Any]], kept: list[dict[str, Any]] | None
):
    sent = (await raw("sendMessage", chat_id=chat.id, text=text, entities=given)).result
    expected = given if kept is None else kept
    found = sent.get("entities", [])
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    assert [e["offset"] for e in found] == sorted(e["offset"] for e in found)


@pytest.mark.parametrize(("text", "entities", "reason"), REFUSED)
async def test_entities_that_fit_no_text_are_refused(
    raw: Raw, chat: Chat, text: str, entities: list[object], reason: str
):
    reply = await raw("sendMessage", chat_id=chat.id, text=text, entities=entities)
    assert reply.refusal == (400, f"Bad Request: {reason}")


@pytest.mark.parametrize(("text", "found"), FOUND)
async def test_telegram_finds_commands_links_and_names(
    raw: Raw, chat: Chat, text: str, found: list[tuple[str, int, int]]
):
    sent = (await raw("sendMessage", chat_id=chat.id, text=text)).result
    assert sent.get("entities", []) == [span(*each) for each in found]


async def test_nothing_is_found_inside_code_or_a_link(raw: Raw, chat: Chat):
    text = "/approve /approve /approve"
    given = [span("code", 0, 8), span("text_link", 9, 8, url="https://e.org/")]
    sent = (await raw("sendMessage", chat_id=chat.id, text=text, entities=given)).result
    assert sent["entities"] == [*given, span("bot_command", 18, 8)]
    partly = [span("code", 1, 7)]
    assert (await raw("sendMessage", chat_id=chat.id, text="/approve", entities=partly)).result["entities"] == partly


async def test_what_is_found_may_be_bold(raw: Raw, chat: Chat):
    sent = (await raw("sendMessage", chat_id=chat.id, text="/go", entities=[span("bold", 0, 3)])).result
    assert sent["entities"] == [span("bot_command", 0, 3), span("bold", 0, 3)]


@pytest.mark.parametrize(("text", "kept"), CLEANED)
async def test_characters_that_telegram_does_not_keep(raw: Raw, chat: Chat, text: str, kept: str):
    assert (await raw("sendMessage", chat_id=chat.id, text=text)).result["text"] == kept


async def test_entities_move_with_what_is_cut(raw: Raw, chat: Chat):
    given = [span("bold", 3, 4), span("code", 8, 3)]
    sent = (await raw("sendMessage", chat_id=chat.id, text=" \n a\r\u202eb cd  ", entities=given)).result
    assert sent["text"] == "ab cd"
    assert sent["entities"] == [span("bold", 0, 2), span("code", 3, 2)]


async def test_blanks_that_an_entity_covers_stay_in_front(raw: Raw, chat: Chat):
    sent = (await raw("sendMessage", chat_id=chat.id, text="  x", entities=[span("code", 1, 2)])).result
    assert (sent["text"], sent["entities"]) == (" x", [span("code", 0, 2)])


async def test_the_client_shows_what_entities_cover(telegram: Telegram, raw: Raw, chat: Chat):
    text = f"{ROCKET} run <code>docker ps</code> and <code>{ROCKET}</code>"
    await raw("sendMessage", chat_id=chat.id, text=text, parse_mode="HTML")
    [message] = await telegram.from_bot(chat)
    assert message.spans("code") == ["docker ps", ROCKET]
    assert message.spans("bold") == []
