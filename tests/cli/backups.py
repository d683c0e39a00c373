"""A deployment whose database is backed up while it is written to, and an empty one beside it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from rich.progress import Progress

from tests.conftest import Database
from tests.gateway.test_audit_store import intent
from wingman_api.identity.caller import Role
from wingman_cli.backup.places import LocalPlace
from wingman_cli.embedded_db import OWNER, SUPERUSER
from wingman_cli.instance import Instance
from wingman_cli.keys import key_store
from wingman_gateway.audit_store import AuditStore, open_pool

QUIET = Progress(disable=True)
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class World:
    """A deployment whose database is written to, and an empty one beside it."""

    instance: Instance
    source: Database
    target: Database

    def variables(self, database: Database) -> dict[str, str]:
        """What names a database to the commands, as its owner."""
        return {
            "WINGMAN_DATABASE_URL": database.dsn(OWNER),
            "DB_PASSWORD": database.passwords[OWNER],
            "WINGMAN_DATA_DIR": str(self.instance.directory),
        }

    def place(self, database: Database) -> LocalPlace:
        """The deployment on a database."""
        return LocalPlace(self.instance, self.variables(database))

    async def rows(self, database: Database, table: str) -> list[tuple[Any, ...]]:
        """Everything in a table."""
        connection = await database.connection(SUPERUSER).connect()
        try:
            return [tuple(row) for row in await connection.fetch(f"SELECT * FROM {table} ORDER BY 1, 2")]
        finally:
            await connection.close()

    async def tables(self, database: Database) -> int:
        """How many tables there are."""
        return len(await self.rows(database, "(SELECT tablename, 1 FROM pg_tables WHERE schemaname = 'public') AS t"))


@asynccontextmanager
async def load(world: World) -> AsyncIterator[None]:
    """Spend approvals and make keys, as fast as it goes, for as long as the context lasts."""
    key = load_pem_private_key(world.instance.checkpoint_key.read_bytes(), password=None)
    access = world.source.connection("wingman_gateway")
    pool = await open_pool(access.url, access.password)
    audit = AuditStore(pool, origin=world.instance.origin(), key=key)  # type: ignore[arg-type]  # it is an Ed25519 one
    await audit.start()
    began, over = asyncio.Event(), False

    async def spend() -> None:
        while not over:
            if await audit.append(intent()) > 5:
                began.set()

    async def make() -> None:
        async with key_store(world.source.connection("wingman_api")) as store:
            while not over:
                await store.create("ann", Role.WORKER)

    running = [asyncio.create_task(spend()), asyncio.create_task(spend()), asyncio.create_task(make())]
    await began.wait()
    try:
        yield
    finally:
        over = True
        await asyncio.gather(*running)
        await audit.close()
        await pool.close()
