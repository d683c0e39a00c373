"""Canonical bytes and digests: RFC 8785 JSON, SHA-256, and a domain that separates one use from another."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import rfc8785

from wingman_core.errors import CanonicalError, Code


def canonical_bytes(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Return the RFC 8785 bytes of a JSON value; raise ``CanonicalError`` where there are none."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
        raise CanonicalError(Code.CANONICAL_INVALID, f"no canonical form: {error}") from error


def digest(domain: str, value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return 64 lowercase hex digits: SHA-256 over ``domain``, a zero byte, and the canonical bytes."""
    return hashlib.sha256(domain.encode("ascii") + b"\0" + canonical_bytes(value)).hexdigest()


def rfc3339(moment: datetime) -> str:
    """Return an aware time as RFC 3339 in UTC with six digits of microseconds and ``Z``; raise ``CanonicalError``."""
    if moment.tzinfo is None:
        raise CanonicalError(Code.CANONICAL_INVALID, "a time without a zone has no canonical form")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
