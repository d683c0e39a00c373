"""What is odd stops nothing else: a request that cannot be drawn, a handler that fails or dawdles, an unknown event."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.api.conftest import eventually
from tests.bot.running import Office, following
from tests.bot.test_alerts import told
from wingman_api.events.event import BoundaryViolated
from wingman_bot import commands, desk
from wingman_bot.views import Request
from wingman_core.errors import Code, WingmanError


async def logged(office: Office, event: str) -> dict[str, Any]:
    """The first line of that kind, once it is there."""

    async def look() -> dict[str, Any] | None:
        return next(iter(office.said(event)), None)

    found: dict[str, Any] = await eventually(look)
    return found


async def test_a_request_that_cannot_be_drawn_keeps_no_other_from_it(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wingman_bot.desk.TROUBLE", 0.3)
    real, troubled = desk.card, True

    def card(request: Request, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as the real one
        if troubled and request.task_name == "Odd":
            raise ZeroDivisionError("nobody thought of that")
        return real(request, *arguments, **named)

    monkeypatch.setattr("wingman_bot.desk.card", card)
    async with office.bot():
        odd, even = await office.asks(task_name="Odd"), await office.asks(task_name="Even")
        await office.card(even)
        assert "nobody thought of that" in (await logged(office, "desk.failed"))["exception"]
        troubled = False
        await office.card(odd)


async def test_a_file_that_telegram_never_manages_to_take_keeps_no_other_card_waiting(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("wingman_bot.telegram.LOSSES", 2, raising=False)
    async with office.bot() as bot:
        await following(bot)
        await office.telegram.fails(500, "sendDocument", times=None)
        long, short = await office.asks(instruction="word " * 2000), await office.asks(task_name="Short")
        await office.telegram.called("sendDocument", 1)
        await office.card(short, seconds=20)
        await office.telegram.obliges()
        await office.card(long)
        assert len(await office.cards(long)) == 1


async def test_an_alert_that_telegram_does_not_manage_to_take_is_sent_later(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("wingman_bot.alerts.TROUBLE", 0.2)
    monkeypatch.setattr("wingman_bot.telegram.LOSSES", 1, raising=False)
    async with office.bot() as bot:
        await following(bot)
        await office.telegram.fails(500, "sendMessage", times=2)
        await told(office, BoundaryViolated(at=office.api.clock.now(), audit_position=7, reason="seen"))
        await logged(office, "alerts.waits")
        await office.telegram.message(office.group, lambda m: "audit position 7" in m.text)


async def test_a_handler_that_fails_stops_no_other(office: Office, monkeypatch: pytest.MonkeyPatch):
    def fails(_language: str | None) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(commands, "help_text", fails)
    async with office.bot():
        await office.telegram.says(office.alice, office.group, "/help")
        assert (await logged(office, "update.failed"))["level"] == "error"
        await office.says(office.alice, "/pending", "Nothing waits.")


async def test_a_handler_that_takes_long_keeps_its_person_waiting_and_is_not_confirmed(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("wingman_bot.updates.LOOK", 0.05)
    async with office.bot() as bot:
        await following(bot)
        await office.telegram.holds("sendMessage", 1)
        await office.telegram.says(office.alice, office.group, "/help")
        await office.telegram.held("sendMessage")
        await office.telegram.says(office.alice, office.group, "/status")
        await office.says(office.bob, "/pending", "Nothing waits.")
        assert bot.updates.sizes()["open"] == 2
        texts = [update["message"]["text"] for update in await office.telegram.pending()]
        assert texts[:2] == ["/help", "/status"], "what is not handled is not confirmed"
        assert not any("Wingman is healthy" in m.text for m in await office.telegram.from_bot(office.group))
        await office.telegram.releases()
        last = await office.telegram.message(office.group, lambda m: "Wingman is healthy" in m.text)
        first = await office.telegram.message(office.group, lambda m: "/checkpoint" in m.text)
        assert first.id < last.id, "one person's messages are answered in their order"
        await office.telegram.confirmed()
        answers = [m for m in await office.telegram.from_bot(office.group) if "Nothing waits." in m.text]
        assert len(answers) == 1, "what came again meanwhile was handled once"
        assert bot.updates.sizes()["open"] == bot.updates.sizes()["last"] == 0


async def test_a_handler_that_never_ends_is_given_up(office: Office, monkeypatch: pytest.MonkeyPatch):
    async with office.bot() as bot:
        await following(bot)
        await office.telegram.holds("sendMessage", 1)
        with monkeypatch.context() as impatient:
            impatient.setattr("wingman_bot.updates.HANDLING", 0.2)
            await office.telegram.says(office.alice, office.group, "/help")
            await logged(office, "update.given_up")
        await office.says(office.alice, "/pending", "Nothing waits.")
        await office.telegram.releases()


async def test_a_note_that_the_api_refuses_ends_neither_the_bot_nor_the_feed(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("wingman_bot.alerts.BODY", 5000)  # as if an alert were measured wrongly
    async with office.bot() as bot:
        await following(bot)
        await told(office, BoundaryViolated(at=office.api.clock.now(), audit_position=9, reason="w" * 3000))
        assert (await logged(office, "ledger.refused"))["note"].startswith("alert:")
        await office.telegram.message(office.group, lambda m: "audit position 9" in m.text)
        await office.card(await office.asks())
        assert b"wingman_bot_notes_refused 1.0" in bot.metrics.text()


async def test_a_card_whose_place_cannot_be_kept_is_none(office: Office, monkeypatch: pytest.MonkeyPatch):
    async with office.bot() as bot:
        await following(bot)
        kept = bot.ledger.kept

        async def refused(notes: dict[str, Any], *, cursor: int | None = None) -> bool:
            return await kept(notes, cursor=cursor) and not any("m" in (note or {}) for note in notes.values())

        monkeypatch.setattr(bot.ledger, "kept", refused)
        request_id = await office.asks()
        assert "the card's place cannot be kept" in (await logged(office, "desk.failed"))["error"]
        assert request_id not in bot.ledger.notes
        assert await office.cards(request_id) == []
        await office.says(office.alice, f"/approve {request_id}", "Approved.")


async def test_what_ended_before_it_was_announced_gets_no_card(office: Office):
    request_id = await office.asks(task_name="Ended")
    async with office.bot() as bot:
        await following(bot)
        await office.card(request_id)
        await office.telegram.too_many(3, "sendMessage")
        first, second = await office.asks(task_name="First"), await office.asks(task_name="Second")
        await office.telegram.called("sendMessage", 2)
        assert (await office.api.decide("worker", second, "cancel")).status_code == 200
        await office.card(first)
        assert (await logged(office, "desk.over_unseen"))["status"] == "CANCELLED"
        assert second not in bot.ledger.notes
        assert not any(second in m.text for m in await office.telegram.from_bot(office.group))


async def test_the_backlog_that_cannot_be_counted_is_counted_later(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wingman_bot.alerts.LOOK", 0.05)
    async with office.bot(WINGMAN_BOT_PENDING_ALERT="1") as bot:
        await following(bot)
        real, refusals = bot.feed._api.pending, [WingmanError(Code.INTERNAL, "another version")]

        async def pending(limit: int) -> Any:  # noqa: ANN401 - as the real one
            if refusals:
                raise refusals.pop()
            return await real(limit)

        monkeypatch.setattr(bot.feed._api, "pending", pending)
        for number in range(2):
            await office.asks(task_name=f"Task {number}")
        assert (await logged(office, "alerts.backlog_unknown"))["level"] == "warning"
        await office.telegram.message(office.group, lambda m: "2 requests wait for people" in m.text)


async def test_a_bot_that_ends_leaves_nothing_running(office: Office):
    async with office.bot() as bot:
        await following(bot)
        await office.telegram.holds("sendMessage", 1)
        await office.telegram.says(office.alice, office.group, "/help")
        await office.telegram.held("sendMessage")
    assert not any("update" in task.get_name() for task in asyncio.all_tasks())
    await office.telegram.releases()


async def test_getting_updates_too_often_is_waited_for(office: Office):
    await office.telegram.too_many(1, "getUpdates")
    async with office.bot():
        await office.says(office.alice, "/pending", "Nothing waits.")


async def test_an_alert_that_is_refused_is_sent_later(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wingman_bot.alerts.TROUBLE", 0.2)
    async with office.bot() as bot:
        await following(bot)
        await office.telegram.bars(office.group)
        await told(office, BoundaryViolated(at=office.api.clock.now(), audit_position=7, reason="seen"))
        await logged(office, "alerts.refused")
        await office.telegram.takes_back(office.group)
        await office.telegram.message(office.group, lambda m: "audit position 7" in m.text)


async def test_a_refusal_that_cannot_be_told_is_logged(office: Office):
    private = await office.telegram.starts(office.stranger)
    async with office.bot():
        await office.telegram.says(office.stranger, private, "/start")
        await office.telegram.message(private, lambda m: "Sorry" in m.text)
        await office.telegram.bars(office.private)
        await office.telegram.says(office.alice, office.private, "/pending")
        assert (await logged(office, "reply.untold"))["chat"] == office.private.id


async def test_an_event_that_is_not_understood_is_passed_over(office: Office):
    insert = "INSERT INTO event (type, at, payload) VALUES ('boundary.violated', now(), $1::json)"
    async with office.bot() as bot:
        await following(bot)
        await office.api.sql(insert, '{"type": "boundary.violated", "audit_position": "seven"}')
        request_id = await office.asks()
        await office.card(request_id)
        assert office.said("feed.not_understood")[0]["type"] == "boundary.violated"


def odd(office: Office) -> dict[str, Any]:
    """A stranger's message, forwarded from a kind of place that no Bot API of today knows."""
    user = {"id": office.stranger.id, "is_bot": False, "first_name": "Mallory"}
    chat = {"id": office.stranger.id, "type": "private", "first_name": "Mallory"}
    return {"message_id": 1, "date": 1, "chat": chat, "from": user, "text": "hi", "forward_origin": {"type": "dream"}}


async def test_an_update_that_cannot_be_read_keeps_no_other_from_being_heard(office: Office):
    async with office.bot() as bot:
        await following(bot)
        await office.telegram.happens(office.stranger, "message", odd(office))
        await office.says(office.alice, "/pending", "Nothing waits.")
        await office.telegram.confirmed()
        assert len(office.said("update.not_understood")) == 1


async def test_a_webhook_call_that_cannot_be_read_does_not_come_again(office: Office, unused_tcp_port: int):
    listen, secret = f"127.0.0.1:{unused_tcp_port}", "x" * 20
    async with (
        office.bot(
            WINGMAN_TELEGRAM_WEBHOOK_URL=f"http://{listen}",
            WINGMAN_TELEGRAM_WEBHOOK_LISTEN=listen,
            WINGMAN_TELEGRAM_WEBHOOK_SECRET=secret,
        ) as bot,
        httpx.AsyncClient(base_url=f"http://{listen}", trust_env=False) as http,
    ):
        await following(bot)
        await office.telegram.called("setWebhook")
        headers = {"X-Telegram-Bot-Api-Secret-Token": secret}
        update = {"update_id": 1, "message": odd(office)}
        assert (await http.post("/telegram", json=update, headers=headers)).status_code == 200
        for nothing in ({"update_id": "one"}, {"message": {}}, [], "x", None):
            assert (await http.post("/telegram", json=nothing, headers=headers)).status_code == 400


async def test_a_webhook_that_telegram_refuses_is_tried_again(office: Office, unused_tcp_port: int):
    listen = f"127.0.0.1:{unused_tcp_port}"
    await office.telegram.fails(502, "setWebhook", 2)
    async with office.bot(
        WINGMAN_TELEGRAM_WEBHOOK_URL=f"http://{listen}",
        WINGMAN_TELEGRAM_WEBHOOK_LISTEN=listen,
        WINGMAN_TELEGRAM_WEBHOOK_SECRET="x" * 20,
    ):
        await office.says(office.alice, "/pending", "Nothing waits.")
    assert len([line for line in office.said("telegram.lost") if line["method"] == "setWebhook"]) == 2
