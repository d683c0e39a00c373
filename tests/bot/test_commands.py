"""What people type, and what they are told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.conftest import eventually
from tests.api.fake_gateway import people
from tests.bot.running import Office, following
from wingman_bot.bot import Clocks
from wingman_bot.buttons import short_digest
from wingman_bot.views import Request

RESTART = "docker restart --time 5 web"
REMOVE = "docker rm --force --volumes web"


async def view(office: Office, request_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await office.api.call("operator", "GET", f"/approvals/{request_id}")).json()
    return found


async def test_approve_with_a_note_by_a_shortened_id(office: Office):
    async with office.bot():
        request_id = await office.asks()
        await office.card(request_id)
        said = await office.says(office.alice, f"/approve {request_id[:9]} seen the  graphs", "Approved.")
        assert said.text == f"Approved. {request_id}\n{RESTART}"
        assert said.spans("pre") == [RESTART]
        await office.card(request_id, "✅ Approved")
        (decided,) = (await view(office, request_id))["decisions"]
        assert (decided["person"], decided["note"]) == ("alice", "seen the graphs")


async def test_reject_with_a_reason_in_private_without_the_prefix(office: Office):
    async with office.bot():
        request_id = await office.asks()
        await office.card(request_id)
        short = request_id.removeprefix("apr_")[:6].upper()
        await office.says(
            office.alice, f"/reject {short} not on a Friday", "Rejected: nothing will run.", chat=office.private
        )
        card = await office.card(request_id, "⛔ Rejected")
        assert "alice rejected at" in card.text
        assert "not on a Friday" in card.text


async def test_one_person_is_one_person_through_two_chats(office: Office):
    office.api.gateway.verdicts[RESTART] = people(2)
    async with office.bot():
        request_id = await office.asks()
        card = await office.card(request_id)
        assert (await office.taps(office.alice, card, "Approve"))[1] == "Noted: 1 of 2. 1 person more needed."
        twice = "You have decided on this request already"
        await office.says(office.alice, f"/approve {request_id}", twice, chat=office.private)
        await office.says(office.bob, f"/approve {request_id}", "Approved.")
        assert [each["person"] for each in (await view(office, request_id))["decisions"]] == ["alice", "bob"]


async def test_high_risk_is_typed_twice(office: Office):
    async with office.bot():
        request_id = await office.asks(commands=[REMOVE])
        await office.card(request_id, "HIGH risk")
        digest = short_digest(Request.model_validate(await view(office, request_id)))
        asked = await office.says(office.alice, f"/approve {request_id} go on", "HIGH risk. Look at the card")
        assert asked.spans("code") == [f"/approve {request_id} {digest} go on"]
        assert asked.spans("pre") == [REMOVE]
        await office.says(office.alice, f"/approve {request_id} {'0' * 12} go on", "HIGH risk. Look at the card")
        await office.says(office.bob, f"/approve {request_id} {digest} go on", "HIGH risk. Look at the card")
        assert (await view(office, request_id))["decisions"] == [], "a first step that has the digest is a first step"
        await office.says(office.alice, asked.spans("code")[0], "Approved.")
        (decided,) = (await view(office, request_id))["decisions"]
        assert decided["note"] == "go on"


async def test_high_risk_is_tapped_twice_and_one_can_go_back(office: Office):
    async with office.bot():
        request_id = await office.asks(commands=[REMOVE])
        card = await office.card(request_id, "HIGH risk")
        digest = short_digest(Request.model_validate(await view(office, request_id)))
        _, said = await office.taps(office.alice, card, "Approve")
        assert said == f"HIGH risk: to approve, tap “Yes, approve {digest}” once more."
        again = await office.telegram.message(office.group, lambda m: any("Yes" in b.text for b in m.buttons))
        assert [button.text for button in again.buttons] == [f"Yes, approve {digest}", "Back", "Reject"]
        assert (await office.taps(office.alice, again, "Back"))[1] == "Nothing was decided."
        card = await office.telegram.message(office.group, lambda m: [b.text for b in m.buttons][:1] == ["Approve"])
        await office.taps(office.alice, card, "Approve")
        again = await office.telegram.message(office.group, lambda m: any("Yes" in b.text for b in m.buttons))
        assert (await office.taps(office.alice, again, "Yes, approve"))[1] == "Approved."
        await office.card(request_id, "✅ Approved")


async def test_a_second_tap_after_two_minutes_is_a_first_one(office: Office):
    time = [0.0]
    async with office.bot(clocks=Clocks(monotonic=lambda: time[0])) as bot:
        request_id = await office.asks(commands=[REMOVE])
        card = await office.card(request_id)
        await office.taps(office.alice, card, "Approve")
        again = await office.telegram.message(office.group, lambda m: any("Yes" in b.text for b in m.buttons))
        time[0] += 121
        bot.pace._overall.times.clear()
        assert "HIGH risk" in (await office.taps(office.alice, again, "Yes, approve"))[1]
        assert (await office.taps(office.alice, again, "Yes, approve"))[1] == "Approved."


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("/approve", "Which one? /approve <id>; /pending lists them."),
        ("/reject", "Which one? /reject <id>; /pending lists them."),
        ("/show", "Which one? /show <id>; /pending lists them."),
        ("/approve apr_zzzz", "No pending request begins with apr_zzzz. /pending lists them."),
        ("/approve apr_zzz", "At least 4 characters of the id, please; /pending lists them."),
        ("/reject Z", "At least 4 characters of the id, please; /pending lists them."),
        ("/approve apr_" + "a" * 26, f"No pending request begins with apr_{'a' * 26}. /pending lists them."),
        ("/approve ../../whoami", "No pending request begins with ../../whoami. /pending lists them."),
        ("/approve \u2800%_!", "No pending request begins with \\u2800%_!. /pending lists them."),
        ("/pending", "Nothing waits."),
    ],
)
async def test_what_names_nothing(office: Office, text: str, answer: str):
    async with office.bot():
        assert (await office.says(office.alice, text, "")).text == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("/aprove {id}", "I do not know /aprove. Did you mean /approve? See /help."),
        ("/Approve@Wingman_Test_Bot {id} go", "I do not know /Approve. Did you mean /approve? See /help."),
        ("/rejct {id}", "I do not know /rejct. Did you mean /reject? See /help."),
        ("/stats", "I do not know /stats. Did you mean /status? See /help."),
        ("/weather {id}", "I do not know /weather. See /help."),
        ("/apr_aaaa", "I do not know /apr_aaaa. See /help."),
    ],
)
async def test_an_unknown_command_is_answered_and_decides_nothing(office: Office, text: str, answer: str):
    async with office.bot():
        request_id = await office.asks()
        await office.card(request_id)
        assert (await office.says(office.alice, text.format(id=request_id), "I do not know")).text == answer
        assert (await view(office, request_id))["decisions"] == []


@pytest.mark.parametrize(
    "text", ["/aprove@another_bot x", "/help@another_bot", "/etc/hosts is gone", "/ hm", "/é", "/"]
)
async def test_what_is_for_another_bot_or_no_command_is_left_unanswered(office: Office, text: str):
    async with office.bot():
        await office.telegram.says(office.alice, office.group, text)
        await office.says(office.alice, "/pending", "Nothing waits.")
        assert len(await office.telegram.from_bot(office.group)) == 1


async def test_a_strangers_unknown_command_is_a_strangers(office: Office):
    async with office.bot():
        await office.says(office.stranger, "/aprove", "Sorry, I only work with")
        await office.telegram.says(office.stranger, office.group, "/aprove")
        await office.says(office.alice, "/pending", "Nothing waits.")
        assert len(await office.telegram.from_bot(office.group)) == 2


async def test_a_beginning_of_what_was_decided_meanwhile_tells_what_came_of_it(office: Office):
    async with office.bot():
        decided, expired = await office.asks(task_name="One"), await office.asks(task_name="Two")
        assert (await office.api.decide("bob", decided, "reject")).status_code == 200
        faster = "Decided already: bob (through api) rejected it"
        await office.says(office.alice, f"/approve {decided[:12]}", faster)
        await office.says(office.bob, f"/reject {decided[4:12]}", "Rejected: nothing will run.")
        await office.says(office.alice, f"/show {decided[:12]}", "⛔ Rejected")
        office.api.clock.ahead = timedelta(hours=2)
        await office.says(office.alice, f"/approve {expired[:12]}", "Too late: the request has expired.")


async def test_an_ambiguous_beginning_lists_the_candidates(office: Office):
    same = "a" * 20
    office.api.ids.wanted = [f"{same}{end * 6}" for end in "bcd"]
    async with office.bot():
        for number in range(3):
            await office.asks(task_name=f"Task {number}", commands=[f"docker restart web{number}"])
        said = await office.says(office.alice, "/approve aaaa", "Several begin like this:")
        assert said.spans("code")[::3] == [f"apr_{same}{end}" for end in "bcd"]
        assert "docker restart web1" in said.text
        await office.says(office.alice, f"/approve {same}c", "Approved.")
        assert await office.status(f"apr_{same}cccccc") == "APPROVED"


async def test_pending_lists_what_waits_and_says_how_much_more(office: Office):
    async with office.bot(WINGMAN_BOT_PENDING_ALERT="100"):
        for number in range(17):
            await office.asks(task_name=f"Task {number}", commands=[f"docker restart web{number}"])
        said = await office.says(office.alice, "/pending", "17 waiting, oldest first")
        assert "docker restart web0" in said.text
        assert said.text.endswith("… 2 more")


async def test_what_is_decided_says_by_whom(office: Office):
    async with office.bot():
        request_id = await office.asks()
        card = await office.card(request_id)
        assert (await office.api.decide("bob", request_id, "reject", note="no")).status_code == 200
        _, said = await office.taps(office.alice, card, "Approve")
        assert said.startswith("Decided already: bob (through api) rejected it at ")
        await office.says(office.alice, f"/approve {request_id}", "Decided already: bob (through api) rejected it")
        await office.card(request_id, "bob rejected at")


async def test_an_expired_request(office: Office):
    async with office.bot():
        request_id = await office.asks()
        card = await office.card(request_id)
        office.api.clock.ahead = timedelta(hours=2)
        _, said = await office.taps(office.alice, card, "Approve")
        assert said == "Too late: the request has expired. Whoever asked has to ask again."
        await office.card(request_id, "⌛ Expired at")


async def test_a_withdrawn_request(office: Office):
    async with office.bot():
        request_id = await office.asks()
        await office.card(request_id)
        assert (await office.api.decide("worker", request_id, "cancel")).status_code == 200
        withdrawn = await office.card(request_id, "↩️ Withdrawn")
        assert [button.text for button in withdrawn.buttons] == ["Details"]
        await office.says(office.alice, f"/reject {request_id}", "Whoever asked has withdrawn the request.")


async def test_a_command_that_comes_late_decides_nothing(office: Office):
    clocks = Clocks(now=lambda: datetime.now(UTC) + timedelta(minutes=6))
    async with office.bot(clocks=clocks):
        request_id = await office.asks()
        await office.card(request_id)
        await office.says(office.alice, f"/approve {request_id}", "and I only have it now, so nothing was decided.")
        assert await office.status(request_id) == "PENDING"


async def test_a_note_that_is_too_long(office: Office):
    async with office.bot():
        request_id = await office.asks()
        await office.says(office.alice, f"/reject {request_id} {'x' * 2001}", "A note has at most 2000 characters.")
        assert await office.status(request_id) == "PENDING"


@pytest.mark.parametrize(
    "commands", [[REMOVE], [REMOVE, "docker rm --force " + "x" * 200, "docker rm y", "docker rm z"]]
)
async def test_a_note_that_leaves_no_room_in_the_answer_is_asked_for_again(office: Office, commands: list[str]):
    note = "\N{GRINNING FACE}" * 2000  # 4,000 UTF-16 units
    async with office.bot():
        request_id = await office.asks(commands=commands)
        await office.card(request_id, "HIGH risk")
        digest = short_digest(Request.model_validate(await view(office, request_id)))
        asked = await office.says(office.alice, f"/approve {request_id} {note}", "HIGH risk. Look at the card")
        assert asked.spans("code") == [f"/approve {request_id} {digest}"]
        assert asked.spans("pre")[0] == REMOVE
        assert asked.text.endswith("Your note is too long to be repeated here: add it to that line.")
        await office.says(office.alice, f"/approve {request_id} {digest} {note}", "Approved.")
        (decided,) = (await view(office, request_id))["decisions"]
        assert decided["note"] == note


async def test_show_is_the_whole_card_without_buttons(office: Office):
    async with office.bot():
        request_id = await office.asks()
        card = await office.card(request_id)
        shown = await office.says(office.bob, f"/show {request_id}", "Waits for 1 person")
        assert (shown.text, shown.now.entities, shown.buttons) == (card.text, card.now.entities, [])
        long = await office.asks(instruction="y" * 9000)
        await office.says(office.bob, f"/show {long}", "That is all of")
        files = [m for m in await office.telegram.from_bot(office.group) if m.document and not m.buttons]
        assert any(m.document and "y" * 9000 in m.document.content.decode() for m in files)


async def test_show_of_what_is_decided_leaves_nothing_out_either(office: Office):
    async with office.bot():
        request_id = await office.asks(instruction="z" * 9000)
        assert (await office.api.decide("bob", request_id, "reject", note="no")).status_code == 200
        await office.says(office.alice, f"/show {request_id}", "That is all of")
        files = [m.document.content.decode() for m in await office.telegram.from_bot(office.group) if m.document]
        (shown,) = [each for each in files if "⛔ Rejected" in each]  # the card may have had a file before
        assert "z" * 9000 in shown


async def test_a_wish_that_comes_twice_is_answered_twice_as_recorded(office: Office):
    async with office.bot():
        request_id = await office.asks(commands=[REMOVE])
        card = await office.card(request_id, "HIGH risk")
        await office.taps(office.alice, card, "Approve")
        again = await office.telegram.message(office.group, lambda m: any("Yes" in b.text for b in m.buttons))
        tap, said = await office.taps(office.alice, again, "Yes, approve")
        assert said == "Approved."
        repeated = await office.telegram.taps(office.alice, card, data=tap.data)
        assert (await office.telegram.answer(repeated)).text == "Approved."
        await office.says(office.alice, f"/approve {request_id}", "Approved.")
        await office.says(office.alice, f"/reject {request_id}", "Decided already: alice (through service) approved it")
        await office.says(office.bob, f"/approve {request_id}", "Decided already: alice (through service) approved it")


async def test_half_of_a_quorum_for_high_risk_is_answered_again_by_a_bot_that_knows_of_no_first_step(office: Office):
    office.api.gateway.verdicts[REMOVE] = people(2)
    async with office.bot():
        request_id = await office.asks(commands=[REMOVE])
        card = await office.card(request_id, "HIGH risk")
        await office.taps(office.alice, card, "Approve")
        again = await office.telegram.message(office.group, lambda m: any("Yes" in b.text for b in m.buttons))
        tap, said = await office.taps(office.alice, again, "Yes, approve")
        assert said == "Noted: 1 of 2. 1 person more needed."
    async with office.bot():
        redelivered = await office.telegram.taps(office.alice, again, data=tap.data)
        assert "You have decided on this request already" in ((await office.telegram.answer(redelivered)).text or ""), (
            "another tap than the recorded one; the same one has the API's own answer"
        )


async def test_details_by_a_button(office: Office):
    async with office.bot():
        request_id = await office.asks()
        card = await office.card(request_id)
        _, said = await office.taps(office.alice, card, "Details")
        assert said == "Here they are."
        details = await office.telegram.message(office.group, lambda m: m.text.startswith("Details of"))
        found = await view(office, request_id)
        assert found["commands"][0]["operation_digest"] in details.text
        assert "requested by agent-7" in details.text
        assert details.buttons == []


async def test_status_and_checkpoint(office: Office):
    async with office.bot() as bot:
        await following(bot)
        said = await office.says(office.alice, "/status", "Wingman is")
        for part in (
            "database: healthy",
            "gateway: healthy",
            "bot's telegram: ok",
            "bot's feed: ok",
            "waiting for people: 0",
        ):
            assert part in said.text
        empty = await office.says(office.alice, "/checkpoint", "the log is empty")
        assert empty.text == "the log is empty: nothing has been executed or refused (try later)"
        assert (await office.api.execute(await office.api.approved())).status_code == 202

        async def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = (await office.api.call("operator", "GET", "/audit/checkpoint")).json()
            return found if found["size"] == len(("INTENT", "RESULT")) else None

        head = await eventually(ended)
        said = await office.says(office.alice, "/checkpoint", "The audit log holds")
        assert said.spans("pre")[0] == head["note"].strip()


async def test_help_in_peoples_languages(office: Office):
    texts = {}
    carla = await office.telegram.person("Carla", language="de-AT")
    group = await office.telegram.group("DE", carla, office.alice)
    operators = f"{office.alice.id}:alice,{carla.id}:carla"
    chats = f"{office.group.id},{group.id}"
    async with office.bot(WINGMAN_TELEGRAM_OPERATORS=operators, WINGMAN_TELEGRAM_CHATS=chats):
        texts["de"] = (await office.says(carla, "/help", "/pending", chat=group)).text
        texts["en"] = (await office.says(office.alice, "/start", "/pending", chat=group)).text
        assert "was auf Menschen wartet" in texts["de"]
        assert "what waits for people" in texts["en"]
        registered = {each.language_code: each for each in await office.telegram.commands()}
        assert {"", "de", "es", "fr"} <= {code or "" for code in registered}
    assert office.said("key.does_not_speak_for")[0]["people"] == ["carla"]
