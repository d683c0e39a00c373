"""A canonical command as people and the audit log see it: values that are surely secrets are hidden, and which is told.

Guarantees: only a value of harmless characters inside one word is hidden, never anything that could run, split words or
reach for something; everything else stays as it is. What is hidden shows as ``[REDACTED sha256:<8 hex digits>]``, so
that two values are told apart and a known one is recognised. Digests cover the command as it is, not as it is shown.

Does not: recognise every secret. A name that says so (``DB_PASSWORD=``, ``--password``), a password in a URL and the
formats of well-known tokens are.
"""

import hashlib
import re
from typing import Final

from wingman_core.secret_forms import secrets_in

_HARMLESS: Final = re.compile(rb"(?!/)[A-Za-z0-9._+/=:@-]+")
"""No path either: it tells where a secret is, and is none."""
_MARK: Final = re.compile(r"\[REDACTED sha256:([0-9a-f]{8})\]")


def hide(command: str) -> str:
    """Return the canonical command with the values of recognised secrets hidden."""
    line = command.encode()
    pieces, at = [], 0
    for secret in secrets_in(line):
        value = line[secret.value : secret.end]
        if _HARMLESS.fullmatch(value):
            mark = f"[REDACTED sha256:{hashlib.sha256(value).hexdigest()[:8]}]"
            pieces += [line[at : secret.value], mark.encode()]
            at = secret.end
    return b"".join([*pieces, line[at:]]).decode()


def parseable(hidden: str) -> str:
    """Return a hidden command as one that parses, with a stand-in for each value: to ask about it, never to run it."""
    return _MARK.sub(r"REDACTED-\1", hidden)
