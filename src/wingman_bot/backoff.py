"""How long to wait before trying again: twice as long each time, and never in step with others."""

import random
from collections.abc import Iterator
from itertools import count
from typing import Final

FIRST: Final = 0.5
LONGEST: Final = 30.0
STEPS: Final = 16


def delays(first: float = FIRST, longest: float = LONGEST) -> Iterator[float]:
    """Yield seconds for ever: between half and all of ``first``, then of twice that, up to ``longest``."""
    for n in count():
        yield min(longest, first * 2 ** min(n, STEPS)) * random.uniform(0.5, 1.0)  # noqa: S311 - only to spread
