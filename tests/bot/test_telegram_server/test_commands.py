"""The bot's menu of commands: https://core.telegram.org/bots/api#setmycommands."""

import pytest

from tests.bot.telegram_server.client import Telegram
from tests.bot.telegram_server.wire import Chat
from tests.bot.test_telegram_server.raw import Raw

COMMANDS = [{"command": "pending", "description": "What waits"}, {"command": "help", "description": "Help"}]


async def test_commands_by_scope_and_language(telegram: Telegram, raw: Raw, chat: Chat):
    german = [{"command": "pending", "description": "Was wartet"}]
    here = {"type": "chat", "chat_id": chat.id}
    assert (await raw("setMyCommands", commands=COMMANDS)).result is True
    assert (await raw("setMyCommands", commands=german, language_code="de")).result is True
    assert (await raw("setMyCommands", commands=COMMANDS[1:], scope=here)).result is True
    assert (await raw("getMyCommands")).result == COMMANDS
    assert (await raw("getMyCommands", language_code="de")).result == german
    assert (await raw("getMyCommands", scope=here)).result == COMMANDS[1:]
    assert (await raw("getMyCommands", scope={"type": "all_group_chats"})).result == []
    assert (await raw("deleteMyCommands", language_code="de")).result is True
    assert (await raw("getMyCommands", language_code="de")).result == []
    assert [(each.scope["type"], each.language_code, each.commands) for each in await telegram.commands()] == [
        ("default", "", (("pending", "What waits"), ("help", "Help"))),
        ("chat", "", (("help", "Help"),)),
    ]


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"commands": [{"command": "Pending", "description": "x"}]}, "BOT_COMMAND_INVALID"),
        ({"commands": [{"command": "a-b", "description": "x"}]}, "BOT_COMMAND_INVALID"),
        ({"commands": [{"command": "x" * 33, "description": "x"}]}, "BOT_COMMAND_INVALID"),
        ({"commands": [{"command": "", "description": "x"}]}, "command must be non-empty"),
        ({"commands": [{"command": "x", "description": ""}]}, "command description must be non-empty"),
        (
            {"commands": [{"command": "x", "description": "x" * 257}]},
            "command description length must not exceed 256",
        ),
        ({"commands": [{"command": "x"}]}, "can't parse BotCommand: Can't find field \"description\""),
        ({"commands": ["x"]}, "can't parse BotCommand: expected an Object"),
        ({"commands": {}}, "expected an Array of BotCommand"),
        ({"commands": COMMANDS * 51}, "BOT_COMMANDS_TOO_MUCH"),
        ({"commands": COMMANDS, "language_code": "german"}, "invalid language code specified"),
        ({"commands": COMMANDS, "scope": {"type": "x"}}, "can't parse BotCommandScope: Unsupported type specified"),
        ({"commands": COMMANDS, "scope": {"type": "chat", "chat_id": 1}}, "chat not found"),
    ],
)
async def test_commands_that_are_refused(telegram: Telegram, raw: Raw, parameters: dict[str, object], reason: str):
    assert (await raw("setMyCommands", **parameters)).refusal == (400, f"Bad Request: {reason}")
    assert await telegram.commands() == []
