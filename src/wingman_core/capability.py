"""Capability tokens: mint one for one approved command, and verify it before anything runs.

A token is a JWS (RFC 7515) with ES256 (RFC 7518, 3.4), bound to one client certificate (RFC 8705, 3.1).
Guarantees: ``verify`` returns a ``Capability`` only for a token whose every byte was checked, nothing is
defaulted (I7), and nothing else in the process can make one (I11). A token binds what I9 says.

Not guaranteed: that two texts are two tokens. ECDSA lets anybody turn a signature (r, s) into (r, n - s),
so what an execution spends is the ``jti`` and the approval, never the text. Whether they are spent, the
audit log knows. Signing draws its nonce from the operating system.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from functools import lru_cache
from typing import Final, final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from jose import jwk, jws
from jose.backends.base import Key

from wingman_core.canonical import canonical_bytes
from wingman_core.claims import Claims, Decider, claims_of
from wingman_core.errors import CapabilityRefused, Code, SettingInvalid
from wingman_core.token_encoding import decode_base64url, decode_object

__all__ = ["Capability", "Claims", "Decider", "audience_of", "issuer_of", "mint", "require_public_key", "verify"]

ALGORITHM: Final = "ES256"
TYPE: Final = "wingman-cap+jwt"
HEADER_FIELDS: Final = frozenset({"alg", "typ", "kid"})
MAX_BYTES: Final = 8192
SEGMENTS: Final = 3
SKEW: Final = 5
"""Seconds by which two clocks may differ."""

_KEY_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SEAL: Final = object()


def issuer_of(environment: str) -> str:
    """Return the ``iss`` of an environment's tokens: its API."""
    return f"wingman-api/{environment}"


def audience_of(environment: str) -> str:
    """Return the ``aud`` of an environment's tokens: its gateway."""
    return f"wingman-gateway/{environment}"


@final
@dataclass(frozen=True, slots=True)
class Capability:
    """A verified token: only ``verify`` makes one, and the step that runs a command takes nothing else."""

    claims: Claims
    token_hash: str
    """SHA-256 of the token's text, 64 hex digits: what the audit log keeps of it."""
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        """Refuse every other maker."""
        if seal is not _SEAL:
            raise TypeError("a Capability comes from capability.verify alone")


def mint(claims: Claims, private_key_pem: bytes | str, kid: str) -> str:
    """Return the signed token, of at most ``MAX_BYTES``; raise ``CapabilityRefused`` for a larger one.

    Raises ``SettingInvalid`` when the key is not a P-256 private key in PEM form, or its id is unfit for a header.
    """
    if not _KEY_ID.fullmatch(kid):
        raise SettingInvalid(Code.SETTING_INVALID, "the token key's id is not 1 to 64 of A-Z a-z 0-9 . _ -")
    pem = private_key_pem.encode() if isinstance(private_key_pem, str) else private_key_pem
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _key_invalid("private") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise _key_invalid("private")
    token = jws.sign(canonical_bytes(claims.to_payload()), pem, {"typ": TYPE, "kid": kid}, ALGORITHM)
    _require_size(token)
    return token


def verify(  # noqa: PLR0913 - what the caller knows of itself and of its peer; nothing may be defaulted
    token: str,
    *,
    keys: Mapping[str, str],
    issuer: str,
    audience: str,
    environment: str,
    thumbprint: str,
    now: int,
) -> Capability:
    """Return the capability in ``token``; raise ``CapabilityRefused`` with the code of the first check that fails.

    ``keys`` maps key ids to public PEM texts (``SettingInvalid`` when the chosen one is not a P-256 key),
    ``thumbprint`` is the SHA-256 of the presenting client's certificate in 64 hex digits, ``now`` is in unix seconds.
    """
    # 1. Size, then three segments in their one encoding, before anything is parsed.
    header, payload, signature = _segments(token)
    # 2. Algorithm and type, and no other header field than the key's id; only then the key.
    key = _key_for(header, keys)
    # 3. The signature, over the very bytes that came.
    signed = token.rpartition(".")[0].encode("ascii")
    if not _verifier(key).verify(signed, signature):
        raise CapabilityRefused(Code.TOKEN_SIGNATURE, "the token's signature does not verify")
    # 4. Exactly the known claims, each of its type, form and range.
    claims = claims_of(decode_object(payload))
    # 5. From whom, to whom, where.
    if claims.iss != issuer:
        raise CapabilityRefused(Code.TOKEN_ISSUER, "the token was not issued by this environment's API")
    if claims.aud != audience:
        raise CapabilityRefused(Code.TOKEN_AUDIENCE, "the token is for another gateway")
    if claims.env != environment:
        raise CapabilityRefused(Code.TOKEN_ENVIRONMENT, "the token is for another environment")
    # 6. When.
    if max(claims.iat, claims.nbf) > now + SKEW:
        raise CapabilityRefused(Code.TOKEN_EARLY, "the token is not valid yet", hint="compare the machines' clocks")
    if now >= claims.exp + SKEW:
        raise CapabilityRefused(Code.TOKEN_EXPIRED, "the token has expired", hint="mint a new token")
    # 7. Presented by whom.
    if not hmac.compare_digest(claims.thumbprint.encode(), thumbprint.encode()):
        raise CapabilityRefused(Code.TOKEN_CLIENT, "the token is bound to another client certificate")
    return Capability(claims, hashlib.sha256(token.encode("ascii")).hexdigest(), _SEAL)


def require_public_key(pem: str) -> str:
    """Return ``pem`` when it is a P-256 public key; raise ``SettingInvalid`` for anything else."""
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _key_invalid("public") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise _key_invalid("public")
    return pem


def _require_size(token: str) -> None:
    if len(token) > MAX_BYTES:
        raise CapabilityRefused(Code.TOKEN_MALFORMED, f"the token is larger than {MAX_BYTES} bytes")


def _segments(token: str) -> tuple[bytes, bytes, bytes]:
    """Return header, payload and signature of a token that is small and well formed."""
    _require_size(token)
    parts = token.split(".")
    if len(parts) != SEGMENTS:
        raise CapabilityRefused(Code.TOKEN_MALFORMED, "the token does not have three segments")
    header, payload, signature = (decode_base64url(part) for part in parts)
    return header, payload, signature


def _key_for(header_bytes: bytes, keys: Mapping[str, str]) -> str:
    """Return the PEM text of the public key that the header names, once the header is beyond reproach."""
    header = decode_object(header_bytes)
    if header.get("alg") != ALGORITHM or header.get("typ") != TYPE:
        raise CapabilityRefused(Code.TOKEN_ALGORITHM, f"the token is not of type {TYPE} signed with {ALGORITHM}")
    if header.keys() != HEADER_FIELDS:
        raise CapabilityRefused(Code.TOKEN_MALFORMED, "the token's header has other fields than alg, typ and kid")
    kid = header["kid"]
    if not isinstance(kid, str) or kid not in keys:
        raise CapabilityRefused(
            Code.TOKEN_KEY_UNKNOWN, "the token names a key that is not trusted here", hint="mint a new token"
        )
    return keys[kid]


@lru_cache(maxsize=16)
def _verifier(pem: str) -> Key:
    """Return what verifies with a public key; the few that there are at a time are parsed once."""
    key: Key = jwk.construct(require_public_key(pem), ALGORITHM)
    return key


def _key_invalid(half: str) -> SettingInvalid:
    return SettingInvalid(
        Code.SETTING_INVALID, f"a token key is not a P-256 {half} key in PEM form", hint="`wingman pki` makes one"
    )
