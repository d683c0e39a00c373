"""HTML style: https://core.telegram.org/bots/api#html-style, read as tdlib's ``parse_html`` reads it."""

import pytest

from tests.bot.telegram_server.wire import Chat
from tests.bot.test_telegram_server.raw import Raw

SNOW = "\N{SNOWMAN}"
ROCKET = "\N{ROCKET}"
UNPAIRED = (
    "Text contains invalid Unicode characters after decoding HTML entities, check for unmatched surrogate code units"
)

READ = [
    ("plain", "plain", []),
    ("<b>a</b><strong>b</strong>", "ab", [("bold", 0, 2)]),
    ("<i>a</i> <em>b</em>", "a b", [("italic", 0, 1), ("italic", 2, 1)]),
    ("<u>a</u> <ins>b</ins>", "a b", [("underline", 0, 1), ("underline", 2, 1)]),
    ("<s>a</s> <strike>b</strike> <del>c</del>", "a b c", [("strikethrough", n, 1) for n in (0, 2, 4)]),
    ("<tg-spoiler>a</tg-spoiler> <span class='tg-spoiler'>b</span>", "a b", [("spoiler", 0, 1), ("spoiler", 2, 1)]),
    ("<code>a</code>", "a", [("code", 0, 1)]),
    ("<pre>a</pre>", "a", [("pre", 0, 1)]),
    ('<pre><code class="language-sh">ls</code></pre>', "ls", [("pre", 0, 2, {"language": "sh"})]),
    ('<code class="language-sh"><pre>ls</pre></code>', "ls", [("pre", 0, 2, {"language": "sh"})]),
    ('<code class="language-sh">ls</code>', "ls", [("code", 0, 2)]),
    ("<blockquote>a</blockquote>", "a", [("blockquote", 0, 1)]),
    ("<blockquote expandable>a</blockquote>", "a", [("expandable_blockquote", 0, 1)]),
    ("<blockquote><b>a</b>b</blockquote>", "ab", [("blockquote", 0, 2), ("bold", 0, 1)]),
    ("<blockquote><code>a</code></blockquote>", "a", [("blockquote", 0, 1), ("code", 0, 1)]),
    ('<a href="https://example.org/x">a</a>', "a", [("text_link", 0, 1, {"url": "https://example.org/x"})]),
    ('<a href="http://example.org">a</a>', "a", [("text_link", 0, 1, {"url": "http://example.org/"})]),
    ('<a href="tg://user?id=17">a</a>', "a", [("text_mention", 0, 1, {"user": {"id": 17}})]),
    ("<a href='nothing'>a</a>", "a", []),
    ('<tg-emoji emoji-id="53">x</tg-emoji>', "x", [("custom_emoji", 0, 1, {"custom_emoji_id": "53"})]),
    ('<tg-time unix="1700000000">x</tg-time>', "x", [("date_time", 0, 1, {"unix_time": 1700000000})]),
    ("&lt;b&gt; &amp;amp; &quot;", '<b> &amp; "', []),
    ("&#65;&#x42;&#X43;", "AB&#X43;", [("hashtag", 3, 4)]),
    ("&lt &#67", "< C", []),
    ("&nbsp; &apos; & &; &#; &#0;", "&nbsp; &apos; & &; &#; &#0;", []),
    (f"{ROCKET}<b>{ROCKET}</b>{SNOW}<i>x</i>", f"{ROCKET}{ROCKET}{SNOW}x", [("bold", 2, 2), ("italic", 5, 1)]),
    ("&#128640;<b>x</b>", f"{ROCKET}x", [("bold", 2, 1)]),
    ("<b></b>x", "x", []),
    ("<B>x</b>", "x", [("bold", 0, 1)]),
    ("<b foo=bar baz>x</b>", "x", [("bold", 0, 1)]),
    ("<code class = 'language-&lt;' >x</code><a href = e.org >y</a>", "xy", [
        ("code", 0, 1), ("text_link", 1, 1, {"url": "http://e.org/"})]),
    ('<a href="https://e.org/?a=1&amp;b=&quot;">x</a>', "x", [("text_link", 0, 1, {"url": 'https://e.org/?a=1&b="'})]),
    ("<a>e.org</a>", "e.org", [("text_link", 0, 5, {"url": "http://e.org/"})]),
    ("<b>x</>", "x", [("bold", 0, 1)]),
    ("<b>x</b  >", "x", [("bold", 0, 1)]),
    ("a > b", "a > b", []),
    ("<b>bold <i>both</i></b>", "bold both", [("bold", 0, 5), ("bold", 5, 4), ("italic", 5, 4)]),
    ("<b><code>x</code>y</b>", "xy", [("code", 0, 1), ("bold", 1, 1)]),
    ("<code><b>x</b></code>", "x", [("code", 0, 1)]),
    ('<a href="https://example.org/"><code>x</code></a>', "x", [("code", 0, 1)]),
]  # fmt: skip

REFUSED = [
    ("a <c>", 'Unsupported start tag "c" at byte offset 2'),
    (f"{SNOW}<p>x</p>", 'Unsupported start tag "p" at byte offset 3'),
    ("<!-- x -->", 'Unsupported start tag "!--" at byte offset 0'),
    ("<br/>", 'Unsupported start tag "br/" at byte offset 0'),
    ("1 < 2", 'Unsupported start tag "" at byte offset 2'),
    ("1 <", "Unclosed start tag at byte offset 2"),
    ("<b", "Unclosed start tag at byte offset 0"),
    ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
    ("<b><i>x</b></i>", 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"'),
    ("x</b>", "Unexpected end tag at byte offset 1"),
    ("<b>x</b", "Unclosed end tag at byte offset 4"),
    ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ("<span class=spoiler>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ("<a href=https://e.org>x</a>", "Unexpected end of name token at byte offset 8"),
    ('<a ="x">x</a>', 'Empty attribute name in the tag "a" at byte offset 0'),
    ("<a href", 'Unclosed start tag "a" at byte offset 0'),
    ("<a href= ", 'Unclosed start tag "a" at byte offset 0'),
    ('<a href="x', "Unclosed start tag at byte offset 0"),
    ('<tg-emoji emoji-id="x">x</tg-emoji>', "Invalid custom emoji identifier specified"),
    ("&#xD83D;", UNPAIRED),
]


@pytest.mark.parametrize(("source", "text", "entities"), READ, ids=[case[0] for case in READ])
async def test_html_becomes_text_and_entities(raw: Raw, chat: Chat, source: str, text: str, entities: list[tuple]):
    sent = (await raw("sendMessage", chat_id=chat.id, text=source, parse_mode="HTML")).result
    expected = [{"type": e[0], "offset": e[1], "length": e[2], **(e[3] if len(e) > 3 else {})} for e in entities]
    assert (sent["text"], sent.get("entities", [])) == (text, expected)


@pytest.mark.parametrize(("source", "reason"), REFUSED, ids=[case[0] for case in REFUSED])
async def test_what_is_no_html_of_telegrams_is_refused(raw: Raw, chat: Chat, source: str, reason: str):
    reply = await raw("sendMessage", chat_id=chat.id, text=source, parse_mode="html")
    assert reply.refusal == (400, f"Bad Request: can't parse entities: {reason}")


async def test_a_caption_is_parsed_like_a_text(raw: Raw, chat: Chat):
    files = {"document": ("a.txt", b"abc")}
    sent = await raw.multipart("sendDocument", files, chat_id=chat.id, caption="<b>x</b> &lt;", parse_mode="HTML")
    assert sent.result["caption"] == "x <"
    assert sent.result["caption_entities"] == [{"type": "bold", "offset": 0, "length": 1}]
    refused = await raw.multipart("sendDocument", files, chat_id=chat.id, caption="<x>", parse_mode="HTML")
    assert refused.refusal == (400, 'Bad Request: can\'t parse entities: Unsupported start tag "x" at byte offset 0')


async def test_without_a_parse_mode_tags_are_text(raw: Raw, chat: Chat):
    for mode in ({}, {"parse_mode": ""}, {"parse_mode": "None"}):
        sent = (await raw("sendMessage", chat_id=chat.id, text="<b>x</b>", **mode)).result
        assert sent["text"] == "<b>x</b>"
        assert "entities" not in sent


async def test_another_parse_mode_is_refused(raw: Raw, chat: Chat):
    reply = await raw("sendMessage", chat_id=chat.id, text="x", parse_mode="BBCode")
    assert reply.refusal == (400, "Bad Request: unsupported parse_mode")
    for mode in ("Markdown", "MarkdownV2"):
        assert (await raw("sendMessage", chat_id=chat.id, text="x", parse_mode=mode)).status == 400


async def test_a_parse_mode_rules_out_entities(raw: Raw, chat: Chat):
    entities = [{"type": "italic", "offset": 0, "length": 1}]
    sent = (await raw("sendMessage", chat_id=chat.id, text="<b>x</b>", parse_mode="HTML", entities=entities)).result
    assert sent["entities"] == [{"type": "bold", "offset": 0, "length": 1}]
