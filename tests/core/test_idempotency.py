"""The Idempotency-Key header: one form for each key, and nothing that could be two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wingman_core.errors import Code, WingmanError
from wingman_core.idempotency import LONGEST, key_of


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ("1", "1"),
        ("!#$%&'()*+-./:;<=>?@[]^_`{|}~", "!#$%&'()*+-./:;<=>?@[]^_`{|}~"),
        ('"a b, c"', "a b, c"),
        (r'"say \"hi\" \\ there"', r'say "hi" \ there'),
        ("a" * LONGEST, "a" * LONGEST),
        ('"' + "a" * LONGEST + '"', "a" * LONGEST),
        ('"' + r"\\" * LONGEST + '"', "\\" * LONGEST),
    ],
)
def test_a_key_may_come_quoted_or_bare(value: str, key: str):
    assert key_of([value]) == key


@pytest.mark.parametrize(
    "values",
    [
        [],
        [""],
        ['""'],
        ['"'],
        ['"a'],
        ['a"'],
        ["a b"],
        ["a,b"],
        ['"a", "b"'],
        ['"a";p=1'],
        [r'"a\b"'],
        [r"a\b"],
        ["a" * (LONGEST + 1)],
        ['"' + "a" * (LONGEST + 1) + '"'],
        ["ключ"],
        ["caf\xe9"],
        ["a\n"],
        ["a\x00"],
        ["a\x7f"],
        ["\u0661"],
        ["a", "a"],
        ["a", "b"],
    ],
)
def test_anything_else_is_refused_and_not_echoed(values: list[str]):
    with pytest.raises(WingmanError) as refused:
        key_of(values)
    assert refused.value.code is Code.REQUEST_INVALID
    assert "\n" not in str(refused.value)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=LONGEST))
def test_every_printable_text_is_a_key_when_quoted(text: str):
    quoted = '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'
    assert key_of([quoted]) == text
