"""Checkpoints (C2SP tlog-checkpoint): a log's origin, size and root, signed as a note.

Guarantees: ``open_checkpoint`` returns only what a known key signed, of exactly three lines in their one
encoding. Extension lines, which the format allows and advises against, are refused: this log writes none.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wingman_core.notes import VerifierKey, decode_base64, note_invalid, open_note, sign_note
from wingman_core.translog import HASH_BYTES

MAX_SIZE: Final = (1 << 63) - 1

_ORIGIN: Final = re.compile(r"[^\x00-\x1f]{1,255}")
_DEPLOYMENT: Final = re.compile(r"wingman/([^/\x00-\x1f]+)/[^\x00-\x1f]+")
_BODY: Final = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]+=)\n")


def origin_of(environment: str, log_id: str) -> str:
    """Return the origin of a deployment's log, which is also its key's name."""
    return f"wingman/{environment}/{log_id}"


def environment_of(origin: str) -> str:
    """Return the environment in what ``origin_of`` gave; raise ``LogCorrupt`` for any other origin."""
    match = _DEPLOYMENT.fullmatch(origin)
    if match is None:
        raise note_invalid("the origin of a log here is wingman/<environment>/<log id>")
    return match[1]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's head: whose it is, how many leaves it has, and the root over them (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        """Refuse what the format cannot carry."""
        if not _ORIGIN.fullmatch(self.origin) or not 0 <= self.size <= MAX_SIZE or len(self.root) != HASH_BYTES:
            raise note_invalid("a checkpoint has an origin of one line, a size from 0, and a root of 32 bytes")

    def text(self) -> str:
        """Return the three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n"


def sign_checkpoint(checkpoint: Checkpoint, name: str, private: Ed25519PrivateKey) -> str:
    """Return the signed note; ``name`` should be the origin. Raise ``LogCorrupt`` for a name no note can carry."""
    return sign_note(checkpoint.text(), name, private)


def open_checkpoint(note: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Return the checkpoint that a known key signed; raise ``LogCorrupt`` (CHECKPOINT_INVALID) for anything else."""
    match = _BODY.fullmatch(open_note(note, keys))
    if match is None:
        raise note_invalid("a checkpoint has three lines: origin, size, root")
    return Checkpoint(match[1], int(match[2]), decode_base64(match[3]))
