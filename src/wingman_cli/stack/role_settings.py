"""Which settings of an environment's file each container is given, and that none of the file is wrong or nobody's.

Guarantees: a container gets the settings of its own process that people may choose, and no other; a name that nobody
takes and a value that cannot be used are told by name before anything starts, all of them at once. What is said of a
value may quote it, unless it is a secret.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from wingman_cli.local import TUNING
from wingman_cli.stack.environment import Environment
from wingman_cli.stack.machine import FACTS
from wingman_cli.stack.secrets_file import OFF, wants_bot
from wingman_core.errors import Code, SettingInvalid

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

PREFIX: Final = "WINGMAN_"
SIMILAR: Final = 0.85
MODULES: Final[Mapping[str, str]] = {
    "api": "wingman_api.settings",
    "gateway": "wingman_gateway.settings",
    "bot": "wingman_bot.settings",
}
CHOSEN: Final[Mapping[str, tuple[str, ...]]] = {
    "api": (*TUNING, "WINGMAN_CLAIM_"),
    "gateway": (
        "WINGMAN_BOUNDARY_INTERVAL",
        "WINGMAN_BOUNDARY_STOPS",
        "WINGMAN_CONCURRENCY",
        "WINGMAN_EXCERPT_LIMIT",
        "WINGMAN_OTLP_ENDPOINT",
        "WINGMAN_OUTPUT_LIMIT",
        "WINGMAN_PROBE_INTERVAL",
        "WINGMAN_RATE",
        "WINGMAN_TARGET_",
    ),
    "bot": ("WINGMAN_TELEGRAM_", "WINGMAN_BOT_"),
}
"""How the settings begin that people may choose; the rest is the compose files'."""


def given(role: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return what of the file the container of ``api``, ``gateway`` or ``bot`` gets."""
    names = _names(role)
    return {name: value for name, value in values.items() if name in names}


def require_usable(environment: Environment, values: Mapping[str, str]) -> None:
    """Return if each setting is somebody's and can be used; raise ``SettingInvalid`` that names each that cannot."""
    known = frozenset[str]().union(*map(_names, CHOSEN))
    found = {name: _nobodys(name, known) for name in values if name.startswith(PREFIX) and name not in {*known, OFF}}
    for role in CHOSEN if wants_bot(values) else CHOSEN.keys() - {"bot"}:
        found |= _unfit(role, given(role, values))
    if found:
        raise SettingInvalid(
            Code.SETTING_INVALID,
            f"{environment.title} does not start with these settings: {', '.join(found)}",
            hint=f"edit {environment.secrets_file}",
            **found,
        )


def _names(role: str) -> frozenset[str]:
    return frozenset(name for name in _fields(role) if name.startswith(CHOSEN[role]))


def _fields(role: str) -> frozenset[str]:
    fields = _settings(role).model_fields
    return frozenset(f"{PREFIX}{name.upper()}" for name, field in fields.items() if field.validation_alias is None)


def _settings(role: str) -> "type[BaseSettings]":
    return import_module(MODULES[role]).Settings  # type: ignore[no-any-return]


def _nobodys(name: str, known: frozenset[str]) -> str:
    if name in FACTS:
        return "is not taken from here, but from the shell"
    if any(name in _fields(role) for role in CHOSEN):
        return "is not taken from here: it is the compose file's to say"
    near = get_close_matches(name, {*known, OFF}, n=1, cutoff=SIMILAR)
    return "is no setting" + (f"; is {near[0]} meant?" if near else "")


def _unfit(role: str, chosen: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong with the values, by name; what else the process needs is not here, and no matter."""
    fields = {name.removeprefix(PREFIX).lower(): value for name, value in chosen.items()}
    try:
        _settings(role).model_validate(fields)
    except ValidationError as error:
        told = [each for each in error.errors(include_url=False, include_input=False) if each["type"] != "missing"]
        wrong = {f"{PREFIX}{place}".upper(): each["msg"] for each in told for place in each["loc"][:1]}
        return {name: why for name, why in wrong.items() if name in _names(role)}
    return {}
