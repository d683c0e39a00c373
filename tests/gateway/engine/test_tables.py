"""Columns, sizes and times: the figures are what go-units and Docker's formatter print for the same input."""

import pytest

from wingman_gateway.engine.tables import binary_size, ellipsis, human_duration, human_size, quoted, table


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "Less than a second"),
        (0.9, "Less than a second"),
        (1.9, "1 second"),
        (2, "2 seconds"),
        (59.9, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (1.4 * 3600, "About an hour"),
        (1.5 * 3600, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (59 * 86400, "8 weeks"),
        (60 * 86400, "2 months"),
        (729 * 86400, "24 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_durations_read_as_go_units_writes_them(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "decimal", "binary"),
    [
        (0, "0B", "0B"),
        (999, "999B", "999B"),
        (1000, "1kB", "1000B"),
        (1024, "1.02kB", "1KiB"),
        (4261550, "4.26MB", "4.064MiB"),
        (2 * 10**9, "2GB", "1.863GiB"),
        (10**30, "1e+06YB", "8.272e+05YiB"),
    ],
)
def test_sizes_read_as_go_units_writes_them(size: int, decimal: str, binary: str) -> None:
    assert human_size(size) == decimal
    assert binary_size(size) == binary


def test_columns_are_padded_to_the_widest_cell_and_the_last_is_not() -> None:
    assert table([["A", "B"], ["long enough to pad", "x"]]) == "A                    B\nlong enough to pad   x\n"
    assert table([["A", "B"]]) == "A         B\n"
    assert table([["A", "B"]], min_width=20) == "A                   B\n"


def test_text_is_cut_with_an_ellipsis_and_quoted_like_go() -> None:
    assert ellipsis("12345", 5) == "12345"
    assert ellipsis("123456", 5) == "1234\N{HORIZONTAL ELLIPSIS}"
    assert quoted('a"b\\c\n\x01\u200b\N{HORIZONTAL ELLIPSIS}') == '"a\\"b\\\\c\\n\\x01\\u200b\N{HORIZONTAL ELLIPSIS}"'
