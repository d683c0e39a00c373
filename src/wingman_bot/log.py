"""The bot's log: one JSON object a line, and no secret in it, wherever an error or a library put one.

Guarantees: each secret is replaced in every string of every line, tracebacks included; a Telegram bot's token stands
in each address that its libraries call, and so in many of their errors. Libraries' own lines go the same way.
"""

import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

HIDDEN: Final = "[secret]"
LIBRARIES: Final = ("aiogram", "aiohttp", "asyncio")


def without(secrets: Iterable[str]) -> Processor:
    """Return a processor that takes secrets out of a line."""
    known = sorted({secret for secret in secrets if secret}, key=len, reverse=True)

    def clean(value: Any) -> Any:  # noqa: ANN401 - whatever a line holds
        if isinstance(value, str):
            for secret in known:
                value = value.replace(secret, HIDDEN)
            return value
        if isinstance(value, Mapping):
            return {clean(key): clean(each) for key, each in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
            return [clean(each) for each in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return clean(str(value))

    def processor(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {str(clean(name)): clean(value) for name, value in event.items()}

    return processor


def json_log(secrets: Iterable[str], file: TextIO = sys.stdout) -> FilteringBoundLogger:
    """Return a log that writes to ``file`` without ``secrets``, and have libraries' warnings written to it, too."""
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(file),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            without(secrets),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )
    handler = _Passing(log)
    for name in LIBRARIES:
        library = logging.getLogger(name)
        library.handlers, library.propagate = [handler], False
        library.setLevel(logging.WARNING)
    return log


class _Passing(logging.Handler):
    """Passes libraries' lines on."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.warning("library", library=record.name, said=record.getMessage(), exc_info=record.exc_info)
