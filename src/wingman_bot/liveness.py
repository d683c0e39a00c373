"""A sign of life for a supervisor: a file that is written anew every few seconds while the bot works.

Guarantees: ``is_alive`` is true while the process's loop turns and the API's feed is followed, whether or not Telegram
answers: to start the bot again would not mend that, and how Telegram is stands in the file, the log and the metrics.
"""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

EVERY: Final = 5.0
SOON: Final = 0.5
"""Seconds until the next look at whether it lives."""
FRESH: Final = 30.0
"""Seconds after which a bot that wrote nothing counts as dead."""


async def show_life(path: Path, lives: Callable[[], bool], state: Callable[[], dict[str, Any]]) -> None:
    """Write ``state`` to ``path`` for ever, whole each time, while the bot ``lives``."""
    new = path.with_name(f".{path.name}.new")
    while True:
        if lives():
            new.write_text(json.dumps(state()))
            new.replace(path)
        await asyncio.sleep(EVERY if lives() else SOON)


def is_alive(path: Path) -> bool:
    """Return whether a bot wrote the file a moment ago."""
    try:
        return time.time() - path.stat().st_mtime < FRESH
    except OSError:
        return False
