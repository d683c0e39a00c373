"""Tokens: a golden one, a table of named attacks, and mutations, none of which verifies.

Long because the attacks are one table: what is missing from it should be seen at a glance.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from jose import jws

from wingman_core.capability import (
    Capability,
    Claims,
    Decider,
    audience_of,
    issuer_of,
    mint,
    require_public_key,
    verify,
)
from wingman_core.errors import CapabilityRefused, Code, SettingInvalid

VECTOR = json.loads((Path(__file__).parent.parent / "vectors" / "capability.json").read_text())
NOW = 1_750_000_000
HEADER = {"alg": "ES256", "typ": "wingman-cap+jwt", "kid": "k1"}
CLAIMS = Claims(
    iss=issuer_of("test"),
    aud=audience_of("test"),
    sub="deploy-bot",
    iat=NOW,
    nbf=NOW,
    exp=NOW + 60,
    jti="jti-0123456789abcdef",
    apr="apr_0123456789abcdefghijklmnop.0",
    env="test",
    op="a" * 64,
    tgt="b" * 64,
    dec="c" * 64,
    by=(Decider("Ada", NOW - 1, "cli"),),
    thumbprint="d" * 64,
)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the group of P-256 (FIPS 186-4, D.1.2.3)."""

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def private_pem(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key: PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


KEY = ec.derive_private_key(0x1234567890ABCDEF, ec.SECP256R1())
STRANGER = ec.derive_private_key(0xFEDCBA0987654321, ec.SECP256R1())
SHA256 = hashes.SHA256()
P384 = ec.derive_private_key(7, ec.SECP384R1())
K256 = ec.derive_private_key(7, ec.SECP256K1())
KEYS = {"k1": public_pem(KEY), "k2": public_pem(STRANGER)}
TOKEN = mint(CLAIMS, private_pem(KEY), "k1")
ELSE = mint(replace(CLAIMS, jti="another-0123456789abcdef"), private_pem(KEY), "k1")


def checked(token: str, **changes: Any) -> Capability:  # noqa: ANN401
    expected = {
        "keys": KEYS,
        "issuer": "wingman-api/test",
        "audience": "wingman-gateway/test",
        "environment": "test",
        "thumbprint": "d" * 64,
        "now": NOW + 1,
    }
    return verify(token, **{**expected, **changes})


def encoded(part: Mapping[str, Any] | bytes) -> str:
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def der_signature(signed: str, algorithm: hashes.HashAlgorithm, key: ec.EllipticCurvePrivateKey = KEY) -> bytes:
    return key.sign(signed.encode(), ec.ECDSA(algorithm))


def raw_signature(
    signed: str, key: ec.EllipticCurvePrivateKey = KEY, algorithm: hashes.HashAlgorithm = SHA256
) -> bytes:
    r, s = decode_dss_signature(der_signature(signed, algorithm, key))
    return r.to_bytes(32) + s.to_bytes(32)


def forged(header: Mapping[str, Any] | bytes = HEADER, payload: Mapping[str, Any] | bytes | None = None) -> str:
    """A token that is signed with the trusted key, whatever it says."""
    signed = f"{encoded(header)}.{encoded(CLAIMS.to_payload() if payload is None else payload)}"
    return f"{signed}.{encoded(raw_signature(signed))}"


def with_header(**changes: Any) -> str:  # noqa: ANN401
    return forged({**HEADER, **changes})


def with_payload(**changes: Any) -> str:  # noqa: ANN401
    return forged(payload={**CLAIMS.to_payload(), **changes})


def decider(name: str) -> dict[str, Any]:
    return {"name": name, "at": NOW, "via": "cli"}


def resigned(signature: bytes) -> str:
    return f"{SIGNED}.{encoded(signature)}"


def keyed_with_public_pem() -> str:
    signed = f"{encoded({**HEADER, 'alg': 'HS256'})}.{encoded(CLAIMS.to_payload())}"
    return f"{signed}.{encoded(hmac.digest(KEYS['k1'].encode(), signed.encode(), 'sha256'))}"


def refusal_of(token: str, **changes: Any) -> Code:  # noqa: ANN401
    with pytest.raises(CapabilityRefused) as refusal:
        checked(token, **changes)
    assert len(token) < 20 or token[:20] not in str(refusal.value)
    return refusal.value.code


SIGNED, _, SIGNATURE = TOKEN.rpartition(".")
HEAD, PAYLOAD = SIGNED.split(".")
RAW = base64.urlsafe_b64decode(SIGNATURE + "==")
TWICE = json.dumps(CLAIMS.to_payload())[:-1] + ', "env": "test"}'
CERTIFICATE_KEY = {"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}


def test_a_minted_token_verifies():
    capability = checked(TOKEN)
    assert capability.claims == CLAIMS
    assert capability.token_hash == hashlib.sha256(TOKEN.encode()).hexdigest()


def test_the_header_has_three_fields_and_no_more():
    assert json.loads(base64.urlsafe_b64decode(HEAD + "==")) == HEADER


def test_another_library_reads_it():
    assert json.loads(jws.verify(TOKEN, KEYS["k1"], ["ES256"])) == CLAIMS.to_payload()


def test_a_token_of_the_first_release_still_verifies():
    capability = checked(".".join(VECTOR["token"]), keys={"k1": VECTOR["public_key"]})
    assert capability.claims == CLAIMS
    assert capability.token_hash == VECTOR["token_hash"]


def test_a_second_key_rotates_in():
    assert checked(mint(CLAIMS, private_pem(STRANGER).encode(), "k2")).claims == CLAIMS


def test_a_forged_token_differs_from_a_minted_one_in_its_order_alone():
    assert checked(forged()).claims == CLAIMS


ATTACKS: dict[str, tuple[str, Code]] = {
    "nothing": ("", Code.TOKEN_MALFORMED),
    "no segments": ("token", Code.TOKEN_MALFORMED),
    "two segments": (SIGNED, Code.TOKEN_MALFORMED),
    "four segments": (TOKEN + ".", Code.TOKEN_MALFORMED),
    "five segments, as of an encrypted one": (TOKEN + "..", Code.TOKEN_MALFORMED),
    "too large": (TOKEN + "A" * 8192, Code.TOKEN_MALFORMED),
    "not ASCII": (TOKEN[:-1] + "é", Code.TOKEN_MALFORMED),
    "a newline at the end": (TOKEN + "\n", Code.TOKEN_MALFORMED),
    "a space in front": (" " + TOKEN, Code.TOKEN_MALFORMED),
    "Bearer in front": ("Bearer " + TOKEN, Code.TOKEN_MALFORMED),
    "padding": (TOKEN + "==", Code.TOKEN_MALFORMED),
    "spare bits": (TOKEN[:-1] + chr(ord(TOKEN[-1]) + 1), Code.TOKEN_MALFORMED),
    "the other base64 alphabet": (forged(payload=b'{"\xff\xff\xfe": 1}').replace("_", "/"), Code.TOKEN_MALFORMED),
    "a header that is no JSON": (forged(b"alg"), Code.TOKEN_MALFORMED),
    "a header that is an array": (forged(b"[]"), Code.TOKEN_MALFORMED),
    "a header with alg twice": (
        forged(b'{"alg":"none","alg":"ES256","typ":"wingman-cap+jwt","kid":"k1"}'),
        Code.TOKEN_MALFORMED,
    ),
    "alg none without a signature": (f"{encoded({**HEADER, 'alg': 'none'})}.{PAYLOAD}.", Code.TOKEN_ALGORITHM),
    "alg none with a signature": (with_header(alg="none"), Code.TOKEN_ALGORITHM),
    "alg NONE": (with_header(alg="NONE"), Code.TOKEN_ALGORITHM),
    "alg HS256, the public key as the secret": (keyed_with_public_pem(), Code.TOKEN_ALGORITHM),
    "alg ES384": (with_header(alg="ES384"), Code.TOKEN_ALGORITHM),
    "alg RS256": (with_header(alg="RS256"), Code.TOKEN_ALGORITHM),
    "alg es256": (with_header(alg="es256"), Code.TOKEN_ALGORITHM),
    "alg a list": (with_header(alg=["ES256"]), Code.TOKEN_ALGORITHM),
    "no alg": (forged({"typ": "wingman-cap+jwt", "kid": "k1"}), Code.TOKEN_ALGORITHM),
    "typ JWT": (with_header(typ="JWT"), Code.TOKEN_ALGORITHM),
    "typ in capitals": (with_header(typ="WINGMAN-CAP+JWT"), Code.TOKEN_ALGORITHM),
    "no typ": (forged({"alg": "ES256", "kid": "k1"}), Code.TOKEN_ALGORITHM),
    "no kid": (forged({"alg": "ES256", "typ": "wingman-cap+jwt"}), Code.TOKEN_MALFORMED),
    "crit": (with_header(crit=["exp"]), Code.TOKEN_MALFORMED),
    "b64": (with_header(b64=False), Code.TOKEN_MALFORMED),
    "its own key in jwk": (with_header(jwk=CERTIFICATE_KEY), Code.TOKEN_MALFORMED),
    "its own key in jku": (with_header(jku="https://example.com/keys"), Code.TOKEN_MALFORMED),
    "its own certificate in x5c": (with_header(x5c=["AA=="]), Code.TOKEN_MALFORMED),
    "its own certificate in x5u": (with_header(x5u="https://example.com/certificate"), Code.TOKEN_MALFORMED),
    "a thumbprint in x5t": (with_header(x5t="AA"), Code.TOKEN_MALFORMED),
    "compressed": (with_header(zip="DEF"), Code.TOKEN_MALFORMED),
    "an unknown field": (with_header(cty="JWT"), Code.TOKEN_MALFORMED),
    "an unknown key": (with_header(kid="k3"), Code.TOKEN_KEY_UNKNOWN),
    "a key by its path": (with_header(kid="../k1"), Code.TOKEN_KEY_UNKNOWN),
    "an empty key id": (with_header(kid=""), Code.TOKEN_KEY_UNKNOWN),
    "a number for a key id": (with_header(kid=1), Code.TOKEN_KEY_UNKNOWN),
    "a list for a key id": (with_header(kid=["k1"]), Code.TOKEN_KEY_UNKNOWN),
    "another trusted key's id": (with_header(kid="k2"), Code.TOKEN_SIGNATURE),
    "a stranger's signature": (resigned(raw_signature(SIGNED, STRANGER)), Code.TOKEN_SIGNATURE),
    "the signature of another token": (f"{SIGNED}.{ELSE.rpartition('.')[2]}", Code.TOKEN_SIGNATURE),
    "the payload of another token": (f"{HEAD}.{ELSE.split('.')[1]}.{SIGNATURE}", Code.TOKEN_SIGNATURE),
    "the same header, written otherwise": (f"{encoded(HEADER)}.{PAYLOAD}.{SIGNATURE}", Code.TOKEN_SIGNATURE),
    "no signature": (SIGNED + ".", Code.TOKEN_SIGNATURE),
    "a signature of zeros": (resigned(bytes(64)), Code.TOKEN_SIGNATURE),
    "a signature past the group's order": (resigned(RAW[:32] + ORDER.to_bytes(32)), Code.TOKEN_SIGNATURE),
    "a signature of 63 bytes": (resigned(RAW[:-1]), Code.TOKEN_SIGNATURE),
    "a signature of 65 bytes": (resigned(RAW + b"\0"), Code.TOKEN_SIGNATURE),
    "a signature with its halves swapped": (resigned(RAW[32:] + RAW[:32]), Code.TOKEN_SIGNATURE),
    "a signature in DER": (resigned(der_signature(SIGNED, SHA256)), Code.TOKEN_SIGNATURE),
    "a signature over another hash": (resigned(raw_signature(SIGNED, KEY, hashes.SHA384())), Code.TOKEN_SIGNATURE),
    "a payload that is no JSON": (forged(payload=b"claims"), Code.TOKEN_MALFORMED),
    "a payload that is an array": (forged(payload=b"[]"), Code.TOKEN_MALFORMED),
    "a claim twice": (forged(payload=TWICE.encode()), Code.TOKEN_MALFORMED),
    "a name twice, deep inside": (
        forged(payload=json.dumps(CLAIMS.to_payload()).replace('"via"', '"via": "cli", "via"').encode()),
        Code.TOKEN_MALFORMED,
    ),
    "NaN": (with_payload(exp=float("nan")), Code.TOKEN_MALFORMED),
    "Infinity": (with_payload(exp=float("inf")), Code.TOKEN_MALFORMED),
    "a fraction of a second": (with_payload(exp=NOW + 60.5), Code.TOKEN_MALFORMED),
    "nested deeper than the stack": (forged(payload=b"[" * 5_000), Code.TOKEN_MALFORMED),
    "no claims": (forged(payload={}), Code.TOKEN_CLAIMS),
    "an unknown claim": (with_payload(role="operator"), Code.TOKEN_CLAIMS),
    "no end": (with_payload(exp=None), Code.TOKEN_CLAIMS),
    "a life of 301 seconds": (with_payload(exp=NOW + 301), Code.TOKEN_CLAIMS),
    "a life that ends before it begins": (with_payload(exp=NOW - 1), Code.TOKEN_CLAIMS),
    "several audiences": (with_payload(aud=["wingman-gateway/test", "else"]), Code.TOKEN_CLAIMS),
    "a person twice": (with_payload(by=[decider("Ada"), decider("ADA ")]), Code.TOKEN_CLAIMS),
    "the worker among the deciders": (with_payload(by=[decider("Deploy-Bot")]), Code.TOKEN_CLAIMS),
    "another issuer": (with_payload(iss="wingman-api/prd"), Code.TOKEN_ISSUER),
    "another audience": (with_payload(aud="wingman-gateway/prd"), Code.TOKEN_AUDIENCE),
    "another environment": (with_payload(env="prd"), Code.TOKEN_ENVIRONMENT),
    "another client": (with_payload(cnf={"x5t#S256": "7e7" * 14 + "4"}), Code.TOKEN_CLIENT),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_with_its_own_code(name: str):
    token, code = ATTACKS[name]
    assert refusal_of(token) is code


def test_the_size_is_limited_to_the_byte():
    for size, code in ((8192, None), (8193, Code.TOKEN_MALFORMED)):
        # 86 characters of signature, two dots, and padding in the header that makes the rest come out even.
        header = json.dumps(HEADER).encode() + b" " * 2
        payload = json.dumps(CLAIMS.to_payload()).encode()
        rest = size - 88 - len(encoded(header))
        header += b" " * (rest % 4 == 1)
        rest = size - 88 - len(encoded(header))
        token = forged(header, payload.ljust(rest * 3 // 4))
        assert len(token) == size
        if code is None:
            assert checked(token).claims == CLAIMS
        else:
            assert refusal_of(token) is code


def test_nothing_is_minted_that_is_too_large():
    crowd = tuple(Decider(f"{number}" + "\u4e00" * 190, NOW, "cli") for number in range(16))
    with pytest.raises(CapabilityRefused, match="larger than 8192 bytes"):
        mint(replace(CLAIMS, by=crowd), private_pem(KEY), "k1")


def test_everybody_else_is_refused_with_a_good_token():
    assert refusal_of(TOKEN, issuer="wingman-api/prd") is Code.TOKEN_ISSUER
    assert refusal_of(TOKEN, audience="wingman-gateway/prd") is Code.TOKEN_AUDIENCE
    assert refusal_of(TOKEN, environment="prd") is Code.TOKEN_ENVIRONMENT
    assert refusal_of(TOKEN, thumbprint="e" * 64) is Code.TOKEN_CLIENT
    assert refusal_of(TOKEN, thumbprint="") is Code.TOKEN_CLIENT
    assert refusal_of(TOKEN, keys={}) is Code.TOKEN_KEY_UNKNOWN
    assert refusal_of(TOKEN, keys={"k1": KEYS["k2"]}) is Code.TOKEN_SIGNATURE


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (NOW - 6, Code.TOKEN_EARLY),
        (NOW - 5, None),
        (NOW, None),
        (NOW + 64, None),
        (NOW + 65, Code.TOKEN_EXPIRED),
        (NOW + 10**6, Code.TOKEN_EXPIRED),
        (0, Code.TOKEN_EARLY),
    ],
)
def test_time_has_five_seconds_of_skew_at_both_ends(now: int, code: Code | None):
    if code is None:
        assert checked(TOKEN, now=now).claims == CLAIMS
    else:
        assert refusal_of(TOKEN, now=now) is code


def test_a_token_that_starts_later_than_it_was_issued_is_early_until_then():
    token = mint(replace(CLAIMS, nbf=NOW + 30), private_pem(KEY), "k1")
    assert refusal_of(token, now=NOW + 24) is Code.TOKEN_EARLY
    assert checked(token, now=NOW + 25).claims.nbf == NOW + 30


def test_the_turned_signature_is_another_text_of_the_same_token():
    turned = RAW[:32] + (ORDER - int.from_bytes(RAW[32:])).to_bytes(32)
    capability = checked(resigned(turned))
    assert capability.claims.jti == CLAIMS.jti
    assert capability.token_hash != checked(TOKEN).token_hash


@given(st.integers(0, len(TOKEN) - 1), st.integers(1, 255))
def test_no_flipped_byte_verifies(position: int, change: int):
    flipped = TOKEN[:position] + chr(ord(TOKEN[position]) ^ change) + TOKEN[position + 1 :]
    assert refusal_of(flipped) in {
        Code.TOKEN_MALFORMED,
        Code.TOKEN_ALGORITHM,
        Code.TOKEN_KEY_UNKNOWN,
        Code.TOKEN_SIGNATURE,
    }


def test_no_removed_and_no_doubled_byte_verifies():
    for position in range(len(TOKEN)):
        refusal_of(TOKEN[:position] + TOKEN[position + 1 :])
        refusal_of(TOKEN[:position] + TOKEN[position] + TOKEN[position:])


@given(st.data())
def test_no_splice_of_two_tokens_verifies(data: st.DataObject):
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(TOKEN))] * 2)))
    spliced = TOKEN[:start] + ELSE[start:end] + TOKEN[end:]
    if spliced not in {TOKEN, ELSE}:
        refusal_of(spliced)


@given(st.dictionaries(st.sampled_from(sorted(HEADER)), st.text() | st.none() | st.booleans() | st.integers()))
def test_no_other_header_verifies(change: dict[str, Any]):
    if any(HEADER[name] != value for name, value in change.items()):
        refusal_of(with_header(**change))


@given(st.text(max_size=300) | st.text("AQg.-_=", max_size=300))
def test_no_other_text_raises_anything_but_a_refusal(text: str):
    with pytest.raises(CapabilityRefused):
        checked(text)


def test_nothing_but_verify_makes_a_capability():
    with pytest.raises(TypeError, match="verify alone"):
        Capability(CLAIMS, "0" * 64, object())
    with pytest.raises(ValueError, match="seal"):
        replace(checked(TOKEN), token_hash="0" * 64)
    with pytest.raises(AttributeError):
        checked(TOKEN).token_hash = "0" * 64  # type: ignore[misc]


@pytest.mark.parametrize("kid", ["", "a b", "../k1", "k1\n", "é", "k" * 65])
def test_an_unfit_key_id_mints_nothing(kid: str):
    with pytest.raises(SettingInvalid, match="id"):
        mint(CLAIMS, private_pem(KEY), kid)


BAD_PRIVATE: dict[str, bytes | str] = {
    "nothing": "",
    "text": "key",
    "a public key": public_pem(KEY),
    "an encrypted key": KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
    "P-384": private_pem(P384),
    "secp256k1": private_pem(K256),
    "Ed25519": private_pem(ed25519.Ed25519PrivateKey.generate()),
    "a key cut short": private_pem(KEY)[:-60],
}
BAD_PUBLIC = {
    "nothing": "",
    "text": "key",
    "a private key": private_pem(KEY),
    "P-384": public_pem(P384),
    "secp256k1": public_pem(K256),
    "RSA": public_pem(rsa.generate_private_key(65537, 2048)),
    "a key cut short": public_pem(KEY)[:-60],
}


@pytest.mark.parametrize("name", BAD_PRIVATE)
def test_an_unfit_private_key_mints_nothing(name: str):
    with pytest.raises(SettingInvalid, match="P-256 private key"):
        mint(CLAIMS, BAD_PRIVATE[name], "k1")


@pytest.mark.parametrize("name", BAD_PUBLIC)
def test_an_unfit_public_key_verifies_nothing(name: str):
    with pytest.raises(SettingInvalid, match="P-256 public key"):
        checked(TOKEN, keys={"k1": BAD_PUBLIC[name]})
    with pytest.raises(SettingInvalid, match="P-256 public key"):
        require_public_key(BAD_PUBLIC[name])


def test_a_fit_public_key_is_returned():
    assert require_public_key(KEYS["k1"]) == KEYS["k1"]
