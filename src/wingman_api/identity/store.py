"""API keys in the database: who holds which, hashed.

Guarantees: a secret is stored as argon2id alone; a revoked key stays, so that what it did keeps its author.
``wingman keys`` uses this store too, with the API's own role.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import asyncpg
from argon2 import PasswordHasher

from wingman_api.identity import api_key
from wingman_api.identity.api_key import ApiKey
from wingman_api.identity.caller import ANONYMOUS, NAME, Role
from wingman_api.system.store import Database, open_database
from wingman_core.approval import person_key
from wingman_core.errors import Code, WingmanError

INSERT: Final = """
INSERT INTO api_key (id, person, role, speaks_for, secret_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6)
"""
COLUMNS: Final = "id, person, role, speaks_for, secret_hash, created_at, last_used_at, revoked_at"
FIND: Final = f"SELECT {COLUMNS} FROM api_key WHERE id = $1"  # noqa: S608 - a constant of ours
LIST: Final = f"SELECT {COLUMNS} FROM api_key ORDER BY created_at, id"  # noqa: S608
USED: Final = "UPDATE api_key SET last_used_at = $2 WHERE id = $1"
REVOKE: Final = "UPDATE api_key SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1 RETURNING id"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as the database knows it: everything but the secret."""

    id: str
    person: str
    role: Role
    speaks_for: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    secret_hash: str = field(repr=False)


class KeyStore:
    """All SQL on ``api_key``."""

    def __init__(
        self,
        database: Database,
        *,
        hasher: PasswordHasher,
        now: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """Use ``now`` for aware times and ``random_bytes`` for secrets."""
        self._database = database
        self._hasher = hasher
        self._now = now
        self._random_bytes = random_bytes

    async def create(self, person: str, role: Role, *, speaks_for: Sequence[str] = ()) -> ApiKey:
        """Make a key and return it, the only time its secret is seen; raise ``WingmanError`` for a bad name."""
        for name in (person, *speaks_for):
            if not NAME.fullmatch(name) or person_key(name) == ANONYMOUS:
                raise WingmanError(
                    Code.REQUEST_INVALID,
                    f"{name!a} is no name of a person or worker",
                    hint="use up to 64 of A-Z a-z 0-9 . _ @ + -, beginning with a letter or digit",
                )
        if speaks_for and role is not Role.SERVICE:
            raise WingmanError(
                Code.REQUEST_INVALID, f"a key of role {role} speaks for nobody else", hint="use the role service"
            )
        key = api_key.generate(self._random_bytes)
        hashed = self._hasher.hash(key.secret)
        async with self._database.connection() as connection:
            await connection.execute(INSERT, key.id, person, role.value, list(speaks_for), hashed, self._now())
        return key

    async def find(self, key_id: str) -> StoredKey | None:
        """Return the key of that id, revoked ones included."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(FIND, key_id)
        return None if row is None else _stored(row)

    async def list(self) -> tuple[StoredKey, ...]:
        """Return every key, oldest first."""
        async with self._database.connection() as connection:
            return tuple(_stored(row) for row in await connection.fetch(LIST))

    async def used(self, key_id: str) -> None:
        """Remember that the key was used now."""
        async with self._database.connection() as connection:
            await connection.execute(USED, key_id, self._now())

    async def revoke(self, key_id: str) -> None:
        """Make the key worthless from now on; raise ``WingmanError`` (NOT_FOUND) for an unknown id."""
        async with self._database.connection() as connection:
            found = await connection.fetchval(REVOKE, key_id, self._now())
        if found is None:
            raise WingmanError(Code.NOT_FOUND, f"no key has the id {key_id!a}", hint="wingman keys list")


@asynccontextmanager
async def open_key_store(
    url: str, password: str, *, now: Callable[[], datetime], random_bytes: Callable[[int], bytes]
) -> AsyncIterator[KeyStore]:
    """Open a store of its own, for a process that manages keys and serves nothing."""
    async with open_database(url, password) as database:
        yield KeyStore(database, hasher=key_hasher(), now=now, random_bytes=random_bytes)


def key_hasher() -> PasswordHasher:
    """Return argon2id as OWASP's minimum has it: 19 MiB, two passes. The secrets are random, not passwords."""
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def _stored(row: asyncpg.Record) -> StoredKey:
    return StoredKey(
        id=row["id"],
        person=row["person"],
        role=Role(row["role"]),
        speaks_for=tuple(row["speaks_for"]),
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
        secret_hash=row["secret_hash"],
    )
