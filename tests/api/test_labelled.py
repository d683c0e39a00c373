"""The figures of ``docs/instruction-gate.md`` are what is measured, and good enough."""

from pathlib import Path

import pytest

from tests.api.labelled import SETS, score, table

DOCUMENT = Path(__file__).parents[2] / "docs" / "instruction-gate.md"
ENOUGH = 60


def test_the_document_says_what_is_measured():
    assert table() in DOCUMENT.read_text("utf-8"), f"python -m tests.api.labelled says:\n{table()}"


@pytest.mark.parametrize("name", SETS)
def test_each_set_is_large_enough_and_most_of_it_is_found(name: str):
    cases = list(SETS[name]())
    assert len({case.name for case in cases}) == len(cases) >= ENOUGH
    figures = score(cases)
    assert figures.precision >= 0.9
    assert figures.recall >= 0.85


@pytest.mark.parametrize("name", SETS)
def test_each_set_has_texts_with_and_without(name: str):
    cases = list(SETS[name]())
    assert sum(bool(case.expected) for case in cases) >= 20
    assert sum(not case.expected for case in cases) >= 15


def test_no_real_looking_secret_stands_in_the_vectors():
    text = (Path(__file__).parents[1] / "vectors" / "instruction_secrets.toml").read_text("utf-8")
    assert not any(prefix in text for prefix in ("AK" + "IA", "gh" + "p_", "gl" + "pat-", "xo" + "xb-", "sk" + "_live"))
