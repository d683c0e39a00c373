"""The two environments that the compose files describe: their names and where their files are.

Guarantees: what operators type and script against (projects, containers, ports, paths) is decided here and in the
compose files alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from wingman_core.errors import Code, SettingInvalid

SERVICES: Final[Mapping[str, str]] = {
    "api": "api",
    "execution-gateway": "gateway",
    "telegram-bot": "telegram",
    "postgres": "postgres",
}
"""What compose calls each service, and its part of the container's name."""
BOT: Final = "telegram-bot"
MIGRATION: Final = "migrate"
"""The service that runs once before others start, and ends."""
PORTS: Final[Mapping[str, int]] = {"test": 8101, "prd": 5001}
COMPOSE_FILES: Final[Mapping[str, str]] = {"test": "docker-compose.yml", "prd": "docker-compose.prd.yml"}


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment of the clone in ``root``."""

    name: Literal["test", "prd"]
    root: Path

    @classmethod
    def of(cls, name: str, root: Path) -> "Environment":
        """Return the environment of that name; raise ``SettingInvalid`` for another, or where ``root`` is no clone."""
        if name not in {"test", "prd"}:
            raise SettingInvalid(Code.SETTING_INVALID, f"{name!a} is no environment", hint="use test or prd")
        found = cls("test" if name == "test" else "prd", root.absolute())
        if not found.compose_file.exists():
            raise SettingInvalid(
                Code.SETTING_INVALID,
                f"there is no {found.compose_file}",
                hint="run this in a clone of Wingman's repository, or name one with --root",
            )
        return found

    @property
    def title(self) -> str:
        """The name as people write it."""
        return self.name.upper()

    @property
    def project(self) -> str:
        """The compose project."""
        return f"wingman-{self.name}"

    @property
    def database(self) -> str:
        """The database, and its superuser."""
        return f"wingman_{self.name}"

    @property
    def compose_file(self) -> Path:
        """What plain ``docker compose -f`` takes."""
        return self.root / "deploy" / "compose" / COMPOSE_FILES[self.name]

    @property
    def bot_profile(self) -> str:
        """The compose profile of the bot, which an environment has or has not."""
        return f"telegram-{self.name}"

    @property
    def machine_file(self) -> Path:
        """What compose must know of this machine and reads by itself, for both environments; no secrets."""
        return self.root / "deploy" / "compose" / ".env"

    @property
    def secrets_file(self) -> Path:
        """The secrets and settings that people edit."""
        return self.root / f".env.{self.name}"

    @property
    def next_secrets_file(self) -> Path:
        """The secrets file that a change of passwords is about to put in its place."""
        return self.secrets_file.with_name(f"{self.secrets_file.name}.next")

    @property
    def example(self) -> Path:
        """What PRD's secrets file is copied from."""
        return self.root / "deploy" / "compose" / "env.prd.example"

    @property
    def config(self) -> Path:
        """Keys, certificates, policies and what each container is given."""
        return self.root / "config" / self.name

    @property
    def data(self) -> Path:
        """Where the API keeps the claims ledger; its container writes here."""
        return self.root / "data" / self.name

    @property
    def port_variable(self) -> str:
        """The variable that moves the API's port on loopback."""
        return f"WINGMAN_{self.title}_PORT"

    def container(self, service: str) -> str:
        """Return the name of a service's container."""
        return f"wingman-{SERVICES[service]}-{self.name}"
