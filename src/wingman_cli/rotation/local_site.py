"""A data directory whose secrets change, whether or not its ``up`` runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from wingman_cli import renewal
from wingman_cli.backup.programs import HostPrograms, execute
from wingman_cli.database import server_of
from wingman_cli.embedded_db import SUPERUSER
from wingman_cli.instance import Instance
from wingman_cli.rotation import passwords
from wingman_cli.telegram import kept_token, replace_token


@dataclass(frozen=True, slots=True)
class LocalSite:
    """One data directory."""

    instance: Instance
    environ: Mapping[str, str]

    async def renew(self, *names: str) -> None:
        """Have the ``up`` that runs, if one does, start processes anew."""
        await renewal.ask(self.instance, names)

    async def stage_passwords(self) -> dict[str, str]:
        """Keep new passwords beside the old ones, once it is clear which those are."""
        async with server_of(self.instance) as server:
            await passwords.settle_passwords(self.instance, server)
        return passwords.stage(self.instance)

    def adopt_passwords(self) -> None:
        """Keep them in their place."""
        passwords.adopt(self.instance)

    def bot_token(self) -> str:
        """Return the one that the bot uses."""
        return kept_token(self.instance)

    def telegram(self) -> str:
        """Return what the shell says."""
        return self.environ.get("WINGMAN_TELEGRAM_API", "")

    def replace_bot_token(self, token: str) -> None:
        """Keep another one."""
        replace_token(self.instance, token)

    async def execute(self, sql: str) -> None:
        """Execute SQL on the embedded server."""
        async with server_of(self.instance) as server:
            await execute(HostPrograms(server.connection(SUPERUSER, "postgres"), self.environ), sql)
