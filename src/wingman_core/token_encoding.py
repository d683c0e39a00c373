"""The text of a token: compact segments (RFC 7515, 7.1) that have one encoding each, and strict JSON within.

Guarantees: base64url without padding, junk or spare bits that are not zero; JSON objects without repeated
names at any depth, without numbers that are not integers, and without text that is not Unicode.
"""

import base64
import json
import re
from collections.abc import Iterable
from typing import Final

from wingman_core.errors import CapabilityRefused, Code

Json = str | int | bool | list["Json"] | dict[str, "Json"] | None

_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*\Z")


def encode_base64url(data: bytes) -> str:
    """Return base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """Return the bytes whose encoding ``text`` is; raise ``CapabilityRefused`` when it is nobody's."""
    if _BASE64URL.match(text) and len(text) % 4 != 1:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if encode_base64url(data) == text:
            return data
    raise CapabilityRefused(Code.TOKEN_MALFORMED, "the token has a part that is not canonical base64url")


def decode_object(data: bytes) -> dict[str, Json]:
    """Return the JSON object that ``data`` is; raise ``CapabilityRefused`` when it is not strict JSON."""
    try:
        value: Json = json.loads(
            data.decode("utf-8"), object_pairs_hook=_members, parse_float=_refuse_number, parse_constant=_refuse_number
        )
        json.dumps(value, ensure_ascii=False).encode()  # an escape may name half a surrogate pair
    except (ValueError, RecursionError) as error:
        raise CapabilityRefused(Code.TOKEN_MALFORMED, "the token has a part that is not strict JSON") from error
    if not isinstance(value, dict):
        raise CapabilityRefused(Code.TOKEN_MALFORMED, "the token has a part that is not a JSON object")
    return value


def _members(pairs: Iterable[tuple[str, Json]]) -> dict[str, Json]:
    members: dict[str, Json] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError("repeated name")
        members[name] = value
    return members


def _refuse_number(_text: str) -> Json:
    raise ValueError("not an integer")
