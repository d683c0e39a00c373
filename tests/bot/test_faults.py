"""Telegram and the API when they are slow, busy, gone, or shared with another bot."""

import asyncio
from datetime import timedelta

import pytest

from tests.api.conftest import eventually
from tests.bot.cable import cable
from tests.bot.running import Office, following
from wingman_bot.bot import WingmanBot
from wingman_bot.ledger import Superseded
from wingman_bot.telegram import Unauthorized
from wingman_core.errors import SettingInvalid


async def test_429_is_waited_for_and_nothing_is_sent_meanwhile(office: Office):
    async with office.bot() as bot:
        await following(bot)
        await office.telegram.too_many(2, "sendMessage")
        request_id = await office.asks()
        card = await office.card(request_id)
        sent = await office.telegram.called("sendMessage", 2)
        assert [call.status for call in sent] == [429, 200]
        assert sent[1].at - sent[0].at >= 2
        assert len(await office.cards(request_id)) == 1
        await office.telegram.too_many(1, "editMessageText")
        await office.telegram.too_many(1, "answerCallbackQuery")
        _, said = await office.taps(office.alice, card, "Approve")
        assert said == "Approved."
        await office.card(request_id, "✅ Approved")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("trouble", ["502", "page", "drop"])
async def test_lost_calls_are_made_again_and_there_is_one_card(office: Office, trouble: str, *, after: bool):
    async with office.bot() as bot:
        await following(bot)
        for method in ("sendMessage", "editMessageText", "answerCallbackQuery", "getUpdates"):
            if trouble == "drop":
                await office.telegram.drops(method, times=1, after=after)
            else:
                await office.telegram.fails(502, method, times=1, after=after, page=trouble == "page")
        request_id = await office.asks()
        card = await office.card(request_id)
        await office.telegram.taps(office.alice, card, "Approve")
        await office.card(request_id, "✅ Approved")
        assert len(await office.cards(request_id)) == 1
        lines = [m for m in await office.telegram.from_bot(office.group) if request_id in m.text]
        assert len(lines) == (2 if after else 1), "a lost answer leaves a line without buttons, never a card"


async def test_the_api_is_gone_for_a_while_and_nothing_is_missed(office: Office):
    async with cable(office.api.url) as line, office.bot(WINGMAN_API_URL=line.url) as bot:
        await following(bot)
        before = await office.asks(task_name="Before")
        card = await office.card(before)
        await line.cut()
        tap = await office.telegram.taps(office.alice, card, "Approve")
        during = [await office.asks(task_name=f"During {number}") for number in range(3)]
        assert "Wingman does not answer" in ((await office.telegram.answer(tap, seconds=90)).text or "")
        assert (await office.says(office.alice, "/pending", "Wingman does not answer")).buttons == []
        assert "bot's telegram: ok" in (await office.says(office.alice, "/status", "Wingman does not answer")).text
        assert await office.status(before) == "PENDING"
        await line.mend()
        for request_id in during:
            await office.card(request_id, seconds=90)
            assert len(await office.cards(request_id)) == 1
        _, said = await office.taps(office.alice, card, "Approve")
        assert said == "Approved."
        assert office.said("feed.waits")


async def test_a_tap_that_telegram_kept_decides_while_the_request_waits(office: Office):
    async with office.bot():
        waits, expires = await office.asks(task_name="Waits"), await office.asks(task_name="Expires")
        cards = [await office.card(request_id) for request_id in (waits, expires)]
    await office.telegram.taps(office.alice, cards[0], "Approve")
    await office.telegram.passes(1800)
    async with office.bot():
        await office.card(waits, "✅ Approved")
    await office.telegram.taps(office.alice, cards[1], "Approve")
    office.api.clock.ahead = timedelta(hours=2)
    async with office.bot():
        await office.card(expires, "⌛ Expired")
        await office.telegram.confirmed()
        view = (await office.api.call("operator", "GET", f"/approvals/{expires}")).json()
        assert (view["status"], view["decisions"]) == ("EXPIRED", [])


async def test_a_second_tap_that_telegram_kept_while_the_bot_was_away_is_a_first_one(office: Office):
    async with office.bot():
        request_id = await office.asks(commands=["docker rm --force --volumes web"])
        await office.taps(office.alice, await office.card(request_id, "HIGH risk"), "Approve")
        again = await office.telegram.message(office.group, lambda m: any("Yes" in b.text for b in m.buttons))
    kept = await office.telegram.taps(office.alice, again, "Yes, approve")
    async with office.bot():
        assert "HIGH risk: to approve, tap" in ((await office.telegram.answer(kept)).text or "")
        assert await office.status(request_id) == "PENDING"


async def test_a_tap_whose_answer_from_the_api_gets_lost_decides_once(office: Office):
    async with cable(office.api.url) as line, office.bot(WINGMAN_API_URL=line.url) as bot:
        await following(bot)
        request_id = await office.asks()
        card = await office.card(request_id)
        tap = await office.telegram.taps(office.alice, card, "Approve")

        async def decided() -> bool | None:
            return True if await office.status(request_id) == "APPROVED" else None

        await eventually(decided)
        await line.cut()
        await line.mend()
        said = (await office.telegram.answer(tap, seconds=90)).text
        assert said == "Approved."
        await office.card(request_id, "✅ Approved", seconds=90)
        history = (await office.api.call("operator", "GET", f"/approvals/{request_id}")).json()["history"]
        assert [entry["event"] for entry in history].count("approved") == 1


async def test_events_that_are_kept_no_more_are_made_up_for(office: Office):
    async with office.bot() as bot:
        await following(bot)
        waiting = await office.asks(task_name="Waiting")
        card = await office.card(waiting)
    missed = await office.asks(task_name="Missed")
    assert (await office.api.decide("alice", waiting, "reject")).status_code == 200
    await office.api.sql("DELETE FROM event", role="wingman_owner")
    async with office.bot():
        assert (await office.card(missed)).id != card.id
        assert (await office.card(waiting, "⛔ Rejected")).id == card.id
    assert office.said("feed.lost")


async def test_a_bot_that_starts_on_requests_that_wait_shows_each_once(office: Office):
    first = await office.asks(task_name="Early")
    async with office.bot():
        await office.card(first)
    second = await office.asks(task_name="While it was away")
    async with office.bot() as bot:
        await following(bot)
        await office.card(second)
        for request_id in (first, second):
            assert len(await office.cards(request_id)) == 1


async def test_two_bots_on_one_token_are_told_and_the_later_one_has_the_cards(office: Office):
    settings = office.settings()
    async with office.parts(settings) as (telegram, client):
        earlier = WingmanBot(settings, telegram, client, office.logger(settings))
        running = asyncio.create_task(earlier.run())
        await following(earlier)
        async with office.bot() as later:
            await following(later)
            request_id = await office.asks()
            await office.card(request_id, seconds=90)
            with pytest.raises(BaseExceptionGroup) as caught:
                await asyncio.wait_for(running, 30)
            assert caught.group_contains(Superseded)
            assert len(await office.cards(request_id)) == 1
    (said, *_) = office.said("telegram.conflict")
    assert "another program uses this bot's token" in said["problem"]


async def test_a_server_that_takes_no_commands_and_no_parse_mode(office: Office):
    await office.telegram.refuses("setMyCommands", 404)
    await office.telegram.refuses_parse_mode()
    async with office.bot():
        request_id = await office.asks()
        card = await office.card(request_id)
        _, said = await office.taps(office.alice, card, "Approve")
        assert said == "Approved."
        await office.says(office.alice, "/help", "/pending")
    assert office.said("telegram.no_commands")
    assert all("parse_mode" not in call.parameters for call in await office.telegram.calls())


async def test_a_card_that_somebody_deleted_is_not_sent_again(office: Office):
    async with office.bot() as bot:
        request_id = await office.asks()
        await office.card(request_id)
        await office.telegram.refuses("editMessageText", 400, "Bad Request: message to edit not found", times=1)
        assert (await office.api.decide("bob", request_id, "approve")).status_code == 200

        async def gone() -> bool | None:
            return True if office.said("desk.card_gone") else None

        await eventually(gone)
        assert len(await office.cards(request_id)) == 1
        assert (bot.desk.waiting, request_id in bot.ledger.notes) == (0, False)
        await office.says(office.alice, f"/show {request_id}", "✅ Approved")


async def test_a_card_in_a_chat_that_the_bot_has_left_is_let_go(office: Office):
    async with office.bot():
        request_id = await office.asks()
        await office.card(request_id)
    await office.telegram.bars(office.group)
    async with office.bot(WINGMAN_TELEGRAM_CHATS=str(office.private.id)) as bot:
        await following(bot)
        assert (await office.api.decide("bob", request_id, "reject")).status_code == 200

        async def forgotten() -> bool | None:
            return None if request_id in bot.ledger.notes else True

        await eventually(forgotten)
        later = await office.asks(task_name="Later")
        await office.card(later, chat=office.private)


async def test_a_bot_that_was_thrown_out_goes_on_once_it_is_back(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wingman_bot.desk.TROUBLE", 0.2)
    await office.telegram.bars(office.group)
    async with office.bot() as bot:
        await following(bot)
        request_id = await office.asks()

        async def refused() -> bool | None:
            return True if office.said("desk.refused") else None

        await eventually(refused)
        await office.telegram.takes_back(office.group)
        await office.card(request_id)


@pytest.mark.parametrize("status", [401, 404])
async def test_a_token_that_is_not_good(office: Office, status: int):
    """Telegram says 401 to what could be a token, and 404 to what could not."""
    if status == 404:
        await office.telegram.refuses("getMe", 404, "Not Found")
    settings = office.settings() if status == 404 else office.settings(BOT_TOKEN="1:wrong")
    async with office.parts(settings) as (telegram, client):
        with pytest.raises(BaseExceptionGroup) as caught:
            await asyncio.wait_for(WingmanBot(settings, telegram, client, office.logger(settings)).run(), 30)
        assert caught.group_contains(Unauthorized)


async def test_a_key_of_another_role(office: Office):
    with open(office.environ["WINGMAN_API_KEY_FILE"], "w") as file:  # noqa: PTH123, ASYNC230 - a small file of the test's
        file.write(await office.api.key("alice"))
    settings = office.settings()
    async with office.parts(settings) as (telegram, client):
        with pytest.raises(BaseExceptionGroup) as caught:
            await WingmanBot(settings, telegram, client, office.logger(settings)).run()
        assert caught.group_contains(SettingInvalid, match="its key is of role approver")
