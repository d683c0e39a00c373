"""``.env.test`` and ``.env.prd``: generated for TEST, and for PRD judged before anything starts.

Guarantees: TEST's secrets are random, made once, in a file of mode 0600; PRD starts on no secret that is missing, the
example's, TEST's, used twice, short, or easy to guess, and hears of all of them at once, by name; no value is shown.
"""

import os
import re
import secrets
import stat
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from wingman_cli.pki import write_private
from wingman_cli.stack.environment import BOT, SERVICES, Environment
from wingman_core.errors import Code, SettingInvalid

PASSWORDS: Final[Mapping[str, str]] = {
    "POSTGRES_PASSWORD": "the superuser, for people at psql",
    "DB_PASSWORD_OWNER": "wingman_owner, which owns the tables; migrations alone use it",
    "DB_PASSWORD_API": "wingman_api",
    "DB_PASSWORD_GATEWAY": "wingman_gateway",
    "DB_PASSWORD_AUDITOR": "wingman_auditor, which reads the audit log",
}
TELEGRAM: Final = ("BOT_TOKEN", "WINGMAN_TELEGRAM_OPERATORS", "WINGMAN_TELEGRAM_CHATS")
OFF: Final = "WINGMAN_TELEGRAM"
"""``off`` says that an environment has no bot on purpose."""
SHORTEST: Final = 20
FEWEST_CHARACTERS: Final = 8
"""Different ones; a generated password has far more."""
GUESSED: Final = re.compile(r"passw|secret|change|example|wingman|postgres|admin|letmein|qwerty|12345", re.IGNORECASE)
UNQUOTABLE: Final = re.compile(r"['\\\x00-\x1f\x7f]")
TEST_HEAD: Final = """\
# TEST's secrets, made on the first start. Also here: the Telegram bot (docs/telegram.md) and other WINGMAN_ settings
# (docs/operations.md). After a change: make test-env.
"""


def ensure_test_secrets(path: Path) -> bool:
    """Generate what is missing of TEST's secrets; return whether the file was made."""
    made = not path.exists()
    text = TEST_HEAD if made else path.read_text("utf-8")
    known = {} if made else read(path)
    missing = [name for name in PASSWORDS if not known.get(name)]
    if missing:
        lines = [f"{name}={secrets.token_urlsafe(24)}" for name in missing]
        write_private(path, "\n".join([text.rstrip("\n"), *lines, ""]).encode("utf-8"))
    return made


def read(path: Path) -> dict[str, str]:
    """Return the variables of a secrets file; raise ``SettingInvalid`` where it is missing, or others can read it."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise SettingInvalid(
            Code.SETTING_INVALID,
            f"there is no {path}",
            hint="make test-env makes TEST's; copy deploy/compose/env.prd.example for PRD and fill it in, mode 0600",
        ) from error
    if mode & 0o077 and os.name == "posix":
        raise SettingInvalid(
            Code.SETTING_INVALID, f"{path} has mode {mode:04o}: others can reach it", hint=f"chmod 600 {path}"
        )
    return {name: value or "" for name, value in dotenv_values(path, interpolate=False).items()}


def env_lines(variables: Mapping[str, str]) -> str:
    """Return the text of an env file: each value in quotes that nothing is replaced in."""
    for name, value in variables.items():
        if "'" in value or "\n" in value:
            raise SettingInvalid(Code.SETTING_INVALID, f"{name} holds a quote or a line's end", hint="choose another")
    return "".join(f"{name}='{value}'\n" for name, value in variables.items())


def wants_bot(values: Mapping[str, str]) -> bool:
    """Return whether the environment has a Telegram bot."""
    return values.get(OFF, "").lower() != "off" and bool(values.get("BOT_TOKEN"))


def services_of(values: Mapping[str, str]) -> list[str]:
    """Return the services that the environment has."""
    return [name for name in SERVICES if name != BOT or wants_bot(values)]


def require_strong(environment: Environment, values: Mapping[str, str]) -> None:
    """Return if every secret can be used; raise ``SettingInvalid`` that names each that cannot, and why."""
    found = {name: why for name in PASSWORDS if (why := _weakness(name, values))}
    if environment.name == "prd":
        found |= {name: why for name, why in _of_prd(environment, values).items() if name not in found}
    if found:
        raise SettingInvalid(
            Code.SETTING_INVALID,
            f"{environment.title} does not start on these secrets: {', '.join(found)}",
            hint=f"edit {environment.secrets_file}; openssl rand -base64 30 makes a password",
            **found,
        )


def _weakness(name: str, values: Mapping[str, str]) -> str:
    """Return what is wrong with one password by itself, empty where nothing is."""
    value = values.get(name, "")
    if not value:
        return "missing"
    if UNQUOTABLE.search(value):
        return "holds a quote, a backslash or a control character"
    if len(value) < SHORTEST:
        return f"shorter than {SHORTEST} characters"
    if len(set(value)) < FEWEST_CHARACTERS or GUESSED.search(value) or _is_pattern(value):
        return "easy to guess"
    twins = [other for other in PASSWORDS if other != name and values.get(other) == value]
    return f"the same as {twins[0]}" if twins else ""


def _is_pattern(value: str) -> bool:
    """Return whether a text is a shorter one again and again, or mostly goes on by the alphabet."""
    steps = sum(abs(ord(one) - ord(next_one)) <= 1 for one, next_one in pairwise(value))
    return value in (value + value)[1:-1] or steps > len(value) // 2


def _of_prd(environment: Environment, values: Mapping[str, str]) -> dict[str, str]:
    """Return by name what PRD refuses beyond a password's weakness."""
    found: dict[str, str] = {}
    examples = dotenv_values(environment.example, interpolate=False)
    test_file = Environment("test", environment.root).secrets_file
    tests = dotenv_values(test_file, interpolate=False) if test_file.exists() else {}
    wanted = PASSWORDS if values.get(OFF, "").lower() == "off" else (*PASSWORDS, *TELEGRAM)
    for name in wanted:
        value = values.get(name, "")
        if not value:
            found[name] = "missing" + (f" (or say {OFF}=off)" if name in TELEGRAM else "")
        elif value == examples.get(name):
            found[name] = "still the example's"
        elif value == tests.get(name) and name not in TELEGRAM[1:]:
            found[name] = "TEST's"
    return found
