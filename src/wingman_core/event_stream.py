"""Server-sent events from lines of text (WHATWG HTML, 9.2.6), as far as Wingman's API uses them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Event:
    """One event; ``id`` is what a reader resumes after."""

    name: str
    data: str
    id: str


@dataclass(slots=True)
class EventReader:
    """Takes a stream's lines, without their ends, one after the other."""

    _name: str = "message"
    _data: list[str] = field(default_factory=list)
    _id: str = ""

    def line(self, text: str) -> Event | None:
        """Return the event that this line completes; one that a cut connection leaves open is never returned."""
        if not text:
            name, data, self._name, self._data = self._name, self._data, "message", []
            return Event(name, "\n".join(data), self._id) if data else None
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._name = value
            case "data":
                self._data.append(value)
            case "id":
                self._id = value
            case _:
                pass  # comments, which keep the connection warm, and fields nobody here needs
        return None


def events_of(lines: Iterable[str]) -> Iterator[Event]:
    """Yield each complete event; one that a cut connection left open is dropped, as the standard asks."""
    reader = EventReader()
    for line in lines:
        if (event := reader.line(line)) is not None:
            yield event
