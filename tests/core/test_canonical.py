"""Canonical bytes, digests and times."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from wingman_core.canonical import canonical_bytes, digest, rfc3339
from wingman_core.errors import CanonicalError, Code

RFC_8785_EXAMPLE = {
    "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
    "literals": [None, True, False],
}


def test_the_example_of_rfc_8785():
    assert canonical_bytes(RFC_8785_EXAMPLE) == (
        b'{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        b'"string":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_names_are_sorted_by_utf16_units():
    assert canonical_bytes({"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\xf6": 7}) == (
        '{"\\r":2,"1":4,"\x80":6,"\xf6":7,"\u20ac":1,"\U0001f600":5,"\ufb33":3}'.encode()
    )


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 1 << 53, {1: 2}, {"a": b"x"}, "\ud800", {"\ud800": 1}, {1, 2}], ids=ascii
)
def test_what_has_no_canonical_form_is_refused(value: Any):  # noqa: ANN401
    with pytest.raises(CanonicalError) as refusal:
        canonical_bytes(value)
    assert refusal.value.code is Code.CANONICAL_INVALID


NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(SCALARS | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)


@given(VALUES)
def test_every_value_has_the_bytes_that_the_reference_gives_it(value: Any):  # noqa: ANN401
    assert canonical_bytes(value) == rfc8785.dumps(value)


def test_a_digest_is_of_its_domain():
    expected = hashlib.sha256(b'wingman/test/v1\0{"a":1}').hexdigest()
    assert digest("wingman/test/v1", {"a": 1}) == expected
    assert digest("wingman/test/v2", {"a": 1}) != expected


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2025, 6, 1, 12, tzinfo=UTC), "2025-06-01T12:00:00.000000Z"),
        (datetime(2025, 6, 1, 12, 0, 0, 1, UTC), "2025-06-01T12:00:00.000001Z"),
        (datetime(2025, 6, 1, 1, tzinfo=timezone(timedelta(hours=2))), "2025-05-31T23:00:00.000000Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000000Z"),
        (datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC), "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_a_time_is_utc_with_microseconds(moment: datetime, text: str):
    assert rfc3339(moment) == text


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(CanonicalError, match="zone"):
        rfc3339(datetime(2025, 6, 1))  # noqa: DTZ001 - the point of it
