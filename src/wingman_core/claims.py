"""What a capability token says: its claims, each of one type, form and range.

Guarantees: every value is checked when it is made, so that nothing is minted that would be refused, and
what comes out of a token has the same checks behind it. Nothing is defaulted, nothing unknown is ignored.
"""

import re
from dataclasses import dataclass
from typing import Final

from wingman_core.approval import person_key
from wingman_core.characters import visible
from wingman_core.errors import CapabilityRefused, Code
from wingman_core.token_encoding import Json, decode_base64url, encode_base64url

MAX_LIFETIME: Final = 300
"""Seconds from ``iat`` to ``exp``, at most."""
MAX_DECIDERS: Final = 16
MAX_TEXT: Final = 200
LAST_SECOND: Final = 253_402_300_799
"""The end of the year 9999."""

CLAIM_FIELDS: Final = frozenset(
    {"iss", "aud", "sub", "iat", "nbf", "exp", "jti", "apr", "env", "op", "tgt", "dec", "by", "cnf"}
)
DECIDER_FIELDS: Final = frozenset({"name", "at", "via"})
THUMBPRINT_FIELD: Final = "x5t#S256"

_CHANNEL: Final = re.compile(r"[a-z0-9_-]{1,32}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_FORMS: Final = {
    "jti": re.compile(r"[A-Za-z0-9_-]{16,64}"),
    "apr": re.compile(r"apr_[0-9a-z]{26}\.(0|[1-9][0-9]{0,2})"),
    "env": re.compile(r"test|prd"),
    "op": _DIGEST,
    "tgt": _DIGEST,
    "dec": _DIGEST,
}


@dataclass(frozen=True, slots=True)
class Decider:
    """A person who approved: the name, when (unix seconds), and through which channel."""

    name: str
    at: int
    via: str

    def __post_init__(self) -> None:
        """Refuse what is not a decider."""
        _require_text("by", self.name)
        _require_time("by", self.at)
        _require_form("by", self.via, _CHANNEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The claims of one token; raises ``CapabilityRefused`` (TOKEN_CLAIMS) for one that is not valid."""

    iss: str
    aud: str
    sub: str
    """The worker."""
    iat: int
    nbf: int
    exp: int
    jti: str
    """16 to 64 characters of A-Z a-z 0-9 _ -; spent once."""
    apr: str
    """The approval of this one command, ``apr_<26 characters>.<n>``; spent once."""
    env: str
    op: str
    """The operation's digest, 64 hex digits."""
    tgt: str
    """The digest of the resolved targets, 64 hex digits."""
    dec: str
    """The digest of the decision record, 64 hex digits."""
    by: tuple[Decider, ...]
    """Who approved, each a distinct person and none of them the worker; empty where policy asks nobody."""
    thumbprint: str
    """SHA-256 of the client certificate (DER) that may present the token, 64 hex digits; ``cnf`` in the token."""

    def __post_init__(self) -> None:
        """Refuse a claim of the wrong type, form or range."""
        for name, text in (("iss", self.iss), ("aud", self.aud), ("sub", self.sub)):
            _require_text(name, text)
        for name, moment in (("iat", self.iat), ("nbf", self.nbf), ("exp", self.exp)):
            _require_time(name, moment)
        for name, form in _FORMS.items():
            _require_form(name, getattr(self, name), form)
        _require_form("cnf", self.thumbprint, _DIGEST)
        if not self.iat <= self.nbf < self.exp <= self.iat + MAX_LIFETIME:
            raise _refused("exp", f"iat <= nbf < exp, and at most {MAX_LIFETIME} s from iat to exp")
        if len(self.by) > MAX_DECIDERS:
            raise _refused("by", f"at most {MAX_DECIDERS} deciders")
        people = {person_key(decider.name) for decider in self.by}
        if len(people) != len(self.by) or person_key(self.sub) in people:
            raise _refused("by", "distinct people, none of them the worker")

    def to_payload(self) -> dict[str, Json]:
        """Return the claims as they stand in the token."""
        return {
            "iss": self.iss,
            "aud": self.aud,
            "sub": self.sub,
            "iat": self.iat,
            "nbf": self.nbf,
            "exp": self.exp,
            "jti": self.jti,
            "apr": self.apr,
            "env": self.env,
            "op": self.op,
            "tgt": self.tgt,
            "dec": self.dec,
            "by": [{"name": decider.name, "at": decider.at, "via": decider.via} for decider in self.by],
            "cnf": {THUMBPRINT_FIELD: encode_base64url(bytes.fromhex(self.thumbprint))},
        }


def claims_of(payload: dict[str, Json]) -> Claims:
    """Return the claims of a token's payload; raise ``CapabilityRefused`` unless it has exactly these, all valid."""
    if payload.keys() != CLAIM_FIELDS:
        raise CapabilityRefused(Code.TOKEN_CLAIMS, "the token's claims are not exactly the required ones")
    confirmation, deciders = payload["cnf"], payload["by"]
    if not isinstance(confirmation, dict) or confirmation.keys() != {THUMBPRINT_FIELD}:
        raise _refused("cnf", f"an object with {THUMBPRINT_FIELD} alone")
    if not isinstance(deciders, list):
        raise _refused("by", "a list")
    plain = {name: value for name, value in payload.items() if name not in {"cnf", "by"}}
    return Claims(
        **plain,  # type: ignore[arg-type] # Claims checks each type itself
        by=tuple(_decider_of(decider) for decider in deciders),
        thumbprint=_thumbprint_of(confirmation[THUMBPRINT_FIELD]),
    )


def _decider_of(value: Json) -> Decider:
    if not isinstance(value, dict) or value.keys() != DECIDER_FIELDS:
        raise _refused("by", "objects with name, at and via alone")
    return Decider(**value)  # type: ignore[arg-type] # Decider checks each type itself


def _thumbprint_of(value: Json) -> str:
    if not isinstance(value, str):
        raise _refused("cnf", "base64url text")
    return decode_base64url(value).hex()


def _require_text(name: str, value: object) -> None:
    """Refuse what is not printable text with something to see in it."""
    if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable() or not visible(value):
        raise _refused(name, f"1 to {MAX_TEXT} printable characters")


def _require_time(name: str, value: object) -> None:
    if type(value) is not int or not 0 < value <= LAST_SECOND:  # a bool is an int, and no time
        raise _refused(name, "a whole number of unix seconds")


def _require_form(name: str, value: object, form: re.Pattern[str]) -> None:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise _refused(name, f"text of the form {form.pattern}")


def _refused(claim: str, form: str) -> CapabilityRefused:
    return CapabilityRefused(Code.TOKEN_CLAIMS, f"the token's claim {claim} is not valid: {form}", claim=claim)
