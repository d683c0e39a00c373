"""Words on cards and in logs: harmless, short, and without secrets."""

import io
import json
import logging
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bot.requests import ID, request
from wingman_bot.backoff import delays
from wingman_bot.decisions import already
from wingman_bot.finding import beginnings
from wingman_bot.help_texts import COMMANDS, bot_commands, help_text
from wingman_bot.log import json_log
from wingman_bot.views import Request
from wingman_bot.wording import BAR, clock, cut, date, lines, people
from wingman_core.characters import written_out


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "┃ plain"),
        ("a\nb\r\nc", "┃ a\n┃ b\n┃ c"),
        ("a\rb\x0bc\u2028d", "┃ a\\rb\\x0bc\\u2028d"),
        ("\tx", "┃     x"),
        ("", "┃ "),
    ],
)
def test_each_line_of_others_begins_with_a_bar(text: str, shown: str):
    assert lines(text) == shown


@given(st.text())
def test_no_text_begins_a_line_of_ours_nor_hides_anything(text: str):
    shown = lines(text)
    assert all(each.startswith(BAR) for each in shown.split("\n"))
    assert len(shown.splitlines()) == shown.count("\n") + 1
    assert all(character == "\n" or character.isprintable() for character in shown)


@pytest.mark.parametrize(
    ("text", "kept", "shown"),
    [
        ("a b", "", "a b"),
        ("a\nb", "\n", "a\nb"),
        ("a\nb\u202e\u3164\U000e0041", "", "a\\nb\\u202e\\u3164\\U000e0041"),
        ("né 漢 🛠", "", "né 漢 🛠"),
        ("\\u202e", "", "\\\\u202e"),
        ("a\\\nb", "\n", "a\\\\\nb"),
    ],
)
def test_what_leaves_no_ink_is_written_out(text: str, kept: str, shown: str):
    assert written_out(text, keep=kept) == shown


@pytest.mark.parametrize(
    ("text", "units", "kept", "missing"),
    [("abc", 3, "abc", 0), ("abcd", 3, "abc", 1), ("🛠🛠🛠", 4, "🛠🛠", 1), ("🛠🛠🛠", 5, "🛠🛠", 1), ("", 0, "", 0)],
)
def test_a_cut_says_what_is_missing_and_splits_no_character(text: str, units: int, kept: str, missing: int):
    assert cut(text, units) == (kept, missing)


def test_times_are_utc_and_people_are_counted():
    moment = datetime(2026, 3, 1, 13, 0, 5, tzinfo=timezone(timedelta(hours=1)))
    assert (clock(moment), date(moment)) == ("12:00:05 UTC", "2026-03-01 12:00:05 UTC")
    assert (people(1), people(2)) == ("1 person", "2 people")


def test_pauses_grow_and_differ():
    one, other = delays(1.0, 10.0), delays(1.0, 10.0)
    first, second = [next(one) for _ in range(50)], [next(other) for _ in range(50)]
    assert first != second
    assert 0.5 <= first[0] <= 1.0
    assert all(5.0 <= each <= 10.0 for each in first[10:])


def test_a_decision_made_elsewhere_has_a_name():
    assert already(request(status="APPROVED")) == "Decided already: the request is APPROVED."
    assert already(request(status="AUTO_APPROVED")) == "The policy asks nobody for this one."
    assert already(request(status="CANCELLED")) == "Whoever asked has withdrawn the request."


def test_beginnings_are_as_short_as_they_can_be():
    def of(ends: list[str]) -> tuple[Request, ...]:
        return tuple(request(id=ID[:-6] + end) for end in ends)

    assert beginnings(()) == {}
    assert list(beginnings(of(["aaaaaa"])).values()) == [ID[:8]]
    assert sorted(beginnings(of(["aaaaaa", "bbbbbb"])).values()) == [ID[:-6] + "a", ID[:-6] + "b"]
    assert beginnings((request(), request(id="apr_" + "b" * 26)))[ID] == "apr_aaaa"


def test_every_language_has_every_command():
    for language, commands in COMMANDS.items():
        assert list(commands) == list(COMMANDS["en"])
        assert all(len(each.description) <= 256 for each in bot_commands(language))
        assert help_text(language) != help_text("en") or language == "en"
    assert help_text(None) == help_text("xx") == help_text("en-GB")


def test_no_secret_is_logged_wherever_it_stands():
    file = io.StringIO()
    log = json_log(["1:TOKEN", "wm_key"], file)
    try:
        int("https://host/bot1:TOKEN/getMe")
    except ValueError:
        log.exception(
            "failed", url="/bot1:TOKEN/x", nested={"1:TOKEN": ["wm_key", ("a", b"wm_key")]}, path=Path("wm_key")
        )
    logging.getLogger("aiogram.dispatcher").warning("lost %s", "bot1:TOKEN")
    logging.getLogger("aiogram.event").info("not told")
    text = file.getvalue()
    assert "TOKEN" not in text
    assert "wm_key" not in text
    first, second = [json.loads(line) for line in text.splitlines()]
    assert first["url"] == "/bot[secret]/x"
    assert "ValueError" in first["exception"]
    assert (second["event"], second["library"], second["said"]) == ("library", "aiogram.dispatcher", "lost bot[secret]")
