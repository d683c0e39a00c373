"""A sign of life for a supervisor: a file that is written anew every few seconds while the bot works.

Guarantees: ``is_alive`` is true while the process's loop turns, whether or not Telegram and the API answer: to start
the bot again would mend neither, and how they are stands in the file.
"""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

EVERY: Final = 5.0
FRESH: Final = 30.0
"""Seconds after which a bot that wrote nothing counts as dead."""


async def show_life(path: Path, state: Callable[[], dict[str, Any]]) -> None:
    """Write ``state`` to ``path`` for ever, whole each time."""
    new = path.with_name(f".{path.name}.new")
    while True:
        new.write_text(json.dumps(state()))
        new.replace(path)
        await asyncio.sleep(EVERY)


def is_alive(path: Path) -> bool:
    """Return whether a bot wrote the file a moment ago."""
    try:
        return time.time() - path.stat().st_mtime < FRESH
    except OSError:
        return False
