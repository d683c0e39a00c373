"""Numbers, sizes and times as Docker reads them, and back to text.

Guarantees: Go's ParseInt, ``time.ParseDuration`` and go-units v0.5 ``RAMInBytes``, in whole numbers that RFC 8785 can
carry. Each ``show_*`` gives text that its reader takes back. Docker reads most numbers in the base that they name
(``010`` is 8) and some in base 10 (``010`` is 10): ``integer`` and ``natural``, ``signed_decimal`` and ``decimal``.
"""

import re
from collections.abc import Callable
from datetime import date
from fractions import Fraction
from typing import Final

from wingman_core.command.values import BadValue

MAX_INTEGER: Final = 2**53 - 1
"""The largest whole number that RFC 8785 (through IEEE 754) carries exactly."""

_GO_INTEGER: Final = re.compile(
    r"([+-]?)(?:0[xX]((?:_?[0-9a-fA-F])+)|0[bB]((?:_?[01])+)|0[oO]?((?:_?[0-7])+)|([1-9](?:_?[0-9])*|0))"
)
_BASES: Final = ((2, 16), (3, 2), (4, 8), (5, 10))
_DECIMAL: Final = re.compile(r"[0-9]{1,20}")
# Go reads the halves of a fraction as octal after a leading 0, and a number without a stroke as decimal.
_RATIONAL: Final = re.compile(
    r"\+?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18}|(?:0|[1-9][0-9]{0,17})/[1-9][0-9]{0,17})"
)
_NANO: Final = 10**9


def integer(text: str) -> int:
    """Read Go's ``strconv.ParseInt(text, 0, 64)``: also 0x, 0o, 0b, a leading 0 for octal, and underscores."""
    match = _GO_INTEGER.fullmatch(text)
    if match is None:
        raise BadValue("not a whole number")
    digits, base = next((match[group].replace("_", ""), base) for group, base in _BASES if match[group])
    if len(digits) > 64:  # noqa: PLR2004 - the digits of the longest 64-bit number, in base 2
        raise BadValue("too large a number")
    value = int(digits, base) * (-1 if match[1] == "-" else 1)
    if abs(value) > MAX_INTEGER:
        raise BadValue("too large a number")
    return value


def natural(text: str) -> int:
    """Read Go's ``strconv.ParseUint(text, 0, 64)``: as ``integer``, without a sign."""
    if text.startswith(("+", "-")):
        raise BadValue("not a whole number without a sign")
    return integer(text)


def between(low: int, high: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from ``low`` to ``high``, both included."""

    def read(text: str) -> int:
        value = integer(text)
        if not low <= value <= high:
            raise BadValue(f"must be from {low} to {high}")
        return value

    return read


def decimal(text: str) -> int:
    """Read a plain decimal number that is not negative, as ``strconv.ParseUint(text, 10, 64)`` does."""
    if _DECIMAL.fullmatch(text) is None or int(text) > MAX_INTEGER:
        raise BadValue("not a whole number from 0")
    return int(text)


def signed_decimal(text: str) -> int:
    """Read a decimal number as ``strconv.ParseInt(text, 10, 64)`` does: a leading 0 means nothing."""
    return -decimal(text[1:]) if text.startswith("-") else decimal(text.removeprefix("+"))


def nano_cpus(text: str) -> int:
    """Read ``--cpus`` as billionths of a CPU: a decimal, or a fraction without leading zeros, to nine places."""
    if _RATIONAL.fullmatch(text) is None:
        raise BadValue("not a number of CPUs, such as 1.5")
    nano = Fraction(text) * _NANO
    if nano.denominator != 1:
        raise BadValue("more precise than a billionth of a CPU")
    if nano > MAX_INTEGER:
        raise BadValue("too large a number")
    return int(nano)


def show_nano_cpus(value: int) -> str:
    """Write billionths of a CPU as a decimal number."""
    whole, rest = divmod(value, _NANO)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")


_SIZE: Final = re.compile(
    r"([0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18}) ?([kmgtp]?)((?<=[kmgtp])i?b|b?)", re.IGNORECASE
)
_SIZE_UNITS: Final = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
_DURATION: Final = re.compile(r"(?:(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(?:ns|us|ms|s|m|h))+")
_DURATION_PART: Final = re.compile(r"([0-9.]+)(ns|us|ms|s|m|h)")
_DURATION_UNITS: Final = {"h": 3600 * _NANO, "m": 60 * _NANO, "s": _NANO, "ms": 10**6, "us": 10**3, "ns": 1}
_UNIX_TIME: Final = re.compile(r"[0-9]{1,11}(?:\.[0-9]{1,9})?")
_RFC3339: Final = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def size(text: str) -> int:
    """Read go-units ``RAMInBytes`` as bytes: ``512m``, ``1.5g``, ``64 KiB``; powers of 1024."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise BadValue("not a size, such as 512m")
    # A float, as Docker multiplies one: the same rounding, the same bytes.
    octets = float(match[1]) * _SIZE_UNITS[match[2].lower()]
    if octets > MAX_INTEGER:
        raise BadValue("too large a size")
    return int(octets)


def size_or_unlimited(text: str) -> int:
    """Read a size, or ``-1`` for no limit."""
    return -1 if text == "-1" else size(text)


def show_size(octets: int) -> str:
    """Write bytes in the largest unit that is exact."""
    for unit in ("p", "t", "g", "m", "k"):
        if octets > 0 and octets % _SIZE_UNITS[unit] == 0:
            return f"{octets // _SIZE_UNITS[unit]}{unit}"
    return str(octets)


def duration(text: str) -> int:
    """Read Go's ``time.ParseDuration`` as nanoseconds, not negative."""
    if text == "0":
        return 0
    if _DURATION.fullmatch(text) is None:
        raise BadValue("not a duration, such as 1m30s")
    nanoseconds = sum(int(Fraction(number) * _DURATION_UNITS[unit]) for number, unit in _DURATION_PART.findall(text))
    if nanoseconds > MAX_INTEGER:
        raise BadValue("too long a duration")
    return nanoseconds


def show_duration(nanoseconds: int) -> str:
    """Write nanoseconds in the largest unit that is exact; ns always is."""
    unit = next(unit for unit, length in _DURATION_UNITS.items() if nanoseconds % length == 0)
    return f"{nanoseconds // _DURATION_UNITS[unit]}{unit}"


def moment(text: str) -> str:
    """Read ``--since`` and ``--until``: a duration before now, RFC 3339 with a zone, or Unix seconds.

    A time without a zone is refused: Docker reads it in the zone of the machine its client runs on.
    """
    if text == "" or _UNIX_TIME.fullmatch(text) or (_RFC3339.fullmatch(text) and _is_date(text[:10])):
        return text
    if text != "0" and _DURATION.fullmatch(text):
        return show_duration(duration(text))
    raise BadValue("not a time; write 42m, 2026-01-31T12:00:00Z, or Unix seconds")


def _is_date(text: str) -> bool:
    """Whether the calendar has the day: no 31st of February."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
