"""An environment of containers as backups and rotations see it: a place, and a site.

Guarantees: what people edit in the secrets file stays, but for the values that are replaced; a change of passwords that
was cut off is finished or forgotten by the next, whichever the database says is right.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wingman_cli.backup.places import Database
from wingman_cli.backup.programs import execute
from wingman_cli.instance import Instance
from wingman_cli.options import Choice
from wingman_cli.pki import write_private
from wingman_cli.rotation.passwords import new_password
from wingman_cli.screen import Screen
from wingman_cli.stack.commands import engine_address
from wingman_cli.stack.database import ContainerPrograms, StackDatabase
from wingman_cli.stack.deployment import Deployment
from wingman_cli.stack.environment import Environment
from wingman_cli.stack.secrets_file import read, wants_bot
from wingman_cli.stack.starting import Stack
from wingman_cli.telegram import TOKEN
from wingman_core.errors import Code, SettingInvalid, Unavailable

NAMES: Final[Mapping[str, str]] = {"gateway": "execution-gateway", "api": "api", "bot": "telegram-bot"}
"""What compose calls each process."""
ROLES: Final[Mapping[str, str]] = {
    "DB_PASSWORD_OWNER": "wingman_owner",
    "DB_PASSWORD_API": "wingman_api",
    "DB_PASSWORD_GATEWAY": "wingman_gateway",
    "DB_PASSWORD_AUDITOR": "wingman_auditor",
}
RELOAD: Final = "SELECT pg_reload_conf();\n"


@dataclass(frozen=True, slots=True)
class StackPlace:
    """Where an environment's backups come from, and go."""

    environment: Environment
    stack: Stack

    @property
    def instance(self) -> Instance:
        """Its keys."""
        return Deployment(self.environment).instance

    @property
    def ledger(self) -> Path:
        """Its claims, on this machine's disk."""
        return self.environment.data / "claims_audit.jsonl"

    @property
    def backups(self) -> Path:
        """Beside the environments' data, which belong to their containers' users."""
        return self.environment.root / "data" / "backups"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Database]:
        """Yield the database of an environment that is up; raise ``Unavailable`` where its Postgres is not."""
        self.stack.require("postgres")
        yield self.database()

    @asynccontextmanager
    async def stopped(self) -> AsyncIterator[Database]:
        """Yield the database, started alone; raise ``SettingInvalid`` where more of the environment runs."""
        if others := sorted(self.stack.running() - {"postgres"}):
            raise SettingInvalid(
                Code.SETTING_INVALID,
                f"{self.environment.title} runs ({', '.join(others)})",
                hint=f"stop it first: make {self.environment.name}-env-down",
            )
        await asyncio.to_thread(self.stack.database_alone)
        yield self.database()

    def database(self) -> StackDatabase:
        """Return the database of an environment whose Postgres runs."""
        compose = self.stack.compose()
        return StackDatabase(compose, ContainerPrograms(self.environment, compose.environ))


@dataclass(frozen=True, slots=True)
class StackSite:
    """An environment whose secrets change while it is up."""

    environment: Environment
    stack: Stack

    @property
    def instance(self) -> Instance:
        """Its keys."""
        return Deployment(self.environment).instance

    async def renew(self, *names: str) -> None:
        """Make the containers anew with what there is for them now; Postgres reads its own again."""
        await asyncio.to_thread(self.stack.renew, [NAMES[name] for name in names])
        await self.execute(RELOAD)

    async def stage_passwords(self) -> dict[str, str]:
        """Write the next secrets file beside the one that holds."""
        await self._settle()
        values = {name: new_password() for name in ("POSTGRES_PASSWORD", *ROLES)}
        write_private(
            self.environment.next_secrets_file,
            replaced(self.environment.secrets_file.read_text("utf-8"), values).encode("utf-8"),
        )
        return {ROLES.get(name, self.environment.database): value for name, value in values.items()}

    def adopt_passwords(self) -> None:
        """Have it be the one that holds."""
        self.environment.next_secrets_file.replace(self.environment.secrets_file)

    def bot_token(self) -> str:
        """Return the one that the bot uses."""
        values = read(self.environment.secrets_file)
        return values[TOKEN] if wants_bot(values) else ""

    def telegram(self) -> str:
        """Return what the secrets file says."""
        return read(self.environment.secrets_file).get("WINGMAN_TELEGRAM_API", "")

    def replace_bot_token(self, token: str) -> None:
        """Write another one into the secrets file."""
        path = self.environment.secrets_file
        write_private(path, replaced(path.read_text("utf-8"), {TOKEN: token}).encode("utf-8"))

    async def execute(self, sql: str) -> None:
        """Execute SQL in Postgres' container, whose own file may hold a password of before."""
        await execute(self._as_superuser(self.environment.secrets_file), sql)

    async def _settle(self) -> None:
        """Finish or forget a change that was cut off: the superuser's password tells which it was."""
        if not self.environment.next_secrets_file.exists():
            return
        try:
            await execute(self._as_superuser(self.environment.next_secrets_file), "SELECT 1;\n")
        except Unavailable:
            # It may also be that nobody can be asked; only what holds instead says that the next one does not.
            await self.execute("SELECT 1;\n")
            self.environment.next_secrets_file.unlink()
            return
        self.adopt_passwords()
        await self.renew("gateway", "api")

    def _as_superuser(self, secrets_file: Path) -> ContainerPrograms:
        password = read(secrets_file)["POSTGRES_PASSWORD"]
        return ContainerPrograms(self.environment, self.stack.compose().environ, password)


def replaced(text: str, values: Mapping[str, str]) -> str:
    """Return a secrets file with other values, everything else as it was; a name that it lacks comes at its end."""
    for name, value in values.items():
        line = f"{name}={value}"
        text, found = re.subn(rf"(?m)^[ \t]*(?:export[ \t]+)?{name}[ \t]*=.*$", line.replace("\\", r"\\"), text)
        if not found:
            text = text.rstrip("\n") + f"\n{line}\n"
    return text


def opened(name: str, root: Path, screen: Screen) -> tuple[Environment, Stack]:
    """Return an environment on the engine that answers here; raise ``Unavailable`` without one."""
    environment = Environment.of(name, root)
    engine = engine_address(Choice.NONE, screen)
    return environment, Stack(environment, os.environ, engine=engine, tell=screen.say)
