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
from wingman_cli.backup.progress import counting
from wingman_cli.database import connection_of, server_of
from wingman_cli.embedded_db import OWNER, EmbeddedPostgres
from wingman_cli.instance import Instance

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

    async def verify(self, key: "VerifierKey", against: "Checkpoint | None", progress: "Progress") -> str:
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

    @property
    def backups(self) -> Path:
        """Where backups go that are given no place."""
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

    async def verify(self, key: "VerifierKey", against: "Checkpoint | None", progress: "Progress") -> str:
        """Verify its audit log over a connection."""
        summary = await verify_log(self.programs.connection, key, against=against, progress=counting(progress))
        return summary.checkpoint


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """A data directory with its embedded Postgres, or with the one that ``WINGMAN_DATABASE_URL`` names."""

    instance: Instance
    environ: Mapping[str, str]

    @property
    def ledger(self) -> Path:
        """The claims of the data directory."""
        return self.instance.ledger

    @property
    def backups(self) -> Path:
        """A directory of the data directory."""
        return self.instance.directory / "backups"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Database]:
        """Yield the database; raise ``SettingInvalid`` where the directory has none."""
        if named := self._named():
            yield named
            return
        async with server_of(self.instance) as server:
            yield HostDatabase(HostPrograms(server.connection(OWNER), self.environ))

    @asynccontextmanager
    async def stopped(self) -> AsyncIterator[Database]:
        """Yield the database, made where there is none, while no ``up`` runs on the directory."""
        with self.instance.held():
            if named := self._named():
                yield named
                return
            async with embedded(self.instance.postgres, self.instance.passwords()) as database:
                yield database

    def _named(self) -> HostDatabase | None:
        """Return the database that the shell names, if it does."""
        if not (address := self.environ.get(URL, "")):
            return None
        connection = connection_of(address, self.environ.get("DB_PASSWORD", ""))
        return HostDatabase(HostPrograms(connection, self.environ))


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
