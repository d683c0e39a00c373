"""New identifiers: 26 characters of lowercase base32, 6 bytes of time and 10 of randomness."""

import secrets
import time
from base64 import b32encode


def new_id() -> str:
    """Return 26 characters that nobody can guess, and that no two processes make twice."""
    return b32encode(time.time_ns().to_bytes(8)[:6] + secrets.token_bytes(10)).decode("ascii").rstrip("=").lower()
