"""From an ``Authorization`` header to a caller.

Guarantees: an unknown id costs as much time as a wrong secret; a revoked key is refused at its next use, since
only the outcome of hashing is remembered and never the key's row; at most two hashes are computed at once.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from wingman_api.identity import api_key
from wingman_api.identity.caller import ANONYMOUS, Caller, Role
from wingman_api.identity.store import KeyStore
from wingman_core.errors import CallerRefused, Code

REMEMBERED_SECONDS: Final = 60.0
REMEMBERED_KEYS: Final = 1024
HASHES_AT_ONCE: Final = 2
SCHEME: Final = "bearer"


class Authenticator:
    """Knows callers by their keys; ``clock`` counts seconds and never goes back."""

    def __init__(
        self,
        keys: KeyStore,
        *,
        hasher: PasswordHasher,
        clock: Callable[[], float],
        anonymous_role: Role | None,
    ) -> None:
        """Refuse callers without a key unless ``anonymous_role`` says what they are."""
        self._keys = keys
        self._hasher = hasher
        self._clock = clock
        self._anonymous_role = anonymous_role
        self._remembered: dict[bytes, float] = {}
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)
        self._decoy = hasher.hash("an id that nobody has")

    async def authenticate(self, headers: Sequence[str]) -> Caller:
        """Return the caller behind the ``Authorization`` headers; raise ``CallerRefused``."""
        if not headers:
            if self._anonymous_role is None:
                raise CallerRefused(
                    Code.KEY_MISSING, "the request has no API key", hint="send Authorization: Bearer wm_..."
                )
            return Caller(ANONYMOUS, self._anonymous_role, None)
        scheme, _, text = headers[0].partition(" ")
        if len(headers) > 1 or scheme.lower() != SCHEME:
            raise CallerRefused(
                Code.KEY_INVALID, "not exactly one Authorization header with a bearer key", hint="send Bearer wm_..."
            )
        key = api_key.parse(text)
        stored = await self._keys.find(key.id)
        known = await self._holds(key.secret, self._decoy if stored is None else stored.secret_hash, key.id)
        if stored is None or not known or stored.revoked_at is not None:
            raise CallerRefused(Code.KEY_INVALID, "the key is unknown or revoked", hint="wingman keys create")
        return Caller(stored.person, stored.role, stored.id, frozenset(stored.speaks_for))

    async def _holds(self, secret: str, hashed: str, key_id: str) -> bool:
        """Whether ``secret`` is what was hashed; the answer yes is remembered for a while."""
        proof = hashlib.sha256(f"{hashed}\0{secret}".encode()).digest()
        if self._remembered.get(proof, 0.0) > self._clock():
            return True
        async with self._hashing:
            try:
                await asyncio.to_thread(self._hasher.verify, hashed, secret)
            except VerificationError:
                return False
        if len(self._remembered) >= REMEMBERED_KEYS:
            self._remembered.clear()
        self._remembered[proof] = self._clock() + REMEMBERED_SECONDS
        await self._keys.used(key_id)
        return True
