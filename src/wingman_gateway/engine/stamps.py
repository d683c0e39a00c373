"""The engine's times: RFC 3339 with nanoseconds, its zero time the year 1."""

from datetime import UTC, datetime

from wingman_core.errors import Code, Unavailable


def engine_time(stamp: str) -> datetime:
    """Return an aware time, to the microsecond; raise ``Unavailable`` for a text that is none."""
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError as error:
        raise Unavailable(Code.ENGINE_UNAVAILABLE, f"the engine says a time that is none: {stamp!a}") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
