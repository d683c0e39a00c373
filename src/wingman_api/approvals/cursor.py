"""Where the next page of requests begins, as an opaque word."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta

from wingman_core.errors import Code, WingmanError


def encode(created_at: datetime, request_id: str) -> str:
    """Return the cursor that continues after this request."""
    return urlsafe_b64encode(f"{created_at.isoformat()} {request_id}".encode()).decode("ascii").rstrip("=")


def decode(cursor: str) -> tuple[datetime, str]:
    """Return the time (aware) and id in a cursor; raise ``WingmanError`` (REQUEST_INVALID) for other text."""
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        at, _, request_id = text.partition(" ")
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise _invalid() from error
    if moment.utcoffset() != timedelta() or not request_id.isprintable() or encode(moment, request_id) != cursor:
        raise _invalid()
    return moment, request_id


def _invalid() -> WingmanError:
    return WingmanError(
        Code.REQUEST_INVALID, "the cursor is none of ours", hint="send next_cursor of an earlier answer"
    )
