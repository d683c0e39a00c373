"""New identifiers: 26 characters of lowercase base32 (6 bytes of time, 10 of randomness); for requests, plain hex."""

import os
import secrets
import time
from base64 import b32encode


def new_id() -> str:
    """Return 26 characters that nobody can guess, and that no two processes make twice."""
    return b32encode(time.time_ns().to_bytes(8)[:6] + secrets.token_bytes(10)).decode("ascii").rstrip("=").lower()


def new_correlation_id() -> str:
    """Return 32 hexadecimal digits, as long as a trace's id: each request has one, so it costs next to nothing."""
    return os.urandom(16).hex()
