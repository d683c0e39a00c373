"""The bot as a process: killed for good, stopped politely, checked from outside, scraped, and called by a webhook."""

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from tests.api.conftest import eventually
from tests.bot.cable import cable
from tests.bot.process import bot_process
from tests.bot.running import Office, following
from wingman_bot.bot import Clocks, WingmanBot
from wingman_bot.checking import Checks
from wingman_bot.cli import app
from wingman_bot.feed import STALE
from wingman_bot.liveness import SOON, is_alive
from wingman_bot.process import EXIT_SETTING, EXIT_SUPERSEDED

KILLS = 12


@pytest.mark.timeout(300)
async def test_a_process_that_is_killed_again_and_again_misses_nothing(office: Office):
    """SIGKILL at moments that nobody chose, with Telegram's own limits, while requests and taps come."""
    asked: list[str] = []
    tapped: set[int] = set()

    async def tap_what_waits() -> None:
        for message in await office.telegram.from_bot(office.group):
            if message.id not in tapped and "Approve" in [button.text for button in message.buttons]:
                tapped.add(message.id)
                await office.telegram.taps(office.alice, message, "Approve")

    for number in range(KILLS):
        asked += [await office.asks(task_name=f"Task {number}.{part}") for part in range(1 + number % 2)]
        before = len(await office.telegram.calls("sendMessage"))
        async with bot_process(office) as process:
            await office.telegram.called("sendMessage", before + 1, seconds=90)
            await asyncio.sleep(0.02 * number)
            await tap_what_waits()
            await asyncio.sleep(0.01 * (number % 5))
            await process.end(signal.SIGKILL)
    async with bot_process(office) as process:
        for request_id in asked:
            card = await office.card(request_id, seconds=100)
            if await office.status(request_id) == "PENDING":
                await office.telegram.taps(office.alice, card, "Approve")
            await office.card(request_id, "✅ Approved", seconds=100)
            assert len(await office.cards(request_id)) == 1
        code, _, err = await process.end()
        assert (code, err) == (0, "")
    views = [(await office.api.call("operator", "GET", f"/approvals/{each}")).json() for each in asked]
    assert all(len(view["decisions"]) == 1 for view in views)


async def test_it_stops_when_asked_and_logs_json_without_secrets(office: Office, tmp_path: Path):
    alive = tmp_path / "alive"
    async with bot_process(office, WINGMAN_BOT_LIVENESS_FILE=str(alive)) as process:
        await office.card(await office.asks(), seconds=90)

        async def looked() -> bool | None:
            return True if is_alive(alive) else None

        await eventually(looked, 30)
        assert json.loads(alive.read_text())["telegram"] == "ok"
        code, out, err = await process.end(signal.SIGINT)
    assert (code, err) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [lines[0]["event"], lines[-1]["event"]] == ["starting", "stopped"]
    assert office.telegram.token not in out
    assert await office.api.key("bot") not in out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"BOT_TOKEN": ""}, "SETTING_INVALID: BOT_TOKEN: this is no bot token"),
        ({"WINGMAN_TELEGRAM_OPERATORS": ""}, "SETTING_INVALID: WINGMAN_TELEGRAM_OPERATORS: nobody is listed"),
        ({"WINGMAN_API_KEY_FILE": "/nowhere"}, "SETTING_INVALID: WINGMAN_API_KEY_FILE: /nowhere cannot be read"),
        ({"BOT_TOKEN": "1:wrong"}, "BOT_TOKEN: Telegram does not know it (Unauthorized)"),
        (
            {"WINGMAN_BOT_METRICS_LISTEN": "192.0.2.1:1"},
            "SETTING_INVALID: WINGMAN_BOT_METRICS_LISTEN: cannot listen on 192.0.2.1:1",
        ),
    ],
)
async def test_what_it_cannot_work_with_is_one_line(office: Office, changes: dict[str, str], said: str):
    async with bot_process(office, **changes) as process:
        code, _, err = await process.ended()
    assert code == EXIT_SETTING
    assert err.startswith(f"wingman-bot: {said}")
    assert err.count("\n") == 1


async def test_a_second_process_takes_over_and_the_first_says_so(office: Office):
    async with bot_process(office) as first:
        await office.card(await office.asks(task_name="One"), seconds=90)
        async with bot_process(office):
            await taken_over(office)
            request_id = await office.asks(task_name="Two")
            code, _, err = await first.ended()
            assert (code, "another bot uses this consumer" in err) == (EXIT_SUPERSEDED, True)
            await office.card(request_id, seconds=90)
            assert len(await office.cards(request_id)) == 1


async def taken_over(office: Office) -> None:
    """Return once the consumer has been written by two bots."""
    seen: set[str] = set()

    async def look() -> bool | None:
        note = await office.api.call("bot", "GET", "/events/consumers/telegram/notes/bot")
        seen.add(note.json()["value"]["by"])
        return True if len(seen) > 1 else None

    await eventually(look, 30)


async def checked(office: Office, **changes: str) -> tuple[bool, dict[str, str]]:
    """What ``wingman-bot check`` says, by what was looked at."""
    settings = office.settings(**changes)
    said: list[str] = []
    async with office.parts(settings) as (bot, client):
        well = await Checks(settings, bot, client).well(said.append)
    return well, {line.split()[0]: line.split(maxsplit=1)[1].strip() for line in said}


async def test_a_check_of_what_is_well(office: Office):
    well, said = await checked(office)
    assert well
    assert said["telegram"].startswith("@")
    assert said["chats"] == f"'Ops' ({office.group.id}), 'Alice' ({office.private.id})"
    assert said["api"].startswith("healthy: ")
    assert said["key"] == "telegram, speaks for alice, bob"
    assert said["feed"] == "at event 0; no bot has followed as telegram yet"
    async with office.bot() as bot:
        await following(bot)
        await office.card(await office.asks())
        _, said = await checked(office)
        assert said["feed"] == "at event 1; telegram is 0 behind and keeps 1 cards"


@pytest.mark.parametrize(
    ("changes", "part", "problem"),
    [
        ({"BOT_TOKEN": "1:wrong"}, "telegram", "Unauthorized"),
        ({"WINGMAN_TELEGRAM_CHATS": "-999"}, "chats", "chat not found"),
        ({"WINGMAN_API_URL": "http://127.0.0.1:1"}, "api", "Wingman's API does not answer"),
        ({"WINGMAN_API_URL": "http://127.0.0.1:1"}, "feed", "Wingman's API does not answer"),
        ({"WINGMAN_TELEGRAM_OPERATORS": "1:alice,2:carol"}, "key", "does not speak for carol: wingman keys speaks-for"),
        ({"WINGMAN_TELEGRAM_API": "http://127.0.0.1:1"}, "telegram", "Cannot connect to host 127.0.0.1:1"),
    ],
)
async def test_a_check_of_what_is_not(office: Office, changes: dict[str, str], part: str, problem: str):
    well, said = await checked(office, **changes)
    assert not well
    assert said[part].startswith("NOT WELL")
    assert problem in said[part]
    assert office.telegram.token not in str(said)


async def test_a_check_of_a_key_of_another_role(office: Office):
    Path(office.environ["WINGMAN_API_KEY_FILE"]).write_text(await office.api.key("alice"))
    well, said = await checked(office)
    assert not well
    assert "the key is of role approver: make one with wingman keys create" in said["key"]


async def test_the_check_command(office: Office, tmp_path: Path):
    async def check(*arguments: str, **changes: str) -> tuple[int, str, str]:
        result = await asyncio.to_thread(CliRunner().invoke, app, ["check", *arguments], env=office.environ | changes)
        return result.exit_code, result.stdout, result.stderr

    code, out, _ = await check()
    assert code == 0, out
    assert [line.split()[0] for line in out.splitlines()] == ["telegram", "chats", "api", "key", "feed"]
    code, out, _ = await check(WINGMAN_API_URL="http://127.0.0.1:1")
    assert (code, out.count("NOT WELL")) == (4, 3)
    code, _, err = await check(WINGMAN_TELEGRAM_CHATS="")
    assert (code, err.startswith("wingman-bot: SETTING_INVALID: WINGMAN_TELEGRAM_CHATS")) == (2, True)
    alive = tmp_path / "alive"
    assert (await check("--alive", str(alive)))[:2] == (4, f"no sign of life in {alive}\n")
    alive.touch()
    assert (await check("--alive", str(alive)))[:2] == (0, "alive\n")


async def test_a_bot_is_alive_while_it_follows_the_api_whether_or_not_telegram_answers(
    office: Office, tmp_path: Path, unused_tcp_port_factory: Callable[[], int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("wingman_bot.liveness.SOON", 0.05)
    monkeypatch.setattr("wingman_bot.liveness.EVERY", 0.05)
    alive, listen = tmp_path / "alive", f"127.0.0.1:{unused_tcp_port_factory()}"
    nowhere = f"http://127.0.0.1:{unused_tcp_port_factory()}"
    time = [0.0]
    clocks = Clocks(monotonic=lambda: time[0])
    variables = {"WINGMAN_BOT_LIVENESS_FILE": str(alive), "WINGMAN_BOT_METRICS_LISTEN": listen}
    async with (
        cable(office.api.url) as line,
        office.bot(clocks=clocks, WINGMAN_TELEGRAM_API=nowhere, WINGMAN_API_URL=line.url, **variables) as bot,
    ):
        await following(bot)

        async def looked() -> dict[str, str] | None:
            return json.loads(alive.read_text()) if is_alive(alive) else None

        state = await eventually(looked)
        assert (state["telegram"], state["feed"]) == ("Telegram does not answer", "ok")
        assert office.said("telegram.lost")[0]["method"] == "getMe"
        async with httpx.AsyncClient(trust_env=False) as http:
            text = (await http.get(f"http://{listen}/metrics")).text
        assert "wingman_bot_telegram_ok 0.0" in text
        assert "wingman_bot_feed_live 1.0" in text
        await line.cut()
        time[0] += STALE
        alive.unlink(missing_ok=True)
        await eventually(lambda: _after(bot, 3))
        assert not is_alive(alive), "without the API there is no sign of life"


async def _after(bot: WingmanBot, looks: int) -> bool | None:
    """Whether so many looks at the bot's life have passed."""
    assert not bot.feed.is_live
    for _ in range(looks):
        await asyncio.sleep(SOON)
    return True


async def test_the_process_builds_the_models_that_it_uses_alone(office: Office):
    async with bot_process(office) as process:
        await office.card(await office.asks(), seconds=90)
        resident = psutil.Process(process.pid).memory_info().rss / 2**20
    assert resident < 130, "all of aiogram's models take 110 MB more than those that are used"


async def test_metrics_are_scraped(office: Office, unused_tcp_port: int):
    listen = f"127.0.0.1:{unused_tcp_port}"
    async with office.bot(WINGMAN_BOT_METRICS_LISTEN=listen) as bot:
        await following(bot)
        card = await office.card(await office.asks())
        await office.taps(office.alice, card, "Approve")
        async with httpx.AsyncClient(trust_env=False) as http:
            text = (await http.get(f"http://{listen}/metrics")).text
    for line in (
        'wingman_bot_telegram_calls_total{method="sendMessage",outcome="ok"} 1.0',
        'wingman_bot_decisions_total{outcome="done",verb="approve"} 1.0',
        "wingman_bot_feed_live 1.0",
        "wingman_bot_telegram_ok 1.0",
        "wingman_bot_notes_refused 0.0",
        "wingman_bot_notes 1.0",
    ):
        assert line in text


async def test_updates_by_webhook(office: Office, unused_tcp_port: int):
    listen = f"127.0.0.1:{unused_tcp_port}"
    webhook = {
        "WINGMAN_TELEGRAM_WEBHOOK_URL": f"http://{listen}",
        "WINGMAN_TELEGRAM_WEBHOOK_LISTEN": listen,
        "WINGMAN_TELEGRAM_WEBHOOK_SECRET": "a-secret-of-twenty-characters",
    }
    await office.telegram.fails(502, "setWebhook", times=1)
    async with office.bot(**webhook) as bot:
        await following(bot)
        request_id = await office.asks()
        card = await office.card(request_id)
        _, said = await office.taps(office.alice, card, "Approve")
        assert said == "Approved."
        await office.says(office.alice, "/pending", "Nothing waits.")
        assert await office.telegram.calls("getUpdates") == []
        assert bot.updates.state == "ok"
    async with office.bot() as bot:  # and back: the webhook is taken away
        await following(bot)
        await office.says(office.alice, "/pending", "Nothing waits.")


async def test_a_group_that_became_a_supergroup_is_named(office: Office):
    async with office.bot() as bot:
        await following(bot)
        upgraded = await office.telegram.upgrades(office.group)
        await office.asks()

        async def refused() -> str | None:
            return next((line["error"] for line in office.said("desk.refused")), None)

        assert str(upgraded.id) in await eventually(refused)
