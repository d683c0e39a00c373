"""Text to tokens: POSIX quoting, and every character that may not stand where it stands."""

import re
import shlex
import subprocess
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wingman_core.command.lexer import (
    MAX_BYTES,
    MAX_TOKENS,
    SHELL_CHARACTERS,
    check_argv,
    quote,
    shown,
    tokenize,
)
from wingman_core.errors import Code, CommandRefused

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40)
SHELL_LIKE = st.text(st.sampled_from("ab '\"\\$`;&|*?~#! -=/"), max_size=30)

SPLITS = {
    "docker ps": ("docker", "ps"),
    "  docker   ps  ": ("docker", "ps"),
    "docker exec web echo 'a b'": ("docker", "exec", "web", "echo", "a b"),
    'docker exec web echo "a b"': ("docker", "exec", "web", "echo", "a b"),
    "a\\ b": ("a b",),
    "a\\;b": ("a;b",),
    "'a'b\"c\"": ("abc",),
    "''": ("",),
    "a '' b": ("a", "", "b"),
    '""': ("",),
    "'a\"b'": ('a"b',),
    '"a\'b"': ("a'b",),
    '"a\\"b"': ('a"b',),
    '"a\\$b"': ("a$b",),
    '"a\\`b"': ("a`b",),
    '"a\\\\b"': ("a\\b",),
    '"a\\nb"': ("a\\nb",),
    "'$HOME `id` $(id) ; | & * ? ~ # !'": ("$HOME `id` $(id) ; | & * ? ~ # !",),
    '"; | & * ? ~ # !"': ("; | & * ? ~ # !",),
    "'it'\\''s'": ("it's",),
    "a=b,c:d@e%f+g-h_i.j/k": ("a=b,c:d@e%f+g-h_i.j/k",),
    "'héllo wörld'": ("héllo wörld",),
    "日本": ("日本",),
    "'m² ½ №5 ≠ ñ Ω'": ("m² ½ №5 ≠ ñ Ω",),
}


def shell_words(text: str) -> tuple[str, ...]:
    """Return the words a real shell makes of an accepted text."""
    done = subprocess.run(["/bin/sh", "-c", f"printf '%s\\0' {text}"], capture_output=True, check=True)
    return tuple(done.stdout.decode().split("\0")[:-1])


@pytest.mark.parametrize("text", SPLITS)
def test_a_text_splits_as_a_posix_shell_splits_it(text: str):
    assert tokenize(text) == SPLITS[text]
    assert shell_words(text) == SPLITS[text]


@pytest.mark.parametrize("character", sorted(SHELL_CHARACTERS))
@pytest.mark.parametrize("place", ["{}", "docker ps {} x", "docker ps{}", "docker {}ps", "a'b'{}'c'"])
def test_operators_and_expansions_stand_in_quotes_only(character: str, place: str):
    text = place.replace("{}", character)
    with pytest.raises(CommandRefused) as refusal:
        tokenize(text)
    assert refusal.value.code is Code.COMMAND_CHARACTER
    assert refusal.value.details == {
        "position": str(text.index(character)),
        "character": f"U+{ord(character):04X}",
    }
    assert "single quotes" in refusal.value.hint
    assert tokenize(f"'{character}'") == (character,)
    assert tokenize(f"\\{character}") == (character,)


@pytest.mark.parametrize("character", ["$", "`"])
def test_double_quotes_do_not_hide_an_expansion(character: str):
    with pytest.raises(CommandRefused) as refusal:
        tokenize(f'echo "a{character}b"')
    assert refusal.value.code is Code.COMMAND_CHARACTER
    assert refusal.value.details["position"] == "7"


INVISIBLE = {
    "NUL": "\0",
    "TAB": "\t",
    "LF": "\n",
    "CR": "\r",
    "ESC": "\x1b",
    "DEL": "\x7f",
    "NEL": "\x85",
    "no-break space": "\u00a0",
    "soft hyphen": "\u00ad",
    "combining grapheme joiner": "\u034f",
    "hangul filler": "\u3164",
    "hangul jamo filler": "\u115f",
    "half-width hangul filler": "\uffa0",
    "mongolian variation selector": "\u180b",
    "ogham space": "\u1680",
    "zero width space": "\u200b",
    "zero width joiner": "\u200d",
    "right-to-left mark": "\u200f",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "right-to-left override": "\u202e",
    "right-to-left isolate": "\u2067",
    "word joiner": "\u2060",
    "invisible times": "\u2062",
    "braille blank": "\u2800",
    "null notehead": "\U0001d159",
    "khitan filler": "\U00016fe4",
    "ideographic space": "\u3000",
    "variation selector": "\ufe0f",
    "byte order mark": "\ufeff",
    "interlinear annotation": "\ufff9",
    "unassigned": "\u0378",
    "private use": "\ue000",
    "surrogate": "\ud800",
    "tag letter": "\U000e0041",
    "variation selector 17": "\U000e0100",
    "en dash": "\u2013",
    "em dash": "\u2014",
    "non-breaking hyphen": "\u2011",
    "minus": "\u2212",
    "hyphen bullet": "\u2043",
    "full-width hyphen": "\uff0d",
    "left single quote": "\u2018",
    "right single quote": "\u2019",
    "left double quote": "\u201c",
    "low quote": "\u201a",
    "guillemet": "\u00ab",
    "prime": "\u2032",
    "modifier apostrophe": "\u02bc",
    "acute accent": "\u00b4",
    "full-width apostrophe": "\uff07",
    "full-width letter": "\uff44",
    "full-width semicolon": "\uff1b",
    "fraction slash": "\u2044",
    "division slash": "\u2215",
    "ratio": "\u2236",
    "one dot leader": "\u2024",
    "ellipsis": "\u2026",
    "divides": "\u2223",
    "arabic full stop as a dash": "\u06d4",
    "coptic dash": "\u2cba",
    "box drawing as a dash": "\u2500",
    "heavy box drawing as a dash": "\u2501",
    "katakana length as a dash": "\u30fc",
    "canadian syllabics stroke as a dash": "\u1428",
    "greek varia as a backtick": "\u1fef",
    "greek oxia as a quote": "\u1ffd",
    "greek koronis as a quote": "\u1fbd",
    "greek psili as a quote": "\u1fbf",
    "nko apostrophe": "\u07f4",
    "saltillo as a quote": "\ua78c",
    "ditto mark as a quote": "\u3003",
    "philippine punctuation as a slash": "\u1735",
    "coptic letter as a slash": "\u2cc6",
    "rising diagonal as a slash": "\u27cb",
    "two dots as a colon": "\u205a",
    "lisu tone as a colon": "\ua4fd",
    "modifier colon": "\u02f8",
    "greek question mark as a semicolon": "\u037e",
    "small semicolon": "\ufe54",
    "superscript plus": "\u207a",
    "account of, with a slash": "\u2100",
    "digit in parentheses": "\u2474",
}


@pytest.mark.parametrize("name", INVISIBLE)
@pytest.mark.parametrize("place", ["docker ps{}", "docker exec web echo 'a{}b'", 'docker exec web echo "{}"', "\\{}"])
def test_what_cannot_be_seen_or_imitates_is_refused_anywhere(name: str, place: str):
    text = place.format(INVISIBLE[name])
    with pytest.raises(CommandRefused) as refusal:
        tokenize(text)
    assert refusal.value.code is Code.COMMAND_CHARACTER
    assert refusal.value.details["position"] == str(text.index(INVISIBLE[name]))
    assert refusal.value.details["character"] == f"U+{ord(INVISIBLE[name]):04X}"
    assert str(refusal.value).isascii()
    assert str(refusal.value).isprintable()


def test_no_default_ignorable_or_spacing_character_passes():
    """Everything without ink in the Basic Multilingual Plane, by category, save the space that is read."""
    for point in range(0x10000):
        character = chr(point)
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs", "Pd", "Pi", "Pf"}:
            if character in " -":
                continue
            with pytest.raises(CommandRefused):
                tokenize(f"'{character}'")


@pytest.mark.parametrize(
    ("text", "position"),
    [("'abc", 0), ("a 'b", 2), ('"abc', 0), ('a "b\\"', 2), ("a\\", 1), ("'", 0), ('"', 0), ("\\", 0), ("a''b'", 4)],
)
def test_quotes_balance(text: str, position: int):
    with pytest.raises(CommandRefused) as refusal:
        tokenize(text)
    assert refusal.value.code is Code.COMMAND_QUOTING
    assert refusal.value.details["position"] == str(position)


@pytest.mark.parametrize("text", ["", " ", "    "])
def test_nothing_is_no_command(text: str):
    with pytest.raises(CommandRefused) as refusal:
        tokenize(text)
    assert refusal.value.code is Code.COMMAND_EMPTY


@pytest.mark.parametrize(
    "text", ["a" * (MAX_BYTES + 1), "'" + "é" * (MAX_BYTES // 2) + "'", "a " * (MAX_TOKENS + 1), "\0" * 10**6]
)
def test_limits(text: str):
    with pytest.raises(CommandRefused) as refusal:
        tokenize(text)
    assert refusal.value.code is Code.COMMAND_TOO_LONG


def test_limits_are_included():
    assert len(tokenize("a" * MAX_BYTES)[0]) == MAX_BYTES
    assert len(tokenize("a " * MAX_TOKENS)) == MAX_TOKENS


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        ([], Code.COMMAND_EMPTY),
        (["a" * MAX_BYTES], Code.COMMAND_TOO_LONG),
        (["é" * (MAX_BYTES // 2)], Code.COMMAND_TOO_LONG),
        (["a"] * (MAX_TOKENS + 1), Code.COMMAND_TOO_LONG),
        (["docker", "ps\n"], Code.COMMAND_CHARACTER),
        (["docker", "\ud800"], Code.COMMAND_CHARACTER),
    ],
)
def test_an_argument_vector_is_held_to_the_same(argv: list[str], code: Code):
    with pytest.raises(CommandRefused) as refusal:
        check_argv(argv)
    assert refusal.value.code is code


def test_an_argument_vector_needs_no_quotes():
    assert check_argv(["docker", "exec", "web", "echo", "$HOME; id"]) == ("docker", "exec", "web", "echo", "$HOME; id")


def test_messages_show_a_workers_text_short_and_plain():
    assert shown("a\u202eb") == "'a\\u202eb'"
    assert len(shown("x" * 5000)) < 80


LOGIN = "user:hunter2"


def test_messages_show_no_secret_that_is_cut_short_either():
    assert shown(f"https://{LOGIN}@registry/image") == "'https://user:[redacted]@registry/image'"
    assert "hunter2" not in shown(f"https://{LOGIN}{'x' * 500}@registry/image")


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_quoting_is_read_back(token: str):
    try:
        check_argv([token])
    except CommandRefused:
        return
    assert tokenize(quote(token)) == (token,)
    assert shlex.split(quote(token)) == [token]


@given(PRINTABLE | SHELL_LIKE)
def test_what_is_accepted_holds_no_operator_outside_quotes(text: str):
    try:
        tokenize(text)
    except CommandRefused:
        return
    bare = re.sub(r"\\.|'[^']*'|\"(?:\\.|[^\"\\])*\"", "", text)
    assert not set(bare) & SHELL_CHARACTERS


@settings(max_examples=60)
@given(SHELL_LIKE)
def test_what_is_accepted_means_the_same_to_a_real_shell(text: str):
    try:
        tokens = tokenize(text)
    except CommandRefused:
        return
    assert shell_words(text) == tokens
