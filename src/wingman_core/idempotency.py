"""The value of ``Idempotency-Key``, as draft-ietf-httpapi-idempotency-key-header-07 has it, and as clients send it.

Guarantees: the quoted string of the draft and the bare word that most clients send mean the same key; nothing is
trimmed or folded, and what could be two keys that a proxy joined is none.
"""

import re
from collections.abc import Sequence
from typing import Final

from wingman_core.errors import Code, WingmanError

LONGEST: Final = 255
BARE: Final = r"[!#-+\--\[\]-~]"
"""Visible ASCII without the quote, the comma and the backslash."""
QUOTED: Final = r'(?:[ !#-\[\]-~]|\\["\\])'
"""A character of a structured string (RFC 9651 section 3.3.3)."""
PATTERN: Final = f'^(?:{BARE}{{1,{LONGEST}}}|"{QUOTED}{{1,{LONGEST}}}")$'
FORM: Final = re.compile(PATTERN)
ESCAPED: Final = re.compile(r'\\(["\\])')


def key_of(values: Sequence[str]) -> str:
    """Return the key that the header's values (one for each time it was sent) say; raise ``WingmanError``."""
    if len(values) != 1 or values[0].endswith("\n") or not FORM.fullmatch(values[0]):
        raise WingmanError(
            Code.REQUEST_INVALID,
            f"not exactly one Idempotency-Key of 1 to {LONGEST} printable ASCII characters",
            hint="send a new UUID for each thing you want done, and the same one when you repeat it",
        )
    value = values[0]
    return ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value
