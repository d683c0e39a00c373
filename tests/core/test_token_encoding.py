"""One encoding for each token: base64url and JSON that leave no choice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wingman_core.errors import CapabilityRefused, Code
from wingman_core.token_encoding import decode_base64url, decode_object, encode_base64url


@given(st.binary(max_size=70))
def test_every_value_has_one_text(data: bytes):
    text = encode_base64url(data)
    assert decode_base64url(text) == data
    assert "=" not in text


@given(st.text("AZaz09-_+/= \n\u0101", max_size=12))
def test_every_text_is_refused_or_the_only_one_of_its_value(text: str):
    try:
        data: bytes | None = decode_base64url(text)
    except CapabilityRefused:
        data = None
    assert data is None or encode_base64url(data) == text


@pytest.mark.parametrize("text", ["A", "AB", "AAB", "QQ==", "QQ=", "QQ\n", " QQ", "+/+/", "é", "QQ.QQ", "A" * 5])
def test_other_encodings_are_refused(text: str):
    with pytest.raises(CapabilityRefused, match="base64url"):
        decode_base64url(text)


def test_two_halves_of_a_character_are_one():
    assert decode_object(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}


def test_json_of_the_known_types_is_read():
    assert decode_object(b' {"a": [1, "\\u00e9", true, null, {"b": -2}]}') == {"a": [1, "é", True, None, {"b": -2}]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"1",
        b'{"a":1}{}',
        b'{"a":1,"a":1}',
        b'{"a":[{"b":1,"b":2}]}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1,}',
        b"{'a':1}",
        b'{"a":01}',
        b'{"a":"\xff"}',
        b'{"a":"\n"}',
        b'{"a":"\\ud800"}',
        b'{"a":[{"b":"x\\udfffy"}]}',
        b'{"\\udc00":1}',
        b'{"a":"\\ude00\\ud83d"}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda data: ascii(data)[:30],
)
def test_json_that_is_not_strict_is_refused(data: bytes):
    with pytest.raises(CapabilityRefused) as refusal:
        decode_object(data)
    assert refusal.value.code is Code.TOKEN_MALFORMED
