"""From an ``Authorization`` header to a caller.

Guarantees: an unknown id costs as much time as a wrong secret, and an address that presented too many of either is
refused before anything is hashed or read; who has no key where one is needed counts as well; a key that was revoked,
or changed, is so here after ``ROW_SECONDS`` at most; one hash is computed at a time, and a caller in good standing
waits for none.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from wingman_api.identity import api_key
from wingman_api.identity.api_key import ApiKey
from wingman_api.identity.caller import ANONYMOUS, Caller, Role
from wingman_api.identity.store import KeyStore, StoredKey
from wingman_api.identity.uses import LastUse
from wingman_api.limits.visit import Visit
from wingman_core.errors import CallerRefused, Code, LimitExceeded

ROW_SECONDS: Final = 1.0
"""How long a key's row is believed: one question to the database a second, not one a request."""
REMEMBERED_SECONDS: Final = 60.0
"""How long after its last use a key need not be hashed again."""
REMEMBERED_KEYS: Final = 1024
TURN_SECONDS: Final = 10.0
"""How long a key that was not seen lately waits for others like it."""
SCHEME: Final = "bearer"


@dataclass(slots=True)
class _Known:
    """A key whose secret was right."""

    row: StoredKey = field(repr=False)
    read_until: float
    hashed_until: float


class Authenticator:
    """Knows callers by their keys; ``now`` returns aware times, ``clock`` counts seconds and never goes back."""

    def __init__(  # noqa: PLR0913 - collaborators, by name
        self,
        keys: KeyStore,
        *,
        uses: LastUse,
        hasher: PasswordHasher,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        anonymous_role: Role | None,
    ) -> None:
        """Refuse callers without a key unless ``anonymous_role`` says what they are."""
        self._keys = keys
        self._uses = uses
        self._hasher = hasher
        self._now = now
        self._clock = clock
        self._anonymous_role = anonymous_role
        self._known: dict[bytes, _Known] = {}
        self._hashing = asyncio.Lock()
        # One thread of its own: each thread that hashes keeps the memory of a hash for good.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hashing")
        self._decoy = hasher.hash("an id that nobody has")

    async def authenticate(self, headers: Sequence[str], visit: Visit) -> Caller:
        """Return the caller behind the ``Authorization`` headers; raise ``CallerRefused``, or ``QuotaExceeded``."""
        if not headers:
            if self._anonymous_role is None:
                await visit.count(None)
                raise CallerRefused(
                    Code.KEY_MISSING, "the request has no API key", hint="send Authorization: Bearer wm_..."
                )
            return Caller(ANONYMOUS, self._anonymous_role, None)
        try:
            key = _presented(headers)
            row = await self._remembered(key) or await self._proven(key, visit)
            row.require_valid(self._now())
        except CallerRefused:
            await visit.attempt()
            raise
        self._uses.note(row.id)
        return Caller(row.person, row.role, row.id, frozenset(row.speaks_for), row.expires_at)

    async def require(self, key_id: str) -> None:
        """Raise ``CallerRefused`` (KEY_INVALID) where a key that opened a stream is good no longer."""
        row = await self._keys.find(key_id)
        if row is None:
            raise CallerRefused(Code.KEY_INVALID, "the key is unknown", hint="wingman keys create")
        row.require_valid(self._now())

    async def _remembered(self, key: ApiKey) -> StoredKey | None:
        """Return the row of a key that was hashed lately; None where it must be hashed."""
        known = self._known.get(_fingerprint(key))
        if known is None or known.hashed_until <= self._clock():
            return None
        if known.read_until <= self._clock():
            row = await self._keys.find(key.id)
            if row is None or row.secret_hash != known.row.secret_hash:
                return None
            known.row, known.read_until = row, self._clock() + ROW_SECONDS
        known.hashed_until = self._clock() + REMEMBERED_SECONDS
        return known.row

    async def _proven(self, key: ApiKey, visit: Visit) -> StoredKey:
        """Return the row of a key whose secret is right; raise ``CallerRefused`` (KEY_INVALID), ``QuotaExceeded``."""
        async with self._turn():
            attempt = await visit.attempt()
            try:
                read_at = self._clock()
                row = await self._keys.find(key.id)
                right = await self._holds(key.secret, self._decoy if row is None else row.secret_hash)
            finally:
                visit.pardon(attempt)
        if row is None or not right:
            raise CallerRefused(Code.KEY_INVALID, "the key is unknown", hint="wingman keys create")
        if len(self._known) >= REMEMBERED_KEYS:
            self._known.clear()
        self._known[_fingerprint(key)] = _Known(row, read_at + ROW_SECONDS, read_at + REMEMBERED_SECONDS)
        return row

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for a turn to hash; raise ``LimitExceeded`` where too many wait already."""
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._hashing.acquire()
        except TimeoutError as error:
            raise LimitExceeded(
                Code.LIMIT_EXCEEDED, "too many new keys at once", hint="try again in a moment", retry_after="1"
            ) from error
        try:
            yield
        finally:
            self._hashing.release()

    async def _holds(self, secret: str, hashed: str) -> bool:
        """Whether ``secret`` is what was hashed."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._hasher.verify, hashed, secret)
        except VerificationError:
            return False


def _presented(headers: Sequence[str]) -> ApiKey:
    """Return the key of the one header there must be; raise ``CallerRefused`` (KEY_INVALID)."""
    scheme, _, text = headers[0].partition(" ")
    if len(headers) > 1 or scheme.lower() != SCHEME:
        raise CallerRefused(
            Code.KEY_INVALID, "not exactly one Authorization header with a bearer key", hint="send Bearer wm_..."
        )
    return api_key.parse(text)


def _fingerprint(key: ApiKey) -> bytes:
    return hashlib.sha256(key.text.encode("ascii")).digest()
