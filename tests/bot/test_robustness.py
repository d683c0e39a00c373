"""What is odd stops nothing else: a request that cannot be drawn, a handler that fails or dawdles, an unknown event."""

import asyncio
from typing import Any

import pytest

from tests.api.conftest import eventually
from tests.bot.running import Office, following
from tests.bot.test_alerts import told
from wingman_api.events.event import BoundaryViolated
from wingman_bot import commands, desk
from wingman_bot.views import Request


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


async def test_a_handler_that_fails_stops_no_other(office: Office, monkeypatch: pytest.MonkeyPatch):
    def fails(_language: str | None) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(commands, "help_text", fails)
    async with office.bot():
        await office.telegram.says(office.alice, office.group, "/help")
        assert (await logged(office, "update.failed"))["level"] == "error"
        await office.says(office.alice, "/pending", "Nothing waits.")


async def test_a_handler_that_takes_long_keeps_no_other_waiting(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wingman_bot.updates.HANDLING", 0.1)
    async with office.bot() as bot:
        await following(bot)
        await office.telegram.holds("sendMessage", 1)
        await office.telegram.says(office.alice, office.group, "/help")
        await office.telegram.held("sendMessage")
        await office.says(office.bob, "/pending", "Nothing waits.")
        await office.telegram.releases()
        await office.telegram.message(office.group, lambda m: "/checkpoint" in m.text)


async def test_a_bot_that_ends_leaves_nothing_running(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wingman_bot.updates.HANDLING", 0.1)
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
