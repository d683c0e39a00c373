"""How the Bot API refuses: ``ok: false``, an error code, a description, sometimes parameters.

Descriptions are the ones that https://github.com/tdlib/telegram-bot-api answers with, word for word where bots match
on them. https://core.telegram.org/bots/api#making-requests has the shape.
"""

from typing import Any


class Refusal(Exception):
    """A call that is refused; ``parameters`` is a ResponseParameters object."""

    def __init__(self, status: int, description: str, parameters: dict[str, Any] | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.parameters = parameters

    def as_telegram(self) -> dict[str, Any]:
        """The body of the answer."""
        body = {"ok": False, "error_code": self.status, "description": self.description}
        return body if self.parameters is None else {**body, "parameters": self.parameters}


def bad_request(reason: str) -> Refusal:
    """400; the reason's first letter is small unless it is a constant."""
    if not (len(reason) > 1 and (reason[1] == "_" or reason[1].isupper())):
        reason = reason[0].lower() + reason[1:]
    return Refusal(400, f"Bad Request: {reason}")


def forbidden(reason: str) -> Refusal:
    """403."""
    return Refusal(403, f"Forbidden: {reason}")


def conflict(reason: str) -> Refusal:
    """409."""
    return Refusal(409, f"Conflict: {reason}")


def too_many_requests(seconds: int) -> Refusal:
    """429, to be tried again after so many seconds."""
    return Refusal(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})
