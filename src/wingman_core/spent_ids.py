"""A set of texts that only grows, in a few bytes each: which ids a log has spent.

Guarantees: ``spend`` says no exactly once for each repetition; two different texts are taken for one with a chance of
one in 10^15 among ten million: their 96-bit fingerprints are Python's own keyed hashes, of another key in each
process. Memory: 16 to 32 bytes a text, and half as much again while the table grows.
"""

from array import array
from typing import Final

FIRST_SLOTS: Final = 1 << 12
_LOW: Final = (1 << 64) - 1
_HIGH: Final = (1 << 32) - 1


class SpentIds:
    """An open-addressed table of fingerprints, at most three quarters full."""

    def __init__(self) -> None:
        """Begin with nothing spent."""
        self._count = 0
        self._allocate(FIRST_SLOTS)

    def __len__(self) -> int:
        return self._count

    def spend(self, text: str) -> bool:
        """Spend a text; tell whether it was still unspent."""
        low = hash(text) & _LOW or 1  # 0 is an empty slot
        high = hash(f"{text}.") & _HIGH
        slot = low & self._mask
        lows = self._lows
        while found := lows[slot]:
            if found == low and self._highs[slot] == high:
                return False
            slot = slot + 1 & self._mask
        lows[slot], self._highs[slot] = low, high
        self._count += 1
        if self._count > self._most:
            self._grow()
        return True

    def _grow(self) -> None:
        lows, highs = self._lows, self._highs
        self._allocate(2 * len(lows))
        for low, high in zip(lows, highs, strict=True):
            if low:
                slot = low & self._mask
                while self._lows[slot]:
                    slot = slot + 1 & self._mask
                self._lows[slot], self._highs[slot] = low, high

    def _allocate(self, slots: int) -> None:
        self._mask = slots - 1
        self._most = slots // 4 * 3
        self._lows = array("Q", [0]) * slots
        self._highs = array("I", [0]) * slots
