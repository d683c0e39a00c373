"""``wingman stack up``: which secrets an environment starts on, and that it says so before anything else."""

import shutil
import stat
from pathlib import Path

import pytest

from tests.cli.running import wingman
from tests.conftest import REPOSITORY
from wingman_cli.stack.environment import Environment
from wingman_cli.stack.role_settings import given, require_usable
from wingman_cli.stack.secrets_file import PASSWORDS, ensure_test_secrets, read, require_strong, wants_bot
from wingman_core.errors import SettingInvalid

STRONG = {name: f"{index}kJ8-vQz_{index}Lw0mYp3RtXb7" for index, name in enumerate(PASSWORDS)}
BOT = {"BOT_TOKEN": "1:AAx", "WINGMAN_TELEGRAM_OPERATORS": "1:alice", "WINGMAN_TELEGRAM_CHATS": "1"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A clone, as far as secrets go."""
    place = tmp_path / "clone"
    shutil.copytree(REPOSITORY / "deploy", place / "deploy")
    return place


def write(path: Path, values: dict[str, str], mode: int = 0o600) -> None:
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    path.chmod(mode)


def refused(root: Path, values: dict[str, str]) -> dict[str, str]:
    with pytest.raises(SettingInvalid) as caught:
        require_strong(Environment.of("prd", root), values)
    return dict(caught.value.details)


def test_the_secrets_of_test_are_made_once_and_what_is_missing_is_added(root: Path):
    environment = Environment.of("test", root)
    assert ensure_test_secrets(environment.secrets_file)
    first = read(environment.secrets_file)
    require_strong(environment, first)
    assert set(first) == set(PASSWORDS)
    assert stat.S_IMODE(environment.secrets_file.stat().st_mode) == 0o600
    assert not ensure_test_secrets(environment.secrets_file)
    assert read(environment.secrets_file) == first
    write(environment.secrets_file, {"BOT_TOKEN": "1:AAx", "DB_PASSWORD_API": first["DB_PASSWORD_API"]})
    assert not ensure_test_secrets(environment.secrets_file)
    later = read(environment.secrets_file)
    assert later["DB_PASSWORD_API"] == first["DB_PASSWORD_API"]
    assert wants_bot(later)
    require_strong(environment, later)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "missing"),
        ("CHANGE-ME", "shorter than 20 characters"),
        ("short1A-", "shorter than 20 characters"),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaab", "easy to guess"),
        ("MyPassword-kJ8vQzLw0mYp3RtX", "easy to guess"),
        ("abcdefghijklmnopqrstuvwxyz", "easy to guess"),
        ("kJ8-vQz_Lw" * 2, "easy to guess"),
        ("kJ8-vQz_'Lw0mYp3RtXb7kJ8", "holds a quote, a backslash or a control character"),
        (STRONG["DB_PASSWORD_API"], "the same as DB_PASSWORD_API"),
    ],
)
def test_prd_names_the_secret_and_what_is_wrong_with_it(root: Path, value: str, why: str):
    found = refused(root, {**STRONG, **BOT, "DB_PASSWORD_GATEWAY": value})
    assert found["DB_PASSWORD_GATEWAY"] == why
    assert set(found) <= {"DB_PASSWORD_GATEWAY", "DB_PASSWORD_API"}


def test_prd_takes_neither_the_examples_nor_tests_secrets_nor_a_bot_that_is_half_there(root: Path):
    example = root / "deploy" / "compose" / "env.prd.example"
    write(example, {**STRONG, "BOT_TOKEN": "CHANGE-ME"})
    assert refused(root, {**STRONG, **BOT, "BOT_TOKEN": "CHANGE-ME"}) == {
        **dict.fromkeys(PASSWORDS, "still the example's"),
        "BOT_TOKEN": "still the example's",
    }
    write(example, {})
    assert refused(root, STRONG) == dict.fromkeys(BOT, "missing (or say WINGMAN_TELEGRAM=off)")
    environment = Environment.of("prd", root)
    require_strong(environment, {**STRONG, "WINGMAN_TELEGRAM": "off"})
    require_strong(environment, {**STRONG, **BOT})
    write(root / ".env.test", {"DB_PASSWORD_API": STRONG["DB_PASSWORD_API"]})
    assert refused(root, {**STRONG, **BOT}) == {"DB_PASSWORD_API": "TEST's"}


def test_a_setting_that_nobody_takes_or_that_cannot_be_used_is_named(root: Path):
    environment = Environment.of("prd", root)
    fine = {
        "WINGMAN_EXPIRY_HIGH": "900",
        "WINGMAN_RATE": "50",
        "WINGMAN_BOUNDARY_STOPS": "1",
        "WINGMAN_STALL": "60",
        "WINGMAN_TELEGRAM_OPERATORS": "",
        "WINGMAN_TELEGRAM": "off",
        "HOME": "/home/ann",
    }
    require_usable(environment, {**STRONG, **fine})
    wrong = {
        "WINGMAN_EXPIRY_HIHG": "900",
        "WINGMAN_DRAIN": "60",
        "WINGMAN_PRD_PORT": "5002",
        "WINGMAN_EXPIRY": "soon",
        "WINGMAN_OTLP_ENDPOINT": "collector:4318",
        "WINGMAN_CONCURRENCY": "0",
        "WINGMAN_BOT_TOKEN": "1:AAx",
        "WINGMAN_TELEGRAMM": "off",
    }
    with pytest.raises(SettingInvalid) as caught:
        require_usable(environment, {**STRONG, **fine, **wrong})
    assert set(caught.value.details) == set(wrong)
    assert "WINGMAN_EXPIRY_HIGH meant?" in caught.value.details["WINGMAN_EXPIRY_HIHG"]
    assert "compose file" in caught.value.details["WINGMAN_DRAIN"]
    assert "from the shell" in caught.value.details["WINGMAN_PRD_PORT"]
    assert "WINGMAN_TELEGRAM meant?" in caught.value.details["WINGMAN_TELEGRAMM"]
    assert all(name in caught.value.message for name in wrong)
    with pytest.raises(SettingInvalid) as caught:
        require_usable(environment, {**STRONG, "WINGMAN_LLM_URL": "http://model.internal/v1"})
    assert set(caught.value.details) == {"WINGMAN_LLM_MODEL"}


def test_each_container_gets_the_settings_of_its_own_process():
    values = {
        "WINGMAN_OTLP_ENDPOINT": "http://collector:4318",
        "WINGMAN_RATE": "50",
        "WINGMAN_RATE_LIMIT_READS": "10/1",
        "WINGMAN_BOT_PENDING_ALERT": "5",
        "WINGMAN_TELEGRAM": "off",
        "WINGMAN_BOUNDARY_PROJECT": "another",
        "DB_PASSWORD_API": "x",
    }
    assert given("api", values).keys() == {"WINGMAN_OTLP_ENDPOINT", "WINGMAN_RATE_LIMIT_READS"}
    assert given("gateway", values).keys() == {"WINGMAN_OTLP_ENDPOINT", "WINGMAN_RATE"}
    assert given("bot", values).keys() == {"WINGMAN_BOT_PENDING_ALERT"}


def test_the_command_refuses_before_it_looks_for_an_engine(root: Path):
    def up(**variables: str) -> str:
        done = wingman(root, "stack", "up", "--env", "prd", "--root", str(root), **variables)
        assert done.returncode == 2, done.stderr
        assert not (root / "config").exists()
        return done.stderr

    assert f"there is no {root / '.env.prd'}" in up()
    write(root / ".env.prd", STRONG, 0o644)
    assert "others can reach it" in up()
    shutil.copy(root / "deploy" / "compose" / "env.prd.example", root / ".env.prd")
    (root / ".env.prd").chmod(0o600)
    said = up()
    for name in (*PASSWORDS, *BOT):
        assert f"{name}: " in said
    write(root / ".env.prd", {**STRONG, **BOT, "BOT_TOKEN": "no-token"})
    assert "BOT_TOKEN" in up()
    write(root / ".env.prd", {**STRONG, "WINGMAN_TELEGRAM": "off", "WINGMAN_EXPIRY": "1"})
    assert "WINGMAN_EXPIRY: Input should be greater than or equal to 60" in up()
    write(root / ".env.prd", {**STRONG, "WINGMAN_TELEGRAM": "off"})
    done = wingman(
        root, "stack", "up", "--env", "prd", "--root", str(root), WINGMAN_DOCKER_HOST="unix:///nonexistent/docker.sock"
    )
    assert done.returncode == 4
    assert "ENGINE_UNAVAILABLE" in done.stderr


def test_what_is_no_environment_or_no_clone_is_refused(root: Path, tmp_path: Path):
    for name, place in (("dev", root), ("test", tmp_path)):
        with pytest.raises(SettingInvalid):
            Environment.of(name, place)
