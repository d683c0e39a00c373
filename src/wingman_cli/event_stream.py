"""Server-sent events from lines of text (WHATWG HTML, 9.2.6), as far as Wingman's API uses them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One event; ``id`` is what a reader resumes after."""

    name: str
    data: str
    id: str


def events_of(lines: Iterable[str]) -> Iterator[Event]:
    """Yield each complete event; one that a cut connection left open is dropped, as the standard asks."""
    name, data, event_id = "message", list[str](), ""
    for line in lines:
        if not line:
            if data:
                yield Event(name, "\n".join(data), event_id)
            name, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                name = value
            case "data":
                data.append(value)
            case "id":
                event_id = value
            case _:
                pass  # comments, which keep the connection warm, and fields nobody here needs
