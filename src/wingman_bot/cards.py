"""A request as one card: everything that a person needs to decide, and where it stands.

Guarantees: the same request gives the same card. What does not fit into Telegram's 4,096 characters is in a document
that has all of it, and then the buttons are the document's, so that they come after it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiogram.types import InlineKeyboardMarkup, MessageEntity
from aiogram.utils.formatting import Bold, Code, Text, as_list, sizeof

from wingman_bot import sections
from wingman_bot.buttons import keyboard, short_digest
from wingman_bot.sections import ALL, Room
from wingman_bot.views import Execution, Request
from wingman_bot.wording import line, quoted
from wingman_core.canonical import canonical_bytes

LONGEST: Final = 4096
"""UTF-16 units of one message."""
MOST_ENTITIES: Final = 100
"""Telegram ignores further ones."""
ROOMS: Final = (Room(1500, 20), Room(700, 10), Room(300, 6), Room(120, 3), Room(60, 1))
"""Tried from the largest."""
TASK_ROOM: Final = 120


@dataclass(frozen=True, slots=True)
class Piece:
    """A text as Telegram takes it."""

    text: str
    entities: tuple[MessageEntity, ...] = ()

    @classmethod
    def of(cls, text: Text) -> "Piece":
        """Return the piece for a text."""
        plain, entities = text.render()
        return cls(plain, tuple(entities))

    @property
    def fits(self) -> bool:
        """Whether it is one message."""
        return sizeof(self.text) <= LONGEST and len(self.entities) <= MOST_ENTITIES


@dataclass(frozen=True, slots=True)
class Document:
    """A file that has all of a card."""

    name: str
    data: bytes
    caption: Piece
    digest: str = ""
    """Of the request's content, to know whether a file that was sent still has all of it."""


@dataclass(frozen=True, slots=True)
class Card:
    """What the chat should show of a request."""

    body: Piece
    document: Document | None
    buttons: InlineKeyboardMarkup
    is_cut: bool = False
    """Whether ``body`` leaves anything out."""

    @property
    def seal(self) -> str:
        """A short digest of all that is seen, to know whether an edit would change anything."""
        shown: dict[str, Any] = {
            "text": self.body.text,
            "entities": [each.model_dump(exclude_none=True, mode="json") for each in self.body.entities],
            "document": self.document is not None,
            "buttons": self.buttons.model_dump(exclude_none=True, mode="json"),
        }
        return hashlib.sha256(canonical_bytes(shown)).hexdigest()[:16]


def announcement(request: Request) -> Piece:
    """Return the one line that comes first and becomes the card; it has no buttons, and nothing depends on it."""
    task = Room(TASK_ROOM).text(line(request.task_name))
    told = Text(sections.LIGHTS.get(request.risk.level, "🔴"), " Request ", Code(request.id), " of ")
    return Piece.of(Text(told, quoted(request.worker_id), ": ", Code(task)))


def card(
    request: Request,
    executions: Mapping[str, Execution],
    operators: Iterable[str],
    *,
    has_document: bool = False,
    asked_twice: bool = False,
) -> Card:
    """Return the card of a request; once it has a document it keeps one."""
    people = tuple(operators)
    buttons = keyboard(request, asked_twice=asked_twice)
    whole = Piece.of(_text(request, executions, people, ALL, ""))
    if whole.fits and not has_document:
        return Card(whole, None, buttons)
    with_document = has_document or request.status == "PENDING"
    where = "All of it is in the document below." if with_document else f"All of it: /show {request.id}"
    body = whole if whole.fits else _shortened(request, executions, people, where)
    file = document(request, executions, people) if with_document else None
    return Card(body, file, buttons, is_cut=not whole.fits)


def document(request: Request, executions: Mapping[str, Execution], operators: Iterable[str]) -> Document:
    """Return the file that has all of a card."""
    whole = _text(request, executions, tuple(operators), ALL, "").render()[0]
    caption = Text(
        "All of request ", Code(request.id), f", {len(whole)} characters. Digest ", Code(short_digest(request))
    )
    return Document(f"{request.id}.txt", whole.encode(), Piece.of(caption), short_digest(request))


def _shortened(request: Request, executions: Mapping[str, Execution], operators: tuple[str, ...], where: str) -> Piece:
    """Return as much of a card as one message takes."""
    for room in ROOMS:
        piece = Piece.of(_text(request, executions, operators, room, where))
        if piece.fits:
            return piece
    least = Text(
        *(sections.standing(request), "\n", sections.LIGHTS.get(request.risk.level, "🔴")),
        *(f" {line(request.risk.level)} risk, {len(request.commands)} commands\n", sections.names(request), "\n"),
        Bold(f"Nothing of it fits here. {where}"),
    )
    return Piece.of(least)


def _text(
    request: Request, executions: Mapping[str, Execution], operators: tuple[str, ...], room: Room, where: str
) -> Text:
    """Return a card's text."""
    paragraphs = [as_list(*lines) for lines in _paragraphs(request, executions, operators, room, where) if lines]
    return as_list(*paragraphs, sep="\n\n")


def _paragraphs(
    request: Request, executions: Mapping[str, Execution], operators: tuple[str, ...], room: Room, where: str
) -> Iterator[list[Text]]:
    yield [
        sections.standing(request),
        *sections.outcomes(request, executions),
        *sections.decisions(request.decisions, room),
    ]
    yield [sections.headline(request), sections.names(request)]
    yield list(sections.warnings(request, operators))
    if where:
        yield [Bold(f"Too long for one message, so parts are cut. {where}")]
    several = len(request.commands) > 1
    shown = request.commands if room.rows is None else request.commands[: room.rows]
    for number, each in enumerate(shown, 1):
        yield list(sections.command(number, each, room, several=several))
    if missing := len(request.commands) - len(shown):
        yield [Bold(f"… {missing} more commands")]
    if not request.commands:
        yield [Bold("No command: a sign-off, nothing will run")]
    yield list(sections.risk(request, room))
    yield list(sections.instruction(request, room))
