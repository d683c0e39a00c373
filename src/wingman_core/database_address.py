"""Where a database is, as ``WINGMAN_DATABASE_URL`` says it; the password travels apart.

Guarantees: an address that is taken names a role, at least one host or the directory of a socket, and one database;
a refusal shows nothing of what was given, since it may hold a password.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

SCHEMES: Final = frozenset({"postgresql", "postgres"})
HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]+)(?::([0-9]{1,5}))?", re.ASCII)
MAX_PORT: Final = 65535
FORM: Final = "postgresql://role@host:port/database, or ?host=/directory for a socket"


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """One database, as one role."""

    host: str
    """``host:port``, several with commas between them, or the directory of a socket."""
    role: str
    database: str


def parse_address(text: str) -> DatabaseAddress:
    """Return the parts of an address; raise ``ValueError`` with what is wrong with it."""
    if not text.isprintable() or " " in text or "#" in text:
        raise ValueError(f"it holds a character that no address has; the form is {FORM}")
    try:
        parts = urlsplit(text)
        options = parse_qs(parts.query)
    except ValueError:
        raise ValueError(f"it is no address; the form is {FORM}") from None
    if parts.password is not None or "password" in options:
        raise ValueError("it holds a password: that has a variable of its own")
    address = DatabaseAddress(
        host=parts.netloc.rpartition("@")[2] or ",".join(options.get("host", ())),
        role=unquote(parts.username or ""),
        database=unquote(parts.path.removeprefix("/")),
    )
    for what, is_right in (
        ("scheme", parts.scheme in SCHEMES),
        ("role", bool(address.role)),
        ("host", all(map(_is_host, address.host.split(",")))),
        ("database", bool(address.database) and "/" not in address.database),
    ):
        if not is_right:
            raise ValueError(f"it has no usable {what}; the form is {FORM}")
    return address


def _is_host(text: str) -> bool:
    match = HOST.fullmatch(text)
    return text.startswith("/") or (match is not None and 0 < int(match[1] or MAX_PORT) <= MAX_PORT)
