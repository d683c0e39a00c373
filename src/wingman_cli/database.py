"""How commands that need the database reach it: the one they are told of, else the data directory's embedded one.

``WINGMAN_DATABASE_URL`` and ``DB_PASSWORD`` name a Postgres and a role of it. Without them the embedded server is
used: the one that runs, or one that is started for as long as the command takes.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wingman_cli.embedded_db import Connection, EmbeddedPostgres
from wingman_cli.instance import Instance
from wingman_cli.session import Session
from wingman_core.database_address import parse_address
from wingman_core.errors import Code, SettingInvalid


@asynccontextmanager
async def opened(session: Session, role: str, table: str = "") -> AsyncIterator[Connection]:
    """Yield how to connect; the embedded database is reached as ``role``, another as whom its address names.

    Raises ``SettingInvalid`` for an address that cannot be used, a data directory without a database, and where
    the role cannot read ``table``; ``Unavailable`` where the database does not answer.
    """
    async with _found(session, role) as connection:
        if table:
            await connection.require(table)
        yield connection


@asynccontextmanager
async def _found(session: Session, role: str) -> AsyncIterator[Connection]:
    if address := session.environ.get("WINGMAN_DATABASE_URL", ""):
        yield connection_of(address, session.environ.get("DB_PASSWORD", ""))
        return
    async with server_of(session.instance) as server:
        yield server.connection(role)


@asynccontextmanager
async def server_of(instance: Instance) -> AsyncIterator[EmbeddedPostgres]:
    """Yield the embedded server of a data directory: the one that runs, or one that is started for as long."""
    if not (instance.postgres / "PG_VERSION").exists():
        raise SettingInvalid(
            Code.SETTING_INVALID,
            f"there is no database in {instance.directory}",
            hint="run wingman up once, name the directory with --data-dir, or set WINGMAN_DATABASE_URL",
        )
    server = EmbeddedPostgres(instance.postgres, passwords=instance.passwords())
    await asyncio.to_thread(server.start)
    try:
        yield server
    finally:
        await asyncio.to_thread(server.stop)


def connection_of(address: str, password: str) -> Connection:
    """Return how to connect to an address; raise ``SettingInvalid`` where it cannot be used."""
    try:
        found = parse_address(address)
    except ValueError as error:
        raise SettingInvalid(
            Code.SETTING_INVALID,
            f"WINGMAN_DATABASE_URL: {error}",
            hint="name role, host and database in it, and put the password into DB_PASSWORD",
        ) from None
    return Connection(found.host, found.role, found.database, password)
