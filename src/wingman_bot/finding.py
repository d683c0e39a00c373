"""Which request somebody means: by its id, or by a beginning of it that only one pending request has.

A beginning that no pending request has may be of one that was decided, or expired, while somebody typed.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from wingman_bot.api_client import ApiClient
from wingman_bot.views import Request
from wingman_core.errors import Code, WingmanError

PREFIX: Final = "apr_"
WHOLE: Final = re.compile(r"apr_[a-z2-7]{26}")
BEGINNING: Final = re.compile(r"[a-z2-7]{4,26}")
LEAST: Final = 4
"""Characters of the shortest beginning that is shown or taken: fewer would mean another request by one slip."""


@dataclass(frozen=True, slots=True)
class Several:
    """Requests that begin like this; none where nothing does."""

    candidates: tuple[Request, ...]


async def find(api: ApiClient, text: str) -> Request | Several:
    """Return the request that a text means, one that waits before those that do not; raise ``WingmanError``."""
    wanted = text.strip().lower().removesuffix("…")
    if WHOLE.fullmatch(wanted):
        try:
            return await api.request(wanted)
        except WingmanError as error:
            if error.code is not Code.APPROVAL_UNKNOWN:
                raise
            return Several(())
    beginning = wanted.removeprefix(PREFIX)
    if not BEGINNING.fullmatch(beginning):
        return Several(())
    found = _beginning(PREFIX + beginning, await api.every_pending())
    if not found:
        over = [each for each in await api.newest() if each.status != "PENDING"]
        found = _beginning(PREFIX + beginning, over)
    return found[0] if len(found) == 1 else Several(found)


def beginnings(requests: tuple[Request, ...]) -> dict[str, str]:
    """Return, for each request's id, its shortest beginning that none of the others has."""
    ids = sorted(each.id for each in requests)
    shortest: dict[str, str] = {}
    for place, each in enumerate(ids):
        neighbours = [ids[other] for other in (place - 1, place + 1) if 0 <= other < len(ids)]
        length = max([len(PREFIX) + LEAST, *(_common(each, other) + 1 for other in neighbours)])
        shortest[each] = each[:length]
    return shortest


def _beginning(beginning: str, requests: Iterable[Request]) -> tuple[Request, ...]:
    return tuple(each for each in requests if each.id.startswith(beginning))


def _common(one: str, other: str) -> int:
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
