"""From a request to a card, a tap, and a card that tells what came of it."""

from tests.api.fake_gateway import people
from tests.bot.running import Office

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
