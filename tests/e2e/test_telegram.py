"""``wingman up`` with ``BOT_TOKEN``: from a worker's shell to a phone, and back to a real engine."""

import json
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.bot.telegram_server.client import Telegram, telegram_server
from tests.bot.telegram_server.wire import Chat, Message, Person
from tests.cli.running import Up, until, wingman
from wingman_cli.instance import Instance

pytestmark = pytest.mark.timeout(600)
NO_ENGINE = {"WINGMAN_DOCKER_HOST": "unix:///nonexistent/docker.sock"}


def variables(telegram: Telegram, chat: Chat, *people: tuple[Person, str]) -> dict[str, str]:
    """What the shell says of the bot."""
    return {
        "BOT_TOKEN": telegram.token,
        "WINGMAN_TELEGRAM_API": telegram.url,
        "WINGMAN_TELEGRAM_CHATS": str(chat.id),
        "WINGMAN_TELEGRAM_OPERATORS": ",".join(f"{person.id}:{name}" for person, name in people),
    }


async def card(telegram: Telegram, chat: Chat, request_id: str, having: str) -> Message:
    return await telegram.message(
        chat, lambda m: bool(m.buttons) and request_id in m.text and having in m.text, seconds=60
    )


def asked(data_dir: Path, *command: str) -> str:
    done = wingman(data_dir, "request", "--json", *command)
    assert done.returncode == 0, done.stderr
    request_id: str = json.loads(done.stdout)["request"]["id"]
    return request_id


async def test_from_a_workers_shell_to_a_phone_and_back(tmp_path: Path, engine_url: str, busybox: str):
    data_dir = tmp_path / "data"
    async with telegram_server() as telegram:
        alice, bob = await telegram.person("Alice"), await telegram.person("Bob")
        chat = await telegram.group("Ops", alice, bob)
        said = variables(telegram, chat, (alice, "alice"), (bob, "bob"))
        up = Up(data_dir, WINGMAN_DOCKER_HOST=engine_url, **said)
        try:
            up.ready()
            assert f"telegram cards go to chat {chat.id}; operators: alice, bob" in up.text
            request_id = asked(data_dir, "docker", "run", "--detach", "--name", "phone", busybox, "sleep", "300")
            shown = await card(telegram, chat, request_id, "Waits for 1 person")
            assert f"docker run --detach --name phone {busybox} sleep 300" in shown.spans("pre")
            tap = await telegram.taps(alice, shown, "Approve")
            if "HIGH" in ((await telegram.answer(tap, seconds=60)).text or ""):
                shown = await telegram.message(chat, lambda m: any("Yes" in b.text for b in m.buttons), seconds=60)
                await telegram.taps(alice, shown, "Yes, approve")
            await card(telegram, chat, request_id, "alice approved at")
            ran = wingman(data_dir, "run", request_id)
            assert ran.returncode == 0, ran.stderr
            await card(telegram, chat, request_id, "🏁 Finished with exit code 0")

            failing = asked(data_dir, "docker", "exec", "phone", "ls", "/nothing-here")
            await card(telegram, chat, failing, "Waits for")
            await telegram.says(bob, chat, f"/approve {failing[:10]} let it fail")
            answered = await telegram.message(
                chat,
                lambda m: not m.buttons and failing in m.text and ("Approved." in m.text or "HIGH risk" in m.text),
                seconds=60,
            )
            if answered.spans("code") and answered.spans("code")[0].startswith("/approve"):
                await telegram.says(bob, chat, answered.spans("code")[0])
            await card(telegram, chat, failing, "bob approved at")
            assert wingman(data_dir, "run", failing).returncode == 1
            await card(telegram, chat, failing, "❌ Failed with exit code 1")

            elsewhere = asked(data_dir, "docker", "restart", "--time", "1", "phone")
            await card(telegram, chat, elsewhere, "Waits for")
            assert wingman(data_dir, "approve", elsewhere).returncode == 0
            await card(telegram, chat, elsewhere, "operator approved at")

            refused = asked(data_dir, "docker", "stop", "--time", "1", "phone")
            await card(telegram, chat, refused, "Waits for")
            await telegram.says(alice, chat, f"/reject {refused} it is needed")
            await card(telegram, chat, refused, "⛔ Rejected")
            assert wingman(data_dir, "run", refused).returncode == 3

            given = psutil.Process(up.child("bot")).environ()
            assert not {"DB_PASSWORD", "WINGMAN_DATABASE_URL", "WINGMAN_DOCKER_HOST", "WINGMAN_TLS_KEY"} & set(given)
            for other in ("gateway", "api"):
                assert "BOT_TOKEN" not in psutil.Process(up.child(other)).environ()
            listed = json.loads(wingman(data_dir, "keys", "list", "--json").stdout)
            (key,) = [each for each in listed if each["role"] == "service"]
            assert (key["person"], key["speaks_for"]) == ("telegram", ["alice", "bob"])
        finally:
            assert up.stop() == 0
            docker = shutil.which("docker") or "docker"
            removed = [docker, "-H", engine_url, "rm", "-f", "phone"]
            subprocess.run(removed, capture_output=True, check=False, timeout=60)


async def tapped(telegram: Telegram, chat: Chat, request_id: str, person: Person) -> str:
    """Approve on the card, with the second tap where HIGH risk asks for one; what Telegram told the person."""
    shown = await card(telegram, chat, request_id, "Waits for")
    said = (await telegram.answer(await telegram.taps(person, shown, "Approve"), seconds=60)).text or ""
    if "HIGH" not in said:
        return said
    armed = await telegram.message(
        chat, lambda m: request_id in m.text and any("Yes" in button.text for button in m.buttons), seconds=60
    )
    return (await telegram.answer(await telegram.taps(person, armed, "Yes, approve"), seconds=60)).text or ""


async def typed(telegram: Telegram, chat: Chat, request_id: str, person: Person, *, having: str) -> None:
    """``/approve``, and what the bot asks to send again where the risk is HIGH, until it says ``having``."""
    await telegram.says(person, chat, f"/approve {request_id}")
    said = await telegram.message(
        chat, lambda m: not m.buttons and (having in m.text or "HIGH risk" in m.text), seconds=60
    )
    if having not in said.text:
        await telegram.says(person, chat, next(span for span in said.spans("code") if span.startswith("/approve")))
        await telegram.message(chat, lambda m: not m.buttons and having in m.text, seconds=60)


async def test_two_people_for_what_destroys_and_an_end_for_what_nobody_decides(
    tmp_path: Path, engine_url: str, busybox: str
):
    data_dir = tmp_path / "data"
    docker = [shutil.which("docker") or "docker", "-H", engine_url]
    begun = [*docker, "run", "--detach", "--name", "both", busybox, "sleep", "600"]
    subprocess.run(begun, capture_output=True, check=True, timeout=60)
    async with telegram_server() as telegram:
        alice, bob = await telegram.person("Alice"), await telegram.person("Bob")
        chat, other = await telegram.group("Ops", alice, bob), await telegram.group("Night", alice, bob)
        said = variables(telegram, chat, (alice, "alice"), (bob, "bob"))
        said["WINGMAN_TELEGRAM_CHATS"] = f"{chat.id},{other.id}"
        said |= {"WINGMAN_HIGH_RISK_PEOPLE": "2", "WINGMAN_EXPIRY": "60"}
        up = Up(data_dir, WINGMAN_DOCKER_HOST=engine_url, **said)
        try:
            up.ready()
            left = asked(data_dir, "docker", "restart", "--time", "1", "both")
            await card(telegram, chat, left, "Waits for 1 person")

            wanted = asked(data_dir, "docker", "rm", "--force", "both")
            await card(telegram, chat, wanted, "Waits for 2 people")
            assert await tapped(telegram, chat, wanted, alice) == "Noted: 1 of 2. 1 person more needed."
            await card(telegram, chat, wanted, "(1 of 2 so far)")
            already = "You have decided on this request already; another person is needed."
            assert await tapped(telegram, chat, wanted, alice) == already
            await typed(telegram, other, wanted, alice, having=already)
            assert wingman(data_dir, "run", wanted).returncode == 3
            await typed(telegram, other, wanted, bob, having="Approved.")
            await card(telegram, chat, wanted, "✅ Approved")
            assert wingman(data_dir, "run", wanted).returncode == 0
            await card(telegram, chat, wanted, "🏁 Finished with exit code 0")

            ended = await telegram.message(chat, lambda m: left in m.text and "⌛ Expired at" in m.text, seconds=120)
            assert not any("Approve" in button.text for button in ended.buttons)
            await telegram.says(bob, chat, f"/approve {left}")
            await telegram.message(chat, lambda m: "the request has expired" in m.text, seconds=60)
            assert wingman(data_dir, "run", left).returncode == 3
        finally:
            assert up.stop() == 0
            subprocess.run([*docker, "rm", "-f", "both"], capture_output=True, check=False, timeout=60)


async def test_operators_come_and_go_with_the_setting(tmp_path: Path):
    data_dir = tmp_path / "data"
    async with telegram_server() as telegram:
        alice, carol = await telegram.person("Alice"), await telegram.person("Carol")
        chat = await telegram.group("Ops", alice, carol)
        for people in (((alice, "alice"),), ((carol, "carol"),)):
            up = Up(data_dir, **NO_ENGINE, **variables(telegram, chat, *people))
            try:
                up.ready()
                listed = json.loads(wingman(data_dir, "keys", "list", "--json").stdout)
                assert [each["speaks_for"] for each in listed if each["role"] == "service"] == [[people[0][1]]]
                person = people[0][0]
                await telegram.says(person, chat, "/status")
                await telegram.message(chat, lambda m: "Wingman is" in m.text, seconds=60)
            finally:
                assert up.stop() == 0
            await telegram.reset()
            alice, carol = await telegram.person("Alice"), await telegram.person("Carol")
            chat = await telegram.group("Ops", alice, carol)


def test_a_bot_that_cannot_be_had_is_said_and_everything_else_runs(tmp_path: Path):
    up = Up(tmp_path / "data", **NO_ENGINE, BOT_TOKEN="1:secret", WINGMAN_TELEGRAM_CHATS="5")
    try:
        up.ready()
        assert "telegram not started: WINGMAN_TELEGRAM_OPERATORS: Field required" in up.text
        assert "1:secret" not in up.text
        assert not Instance(tmp_path / "data").api_key_file("bot").exists()
    finally:
        assert up.stop() == 0
    until(lambda: up.process.poll() is not None)
