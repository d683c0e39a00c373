"""Which request gets its card next, where there is room for one message and many wait.

Guarantees: HIGH risk first, though of four cards one is another's where others wait, too; among them whoever was
served longest ago, first by the key that asked and then by the worker's name, which nobody proves; of one worker's the
one that expires first. So neither a flood of requests nor one of names keeps another's card back. Memory: one
entry a request that waits, and ``REMEMBERED`` askers.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

REMEMBERED: Final = 1000
IN_A_ROW: Final = 3
"""Cards of HIGH risk, until another one has its turn."""
NAME: Final = 64
"""Characters of a name that are noted."""
FIELDS: Final = ("p", "x", "a", "w")
"""What ``noted`` writes into a note; of no use once the card is there."""


@dataclass(frozen=True, slots=True)
class Place:
    """What decides when a request's turn comes."""

    is_high: bool
    expires: int
    asker: str
    worker: str


def noted(*, is_high: bool, expires_at: datetime | None, asker: str, worker: str) -> dict[str, Any]:
    """Return what a note has to say of a request that waits for its card."""
    expires = int(expires_at.timestamp()) if expires_at is not None else 0
    return {"p": int(is_high), "x": expires, "a": asker[:NAME], "w": worker[:NAME]}


def place_of(note: Mapping[str, Any]) -> Place:
    """Return the place that a note speaks of; one that says nothing is of nobody, and old."""
    return Place(bool(note.get("p")), int(note.get("x", 0)), str(note.get("a", "")), str(note.get("w", "")))


class CardQueue:
    """Requests that have no card yet."""

    def __init__(self) -> None:
        """Begin empty."""
        self._waiting: dict[str, Place] = {}
        self._served: OrderedDict[tuple[str, ...], int] = OrderedDict()
        self._cards = 0
        self._in_a_row = 0
        self._bell = asyncio.Event()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def put(self, request_id: str, place: Place) -> None:
        """Have a request wait."""
        self._waiting[request_id] = place
        self._bell.set()

    async def filled(self) -> None:
        """Return once a request waits."""
        await self._bell.wait()

    def take(self) -> str:
        """Return the request whose turn it is, and count that; raise ``ValueError`` where none waits."""
        high = {key for key, place in self._waiting.items() if place.is_high}
        others = self._waiting.keys() - high
        chosen = others if others and (not high or self._in_a_row >= IN_A_ROW) else high
        request_id = min(chosen, key=self._rank)
        place = self._waiting.pop(request_id)
        self._in_a_row = self._in_a_row + 1 if place.is_high else 0
        self._cards += 1
        for share in ((place.asker,), (place.asker, place.worker)):
            self._served[share] = self._cards
            self._served.move_to_end(share)
        while len(self._served) > REMEMBERED:
            self._served.popitem(last=False)
        if not self._waiting:
            self._bell.clear()
        return request_id

    def _rank(self, request_id: str) -> tuple[int, int, int, str]:
        place = self._waiting[request_id]
        asker, worker = (place.asker,), (place.asker, place.worker)
        return self._served.get(asker, 0), self._served.get(worker, 0), place.expires, request_id
