"""The bot that a shell asks for beside a local instance."""

from pathlib import Path

from wingman_cli import up
from wingman_cli.engine import Found
from wingman_cli.instance import DEFAULT_DIRECTORY, Instance
from wingman_cli.telegram import asked

INSTANCE = Instance(Path("/srv/wm"))
GOOD = {"BOT_TOKEN": "1:abc", "WINGMAN_TELEGRAM_OPERATORS": "7:alice,8:bob", "WINGMAN_TELEGRAM_CHATS": "-5,7"}


def test_without_a_token_there_is_none():
    assert asked({}, INSTANCE) == (None, "")
    assert asked({**GOOD, "BOT_TOKEN": ""}, INSTANCE) == (None, "")


def test_it_gets_its_own_variables_and_no_others():
    found, said = asked(
        {**GOOD, "WINGMAN_BOT_CONSUMER": "here", "WINGMAN_TOKEN_KEY": "/x", "DB_PASSWORD": "x"}, INSTANCE
    )
    assert found is not None
    assert found.operators == {"alice", "bob"}
    assert said == "cards go to chat -5; operators: alice, bob"
    assert found.variables == GOOD | {
        "WINGMAN_BOT_CONSUMER": "here",
        "WINGMAN_API_KEY_FILE": "/srv/wm/keys/bot.key",
        "WINGMAN_BOT_LIVENESS_FILE": "/srv/wm/run/bot.alive",
    }


def test_what_is_wrong_is_said_and_the_token_is_not():
    found, said = asked({**GOOD, "WINGMAN_TELEGRAM_CHATS": "@ops"}, INSTANCE)
    assert found is None
    assert said.startswith("not started: WINGMAN_TELEGRAM_CHATS: '@ops' is no chat's id")
    assert asked({**GOOD, "BOT_TOKEN": "hush"}, INSTANCE)[1].count("hush") == 0


def test_up_tells_of_it():
    found = Found("unix:///e.sock", version="28.1")
    lines = up.welcome("http://x", "127.0.0.1:2", DEFAULT_DIRECTORY, found, first_start=False, telegram="as asked")
    assert lines[4] == "  telegram as asked"
