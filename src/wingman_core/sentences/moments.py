"""Phrases of time, such as "in the last 5 minutes", as the moment from which on something is claimed.

Guarantees: a moment is read only where its offset from UTC is known, so "at 14:05" is none and "at 14:05 UTC" is
one. "5 minutes ago" is a rounded number: it means at or after 6 minutes ago, one more of the unit that was named.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from wingman_core.sentences.words import AMOUNTS

UNITS: Final[Mapping[str, timedelta]] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), timedelta(seconds=1)),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), timedelta(minutes=1)),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), timedelta(hours=1)),
    **dict.fromkeys(("d", "day", "days"), timedelta(days=1)),
    **dict.fromkeys(("w", "week", "weeks"), timedelta(weeks=1)),
}
LONGEST: Final = 5
"""Words of the longest phrase, such as "less than 5 minutes ago"."""

_AMOUNT: Final = re.compile(r"([0-9]{1,4})([a-z]*)")
_INSTANT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[t ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?) ?(z|utc|[+-][0-9]{2}:[0-9]{2})"
)
_CLOCK: Final = re.compile(r"([0-9]{1,2}):([0-9]{2}) ?(?:utc|z)")


def since(words: Sequence[str], now: datetime) -> tuple[int, datetime] | None:
    """Return how many of ``words`` (lower case, no fillers) are a phrase of time, and its moment; ``now`` is aware."""
    match tuple(words[:2]):
        case ("in" | "within" | "during" | "over", "last" | "past"):
            found = _duration(words[2:])
            return None if found is None else (2 + found[0], now - found[1])
        case ("less", "than"):
            found = _duration(words[2:])
            return None if found is None or not _is_ago(words[2:], found[0]) else (3 + found[0], now - found[1])
        case ("since" | "after" | "at", _):
            return _instant(words, now)
        case _:
            found = _duration(words)
            return None if found is None or not _is_ago(words, found[0]) else (1 + found[0], now - found[1] - found[2])


def _is_ago(words: Sequence[str], at: int) -> bool:
    return at < len(words) and words[at] == "ago"


def _duration(words: Sequence[str]) -> tuple[int, timedelta, timedelta] | None:
    """Return how many words a duration takes, how long it is, and its unit."""
    if not words:
        return None
    if words[0] in UNITS and len(words[0]) > 1:  # "the last hour"
        return 1, UNITS[words[0]], UNITS[words[0]]
    number = _AMOUNT.fullmatch(words[0])
    amount, unit = (int(number[1]), number[2]) if number else (AMOUNTS.get(words[0], 0), "")
    taken = 1
    if not unit and len(words) > 1:
        unit, taken = words[1], 2
    if amount == 0 or unit not in UNITS:
        return None
    return taken, amount * UNITS[unit], UNITS[unit]


def _instant(words: Sequence[str], now: datetime) -> tuple[int, datetime] | None:
    """Return the instant after "since", "after" or "at", as RFC 3339 or as a time of day in UTC."""
    for taken in (4, 3, 2):
        text = " ".join(words[1:taken])
        if taken > len(words):
            continue
        instant, clock = _INSTANT.fullmatch(text), _CLOCK.fullmatch(text)
        try:
            if instant is not None:
                offset = instant[3] if instant[3][0] in "+-" else "+00:00"
                return taken, datetime.fromisoformat(f"{instant[1]}T{instant[2]}{offset}").astimezone(UTC)
            if clock is not None:
                today = now.astimezone(UTC).replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
                return taken, today if today <= now else today - timedelta(days=1)
        except (ValueError, OverflowError):
            return None
    return None
