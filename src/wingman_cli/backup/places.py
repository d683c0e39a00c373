"""Where a deployment is: its keys, its ledger, Postgres' programs on its database, and what verifies its log there."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from wingman_cli.audit import verify_log
from wingman_cli.backup.programs import HostPrograms, Programs
from wingman_cli.database import connection_of
from wingman_cli.embedded_db import OWNER, EmbeddedPostgres
from wingman_cli.instance import Instance
from wingman_core.errors import Code, SettingInvalid

if TYPE_CHECKING:
    from rich.progress import Progress

    from wingman_core.checkpoint import Checkpoint
    from wingman_core.notes import VerifierKey

URL: Final = "WINGMAN_DATABASE_URL"


class Database(Protocol):
    """A database that answers, for as long as the place keeps it open."""

    @property
    def programs(self) -> Programs:
        """Postgres' programs on it, as a role that owns the tables."""
        ...

    async def verify(self, key: "VerifierKey", against: "Checkpoint | None", progress: "Progress | None") -> str:
        """Verify its audit log; return its newest checkpoint as a signed note. Raises ``LogCorrupt``."""
        ...


class Place(Protocol):
    """One deployment."""

    @property
    def instance(self) -> Instance:
        """Its keys."""
        ...

    @property
    def ledger(self) -> Path:
        """Its claims."""
        ...

    def running(self) -> AbstractAsyncContextManager[Database]:
        """Yield its database, whether or not the deployment runs."""
        ...

    def stopped(self) -> AbstractAsyncContextManager[Database]:
        """Yield its database while nothing else of the deployment runs."""
        ...


@dataclass(frozen=True, slots=True)
class HostDatabase:
    """A database that this machine reaches."""

    programs: HostPrograms

    async def verify(self, key: "VerifierKey", against: "Checkpoint | None", progress: "Progress | None") -> str:
        """Verify its audit log over a connection."""
        _, head = await verify_log(self.programs.connection, key, against=against, progress=progress)
        return head


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """A data directory with its embedded Postgres, or with the one that ``WINGMAN_DATABASE_URL`` names."""

    instance: Instance
    environ: Mapping[str, str]

    @property
    def ledger(self) -> Path:
        """The claims of the data directory."""
        return self.instance.ledger

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Database]:
        """Yield the database; raise ``SettingInvalid`` where the directory has none."""
        if not self.environ.get(URL) and not (self.instance.postgres / "PG_VERSION").exists():
            raise SettingInvalid(
                Code.SETTING_INVALID,
                f"there is no database in {self.instance.directory}",
                hint=f"run wingman up once, name the directory with --data-dir, or set {URL}",
            )
        async with self._database() as database:
            yield database

    @asynccontextmanager
    async def stopped(self) -> AsyncIterator[Database]:
        """Yield the database, made where there is none, while no ``up`` runs on the directory."""
        with self.instance.held():
            async with self._database() as database:
                yield database

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[Database]:
        if address := self.environ.get(URL, ""):
            connection = connection_of(address, self.environ.get("DB_PASSWORD", ""))
            yield HostDatabase(HostPrograms(connection, self.environ))
            return
        async with embedded(self.instance.postgres, self.instance.passwords()) as database:
            yield database


@asynccontextmanager
async def embedded(directory: Path, passwords: Mapping[str, str]) -> AsyncIterator[HostDatabase]:
    """Yield the database of an embedded server, started and made where it is not there."""
    server = EmbeddedPostgres(directory, passwords=passwords)
    await asyncio.to_thread(server.start)
    try:
        await server.prepare()
        yield HostDatabase(HostPrograms(server.connection(OWNER), os.environ))
    finally:
        await asyncio.to_thread(server.stop)
