r"""Words on cards: what workers wrote made harmless, times and sizes as people read them.

Guarantees: text that somebody else wrote can neither end its place on a card nor look like a line of the card's own
(every line of it begins with ``BAR``), nor hide or reorder anything: what leaves no ink or drives a screen is
written out, as ``\u202e`` say. It stands in entities, never in markup, so that no parser can be fooled, and in
fixed-width ones, in which Telegram makes neither links nor commands nor mentions of it.
Does not: tell look-alike letters apart; ``lookalikes`` says that there are some.
"""

from datetime import UTC, datetime
from typing import Final

from aiogram.utils.formatting import Bold, Code, Pre, sizeof

from wingman_core.characters import written_out

BAR: Final = "┃ "
"""How each line begins that a worker wrote."""


def line(text: str) -> str:
    """Return somebody else's text as one line; a line end in it is written out."""
    return written_out(text)


def lines(text: str) -> str:
    """Return somebody else's text, each line begun with a bar."""
    plain = text.replace("\r\n", "\n")
    return "\n".join(BAR + written_out(part.expandtabs(4)) for part in plain.split("\n"))


def quoted(text: str) -> Code:
    """Return somebody else's text for within a line."""
    return Code(line(text) or " ")


def block(text: str) -> Pre:
    """Return somebody else's text as lines of their own."""
    return Pre(lines(text))


def heading(text: str) -> Bold:
    """Return a line of the card's own."""
    return Bold(text)


def cut(text: str, units: int) -> tuple[str, int]:
    """Return the beginning of a text, at most ``units`` UTF-16 units of it, and how many characters are left out."""
    if sizeof(text) <= units:
        return text, 0
    kept, size = 0, 0
    for kept, character in enumerate(text):  # noqa: B007 - where it stopped is what counts
        size += 1 if ord(character) < 0x10000 else 2  # noqa: PLR2004 - the first plane's end
        if size > units:
            break
    return text[:kept], len(text) - kept


def clock(moment: datetime) -> str:
    """Return a time of day in UTC."""
    return f"{moment.astimezone(UTC):%H:%M:%S} UTC"


def date(moment: datetime) -> str:
    """Return a day and time in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def seconds(milliseconds: int) -> str:
    """Return a duration."""
    return f"{milliseconds / 1000:.2f} s"


def people(count: int) -> str:
    """Return a number of people in words."""
    return "1 person" if count == 1 else f"{count} people"
