"""What can be seen of a text, whatever Python calls printable."""

import unicodedata

import pytest

from wingman_core.characters import INVISIBLE, visible


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("", ""),
        ("Ada", "Ada"),
        (" A d\ta\n", "Ada"),
        ("A\u200bd\u00ada\ufeff", "Ada"),
        ("A\u034f\u115f\u1160\u17b4\u180b\u2800\u3164\ufe0f\uffa0\U000e0100\U00016fe4\U0001d159da", "Ada"),
        ("\u3164", ""),
        ("\u00c4\u0301\u4e16", "\u00c4\u0301\u4e16"),
    ],
)
def test_what_leaves_no_ink_is_left_out(text: str, seen: str):
    assert visible(text) == seen


def test_the_invisible_are_those_that_python_prints():
    assert all(character.isprintable() and not character.isspace() for character in INVISIBLE)
    assert {unicodedata.category(character) for character in INVISIBLE} <= {"Lo", "Mn", "So"}
