"""Words that may pass for others, in names and in prose."""

# ruff: noqa: RUF001 - ambiguous characters are what this is about

import pytest

from tests.bot.requests import command, request, target
from wingman_bot.cards import card
from wingman_bot.lookalikes import MOST, lookalikes
from wingman_bot.views import Request


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("restart the web server", []),
        ("größe naïve 漢字 हिन्दी かな 👩‍👩‍👧 ❤️", []),
        ("Привет мир и со мной", []),
        ("раypal", ["раypal"]),
        ("ａlice ａｌｉｃｅ 𝗮pproved", ["ａlice", "ａｌｉｃｅ", "𝗮pproved"]),
        ("αdmin adminα", ["αdmin", "adminα"]),
        ("cafe\u0301 web\u0332 naïve", ["cafe\u0301", "web\u0332"]),
        ("сор рос ΑΤΗΟΝ", ["сор", "рос", "ΑΤΗΟΝ"]),
    ],
)
def test_words_of_prose(text: str, found: list[str]):
    assert lookalikes([], [text, text]) == found


def test_a_name_has_no_harmless_look_alikes_however_short():
    assert lookalikes(["web", "со"], ["со"]) == ["со"]
    assert lookalikes(["веб", "привет"], []) == []


def test_names_come_first_and_there_are_few():
    assert lookalikes(["nаme"], [f"wеb{number}" for number in range(9)]) == ["nаme", "wеb0", "wеb1", "wеb2", "wеb3"]
    assert MOST == 5


@pytest.mark.parametrize(
    "changes",
    [
        {"task_name": "wеb"},
        {"instruction": "the wеb server"},
        {"worker_id": "wеb"},
        {"requested_by": "wеb"},
        {"commands": [command(text="docker restart wеb")]},
        {"commands": [command(targets=[target(reference="wеb")])]},
        {"commands": [command(targets=[target(name="wеb")])]},
        {"commands": [command(targets=[target(image="wеb:1")])]},
        {"commands": [command(targets=[target(project="wеb")])]},
    ],
)
def test_a_card_warns_wherever_they_stand(changes: dict[str, object]):
    assert "⚠️ Words that may pass for others: wеb" in card(request(**changes), {}, []).body.text


def test_a_card_warns_of_nothing_else():
    assert isinstance(found := request(), Request)
    assert "⚠️" not in card(found, {}, []).body.text
