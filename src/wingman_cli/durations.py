"""Spans of time as people type them: ``30m``, ``1h``, ``90d``."""

import re
from datetime import timedelta
from typing import Final

from wingman_core.errors import Code, SettingInvalid

FORM: Final = re.compile(r"(0|[1-9][0-9]{0,4})([smhd])")
UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(text: str, option: str) -> timedelta:
    """Return the span that ``text`` says; raise ``SettingInvalid`` naming ``option`` for other text."""
    match = FORM.fullmatch(text)
    if match is None:
        raise SettingInvalid(
            Code.SETTING_INVALID, f"{option}: {text!a} is no span of time", hint="write it like 30m, 1h or 90d"
        )
    return timedelta(**{UNITS[match[2]]: int(match[1])})
