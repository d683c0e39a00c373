"""From a request to a card, a tap, and a card that tells what came of it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.conftest import eventually
from tests.api.fake_gateway import Script, people
from tests.bot.running import Office, following
from wingman_bot.bot import Clocks
from wingman_rpc.v1 import gateway_pb2 as pb

RESTART = "docker restart --time 5 web"


async def test_a_request_becomes_a_card_and_a_tap_approves_it(office: Office):
    async with office.bot():
        request_id = await office.asks()
        card = await office.card(request_id)
        assert card.spans("pre")[0] == RESTART
        assert [button.text for button in card.buttons] == ["Approve", "Reject", "Details"]
        _, said = await office.taps(office.alice, card, "Approve")
        assert said == "Approved."
        assert await office.status(request_id) == "APPROVED"
        approved = await office.card(request_id, "✅ Approved")
        assert (approved.id, [button.text for button in approved.buttons]) == (card.id, ["Details"])
        assert "alice approved at" in approved.text
        started = await office.api.execute(request_id)
        assert started.status_code == 202, started.text
        finished = await office.card(request_id, "🏁 Finished with exit code 0 in 0.01 s")
        assert finished.id == card.id
        assert len(await office.cards(request_id)) == 1


async def test_two_people_are_two_people(office: Office):
    office.api.gateway.verdicts[RESTART] = people(2)
    async with office.bot():
        request_id = await office.asks()
        card = await office.card(request_id)
        _, said = await office.taps(office.alice, card, "Approve")
        assert said == "Noted: 1 of 2. 1 person more needed."
        await office.card(request_id, "(1 of 2 so far)")
        _, said = await office.taps(office.alice, card, "Approve")
        assert said == "You have decided on this request already; another person is needed."
        _, said = await office.taps(office.bob, card, "Approve")
        assert said == "Approved."
        await office.card(request_id, "✅ Approved")


async def test_a_running_command_and_one_of_two(office: Office):
    second = "docker restart --time 5 db"
    gate = asyncio.Event()
    office.api.gateway.scripts[RESTART] = Script(gate=gate, exit_code=7, outcome=pb.Finished.OUTCOME_FAILED)
    async with office.bot() as bot:
        request_id = await office.asks(commands=[RESTART, second])
        card = await office.card(request_id)
        assert card.spans("pre")[:2] == [RESTART, second]
        await office.taps(office.alice, card, "Approve")
        assert (await office.api.execute(f"{request_id}.0")).status_code == 202
        await office.card(request_id, "Command 1: ▶️ Running since")
        gate.set()
        await office.card(request_id, "Command 1: ❌ Failed with exit code 7")
        assert request_id in bot.ledger.notes, "the second one may still run"
        assert (await office.api.execute(f"{request_id}.1")).status_code == 202
        await office.card(request_id, "Command 2: 🏁 Finished with exit code 0")

        async def forgotten() -> bool | None:
            return None if request_id in bot.ledger.notes else True

        await eventually(forgotten)


async def test_an_approval_that_nobody_used_is_forgotten_after_a_day(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wingman_bot.desk.SWEEP", 0.05)
    async with office.bot():
        request_id = await office.asks()
        await office.taps(office.alice, await office.card(request_id), "Approve")
        await office.card(request_id, "✅ Approved")
    tomorrow = Clocks(now=lambda: datetime.now(UTC) + timedelta(hours=26))
    async with office.bot(clocks=tomorrow) as bot:

        async def forgotten() -> bool | None:
            return True if bot.ledger.ready and request_id not in bot.ledger.notes else None

        await eventually(forgotten)
        assert len(await office.cards(request_id)) == 1


async def test_a_request_that_the_api_knows_no_more_is_forgotten(office: Office):
    async with office.bot() as bot:
        await following(bot)
        lost = "apr_" + "z" * 26
        await bot.ledger.kept({lost: {"e": 1}})
        bot.desk.wake(lost)

        async def forgotten() -> bool | None:
            return None if lost in bot.ledger.notes else True

        await eventually(forgotten)
        assert office.said("desk.unknown")
        assert await office.telegram.from_bot(office.group) == []


async def test_a_tap_on_a_card_that_telegram_calls_inaccessible(office: Office):
    async with office.bot():
        card = await office.card(await office.asks())
        tap = await office.telegram.taps(office.alice, card, "Approve", inaccessible=True)
        assert (await office.telegram.answer(tap)).text == "Approved."


async def test_a_stale_tap_decides_and_the_card_shows_it(office: Office):
    async with office.bot():
        request_id = await office.asks()
        card = await office.card(request_id)
        await office.telegram.query_seconds(0)
        await office.telegram.taps(office.alice, card, "Approve")
        await office.card(request_id, "✅ Approved")


async def test_what_needs_nobody_gets_no_card(office: Office):
    async with office.bot() as bot:
        await following(bot)
        assert (await office.api.asked(commands=["docker ps"]))["status"] == "AUTO_APPROVED"
        shown = await office.card(await office.asks())
        assert [m.id for m in await office.telegram.from_bot(office.group)] == [shown.id]


async def test_a_card_of_an_unknown_life_tells_but_does_not_decide(office: Office):
    async with office.bot():
        request_id = await office.asks()
        old = await office.card(request_id)
    assert (await office.api.call("bot", "DELETE", "/events/consumers/telegram")).status_code == 204
    async with office.bot():
        new = await office.telegram.message(office.group, lambda m: bool(m.buttons) and m.id != old.id)
        _, said = await office.taps(office.alice, old, "Approve")
        assert said.startswith("This is not the request's card")
        assert (await office.taps(office.alice, new, "Reject"))[1] == "Rejected: nothing will run."
        await office.card(request_id, "⛔ Rejected")
        _, said = await office.taps(office.alice, old, "Approve")
        assert said.startswith("Decided already: alice")
