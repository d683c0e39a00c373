"""The API's pool of database connections.

Guarantees: every failure to reach Postgres, at any point of a query, is ``Unavailable`` (DATABASE_UNAVAILABLE),
no query waits longer than its limit, and no error of Postgres tells a row, which a log would keep. Does not: retry; the
caller may.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from wingman_core.errors import Code, Unavailable

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

ACQUIRE_TIMEOUT: Final = 5.0
QUERY_TIMEOUT: Final = 10.0
MAX_CONNECTIONS: Final = 16

PING: Final = "SELECT 1"

UNREACHABLE: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the driver's own state machine, when a connection dies under it
)


class Database:
    """One pool; ``connection`` for single statements, ``transaction`` for what belongs together."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        """Use a pool that ``open_database`` made."""
        self._pool = pool
        self._after_commit: list[Callable[[], None]] = []

    def after_commit(self, told: Callable[[], None]) -> None:
        """Call ``told`` after each transaction that was committed here: its outbox may hold something."""
        self._after_commit.append(told)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection; raise ``Unavailable`` where Postgres does not answer."""
        try:
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
                with _no_rows_told():
                    yield connection
        except asyncpg.DataError:
            raise  # a wrong argument is an InterfaceError too, and no outage
        except UNREACHABLE as error:
            raise Unavailable(
                Code.DATABASE_UNAVAILABLE, "the database does not answer", hint="try again in a moment"
            ) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction, committed when the block ends well."""
        async with self.connection() as connection, self.transaction_on(connection):
            yield connection

    @asynccontextmanager
    async def transaction_on(self, connection: Connection) -> AsyncIterator[None]:
        """Have a transaction on a connection that was lent already."""
        async with connection.transaction():
            yield
        for told in self._after_commit:
            told()

    async def ping(self) -> None:
        """Return once Postgres answered; raise ``Unavailable`` where it does not."""
        async with self.connection() as connection:
            await connection.fetchval(PING)

    async def listen(self, channel: str, heard: Callable[[str], None]) -> None:
        """Call ``heard`` with each payload on ``channel`` until the connection is lost; raise ``Unavailable`` then."""

        def notified(_connection: object, _pid: int, _channel: str, payload: object) -> None:
            heard(str(payload))

        lost = asyncio.Event()
        async with self.connection() as connection:
            connection.add_termination_listener(lambda _connection: lost.set())
            await connection.add_listener(channel, notified)
            try:
                await lost.wait()
            except asyncio.CancelledError:
                await connection.remove_listener(channel, notified)
                raise
            raise asyncpg.ConnectionDoesNotExistError("the server closed the connection that listened")


@contextmanager
def _no_rows_told() -> Iterator[None]:
    """Take the DETAIL out of errors: it holds the row that failed, which may hold anything."""
    try:
        yield
    except asyncpg.PostgresError as error:
        error.detail = None
        raise


async def _nothing_left(_connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Leave a connection that comes back as it is: nothing here sets anything on its session.

    Its transaction and its listeners asyncpg ends first; its own way costs a query each time one is lent.
    """


@asynccontextmanager
async def open_database(url: str, password: str) -> AsyncIterator[Database]:
    """Open a pool that connects on first use, so that the process starts while Postgres is still down."""
    pool = asyncpg.create_pool(
        url,
        password=password,
        min_size=0,
        max_size=MAX_CONNECTIONS,
        command_timeout=QUERY_TIMEOUT,
        timeout=ACQUIRE_TIMEOUT,
        server_settings={"application_name": "wingman-api"},
        reset=_nothing_left,
    )
    async with pool:
        yield Database(pool)
