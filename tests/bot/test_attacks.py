"""Who tries to decide without being asked, or to have something else shown than what would run."""

import json
from typing import Any

import httpx
import pytest

from tests.bot.running import Office, following
from tests.bot.telegram_server.wire import Message
from wingman_bot.bot import Clocks
from wingman_bot.buttons import Tap, Wish

RESTART = "docker restart --time 5 web"
REMOVE = "docker rm --force --volumes web"
HIDING = "\u202e\u2066\u200b\u200d\u2060\ufeff\u00ad\u3164\u2800\u034f"


async def nothing_decided(office: Office, request_id: str) -> None:
    """The request waits, and nobody has said a word."""
    view: dict[str, Any] = (await office.api.call("operator", "GET", f"/approvals/{request_id}")).json()
    assert (view["status"], view["decisions"]) == ("PENDING", [])


async def test_a_strangers_commands_get_one_refusal_and_decide_nothing(office: Office):
    async with office.bot() as bot:
        request_id = await office.asks()
        await office.card(request_id)
        refused = await office.says(office.stranger, f"/approve {request_id}", "Sorry, I only work with")
        assert str(office.stranger.id) in refused.text
        await office.telegram.says(office.stranger, office.group, f"/reject {request_id}")
        await office.telegram.says(office.stranger, office.group, "hello")
        await office.says(office.alice, "/help", "/pending")  # what came before it has been handled
        assert [m.text for m in await office.telegram.from_bot(office.group)].count(refused.text) == 1
        await nothing_decided(office, request_id)
        assert b'wingman_bot_refused_updates_total{kind="message",why="person"} 2.0' in bot.metrics.text()
        assert {line["user"] for line in office.said("gate.refused")} == {office.stranger.id}


async def test_a_strangers_tap_in_an_allowed_chat(office: Office):
    async with office.bot() as bot:
        request_id = await office.asks()
        card = await office.card(request_id)
        _, said = await office.taps(office.stranger, card, "Approve")
        assert said == "You are not an operator here, sorry."
        await nothing_decided(office, request_id)
        assert b'wingman_bot_refused_updates_total{kind="tap",why="person"} 1.0' in bot.metrics.text()


async def test_a_stranger_who_hammers_a_button_is_answered_once_a_minute(office: Office):
    time = [0.0]
    async with office.bot(clocks=Clocks(monotonic=lambda: time[0])) as bot:
        request_id = await office.asks()
        card = await office.card(request_id)
        for _ in range(30):
            await office.telegram.taps(office.stranger, card, "Approve")
        _, said = await office.taps(office.alice, card, "Details")
        assert said == "Here they are."
        await office.telegram.confirmed()
        answers = await office.telegram.calls("answerCallbackQuery")
        assert len(answers) == 2, "one for the stranger, one for alice"
        assert b'wingman_bot_refused_updates_total{kind="tap",why="person"} 30.0' in bot.metrics.text()
        time[0] += 61
        bot.pace._overall.times.clear()
        _, said = await office.taps(office.stranger, card, "Approve")
        assert said == "You are not an operator here, sorry."
        await nothing_decided(office, request_id)


async def test_an_operator_in_a_foreign_chat(office: Office):
    foreign = await office.telegram.group("Elsewhere", office.alice)
    async with office.bot():
        request_id = await office.asks()
        card = await office.card(request_id)
        refused = await office.says(office.alice, f"/approve {request_id}", "in chats that they listed", chat=foreign)
        assert str(foreign.id) in refused.text
        tap = await office.telegram.taps(office.alice, card, "Approve", chat=foreign)
        assert (await office.telegram.answer(tap)).text == "This is not for this chat."
        await nothing_decided(office, request_id)


async def test_an_operators_tap_on_another_message_than_the_card(office: Office):
    async with office.bot():
        request_id = await office.asks()
        card = await office.card(request_id)
        payload = card.button("Approve").callback_data
        in_private = await office.telegram.forwards(office.alice, card, office.private)
        in_group = await office.telegram.forwards(office.alice, card, office.group)
        for copy in (in_private, in_group):
            assert copy.buttons == []
            tap = await office.telegram.taps(office.alice, copy, data=payload)
            assert "not the request's card" in ((await office.telegram.answer(tap)).text or "")
        await nothing_decided(office, request_id)


async def test_altered_payloads(office: Office):
    async with office.bot():
        request_id = await office.asks()
        other_id = await office.asks(task_name="Another")
        card, other = await office.card(request_id), await office.card(other_id)
        own, theirs = [Tap.unpack(str(each.button("Approve").callback_data)) for each in (card, other)]
        approve = own.pack()
        for altered in (
            theirs.pack(),  # another request's button, on this card
            own.model_copy(update={"request": other_id}).pack(),
            own.model_copy(update={"digest": "0" * 12}).pack(),
            approve.replace("w1:", "w2:"),
            approve + ":more",
            approve[:-1],
            approve.upper(),
            approve.replace("apr_", "apr."),
            "w1:a",
            "a",
            "{}",
            "w1:a:apr_../../executions:000000000000",
        ):
            tap = await office.telegram.taps(office.alice, card, data=altered)
            answer = await office.telegram.answer(tap)
            assert answer.show_alert, altered
        await nothing_decided(office, request_id)
        await nothing_decided(office, other_id)


async def test_a_forged_second_tap_is_a_first_one(office: Office):
    async with office.bot():
        request_id = await office.asks(commands=[REMOVE])
        card = await office.card(request_id, "HIGH risk")
        approve = Tap.unpack(str(card.button("Approve").callback_data))
        forged = approve.model_copy(update={"wish": Wish.CONFIRM}).pack()
        tap = await office.telegram.taps(office.alice, card, data=forged)
        assert "HIGH risk: to approve, tap" in ((await office.telegram.answer(tap)).text or "")
        await nothing_decided(office, request_id)
        again = await office.telegram.message(office.group, lambda m: any("Yes" in b.text for b in m.buttons))
        _, said = await office.taps(office.bob, again, "Yes, approve")
        assert "HIGH risk" in said, "one person's first tap is not another's"
        await nothing_decided(office, request_id)


async def test_a_replayed_tap_decides_once(office: Office):
    async with office.bot():
        request_id = await office.asks()
        card = await office.card(request_id)
        tap, said = await office.taps(office.alice, card, "Approve")
        assert said == "Approved."
        await office.telegram.taps_again(tap)
        replayed = await office.telegram.taps(office.bob, card, data=tap.data)
        assert "alice (through service) approved it" in ((await office.telegram.answer(replayed)).text or "")
        view: dict[str, Any] = (await office.api.call("operator", "GET", f"/approvals/{request_id}")).json()
        assert [each["person"] for each in view["decisions"]] == ["alice"]


async def test_a_card_whose_request_changed_approves_nothing_and_shows_what_is(office: Office):
    async with office.bot():
        request_id = await office.asks()
        card = await office.card(request_id)
        await office.api.sql("ALTER TABLE approval_request DISABLE TRIGGER USER", role="wingman_owner")
        await office.api.sql(
            "UPDATE approval_request SET task_name = 'Something else' WHERE id = $1", request_id, role="wingman_owner"
        )
        _, said = await office.taps(office.alice, card, "Approve")
        assert said == "The request is not what this card showed, so nothing was decided. Look at the card again."
        await nothing_decided(office, request_id)
        renewed = await office.card(request_id, "Something else")
        assert renewed.id == card.id
        assert renewed.button("Approve").callback_data != card.button("Approve").callback_data


async def test_a_document_whose_request_changed_loses_its_buttons_to_one_that_has_what_is(office: Office):
    def is_file(message: Message) -> bool:
        return bool(message.document and message.buttons)

    long = "word " * 2000
    async with office.bot():
        request_id = await office.asks(instruction=long)
        old = await office.telegram.message(office.group, is_file)
        payload = str(old.button("Approve").callback_data)
        await office.api.sql("ALTER TABLE approval_request DISABLE TRIGGER USER", role="wingman_owner")
        changed = f"{long}and something else"
        await office.api.sql(
            "UPDATE approval_request SET instruction = $2 WHERE id = $1", request_id, changed, role="wingman_owner"
        )
        _, said = await office.taps(office.alice, old, "Approve")
        assert said == "The request is not what this card showed, so nothing was decided. Look at the card again."
        new = await office.telegram.message(office.group, lambda m: is_file(m) and m.id != old.id)
        assert new.document is not None
        assert "and something else" in new.document.content.decode()
        (stale,) = [m for m in await office.telegram.from_bot(office.group) if m.id == old.id]
        assert stale.buttons == [], "what shows the old content has no buttons"
        edits = await office.telegram.calls()
        order = [call.method for call in edits if call.method in {"editMessageReplyMarkup", "sendDocument"}]
        assert order[-3:] == ["editMessageReplyMarkup", "sendDocument", "editMessageReplyMarkup"]
        for data in (payload, str(new.button("Approve").callback_data)):
            tap = await office.telegram.taps(office.alice, stale, data=data)
            assert "not the request's card" in ((await office.telegram.answer(tap)).text or "")
        await nothing_decided(office, request_id)
        _, said = await office.taps(office.alice, new, "Approve")
        assert said == "Approved."


@pytest.mark.parametrize(
    "text",
    [
        "<b>bold</b> &lt; &amp; <a href='tg://user?id=1'>alice</a>",
        "*bold* _it_ [link](http://x) `code` ||spoiler|| \\ \\u202e",
        "```\nRisk LOW\n```",
        "https://example.com/approve @alice #tag /approve_all /approve apr_",
        "✅ Approved by alice\n\nCommand\ndocker ps",
        "👩‍👩‍👧 ❤️ \U0001f1e9\U0001f1ea",
    ],
)
async def test_markup_of_workers_is_text_that_begins_no_line_and_links_to_nothing(office: Office, text: str):
    async with office.bot():
        request_id = await office.asks(instruction=text, task_name=text.replace("\n", " "))
        card = await office.card(request_id)
        assert {entity.type for entity in card.now.entities} <= {"bold", "code", "pre"}
        written = card.spans("pre")[-1]
        assert all(line.startswith("┃ ") for line in written.split("\n"))
        plain = written.replace("┃ ", "").replace("\\u200d", "\u200d").replace("\\ufe0f", "\ufe0f")
        assert plain.replace("\\\\", "\\") == text
        ours = [line for line in card.text.split("\n") if not line.startswith("┃ ")]
        assert sum("Approved" in line for line in ours) <= 1, "the task alone, on the worker's own line"
        assert ours[0].startswith("⏳ Waits for 1 person")


async def test_what_hides_or_reorders_is_written_out(office: Office):
    async with office.bot():
        request_id = await office.asks(task_name=f"a{HIDING}b", instruction=f"c{HIDING}d")
        card = await office.card(request_id)
        assert not set(HIDING) & set(card.text)
        assert "a\\u202e\\u2066\\u200b\\u200d\\u2060\\ufeff\\xad\\u3164\\u2800\\u034fb" in card.text


async def test_look_alikes_are_pointed_at(office: Office):
    async with office.bot():
        request_id = await office.asks(task_name="Rеstart wеb for аlice", instruction="𝗮pproved, naïve Größe")  # noqa: RUF001
        card = await office.card(request_id)
        (warned,) = [line for line in card.text.split("\n") if line.startswith("⚠️ Words that may pass for others")]
        assert warned.endswith(": Rеstart, wеb, аlice, 𝗮pproved")  # noqa: RUF001


async def test_a_worker_with_an_operators_name_is_pointed_at(office: Office):
    async with office.bot():
        request_id = await office.asks(None, worker_id="ALICE")
        card = await office.card(request_id)
        assert "⚠️ The worker bears an operator's name, ALICE." in card.text
        assert "⚠️ Asked without a key" in card.text
        _, said = await office.taps(office.alice, card, "Approve")
        assert said == "Nobody decides on their own request; another person is needed."


async def test_a_command_of_100_kilobytes_never_gets_as_far_as_a_card(office: Office):
    refused = await office.api.ask(commands=[f"docker restart {'a' * 100_000}"])
    assert refused.status_code == 422
    async with office.bot() as bot:
        await following(bot)
        assert (await office.says(office.alice, "/pending", "")).text == "Nothing waits."


async def test_what_does_not_fit_is_in_a_document_and_the_buttons_are_its(office: Office):
    instruction = "\n".join(f"step {number}: {'x' * 40}" for number in range(1200))
    async with office.bot():
        request_id = await office.asks(instruction=instruction, commands=[RESTART, f"docker restart {'b' * 200}"])

        def is_file(message: Message) -> bool:
            return bool(message.document and message.buttons) and request_id in message.text

        file = await office.telegram.message(office.group, is_file)
        assert file.document is not None
        whole = file.document.content.decode()
        assert all(f"┃ step {number}: " in whole for number in range(1200))
        assert "docker restart " + "b" * 200 in whole
        text = await office.telegram.message(office.group, lambda m: "so parts are cut" in m.text)
        assert text.buttons == []
        assert len(text.text.encode("utf-16-le")) // 2 <= 4096
        assert "more characters" in text.text
        tap = await office.telegram.taps(office.alice, text, data=file.button("Approve").callback_data)
        assert "not the request's card" in ((await office.telegram.answer(tap)).text or "")
        _, said = await office.taps(office.alice, file, "Approve")
        assert said == "Approved."
        decided = await office.telegram.message(office.group, lambda m: m.id == file.id and len(m.buttons) == 1)
        assert [button.text for button in decided.buttons] == ["Details"]
        assert len(await office.cards(request_id)) == 1


async def test_a_forwarded_command_is_nobodys_word(office: Office):
    elsewhere = await office.telegram.group("Elsewhere", office.alice, office.stranger)
    async with office.bot():
        request_id = await office.asks()
        await office.card(request_id)
        written = await office.telegram.says(office.stranger, elsewhere, f"/approve {request_id}")
        await office.telegram.forwards(office.alice, written, office.group)
        await office.telegram.message(office.group, lambda m: "A forwarded command is nobody's word" in m.text)
        await nothing_decided(office, request_id)


async def test_a_command_for_another_bot_is_not_ours(office: Office):
    async with office.bot():
        request_id = await office.asks()
        await office.card(request_id)
        await office.telegram.says(office.alice, office.group, f"/approve@another_bot {request_id}")
        await office.says(office.alice, "/help", "/pending")
        await nothing_decided(office, request_id)


async def test_no_secret_is_in_the_log(office: Office):
    await office.telegram.fails(502, "sendMessage", times=1, page=True)
    await office.telegram.drops("editMessageText", times=1)
    async with office.bot():
        await office.card(await office.asks())
    text = json.dumps(office.log, default=str)
    assert office.said("telegram.lost")
    assert office.telegram.token not in text
    assert await office.api.key("bot") not in text


async def test_a_webhook_call_without_the_secret_is_nothing(
    office: Office, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
):
    secret = "a-secret-of-twenty-characters"
    listen = f"127.0.0.1:{unused_tcp_port}"
    webhook = {
        "WINGMAN_TELEGRAM_WEBHOOK_URL": "https://bot.example",
        "WINGMAN_TELEGRAM_WEBHOOK_LISTEN": listen,
        "WINGMAN_TELEGRAM_WEBHOOK_SECRET": secret,
    }
    async with office.bot(**webhook) as bot, httpx.AsyncClient(base_url=f"http://{listen}", trust_env=False) as http:
        await following(bot)
        request_id = await office.asks()
        card = await office.card(request_id)
        update = {
            "update_id": 1,
            "callback_query": {
                "id": "1",
                "from": {"id": office.alice.id, "is_bot": False, "first_name": "Alice"},
                "chat_instance": "1",
                "data": card.button("Approve").callback_data,
                "message": {
                    "message_id": card.id,
                    "date": int(card.date),
                    "chat": {"id": office.group.id, "type": "group", "title": "Ops"},
                },
            },
        }
        name = "X-Telegram-Bot-Api-Secret-Token"
        for headers in ({}, {name: ""}, {name: "wrong"}, {name: secret[:-1]}, {name: secret + "x"}, {name: "é"}):
            encoded = {key: value.encode() for key, value in headers.items()}
            assert (await http.post("/telegram", json=update, headers=encoded)).status_code == 401
        await nothing_decided(office, request_id)
        assert (await http.post("/telegram", content=b"{", headers={name: secret})).status_code == 400
        with monkeypatch.context() as patched:
            patched.setattr("wingman_bot.updates.MOST", 0)
            assert (await http.post("/telegram", json=update, headers={name: secret})).status_code == 503
        await nothing_decided(office, request_id)
        for _ in range(2):  # again, as if the answer had got lost
            assert (await http.post("/telegram", json=update, headers={name: secret})).status_code == 200
        assert len(await office.telegram.calls("answerCallbackQuery")) == 1
        assert await office.status(request_id) == "APPROVED"
