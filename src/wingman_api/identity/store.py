"""API keys in the database: who holds which, hashed.

Guarantees: a secret is stored as argon2id alone; a revoked key stays, so that what it did keeps its author.
``wingman keys`` uses this store too, with the API's own role.
"""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import asyncpg
from argon2 import PasswordHasher

from wingman_api.identity import api_key
from wingman_api.identity.api_key import ApiKey
from wingman_api.identity.caller import ANONYMOUS, NAME, Role
from wingman_api.system.store import Connection, Database, open_database
from wingman_core.approval import person_key
from wingman_core.errors import CallerRefused, Code, WingmanError

INSERT: Final = """
INSERT INTO api_key (id, person, role, speaks_for, secret_hash, created_at, lifetime, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
COLUMNS: Final = """
id, person, role, speaks_for, secret_hash, created_at, lifetime, expires_at, last_used_at, revoked_at
"""
FIND: Final = f"SELECT {COLUMNS} FROM api_key WHERE id = $1"  # noqa: S608 - a constant of ours
LIST: Final = f"SELECT {COLUMNS} FROM api_key ORDER BY created_at, id"  # noqa: S608
LOCK: Final = f"{FIND} FOR UPDATE"
USED: Final = """
WITH due AS (
    SELECT id FROM api_key
    WHERE id = ANY($1) AND (last_used_at IS NULL OR last_used_at <= $2::timestamptz - interval '1 minute')
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE api_key k SET last_used_at = $2 FROM due WHERE k.id = due.id
"""
"""What another process is storing just now needs no second writer, and nobody to wait for it."""
END: Final = "UPDATE api_key SET expires_at = least(expires_at, $2) WHERE id = $1"
SPEAK: Final = "UPDATE api_key SET speaks_for = $2 WHERE id = $1"
REVOKE: Final = "UPDATE api_key SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1 RETURNING id"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as the database knows it: everything but the secret."""

    id: str
    person: str
    role: Role
    speaks_for: tuple[str, ...]
    created_at: datetime
    lifetime: timedelta | None
    """What it was given when it was made, and what a successor gets; None has no end."""
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    secret_hash: str = field(repr=False)

    def require_valid(self, now: datetime) -> None:
        """Raise ``CallerRefused`` (KEY_INVALID) where the key is revoked, or expired at ``now``."""
        if self.revoked_at is not None:
            raise CallerRefused(Code.KEY_INVALID, "the key is revoked", hint="wingman keys create")
        if self.expires_at is not None and self.expires_at <= now:
            raise CallerRefused(Code.KEY_INVALID, "the key is expired", hint="wingman keys create")


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

    async def create(
        self, person: str, role: Role, *, speaks_for: Sequence[str] = (), lifetime: timedelta | None = None
    ) -> ApiKey:
        """Make a key and return it, the only time its secret is seen; raise ``WingmanError`` for a bad name.

        Without a ``lifetime`` it is valid until it is revoked.
        """
        _require_names(person, *speaks_for)
        _require_service(role, speaks_for)
        async with self._database.connection() as connection:
            return await self._insert(connection, person, role, speaks_for, lifetime)

    async def rotate(self, key_id: str, *, overlap: timedelta, lifetime: timedelta | None = None) -> ApiKey:
        """Make another key of the same person, role and people it speaks for; the old one ends after ``overlap``.

        Where no ``lifetime`` is given, the new key gets what the old one was given. Raises ``WingmanError``
        (NOT_FOUND) for an unknown id, and ``CallerRefused`` (KEY_INVALID) for a key that ended already: what it
        might do must not come back to life.
        """
        async with self._database.transaction() as connection:
            old = await _locked(connection, key_id)
            old.require_valid(self._now())
            await connection.execute(END, key_id, self._now() + overlap)
            return await self._insert(connection, old.person, old.role, old.speaks_for, lifetime or old.lifetime)

    async def speak_for(self, key_id: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> tuple[str, ...]:
        """Change for whom a service's key decides, and return the people; raise ``WingmanError``."""
        _require_names(*add)
        async with self._database.transaction() as connection:
            old = await _locked(connection, key_id)
            _require_service(old.role, (*add, *remove))
            people = tuple(sorted({*old.speaks_for, *add} - {*remove}))
            await connection.execute(SPEAK, key_id, list(people))
        return people

    async def _insert(
        self,
        connection: Connection,
        person: str,
        role: Role,
        speaks_for: Sequence[str],
        lifetime: timedelta | None,
    ) -> ApiKey:
        key = api_key.generate(self._random_bytes)
        hashed = self._hasher.hash(key.secret)
        now = self._now()
        ends = None if lifetime is None else now + lifetime
        await connection.execute(INSERT, key.id, person, role.value, list(speaks_for), hashed, now, lifetime, ends)
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

    async def used(self, key_ids: Collection[str]) -> None:
        """Remember that the keys are in use now, to the minute."""
        async with self._database.connection() as connection:
            await connection.execute(USED, list(key_ids), self._now())

    async def revoke(self, key_id: str) -> None:
        """Make the key worthless from now on; raise ``WingmanError`` (NOT_FOUND) for an unknown id."""
        async with self._database.connection() as connection:
            found = await connection.fetchval(REVOKE, key_id, self._now())
        if found is None:
            raise _unknown(key_id)


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


def _require_names(*names: str) -> None:
    for name in names:
        if not NAME.fullmatch(name) or person_key(name) == ANONYMOUS:
            raise WingmanError(
                Code.REQUEST_INVALID,
                f"{name!a} is no name of a person or worker",
                hint="use up to 64 of A-Z a-z 0-9 . _ @ + -, beginning with a letter or digit",
            )


def _require_service(role: Role, speaks_for: Sequence[str]) -> None:
    if speaks_for and role is not Role.SERVICE:
        raise WingmanError(
            Code.REQUEST_INVALID, f"a key of role {role} speaks for nobody else", hint="use the role service"
        )


def _unknown(key_id: str) -> WingmanError:
    return WingmanError(Code.NOT_FOUND, f"no key has the id {key_id!a}", hint="wingman keys list")


async def _locked(connection: Connection, key_id: str) -> StoredKey:
    """Return a key that nobody else changes until the transaction ends; raise ``WingmanError`` (NOT_FOUND)."""
    row = await connection.fetchrow(LOCK, key_id)
    if row is None:
        raise _unknown(key_id)
    return _stored(row)


def _stored(row: asyncpg.Record) -> StoredKey:
    return StoredKey(
        id=row["id"],
        person=row["person"],
        role=Role(row["role"]),
        speaks_for=tuple(row["speaks_for"]),
        created_at=row["created_at"],
        lifetime=row["lifetime"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
        secret_hash=row["secret_hash"],
    )
