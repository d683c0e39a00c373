"""Quotas over fixed windows, whom they count, and the header fields that tell of them.

Guarantees: a window depends on the quota and the time alone, so that every process means the same one; a caller
cannot leave its count behind by taking another IPv6 address of its network.
The fields are those of draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4 (structured fields, RFC 9651).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from typing import Final

FORM: Final = re.compile(r"([1-9][0-9]{0,6})/([1-9][0-9]{0,3})")
LONGEST_WINDOW: Final = 3600
BLOCKS: Final = 10
NETWORK_BITS: Final = 64
"""One subscriber's IPv6 addresses (RFC 6177)."""


@dataclass(frozen=True, slots=True)
class Quota:
    """So many requests in every window of so many seconds; ``name`` is what callers see."""

    name: str
    requests: int
    seconds: int

    @classmethod
    def of(cls, name: str, text: str) -> "Quota":
        """Return the quota that ``<requests>/<seconds>`` says; raise ``ValueError`` for other text."""
        match = FORM.fullmatch(text)
        if match is None or int(match[2]) > LONGEST_WINDOW:
            raise ValueError(f"not of the form <requests>/<seconds>, with at most {LONGEST_WINDOW} seconds")
        return cls(name, int(match[1]), int(match[2]))

    @property
    def block(self) -> int:
        """How many requests a process draws at once."""
        return max(1, self.requests // BLOCKS)

    def end(self, window: datetime) -> datetime:
        """Return when the window that began then is over."""
        return window + timedelta(seconds=self.seconds)

    def resets_in(self, window: datetime, now: datetime) -> int:
        """Return the whole seconds, at least 1, until that window is surely over."""
        return max(1, ceil((self.end(window) - now).total_seconds()))

    def window(self, now: datetime) -> datetime:
        """Return when the window that holds ``now`` (aware) began: a multiple of its length since 1970."""
        return datetime.fromtimestamp(int(now.timestamp()) // self.seconds * self.seconds, UTC)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of a quota, as far as this process knows, and in how many seconds there is more."""

    quota: Quota
    window: datetime
    """When the window began."""
    remaining: int
    resets_in: int

    @property
    def fields(self) -> dict[str, str]:
        """The header fields for an answer."""
        return {
            "RateLimit-Policy": f'"{self.quota.name}";q={self.quota.requests};w={self.quota.seconds}',
            "RateLimit": f'"{self.quota.name}";r={self.remaining};t={self.resets_in}',
        }


@lru_cache(maxsize=1024)
def subject_of(address: str) -> str:
    """Return whom requests from ``address`` count for: the IPv4 address, or the IPv6 network of 64 bits."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ip_network((ip, NETWORK_BITS), strict=False))
    return str(ip)
