"""The buttons of a card and what a tap on one carries: the request, what is wished, and a digest of what was shown.

Guarantees: a payload has at most 64 bytes, and one that is not exactly of this form is no payload. Nothing in it is
believed: whoever handles a tap compares it with the card that was sent and with what the API holds now.
"""

from enum import StrEnum
from typing import Annotated, Final

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup
from pydantic import Field

from wingman_bot.views import Request
from wingman_core.canonical import digest

DOMAIN: Final = "wingman/card/v1"
PREFIX: Final = 12
"""Hex digits of the digest that a payload carries and people see."""


class Wish(StrEnum):
    """What a tap asks for."""

    APPROVE = "a"
    CONFIRM = "c"
    """The second tap, for HIGH risk."""
    BACK = "b"
    REJECT = "r"
    DETAILS = "d"


class Tap(CallbackData, prefix="w1"):
    """A button's payload."""

    wish: Wish
    request: Annotated[str, Field(pattern=r"^apr_[a-z2-7]{26}$")]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]


def content_digest(request: Request) -> str:
    """Return 64 hex digits over everything that a decision is about.

    Who asks and where; each command with its targets, blast radius and verdict; every vote on the risk.
    """
    return digest(
        DOMAIN,
        {
            "id": request.id,
            "worker": request.worker_id,
            "requested_by": request.requested_by,
            "environment": request.environment,
            "task": request.task_name,
            "instruction": request.instruction,
            "risk": request.risk.model_dump(mode="json"),
            "people": request.people_needed,
            "commands": [
                [
                    *(each.approval_id, each.command, each.operation_digest, each.target_digest),
                    each.preview.model_dump(mode="json"),
                ]
                for each in request.commands
            ],
        },
    )


def short_digest(request: Request) -> str:
    """Return the part of the digest that people compare."""
    return content_digest(request)[:PREFIX]


def keyboard(request: Request, *, asked_twice: bool) -> InlineKeyboardMarkup:
    """Return the buttons that fit where a request stands; ``asked_twice`` while somebody is to tap again."""

    def button(text: str, wish: Wish) -> InlineKeyboardButton:
        payload = Tap(wish=wish, request=request.id, digest=short_digest(request))
        return InlineKeyboardButton(text=text, callback_data=payload.pack())

    details = [button("Details", Wish.DETAILS)]
    if request.status != "PENDING":
        rows = [details]
    elif asked_twice:
        again = button(f"Yes, approve {short_digest(request)}", Wish.CONFIRM)
        rows = [[again], [button("Back", Wish.BACK), button("Reject", Wish.REJECT)]]
    else:
        rows = [[button("Approve", Wish.APPROVE), button("Reject", Wish.REJECT)], details]
    return InlineKeyboardMarkup(inline_keyboard=rows)
