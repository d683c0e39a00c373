"""How a text is folded and cut before commands are looked for in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wingman_core.instruction.commands import Script, flags_of, subcommand
from wingman_core.instruction.needles import Needles, lower_case

ODD = "aA1 \t\n\r\v\\-\u200b\N{EM DASH}\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}\N{FULLWIDTH LATIN CAPITAL LETTER A}"


def cut(text: str) -> list[tuple[str, list[str]]]:
    script = Script(text)
    return [(segment.before, [word.text for word in segment.words]) for segment in script.segments(script.bounds(0))]


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", [("", [])]),
        ("docker rm -f web", [("", ["docker", "rm", "-f", "web"])]),
        ("a 'b c' \"d\" [e, {f}]", [("", ["a", "b", "c", "d", "e", "f"])]),
        ("a | b && c; d > e", [("", ["a"]), ("|", ["b"]), ("&&", ["c"]), (";", ["d"]), (">", ["e"])]),
        ("x `a b` y", [("", ["x"]), ("`", ["a", "b"]), ("`", ["y"])]),
        ("x $(a $b) $c", [("", ["x"]), ("$(", ["a", "$b"]), (")", ["$c"])]),
        ("a, b. c: d! .", [("", ["a", "b", "c", "d", "."])]),
        ("a \\\n  b", [("", ["a", "b"])]),
    ],
)
def test_words_and_operators(text: str, segments: list[tuple[str, list[str]]]):
    assert cut(text) == segments


def test_a_name_is_without_directory_backslash_and_case():
    script = Script("/usr/bin/Docker \\rm ./x")
    assert [word.name for word in script.segments((0, len(script.text)))[0].words] == ["docker", "rm", "x"]


def test_arguments_end_with_a_sentence_an_english_word_or_a_given_name():
    def arguments(text: str) -> list[str]:
        script = Script(text)
        (segment,) = script.segments((0, len(text)))
        return [word.text for word in segment.arguments(0, until={"stop"})]

    assert arguments("a b c") == ["b", "c"]
    assert arguments("a b and c") == ["b"]
    assert arguments("a b. c") == ["b"]
    assert arguments("a b: c") == ["b", "c"]
    assert arguments("a b stop c") == ["b"]


def test_flags_and_subcommands():
    (segment,) = Script("-abc --long=x name -- -d").segments((0, 24))
    assert [flag for _, flag in flags_of(segment.words)] == ["-a", "-b", "-c", "--long"]
    (segment,) = Script("-f file compose --x rm -f web").segments((0, 29))
    assert [word.text for word in subcommand(segment.words)] == ["rm", "-f", "web"]


@given(st.text(alphabet=ODD))
def test_the_fold_has_the_same_lines_character_for_character(text: str):
    script = Script(text)
    assert len(script.text) == len(script.plain) == len(script.lower)
    assert "\r" not in script.plain
    for at, character in enumerate(script.plain):
        assert script.line_of(at) == 1 + script.plain.count("\n", 0, at)
        assert (script.text[at] in "\n\v") is (character == "\n" or script.text[at] == "\v")


def test_lines_at_places():
    script = Script("ab\ncd\n\nef")
    assert list(script.lines_at([7, 0, 1, 8])) == [(0, 2), (7, 9)]
    assert script.bounds(6) == (6, 6)


@given(st.lists(st.text(alphabet="ab", min_size=1, max_size=3), max_size=4), st.text(alphabet="abc", max_size=20))
def test_every_needle_is_found_everywhere(needles: list[str], text: str):
    found = Needles({"one": needles, "two": ["b"]}).find(text)
    places = sorted(at for needle in dict.fromkeys(needles) for at in range(len(text)) if text.startswith(needle, at))
    assert sorted(found["one"]) == places
    assert found["two"] == [at for at, character in enumerate(text) if character == "b"]


def test_lower_case_keeps_every_place():
    assert lower_case("ABC") == "abc"
    assert lower_case("A\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}B") == "a\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}b"
