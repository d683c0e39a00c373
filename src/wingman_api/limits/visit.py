"""One request's dealings with the limiter, and what its answer will say of them.

Guarantees: whoever guesses keys is refused once an address has guessed too often, before anything is hashed;
a request with a key counts for the key, one without for its address; the answer carries the newest standing.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass

from wingman_api.limits.limiter import Limiter, QuotaExceeded
from wingman_core.quota import Quota, Standing


@dataclass(frozen=True, slots=True)
class Quotas:
    """What there is a limit for."""

    reads: Quota
    writes: Quota
    anonymous: Quota
    failures: Quota
    """Attempts to use a key that is none, from one address."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request from ``address`` (as ``subject_of`` has it); ``fields`` are header fields of its answer."""

    limiter: Limiter
    quotas: Quotas
    address: str
    reads: bool
    """Whether it changes nothing."""
    fields: MutableMapping[str, str]

    async def attempt(self) -> Standing:
        """Count a key that nobody knows yet; raise ``QuotaExceeded`` after too many, ``Unavailable``."""
        return await self._take(self.quotas.failures, self.address, lenient=False)

    def pardon(self, attempt: Standing) -> None:
        """Uncount an attempt whose key turned out to be one."""
        self.limiter.give_back(self.address, attempt)

    async def count(self, key_id: str | None) -> None:
        """Count the request itself; raise ``QuotaExceeded``, and ``Unavailable`` for what changes something."""
        if key_id is None:
            await self._take(self.quotas.anonymous, self.address, lenient=self.reads)
        else:
            await self._take(self.quotas.reads if self.reads else self.quotas.writes, key_id, lenient=self.reads)

    async def _take(self, quota: Quota, subject: str, *, lenient: bool) -> Standing:
        try:
            standing = await self.limiter.take(quota, subject, lenient=lenient)
        except QuotaExceeded as exceeded:
            self.fields.update(exceeded.standing.fields)
            raise
        self.fields.update(standing.fields)
        return standing
