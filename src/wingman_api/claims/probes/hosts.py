"""Which hosts a claim about HTTP may be looked at on, and at which of their addresses.

Guarantees: a host is allowed by its exact name or address, never by a pattern, and only in its plain spelling: a
number that some resolver would read as an address (``2130706433``, ``0x7f.1``, ``127.1``) is neither a name nor an
address here. Metadata and link-local addresses are never reached. Private and loopback ones are reached only if the
list holds the address itself, or a name of one label (``localhost``, a service beside this one), which nobody's DNS
zone can point elsewhere.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Self

Address = IPv4Address | IPv6Address

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
LABEL: Final = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
NAME: Final = re.compile(rf"{LABEL}(?:\.{LABEL})*", re.ASCII)
LONGEST_NAME: Final = 253
NUMBER: Final = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)", re.ASCII)
"""A last label that makes a name an address to resolvers (WHATWG URL, "ends in a number")."""
ENTRY: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:,\s]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
LARGEST_PORT: Final = 65535
NEVER: Final = tuple(
    ip_network(block)
    for block in (
        "0.0.0.0/8",
        "169.254.0.0/16",  # metadata of most clouds, link-local
        "100.100.100.200/32",  # metadata of Alibaba's
        "168.63.129.16/32",  # Azure's
        "192.0.0.192/32",  # Oracle's
        "224.0.0.0/3",
        "::/128",
        "::ffff:0:0:0/96",  # translated by whoever translates (RFC 7915), to who knows where
        "64:ff9b:1::/48",  # translated within a site, to who knows where
        "fec0::/10",
        "fd00:ec2::254/128",  # Amazon's
        "fd20:ce::254/128",  # Google's
        "fe80::/10",
        "ff00::/8",
    )
)
NAT64: Final = IPv6Network("64:ff9b::/96")
COMPATIBLE: Final = IPv6Network("::/96")
"""An IPv4 address with zeros before it; ``::`` and ``::1`` are none."""


@dataclass(frozen=True, slots=True)
class Host:
    """One entry of the list."""

    name: str
    """A name in lower case without a final dot, or an address in its canonical form."""
    port: int | None
    """None: the scheme's own port alone."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Read ``host`` or ``host:port``; raise ``ValueError`` with what is wrong."""
        match = ENTRY.fullmatch(text)
        name = None if match is None else plain_host(match["host"])
        if match is None or name is None:
            raise ValueError(f"{text!a} is no host, such as example.org, web:8080, 127.0.0.1:8000 or [::1]:80")
        port = None if match["port"] is None else int(match["port"])
        if port is not None and not 0 < port <= LARGEST_PORT:
            raise ValueError(f"{text!a} has no port from 1 to {LARGEST_PORT}")
        return cls(name, port)


class Hosts:
    """The allowed hosts."""

    def __init__(self, allowed: Sequence[Host]) -> None:
        self._allowed = frozenset(allowed)

    def allow(self, scheme: str, name: str, port: int) -> bool:
        """Tell whether a host in its plain spelling may be looked at on this port."""
        entries = {Host(name, port)}
        if port == DEFAULT_PORTS[scheme]:
            entries.add(Host(name, None))
        return not entries.isdisjoint(self._allowed)

    def reach(self, scheme: str, name: str, port: int, address: Address) -> bool:
        """Tell whether an address that the allowed name resolved to may be connected to."""
        plain = embedded(address)
        if any(plain in block or address in block for block in NEVER):
            return False
        if plain.is_global and address.is_global:
            return True
        return self.allow(scheme, str(plain), port) or not _has_domain(name)


def plain_host(text: str) -> str | None:
    """Return a host's one spelling: lower case, no final dot, addresses canonical; None for what is no plain host."""
    bracketed = text.startswith("[")
    inner = text[1:-1] if bracketed and text.endswith("]") else text
    try:
        address = ip_address(inner)
    except ValueError:
        name = text.lower().removesuffix(".")
        if len(name) > LONGEST_NAME or NAME.fullmatch(name) is None or NUMBER.fullmatch(name.rpartition(".")[2]):
            return None
        return name
    return str(address) if isinstance(address, IPv6Address) == bracketed and "%" not in inner else None


def embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one stands for, else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in NAT64 or (address in COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _has_domain(name: str) -> bool:
    return "." in name or ":" in name
