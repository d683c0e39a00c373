"""Which request somebody means: by its id, or by a beginning of it that only one pending request has."""

import re
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
    """Pending requests that begin like this; none where nothing does."""

    candidates: tuple[Request, ...]


async def find(api: ApiClient, text: str) -> Request | Several:
    """Return the request that a text means, decided ones by their whole id; raise ``WingmanError``."""
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
    pending = await api.every_pending()
    found = tuple(each for each in pending if each.id.startswith(PREFIX + beginning))
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


def _common(one: str, other: str) -> int:
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
