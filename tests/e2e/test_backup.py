"""A backup taken while people work, the database lost, the backup restored: all is there, and cards still work."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bot.telegram_server.client import Telegram, telegram_server
from tests.bot.telegram_server.wire import Chat, Message, Person
from tests.cli.running import Up, wingman
from tests.e2e.test_telegram import asked, card, variables

pytestmark = pytest.mark.timeout(600)


def said(data_dir: Path, *words: str) -> str:
    done = wingman(data_dir, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def working(data_dir: Path) -> Iterator[None]:
    """Ask and run without a pause, as soon as the context begins and until it ends."""
    ran, over = threading.Event(), threading.Event()

    def work() -> None:
        while not over.is_set():
            said(data_dir, "run", asked(data_dir, "docker", "ps"))
            ran.set()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert ran.wait(60)
        yield
    finally:
        over.set()
        worker.join(60)


async def approves(telegram: Telegram, person: Person, chat: Chat, shown: Message) -> None:
    """Tap what the card asks to be tapped."""
    tap = await telegram.taps(person, shown, "Approve")
    if "HIGH" in ((await telegram.answer(tap, seconds=60)).text or ""):
        shown = await telegram.message(chat, lambda m: any("Yes" in b.text for b in m.buttons), seconds=60)
        await telegram.taps(person, shown, "Yes, approve")


async def test_a_lost_database_comes_back_with_all_that_waited(tmp_path: Path, engine_url: str, busybox: str):
    data_dir = tmp_path / "data"
    async with telegram_server() as telegram:
        alice = await telegram.person("Alice")
        chat = await telegram.group("Ops", alice)
        shell = {"WINGMAN_DOCKER_HOST": engine_url, **variables(telegram, chat, (alice, "alice"))}
        up = Up(data_dir, **shell).ready()
        try:
            pending = asked(data_dir, "docker", "run", "--detach", "--name", "kept", busybox, "sleep", "300")
            shown = await card(telegram, chat, pending, "Waits for")
            with working(data_dir):
                said(data_dir, "keys", "create", "carol", "--role", "approver", "--save", str(tmp_path / "carol.key"))
                backup = json.loads(said(data_dir, "backup", "create", "--json"))
            assert backup["records"] > 0
        finally:
            assert up.stop() == 0
        shutil.rmtree(data_dir / "postgres")
        (data_dir / "claims_audit.jsonl").unlink(missing_ok=True)

        assert "verified against their signed checkpoint" in said(data_dir, "backup", "restore", backup["file"])
        checkpoint = tmp_path / "checkpoint"
        up = Up(data_dir, **shell).ready()
        try:
            said(data_dir, "audit", "verify", "--save", str(checkpoint))
            listed = json.loads(said(data_dir, "keys", "list", "--json"))
            assert "carol" in {key["person"] for key in listed if not key["revoked_at"]}
            assert json.loads(said(data_dir, "pending", "--json"))["pending"][0]["id"] == pending
            carol = wingman(data_dir, "--key-file", str(tmp_path / "carol.key"), "pending")
            assert (carol.returncode, pending in carol.stdout) == (0, True), carol.stderr

            await approves(telegram, alice, chat, shown)  # the card of before the loss
            await card(telegram, chat, pending, "alice approved at")
            said(data_dir, "run", pending)
            await card(telegram, chat, pending, "🏁 Finished with exit code 0")
            said(data_dir, "audit", "verify", "--against", str(checkpoint))
        finally:
            assert up.stop() == 0
            removed = ["docker", "-H", engine_url, "rm", "-f", "kept"]
            subprocess.run(removed, capture_output=True, check=False, timeout=60)
