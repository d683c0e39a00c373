"""Signed notes with Ed25519 (C2SP signed-note): text, an empty line, and signature lines.

Guarantees: ``open_note`` returns a text only when a known key signed it, and refuses the whole note when any
known key's signature fails or anything is not canonical. Signatures of unknown keys are ignored, as the
format demands, so that witnesses may add theirs.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from wingman_core.errors import Code, LogCorrupt

MAX_NOTE_BYTES: Final = 262_144
ED25519: Final = b"\x01"
"""The signature type's byte, part of the key id and of an encoded verifier key."""
KEY_ID_BYTES: Final = 4
PUBLIC_KEY_BYTES: Final = 32

_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_NAME: Final = re.compile(r"[^\s+]+")
_SIGNATURE_LINE: Final = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+=*)")
_VERIFIER_KEY: Final = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half of a note's key and the name it signs under."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        """Refuse a name that a note cannot carry, and what is no Ed25519 key."""
        _require_name(self.name)
        if len(self.public) != PUBLIC_KEY_BYTES:
            raise note_invalid("an Ed25519 public key has 32 bytes")

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that a signature line begins with."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:KEY_ID_BYTES]

    def encode(self) -> str:
        """Return ``name+id+key``, the text that verifiers are configured with."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(ED25519 + self.public).decode('ascii')}"


@lru_cache(maxsize=16)
def verifier_key_of(name: str, private: Ed25519PrivateKey) -> VerifierKey:
    """Return the verifier key for what ``private`` signs under ``name``; raise ``LogCorrupt`` for an unfit name."""
    return VerifierKey(name, private.public_key().public_bytes_raw())


def parse_verifier_key(text: str) -> VerifierKey:
    """Return the key that ``VerifierKey.encode`` wrote as ``text``; raise ``LogCorrupt`` for anything else."""
    match = _VERIFIER_KEY.fullmatch(text)
    data = decode_base64(match[3]) if match else b""
    if match is None or data[:1] != ED25519:
        raise note_invalid("a verifier key has the form name+id+key, of an Ed25519 key")
    key = VerifierKey(match[1], data[1:])
    if key.key_id.hex() != match[2]:
        raise note_invalid("the verifier key's id is not the one of its name and key")
    return key


def sign_note(text: str, name: str, private: Ed25519PrivateKey) -> str:
    """Return ``text`` as a note signed under ``name``; raise ``LogCorrupt`` when a note cannot carry one of them."""
    key = verifier_key_of(name, private)
    if not text.endswith("\n") or _CONTROL.search(text):
        raise note_invalid("a note's text ends in a newline and has no other control characters")
    signature = base64.b64encode(key.key_id + private.sign(text.encode())).decode("ascii")
    return f"{text}\n— {name} {signature}\n"


def open_note(note: str, keys: Sequence[VerifierKey]) -> str:
    """Return the text that a known key signed; raise ``LogCorrupt`` when none did or any of theirs fails."""
    if len(note) > MAX_NOTE_BYTES or _CONTROL.search(note):
        raise note_invalid(f"a note has at most {MAX_NOTE_BYTES} characters and no control characters but newlines")
    head, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise note_invalid("a note is a text, an empty line, and signature lines")
    text, known = head + "\n", {(key.name, key.key_id): key for key in keys}
    verified = False
    for line in signatures[:-1].split("\n"):
        match = _SIGNATURE_LINE.fullmatch(line)
        if match is None:
            raise note_invalid("a signature line has the form: em dash, name, base64")
        data = decode_base64(match[2])
        key = known.get((match[1], data[:KEY_ID_BYTES]))
        if key is not None:
            _require_signature(key, data[KEY_ID_BYTES:], text)
            verified = True
    if not verified:
        raise note_invalid("no known key signed the note")
    return text


def decode_base64(text: str) -> bytes:
    """Return the bytes of padded standard base64 (RFC 4648, 4) in its one encoding; raise ``LogCorrupt``."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise note_invalid("text that is not base64") from error
    if base64.b64encode(data).decode("ascii") != text:
        raise note_invalid("base64 that is not canonical")
    return data


def note_invalid(reason: str) -> LogCorrupt:
    """Return the refusal of a note, checkpoint or verifier key."""
    return LogCorrupt(Code.CHECKPOINT_INVALID, f"not a valid signed note: {reason}")


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name) or _CONTROL.search(name):
        raise note_invalid("a key's name is not empty and has neither spaces nor plus signs")


def _require_signature(key: VerifierKey, signature: bytes, text: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text.encode())
    except InvalidSignature as error:
        raise note_invalid(f"the signature of {key.name!a} does not verify") from error
