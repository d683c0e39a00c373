"""Every claim's type, form and range; and that what is minted is exactly what is read."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wingman_core.approval import person_key
from wingman_core.characters import visible
from wingman_core.claims import CLAIM_FIELDS, LAST_SECOND, MAX_DECIDERS, MAX_TEXT, Claims, Decider, claims_of
from wingman_core.errors import CapabilityRefused, Code

CLAIMS = Claims(
    iss="wingman-api/test",
    aud="wingman-gateway/test",
    sub="deploy-bot",
    iat=1_750_000_000,
    nbf=1_750_000_000,
    exp=1_750_000_060,
    jti="j" * 26,
    apr="apr_" + "a" * 26 + ".0",
    env="test",
    op="0" * 64,
    tgt="1" * 64,
    dec="2" * 64,
    by=(Decider("Ada", 1_749_999_999, "cli"), Decider("Grace Hopper", 1_749_999_998, "telegram")),
    thumbprint="3" * 64,
)
WORDS = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20).filter(visible)


def test_the_payload_is_what_other_libraries_expect():
    assert CLAIMS.to_payload() == {
        "iss": "wingman-api/test",
        "aud": "wingman-gateway/test",
        "sub": "deploy-bot",
        "iat": 1_750_000_000,
        "nbf": 1_750_000_000,
        "exp": 1_750_000_060,
        "jti": "j" * 26,
        "apr": "apr_aaaaaaaaaaaaaaaaaaaaaaaaaa.0",
        "env": "test",
        "op": "0" * 64,
        "tgt": "1" * 64,
        "dec": "2" * 64,
        "by": [
            {"name": "Ada", "at": 1_749_999_999, "via": "cli"},
            {"name": "Grace Hopper", "at": 1_749_999_998, "via": "telegram"},
        ],
        "cnf": {"x5t#S256": "MzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzM"},
    }
    assert claims_of(CLAIMS.to_payload()) == CLAIMS


@given(
    worker=WORDS,
    names=st.lists(WORDS, max_size=MAX_DECIDERS, unique_by=person_key),
    start=st.integers(1, LAST_SECOND - 300),
    lifetime=st.integers(1, 300),
    number=st.integers(0, 999),
)
def test_what_is_written_is_read_again(worker: str, names: list[str], start: int, lifetime: int, number: int):
    others = tuple(Decider(name, start, "api") for name in names if person_key(name) != person_key(worker))
    claims = replace(
        CLAIMS,
        sub=worker,
        iat=start,
        nbf=start,
        exp=start + lifetime,
        by=others,
        apr=f"apr_{'z' * 26}.{number}",
    )
    assert claims_of(claims.to_payload()) == claims


@pytest.mark.parametrize("name", sorted(CLAIM_FIELDS))
def test_no_claim_may_be_missing_or_null(name: str):
    payload = CLAIMS.to_payload()
    with pytest.raises(CapabilityRefused) as refusal:
        claims_of({**payload, name: None})
    assert refusal.value.details == {"claim": name}
    del payload[name]
    with pytest.raises(CapabilityRefused, match="not exactly the required ones"):
        claims_of(payload)


def test_no_claim_may_be_unknown():
    with pytest.raises(CapabilityRefused, match="not exactly the required ones"):
        claims_of({**CLAIMS.to_payload(), "admin": True})


DECIDER = {"name": "Ada", "at": 1, "via": "api"}
BAD_CLAIMS: list[tuple[str, Any]] = [
    *(
        (name, value)
        for name in ("iss", "aud", "sub")
        for value in ("", " ", "\u3164", 1, ["a"], "a\nb", "a\u202eb", "\ud800")
    ),
    *((name, "x" * (MAX_TEXT + 1)) for name in ("iss", "aud", "sub")),
    *((name, value) for name in ("iat", "nbf", "exp") for value in ("1", True, 0, -1, LAST_SECOND + 1, [1])),
    *(("jti", value) for value in ("", "j" * 15, "j" * 65, "j" * 20 + "\n", "j" * 20 + "é", 7)),
    *(("apr", f"apr_{'a' * 26}{tail}") for tail in ("", ".", ".-1", ".01", ".1000", ".0\n", ".0.0", ".\u0661")),
    *(("apr", value) for value in ("apr_" + "a" * 25 + ".0", "apr_" + "A" * 26 + ".0", "exe_" + "a" * 26 + ".0", 0)),
    *(("env", value) for value in ("", "TEST", "dev", "test\n", "prd ", 1)),
    *((name, value) for name in ("op", "tgt", "dec") for value in ("", "0" * 63, "0" * 65, "A" * 64, "0" * 64 + "\n")),
    *(("cnf", value) for value in ("x", [], {}, {"jkt": "x"}, {"x5t#S256": 1}, {"x5t#S256": "MzM", "jkt": "x"})),
    *(("cnf", {"x5t#S256": value}) for value in ("", "MzM", "Mz" * 22)),
    *(("by", value) for value in ("Ada", {}, [1], ["Ada"], [{}], [{"name": "Ada", "at": 1}])),
    *(
        ("by", [{**DECIDER, **change}])
        for change in ({"role": "x"}, {"name": ""}, {"name": " \u2800\ufe0f"}, {"at": "1"}, {"at": True})
    ),
    *(("by", [{**DECIDER, "via": value}]) for value in ("", "API", "a b", "x" * 33, 1)),
    ("by", [DECIDER, DECIDER]),
    ("by", [DECIDER, {**DECIDER, "name": "\N{FULLWIDTH LATIN CAPITAL LETTER A}DA"}]),
    ("by", [{**DECIDER, "name": "Deploy-Bot"}]),
    ("by", [{**DECIDER, "name": f"Person {number}"} for number in range(MAX_DECIDERS + 1)]),
]


@pytest.mark.parametrize(("name", "value"), BAD_CLAIMS, ids=lambda value: ascii(value)[:40])
def test_a_claim_of_another_type_form_or_range_is_refused(name: str, value: Any):  # noqa: ANN401
    with pytest.raises(CapabilityRefused) as refusal:
        claims_of({**CLAIMS.to_payload(), name: value})
    assert refusal.value.code is Code.TOKEN_CLAIMS
    assert refusal.value.details == {"claim": name}


def test_a_thumbprint_that_is_not_base64url_is_malformed():
    with pytest.raises(CapabilityRefused) as refusal:
        claims_of({**CLAIMS.to_payload(), "cnf": {"x5t#S256": "M" * 43 + "="}})
    assert refusal.value.code is Code.TOKEN_MALFORMED


@pytest.mark.parametrize(
    ("iat", "nbf", "exp"),
    [(100, 99, 160), (100, 160, 160), (100, 161, 160), (100, 100, 100), (100, 100, 401), (100, 100, 99)],
)
def test_times_that_do_not_follow_each_other_are_refused(iat: int, nbf: int, exp: int):
    with pytest.raises(CapabilityRefused, match="iat <= nbf < exp"):
        replace(CLAIMS, iat=iat, nbf=nbf, exp=exp)


@pytest.mark.parametrize(("iat", "nbf", "exp"), [(100, 100, 101), (100, 100, 400), (100, 399, 400)])
def test_times_at_the_limits_are_fine(iat: int, nbf: int, exp: int):
    assert replace(CLAIMS, iat=iat, nbf=nbf, exp=exp).exp == exp


def test_text_and_times_at_the_limits_are_fine():
    last = replace(CLAIMS, sub="x" * MAX_TEXT, iat=LAST_SECOND - 1, nbf=LAST_SECOND - 1, exp=LAST_SECOND)
    assert claims_of(last.to_payload()) == last
    first = replace(CLAIMS, iat=1, nbf=1, exp=2, by=(Decider("x" * MAX_TEXT, 1, "y" * 32),))
    assert claims_of(first.to_payload()) == first


def test_an_automatic_operation_has_no_deciders():
    assert claims_of(replace(CLAIMS, by=()).to_payload()).by == ()
