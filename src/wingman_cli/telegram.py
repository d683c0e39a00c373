"""The Telegram bot beside a local instance: whether the shell asks for one, what it is told, and its key.

Guarantees: without ``BOT_TOKEN`` there is none; with settings that cannot be used the instance starts all the same, and
says why nobody will hear of it on a phone. The key speaks for the listed operators and for nobody else, also after
the list was changed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wingman_cli.instance import Instance
from wingman_core.errors import Code, SettingInvalid, Unavailable

if TYPE_CHECKING:
    from wingman_api.identity.store import KeyStore

NAME: Final = "bot"
"""The process's, its key file's and its log's."""
PERSON: Final = "telegram"
TOKEN: Final = "BOT_TOKEN"  # noqa: S105 - the variable's name
PASSED: Final = ("WINGMAN_TELEGRAM_", "WINGMAN_BOT_")
LATER: Final = "http://127.0.0.1:1"
"""Stands for the API's address until that is known."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A bot that the shell asks for."""

    variables: Mapping[str, str]
    """What it is told, but for where the API is."""
    operators: frozenset[str]
    chat: int
    """Where cards go."""


def wanted(environ: Mapping[str, str], instance: Instance) -> Wanted | None:
    """Return the bot that ``environ`` asks for, or None; raise ``SettingInvalid`` where it cannot be had like that."""
    if not environ.get(TOKEN):
        return None
    from wingman_bot.settings import load

    variables = {name: value for name, value in environ.items() if name == TOKEN or name.startswith(PASSED)}
    variables["WINGMAN_API_KEY_FILE"] = str(instance.api_key_file(NAME).absolute())
    variables.setdefault("WINGMAN_BOT_LIVENESS_FILE", str((instance.directory / "run" / "bot.alive").absolute()))
    settings = load({**variables, "WINGMAN_API_URL": LATER})
    variables[TOKEN] = keep_token(instance, environ[TOKEN])
    return Wanted(variables, frozenset(settings.operators.values()), settings.chats[0])


def kept_token(instance: Instance) -> str:
    """Return the token that the instance's bot uses; empty where it never had one."""
    return _kept(instance).token


def keep_token(instance: Instance, token: str) -> str:
    """Return the token to use where the shell gives ``token``, and keep it: one that was replaced never comes back."""
    kept = _kept(instance)
    if _mark(token) in kept.instead_of:
        return kept.token
    if token != kept.token:
        replace_token(instance, token)
    return token


def replace_token(instance: Instance, token: str) -> None:
    """Have every start from now on use ``token``, also from a shell that still gives an older one."""
    from wingman_cli.pki import write_private

    kept = _kept(instance)
    marks = {*kept.instead_of, *([_mark(kept.token)] if kept.token else [])} - {_mark(token)}
    document = {"token": token, "instead_of": sorted(marks)}
    write_private(_file(instance), json.dumps(document).encode("ascii"))


async def known_to_telegram(token: str, address: str) -> str:
    """Return the name of the bot with that token; raise ``SettingInvalid`` for none, ``Unavailable`` for no answer."""
    import httpx

    from wingman_bot.settings import BOT_TOKEN, TELEGRAM

    if BOT_TOKEN.fullmatch(token):
        try:
            async with httpx.AsyncClient(timeout=10) as http:
                response = await http.get(f"{address.rstrip('/') or TELEGRAM}/bot{token}/getMe")
                if response.is_success:
                    return str(response.json()["result"]["username"])
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise Unavailable(
                Code.GATEWAY_UNAVAILABLE, f"Telegram does not answer ({type(error).__name__})", hint="try again"
            ) from None
    raise SettingInvalid(
        Code.SETTING_INVALID, "Telegram does not know this token", hint="copy the whole one that @BotFather shows"
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    token: str = ""
    instead_of: frozenset[str] = frozenset()
    """Digests of tokens that were replaced."""


def _kept(instance: Instance) -> _Kept:
    try:
        said = json.loads(_file(instance).read_text("ascii"))
    except FileNotFoundError:
        return _Kept()
    return _Kept(str(said["token"]), frozenset(said["instead_of"]))


def _file(instance: Instance) -> Path:
    return instance.directory / "secrets" / "bot-token"


def _mark(token: str) -> str:
    """Return what a token is known by without being told."""
    return hashlib.sha256(token.encode()).hexdigest()


async def make_key(store: "KeyStore", instance: Instance, operators: frozenset[str]) -> None:
    """Make the bot's key where its file is missing, and have it speak for ``operators`` alone."""
    from wingman_api.identity import api_key
    from wingman_api.identity.caller import Role
    from wingman_cli.pki import write_private

    path = instance.api_key_file(NAME)
    if not path.exists():
        key = await store.create(PERSON, Role.SERVICE, speaks_for=sorted(operators))
        write_private(path, key.text.encode("ascii"))
        return
    key_id = api_key.parse(path.read_text("ascii").strip()).id
    stored = await store.find(key_id)
    if stored is not None:
        known = set(stored.speaks_for)
        await store.speak_for(key_id, add=sorted(operators - known), remove=sorted(known - operators))


def asked(environ: Mapping[str, str], instance: Instance) -> tuple[Wanted | None, str]:
    """Return the bot that can be started, if any, and what to tell of it; empty where none is asked for."""
    try:
        found = wanted(environ, instance)
    except SettingInvalid as error:
        return None, f"not started: {error.message} ({error.hint})"
    if found is None:
        return None, ""
    return found, f"cards go to chat {found.chat}; operators: {', '.join(sorted(found.operators))}"
