"""The bot's settings, from variables of the environment, and the key file they name.

Guarantees: nobody is an operator and no chat is allowed unless it is listed; no secret has a working default; a
missing or unsafe value stops the process with one line that names the variable, and never shows a secret.
"""

import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, ValidationError, ValidationInfo
from pydantic import field_validator as checks
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from wingman_core.approval import person_key
from wingman_core.errors import Code, SettingInvalid

PREFIX: Final = "WINGMAN_"
TOKEN: Final = "BOT_TOKEN"  # noqa: S105 - the variable's name
TELEGRAM: Final = "https://api.telegram.org"
OTHERS: Final = 0o077
BOT_TOKEN: Final = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{1,100}", re.ASCII)
API_KEY: Final = re.compile(r"wm_[A-Za-z0-9]+_\S+", re.ASCII)
PERSON: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)
USER: Final = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
CHAT: Final = re.compile(r"-?[1-9][0-9]{0,18}", re.ASCII)
WEBHOOK_FORM: Final = r"^[A-Za-z0-9_-]{16,256}$"
"""What Telegram takes as a webhook's secret token, and long enough not to be guessed."""


def parse_operators(text: str) -> dict[int, str]:
    """Return people by Telegram user id, from ``id:name`` separated by commas; raise ``ValueError``."""
    people: dict[int, str] = {}
    for entry in _listed(text):
        number, _, person = (part.strip() for part in entry.partition(":"))
        if not USER.fullmatch(number) or not PERSON.fullmatch(person):
            raise ValueError(f"{entry[:80]!a} is no id:name such as 123456789:alice")
        if int(number) in people:
            raise ValueError(f"the user id {number} is there twice")
        people[int(number)] = person
    if not people:
        raise ValueError("nobody is listed: without an operator nobody can decide")
    spellings = {person_key(person): person for person in people.values()}
    if odd := [person for person in people.values() if spellings[person_key(person)] != person]:
        raise ValueError(f"{odd[0]} is spelt in two ways")
    return people


def parse_chats(text: str) -> tuple[int, ...]:
    """Return chat ids from a text that separates them by commas; raise ``ValueError``."""
    chats = _listed(text)
    for chat in chats:
        if not CHAT.fullmatch(chat):
            raise ValueError(f"{chat[:80]!a} is no chat's id, such as 123456789 or -1001234567890")
    if not chats:
        raise ValueError("no chat is listed: cards would have nowhere to go")
    if len(set(chats)) < len(chats):
        raise ValueError("a chat is there twice")
    return tuple(map(int, chats))


def _operators(text: str) -> str:
    parse_operators(text)
    return text


def _chats(text: str) -> str:
    parse_chats(text)
    return text


def _http(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("not an address such as https://host:port")
    return text.rstrip("/")


Listen = Annotated[str, StringConstraints(pattern=r"^(\S+:[0-9]{1,5})?$")]
"""``host:port``, or empty."""


class Settings(BaseSettings):
    """Everything the bot is told from outside; frozen."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    bot_token: Annotated[SecretStr, Field(validation_alias=TOKEN)]
    telegram_operators: Annotated[str, AfterValidator(_operators)]
    """``id:name``, separated by commas: Telegram's numeric user ids, and whose decision theirs is."""
    telegram_chats: Annotated[str, AfterValidator(_chats)]
    """Ids of chats in which operators are heard; cards and alerts go to the first."""
    telegram_api: Annotated[str, AfterValidator(_http)] = TELEGRAM
    """Another Bot API server, such as one of your own."""
    telegram_webhook_url: str = ""
    """Where Telegram reaches this bot; empty: it asks Telegram (long polling)."""
    telegram_webhook_listen: Listen = "127.0.0.1:8443"
    """Where the webhook listens, behind whatever speaks TLS for it."""
    telegram_webhook_secret: Annotated[SecretStr, Field(validate_default=True)] = SecretStr("")

    api_url: Annotated[str, AfterValidator(_http)]
    api_key_file: Path
    """A key of role ``service`` that speaks for every operator."""

    bot_consumer: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")] = "telegram"
    """Under which name the API keeps the bot's place and its cards."""
    bot_pending_alert: Annotated[int, Field(ge=1, le=5000)] = 20
    """An alert comes when more requests than this wait for people."""
    bot_metrics_listen: Listen = ""
    """Where Prometheus scrapes ``/metrics``; empty: nowhere."""
    bot_liveness_file: Path | None = None
    """Touched every few seconds while the bot lives."""

    @property
    def operators(self) -> dict[int, str]:
        """People by Telegram user id."""
        return parse_operators(self.telegram_operators)

    @property
    def chats(self) -> tuple[int, ...]:
        """Allowed chats; the first is where cards and alerts go."""
        return parse_chats(self.telegram_chats)

    @checks("bot_token")
    @classmethod
    def _is_a_token(cls, value: SecretStr) -> SecretStr:
        if not BOT_TOKEN.fullmatch(value.get_secret_value()):
            raise ValueError("this is no bot token; @BotFather shows it as 123456789:AbC...")
        return value

    @checks("telegram_webhook_url")
    @classmethod
    def _telegram_calls_https_alone(cls, value: str, info: ValidationInfo) -> str:
        """Take an address without TLS for a Bot API server of one's own."""
        if not value:
            return value
        address = _http(value)
        if info.data.get("telegram_api") == TELEGRAM and not address.startswith("https://"):
            raise ValueError("Telegram calls https addresses alone")
        return address

    @checks("telegram_webhook_secret")
    @classmethod
    def _a_webhook_has_a_secret(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if info.data.get("telegram_webhook_url") and not re.fullmatch(WEBHOOK_FORM, value.get_secret_value()):
            raise ValueError("a webhook needs a secret of 16 to 256 characters A-Z a-z 0-9 _ - (openssl rand -hex 32)")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is the library's
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is the library's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is the library's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the arguments of the constructor alone: ``load`` says where they come from."""
        return (init_settings,)


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings from ``environ``; raise ``SettingInvalid`` naming the first bad variable."""
    values: dict[str, str] = {
        name.removeprefix(PREFIX).lower(): value for name, value in environ.items() if name.startswith(PREFIX)
    }
    if TOKEN in environ:
        values[TOKEN] = environ[TOKEN]
    if values.get("bot_liveness_file") == "":
        del values["bot_liveness_file"]
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = str(first["loc"][0])
        name = place if place.isupper() else f"{PREFIX}{place.upper()}"
        said = first["msg"].removeprefix("Value error, ")
        raise _invalid(name, said, f"set {name} in the environment; docs/telegram.md shows how") from error


def api_key(settings: Settings) -> str:
    """Return the API key of the file; raise ``SettingInvalid`` where there is none, or where others can read it."""
    name, path = "WINGMAN_API_KEY_FILE", settings.api_key_file
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(1024).decode("ascii").strip()
    except OSError as error:
        raise _invalid(name, f"{path} cannot be read: {error.strerror}", "wingman keys create makes one") from error
    except UnicodeDecodeError as error:
        raise _invalid(name, f"{path} holds no API key", "wingman keys create makes one") from error
    if mode & OTHERS:
        raise _invalid(name, f"{path} has mode {stat.S_IMODE(mode):04o}: others can reach it", f"chmod 600 {path}")
    if not API_KEY.fullmatch(text):
        raise _invalid(name, f"{path} holds no API key", "copy the whole key: wm_<id>_<secret>")
    return text


def not_spoken_for(people: Iterable[str], speaks_for: Iterable[str]) -> list[str]:
    """Return those of ``people`` for whom a key that speaks for others may not decide."""
    known = set(speaks_for)
    return sorted({person for person in people if person not in known})


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part for each in text.split(",") if (part := each.strip()))


def _invalid(setting: str, message: str, hint: str) -> SettingInvalid:
    return SettingInvalid(Code.SETTING_INVALID, f"{setting}: {message}", hint=hint, setting=setting)
