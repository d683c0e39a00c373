"""The API keys that an environment's first start makes: an operator's, a worker's, and the bot's.

Guarantees: a key whose file is there and which the database knows is kept; the bot's speaks for the listed operators
and for nobody else. Keys are made inside the API's container, by its own role, and handed over through a pipe.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from wingman_cli.instance import Instance
from wingman_cli.pki import write_private
from wingman_cli.session import LOCAL_KEYS
from wingman_cli.stack.deployment import BOT_KEY
from wingman_cli.stack.secrets_file import wants_bot
from wingman_cli.telegram import PERSON

WINGMAN: Final = ("exec", "-T", "api", "wingman", "keys")


def make_keys(compose: Callable[..., str], instance: Instance, values: Mapping[str, str]) -> bool:
    """Make the keys that are missing; return whether the bot's is another one now."""
    listed: list[dict[str, Any]] = json.loads(compose(*WINGMAN, "list", "--json"))
    known = {str(each["id"]): each for each in listed if each["revoked_at"] is None}
    for name in LOCAL_KEYS:
        if _id_in(instance, name) not in known:
            _make(compose, instance, name, name, "--role", name)
    if not wants_bot(values):
        return False
    from wingman_bot.settings import parse_operators

    people = set(parse_operators(values["WINGMAN_TELEGRAM_OPERATORS"]).values())
    found = known.get(_id_in(instance, BOT_KEY))
    if found is None:
        speaks_for = [word for person in sorted(people) for word in ("--speaks-for", person)]
        _make(compose, instance, BOT_KEY, PERSON, "--role", "service", *speaks_for)
        return True
    spoken = set(found["speaks_for"])
    changes = [word for person in sorted(people - spoken) for word in ("--add", person)]
    changes += [word for person in sorted(spoken - people) for word in ("--remove", person)]
    if changes:
        compose(*WINGMAN, "speaks-for", str(found["id"]), *changes)
    return False


def _make(compose: Callable[..., str], instance: Instance, name: str, person: str, *options: str) -> None:
    made = json.loads(compose(*WINGMAN, "create", person, *options, "--json"))
    write_private(instance.api_key_file(name), str(made["key"]).encode("ascii"))


def _id_in(instance: Instance, name: str) -> str:
    """Return the id of the key in a file, empty where there is none."""
    path = instance.api_key_file(name)
    return path.read_text("ascii").split("_")[1] if path.exists() else ""
