"""Spans of time: one form, and a way out for everything else."""

from datetime import timedelta

import pytest

from wingman_cli.durations import duration
from wingman_core.errors import Code, SettingInvalid


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("0s", timedelta()),
        ("45s", timedelta(seconds=45)),
        ("30m", timedelta(minutes=30)),
        ("1h", timedelta(hours=1)),
        ("90d", timedelta(days=90)),
        ("99999d", timedelta(days=99999)),
    ],
)
def test_a_span_is_a_number_and_a_unit(text: str, span: timedelta):
    assert duration(text, "--overlap") == span


@pytest.mark.parametrize(
    "text", ["", "1", "h", "-1h", "+1h", "1.5h", "01h", "1 h", "1H", "1w", "100000d", "1h\n", "\u0661h"]
)
def test_other_text_is_none(text: str):
    with pytest.raises(SettingInvalid, match="--overlap") as refused:
        duration(text, "--overlap")
    assert (refused.value.code, refused.value.hint) == (Code.SETTING_INVALID, "write it like 30m, 1h or 90d")
