"""``docs/claims.md`` is true: every example reads so, every pattern has one, and the accuracy is the measured one."""

import json
import re
from typing import Any

import pytest

from tests.core.sentences.documented import DOCUMENT, NOW, VECTORS, examples, reasons, short
from wingman_core.sentences import Reason, read
from wingman_core.sentences.form import Phrase
from wingman_core.sentences.parts import PATTERNS
from wingman_core.sentences.passages import sentences
from wingman_core.sentences.reader import without_fillers

EXAMPLES = list(examples())
REASONS = list(reasons())
CASES: list[dict[str, Any]] = json.loads(VECTORS.read_text("utf-8"))["cases"]


@pytest.mark.parametrize(("text", "becomes", "whole"), EXAMPLES, ids=[text for text, _, _ in EXAMPLES])
def test_an_example_reads_as_documented(text: str, becomes: list[str], *, whole: bool):
    reading = read(text, NOW)
    assert [short(assertion) for assertion in reading.assertions] == becomes
    assert reading.is_whole is whole


@pytest.mark.parametrize(("text", "reason"), REASONS, ids=[text for text, _ in REASONS])
def test_what_is_no_fact_is_left_for_the_documented_reason(text: str, reason: str):
    assert reason in [part.reason.value for part in read(text, NOW).unread]


def test_every_pattern_and_every_reason_is_documented():
    texts = [text for text, _, _ in EXAMPLES]
    phrases = [Phrase(without_fillers(next(iter(sentences(text))).tokens), NOW) for text in texts]
    unnamed = [
        pattern.text
        for pattern in PATTERNS
        if not any(pattern.form.match(phrase, 0, len(phrase.tokens).__eq__) for phrase in phrases)
    ]
    assert unnamed == []
    assert {reason for _, reason in REASONS} == {reason.value for reason in Reason} - {Reason.TOO_MANY.value}


def test_the_documented_accuracy_is_the_measured_one():
    right = [case for case in CASES if is_right(case)]
    invented = [case["text"] for case in CASES if invents(case)]
    wrongly_whole = [case["text"] for case in CASES if read(case["text"], NOW).is_whole and not case["whole"]]
    said = re.search(r"(\d+) of (\d+) sentences \(([\d.]+) %\) are read", DOCUMENT.read_text("utf-8"))
    assert said is not None
    assert (int(said[1]), int(said[2])) == (len(right), len(CASES))
    assert said[3] == f"{100 * len(right) / len(CASES):.1f}"
    assert len(CASES) >= 140
    assert len(CASES) == len({case["text"] for case in CASES})
    assert len(right) / len(CASES) >= 0.9
    for text in invented:
        assert text in DOCUMENT.read_text("utf-8"), "each fact made of what is none is named in the document"
    assert wrongly_whole == [], "none of them could have come out TRUE"


def is_right(case: dict[str, Any]) -> bool:
    reading = read(case["text"], NOW)
    return dumped(case["text"]) == case["assertions"] and reading.is_whole is case["whole"]


def invents(case: dict[str, Any]) -> bool:
    return any(assertion not in case["assertions"] for assertion in dumped(case["text"]))


def dumped(text: str) -> list[dict[str, Any]]:
    return [assertion.model_dump(mode="json", exclude_none=True) for assertion in read(text, NOW).assertions]
