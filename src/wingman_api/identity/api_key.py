"""The text of an API key: ``wm_<id>_<secret>``, one form and no other.

Guarantees: a secret has 256 bits from the operating system, and is shown once, when it is made.
"""

import re
from base64 import b32encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from wingman_core.errors import CallerRefused, Code

FORM: Final = re.compile(r"wm_([a-z2-7]{16})_([a-z2-7]{52})")
ID_BYTES: Final = 10
SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An id that may be logged, and a secret that may not."""

    id: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """The key as its holder sends it."""
        return f"wm_{self.id}_{self.secret}"


def generate(random_bytes: Callable[[int], bytes]) -> ApiKey:
    """Return a new key from ``random_bytes(count)``, a cryptographic source."""
    return ApiKey(_base32(random_bytes(ID_BYTES)), _base32(random_bytes(SECRET_BYTES)))


def parse(text: str) -> ApiKey:
    """Return the parts of a key; raise ``CallerRefused`` (KEY_INVALID) for any other text."""
    match = FORM.fullmatch(text)
    if match is None:
        raise CallerRefused(
            Code.KEY_INVALID, "the key is not of the form wm_<id>_<secret>", hint="copy the whole key, once"
        )
    return ApiKey(match[1], match[2])


def _base32(data: bytes) -> str:
    return b32encode(data).decode("ascii").rstrip("=").lower()
