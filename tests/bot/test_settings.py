"""The bot's settings: nobody is an operator by accident, and a bad value says which it is."""

from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from wingman_bot.help_texts import COMMANDS
from wingman_bot.settings import PREFIX, Settings, api_key, load, not_spoken_for
from wingman_core.errors import SettingInvalid

GOOD = {
    "BOT_TOKEN": "123456789:AbCdEf-_",
    "WINGMAN_TELEGRAM_OPERATORS": "11:alice, 22:bob,33:alice",
    "WINGMAN_TELEGRAM_CHATS": "-1001234567890, 11",
    "WINGMAN_API_URL": "http://127.0.0.1:8100/",
    "WINGMAN_API_KEY_FILE": "/nowhere/bot.key",
}


def test_what_is_needed_is_enough():
    settings = load(GOOD)
    assert settings.operators == {11: "alice", 22: "bob", 33: "alice"}
    assert settings.chats == (-1001234567890, 11)
    assert (settings.api_url, settings.telegram_api) == ("http://127.0.0.1:8100", "https://api.telegram.org")
    assert (settings.bot_consumer, settings.bot_pending_alert, settings.bot_liveness_file) == ("telegram", 20, None)


@pytest.mark.parametrize("name", GOOD)
def test_what_is_missing_is_named(name: str):
    with pytest.raises(SettingInvalid, match=f"^SETTING_INVALID: {name}: Field required .*docs/telegram.md"):
        load({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("BOT_TOKEN", "secret-but-no-token", "this is no bot token"),
        ("BOT_TOKEN", "123:abc/../../x", "this is no bot token"),
        ("BOT_TOKEN", "", "this is no bot token"),
        ("WINGMAN_TELEGRAM_OPERATORS", "", "nobody is listed"),
        ("WINGMAN_TELEGRAM_OPERATORS", " , ", "nobody is listed"),
        ("WINGMAN_TELEGRAM_OPERATORS", "alice", "'alice' is no id:name"),
        ("WINGMAN_TELEGRAM_OPERATORS", "alice:11", "'alice:11' is no id:name"),
        ("WINGMAN_TELEGRAM_OPERATORS", "-5:alice", "'-5:alice' is no id:name"),
        ("WINGMAN_TELEGRAM_OPERATORS", "11:", "'11:' is no id:name"),
        ("WINGMAN_TELEGRAM_OPERATORS", "11:аlice", "is no id:name"),  # noqa: RUF001
        ("WINGMAN_TELEGRAM_OPERATORS", "11:alice,11:bob", "the user id 11 is there twice"),
        ("WINGMAN_TELEGRAM_OPERATORS", "11:alice,22:Alice", "is spelt in two ways"),
        ("WINGMAN_TELEGRAM_CHATS", "", "no chat is listed"),
        ("WINGMAN_TELEGRAM_CHATS", "@ops", "'@ops' is no chat's id"),
        ("WINGMAN_TELEGRAM_CHATS", "1,1", "a chat is there twice"),
        ("WINGMAN_TELEGRAM_API", "ftp://x", "not an address"),
        ("WINGMAN_TELEGRAM_WEBHOOK_URL", "http://bot.example", "Telegram calls https addresses alone"),
        ("WINGMAN_TELEGRAM_WEBHOOK_LISTEN", "nowhere", "should match pattern"),
        ("WINGMAN_API_URL", "127.0.0.1:8100", "not an address"),
        ("WINGMAN_API_URL", "http://x?key=1", "not an address"),
        ("WINGMAN_BOT_CONSUMER", "Not A Name", "should match pattern"),
        ("WINGMAN_BOT_PENDING_ALERT", "0", "greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_named(name: str, value: str, problem: str):
    with pytest.raises(SettingInvalid) as caught:
        load(GOOD | {name: value})
    assert str(caught.value).startswith(f"SETTING_INVALID: {name}: ")
    assert problem in str(caught.value)


def test_no_message_shows_the_token():
    token = "123456789:AbC dEf"
    with pytest.raises(SettingInvalid) as caught:
        load(GOOD | {"BOT_TOKEN": token})
    assert token not in str(caught.value)
    assert "AbC" not in repr(load(GOOD | {"BOT_TOKEN": "1:AbC"}))


@pytest.mark.parametrize("secret", ["", "short", "with spaces in between", "x" * 257])
def test_a_webhook_needs_a_secret(secret: str):
    webhook = {"WINGMAN_TELEGRAM_WEBHOOK_URL": "https://bot.example", "WINGMAN_TELEGRAM_WEBHOOK_SECRET": secret}
    with pytest.raises(SettingInvalid, match="WINGMAN_TELEGRAM_WEBHOOK_SECRET: a webhook needs a secret"):
        load(GOOD | webhook)
    assert load(GOOD | webhook | {"WINGMAN_TELEGRAM_WEBHOOK_SECRET": "x" * 16}).telegram_webhook_url


def test_a_server_of_ones_own_may_call_without_tls():
    own = {"WINGMAN_TELEGRAM_WEBHOOK_SECRET": "x" * 16, "WINGMAN_TELEGRAM_API": "http://127.0.0.1:8081"}
    settings = load(GOOD | own | {"WINGMAN_TELEGRAM_WEBHOOK_URL": "http://127.0.0.1:8443/"})
    assert settings.telegram_webhook_url == "http://127.0.0.1:8443"


def test_an_empty_liveness_file_is_none():
    assert load(GOOD | {"WINGMAN_BOT_LIVENESS_FILE": ""}).bot_liveness_file is None


@pytest.mark.parametrize(
    ("content", "mode", "problem"),
    [
        (b"wm_abc_def", 0o644, "has mode 0644: others can reach it"),
        (b"hunter2", 0o600, "holds no API key"),
        (b"\xff\xfe", 0o600, "holds no API key"),
        (None, 0, "cannot be read: No such file"),
    ],
)
def test_a_key_file_that_is_none(tmp_path: Path, content: bytes | None, mode: int, problem: str):
    path = tmp_path / "bot.key"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(SettingInvalid, match=f"WINGMAN_API_KEY_FILE: .*{problem}"):
        api_key(load(GOOD | {"WINGMAN_API_KEY_FILE": str(path)}))


def test_a_key_file(tmp_path: Path):
    path = tmp_path / "bot.key"
    path.write_text("wm_abc_def\n")
    path.chmod(0o600)
    assert api_key(load(GOOD | {"WINGMAN_API_KEY_FILE": str(path)})) == "wm_abc_def"


def test_for_whom_a_key_does_not_speak():
    assert not_spoken_for(["alice", "carol", "bob", "carol"], ["bob", "alice"]) == ["carol"]


def test_the_guide_names_every_setting_and_command():
    guide = (REPOSITORY / "docs" / "telegram.md").read_text()
    names = [PREFIX + name.upper() for name in Settings.model_fields if name != "bot_token"]
    assert [name for name in ("BOT_TOKEN", *names) if f"`{name}`" not in guide] == []
    assert [name for name in COMMANDS["en"] if f"`/{name}" not in guide] == []
