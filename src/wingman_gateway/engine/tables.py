"""Columns, sizes and times as the docker binary prints them (docker/cli formatter, docker/go-units)."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

PADDING: Final = 3
MIN_WIDTH: Final = 10
TOP_MIN_WIDTH: Final = 20
ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"
DECIMAL: Final = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
MINUTES_AN_HOUR: Final = 60
TWO_DAYS: Final = 48
ESCAPES: Final = dict(
    zip('\a\b\f\n\r\t\v\\"', ("\\a", "\\b", "\\f", "\\n", "\\r", "\\t", "\\v", "\\\\", '\\"'), strict=True)
)


def table(rows: Sequence[Sequence[str]], *, min_width: int = MIN_WIDTH) -> str:
    """Lay out rows, the header first: columns padded to the widest cell, the last one left as it is."""
    widths = [max(max(map(len, column)) + PADDING, min_width) for column in zip(*rows, strict=True)]
    return "".join(
        "".join(cell.ljust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True)) + row[-1] + "\n"
        for row in rows
    )


def listing(rows: Sequence[Mapping[str, str]], columns: Mapping[str, str], *, quiet: bool, as_json: bool) -> str:
    """Return rows as the binary lists them: ids alone, one JSON object a line, or a table of ``columns``."""
    if quiet:
        return "".join(f"{row['ID']}\n" for row in rows)
    if as_json:
        return "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
    return table([list(columns.values()), *([row[key] for key in columns] for row in rows)])


def human_size(size: float, *, precision: int = 3) -> str:
    """Return a size in powers of 1000, such as ``4.27MB``."""
    return _scaled(size, 1000.0, DECIMAL, precision)


def binary_size(size: float) -> str:
    """Return a size in powers of 1024, such as ``1.94GiB``."""
    return _scaled(size, 1024.0, BINARY, 4)


def human_duration(seconds: float) -> str:
    """Return a duration in its one largest unit, such as ``About an hour`` or ``3 weeks``."""
    whole, minutes, hours = max(int(seconds), 0), int(seconds / 60), int(seconds / 3600 + 0.5)
    if minutes < 1:
        return {0: "Less than a second", 1: "1 second"}.get(whole, f"{whole} seconds")
    if minutes < MINUTES_AN_HOUR:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < TWO_DAYS:
        return "About an hour" if hours == 1 else f"{hours} hours"
    for limit, unit, name in ((24 * 14, 24, "days"), (24 * 60, 24 * 7, "weeks"), (24 * 730, 24 * 30, "months")):
        if hours < limit:
            return f"{hours // unit} {name}"
    return f"{int(seconds / 3600) // 24 // 365} years"


def ellipsis(text: str, width: int) -> str:
    """Shorten to ``width`` characters, the last of them an ellipsis where something was cut."""
    return text if len(text) <= width else text[: width - 1] + ELLIPSIS


def quoted(text: str) -> str:
    """Return the text as Go's ``strconv.Quote`` writes it."""
    return '"' + "".join(map(_quoted, text)) + '"'


def _quoted(character: str) -> str:
    if character in ESCAPES:
        return ESCAPES[character]
    if character.isprintable():
        return character
    return f"\\x{ord(character):02x}" if character.isascii() else f"\\u{ord(character):04x}"


def _scaled(size: float, base: float, units: Sequence[str], precision: int) -> str:
    index = 0
    while size >= base and index < len(units) - 1:
        size /= base
        index += 1
    return f"{size:.{precision}g}{units[index]}"
