"""One TEST environment for all of tests/stack: a clean clone, ``make test-env`` from nothing, then with a bot.

Everything runs on a private engine, on base images that ``tools/base_images.sh`` makes from Debian's packages.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.bot.telegram_server.client import Telegram, telegram_server
from tests.bot.telegram_server.wire import Chat, Person
from tests.conftest import REPOSITORY
from tests.stack.running import Stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the time that a first build may take."""
    for item in items:
        if "tests/stack" in str(item.path):
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git would give: the tracked files and those about to be, nothing that is ignored."""
    place = tmp_path_factory.mktemp("clone") / "wingman"
    listed = subprocess.run(
        [shutil.which("git") or "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, place / name)
    (place / ".venv").mkdir()
    (place / ".venv" / "bin").symlink_to(REPOSITORY / ".venv" / "bin")
    (place / ".venv" / ".ready").touch()
    return place


@pytest.fixture(scope="session")
def machine(engine_url: str) -> dict[str, str]:
    """What the shell says of this machine: where the engine is, and which base images."""
    made = subprocess.run(
        [REPOSITORY / "tools" / "base_images.sh", engine_url], capture_output=True, text=True, timeout=900, check=False
    )
    assert made.returncode == 0, made.stderr
    facts = dict(line.split("=", 1) for line in made.stdout.splitlines())
    return facts | {
        "WINGMAN_DOCKER_HOST": engine_url,
        "WINGMAN_TEST_PORT": str(free_port()),
        "WINGMAN_PRD_PORT": str(free_port()),
    }


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def bare(clone: Path, machine: dict[str, str]) -> Iterator[Stack]:
    """TEST as the first ``make test-env`` brings it up: no bot yet."""
    stack = Stack(clone, machine, "test")
    stack.said = stack.make("test-env")
    yield stack
    # An engine that is purged leaves its networks' bridges, and each has an address range that no other engine gets.
    stack.compose("down", "--volumes", "--timeout", "2")


@pytest.fixture(scope="session")
async def telegram(engine_url: str, bare: Stack) -> AsyncIterator[Telegram]:
    """Telegram, on an address that the bot's container reaches: the engine's own bridge."""
    name = engine_url.removeprefix("unix://").split("/")[-2]
    number = Path("/var/lib/wingman-engine", name, "number").read_text().strip()
    async with telegram_server(host=f"172.30.{number}.1") as server:
        yield server


@pytest.fixture(scope="session")
async def operators(telegram: Telegram) -> tuple[Chat, Person]:
    """The chat that cards go to, and who decides there."""
    alice = await telegram.person("Alice")
    return await telegram.group("Ops", alice), alice


@pytest.fixture(scope="session")
def stack(bare: Stack, telegram: Telegram, operators: tuple[Chat, Person]) -> Stack:
    """TEST with a bot, healthy."""
    chat, person = operators
    said = {
        "BOT_TOKEN": telegram.token,
        "WINGMAN_TELEGRAM_API": telegram.url,
        "WINGMAN_TELEGRAM_CHATS": str(chat.id),
        "WINGMAN_BOUNDARY_INTERVAL": "3",
        "WINGMAN_TELEGRAM_OPERATORS": f"{person.id}:alice",
    }
    with bare.secrets_file.open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in said.items())
    bare.make("test-env")
    return bare


@pytest.fixture(scope="session")
def busybox_here(busybox: str) -> str:
    """A small image on the same engine."""
    assert os.environ.get("PYTEST_XDIST_WORKER") is None, (
        "tests/stack runs alone: other engines undo its firewall rules"
    )
    return busybox
