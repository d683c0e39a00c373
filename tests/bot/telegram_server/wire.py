"""What the control surface and its client say to each other: closed Pydantic models, JSON over HTTP."""

from typing import Any, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict


class Wire(BaseModel):
    """Frozen; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Person(Wire):
    """A user of Telegram; their private chat with the bot has the same id."""

    id: int
    first_name: str
    username: str | None = None
    language_code: str | None = None


class Chat(Wire):
    """A chat that the bot may see."""

    id: int
    type: Literal["private", "group", "supergroup"]
    title: str | None = None


class Entity(Wire):
    """A span of a text; ``offset`` and ``length`` in UTF-16 code units, as everywhere in the Bot API."""

    type: str
    offset: int
    length: int
    url: str | None = None
    user: dict[str, Any] | None = None
    language: str | None = None
    custom_emoji_id: str | None = None
    unix_time: int | None = None
    date_time_format: str | None = None


class Button(Wire):
    """A button of an inline keyboard."""

    text: str
    callback_data: str | None = None
    url: str | None = None


class Document(Wire):
    """A file as it was uploaded."""

    file_id: str
    file_name: str
    mime_type: str
    content: Base64Bytes


class Version(Wire):
    """What a message said for a while; ``text`` is the caption where there is a document. ``at`` in epoch seconds."""

    at: float
    text: str
    entities: tuple[Entity, ...] = ()
    keyboard: tuple[tuple[Button, ...], ...] = ()
    document: Document | None = None

    def spans(self, kind: str) -> list[str]:
        """The texts that entities of a type cover, in order."""
        units = self.text.encode("utf-16-le")
        found = [entity for entity in self.entities if entity.type == kind]
        return [units[2 * e.offset : 2 * (e.offset + e.length)].decode("utf-16-le") for e in found]


class Message(Wire):
    """A message with its history; the last version is the current one."""

    id: int
    chat_id: int
    sender_id: int
    date: float
    versions: tuple[Version, ...]
    reply_to: int | None = None
    forwarded: bool = False
    silent: bool = False
    deleted: bool = False

    @property
    def now(self) -> Version:
        """What it says now."""
        return self.versions[-1]

    @property
    def text(self) -> str:
        """Its text, or its document's caption."""
        return self.now.text

    @property
    def document(self) -> Document | None:
        """Its document."""
        return self.now.document

    @property
    def buttons(self) -> list[Button]:
        """Every button, row by row."""
        return [button for row in self.now.keyboard for button in row]

    def spans(self, kind: str) -> list[str]:
        """The texts that entities of a type cover now, in order."""
        return self.now.spans(kind)

    def button(self, label: str) -> Button:
        """The one button whose text contains ``label``."""
        found = [button for button in self.buttons if label in button.text]
        assert len(found) == 1, f"{len(found)} buttons say {label!r}: {[button.text for button in self.buttons]}"
        return found[0]


class Answer(Wire):
    """What the tapper sees after a tap."""

    text: str | None = None
    show_alert: bool = False
    url: str | None = None
    cache_time: int = 0


class Tap(Wire):
    """A callback query and, once the bot has answered it, the answer."""

    id: str
    update_id: int | None
    person_id: int
    chat_id: int
    message_id: int
    data: str
    answer: Answer | None = None


class Call(Wire):
    """One call of the Bot API.

    ``at`` and ``ended`` are epoch seconds of the server's clock. ``outcome`` is ``ok``, ``refused``, ``faulted`` (an
    order decided the answer) or ``open``; ``status`` the HTTP status, 0 without an answer. Files in ``parameters`` are
    ``{"name", "size"}``.
    """

    number: int
    method: str
    parameters: dict[str, Any]
    at: float
    ended: float | None = None
    outcome: Literal["open", "ok", "refused", "faulted"] = "open"
    took_effect: bool = False
    status: int = 0
    description: str | None = None
    retry_after: int | None = None


class Fault(Wire):
    """What goes wrong.

    ``answer`` replies with ``status`` and ``description`` (and ``retry_after`` seconds); ``page`` with a proxy's HTML;
    ``drop`` resets the connection; ``hang`` waits ``seconds`` and goes on as usual; ``hold`` goes on once released.
    """

    kind: Literal["answer", "page", "drop", "hang", "hold"]
    status: int = 0
    description: str = ""
    retry_after: int | None = None
    seconds: float = 0


class Order(Wire):
    """A fault for the next ``times`` calls (None: until cleared) of ``method`` (None: every one but getUpdates).

    ``having`` restricts it to calls with that parameter, ``saying`` to those whose text has that; ``after`` lets the
    call take effect first.
    """

    fault: Fault
    method: str | None = None
    times: int | None = 1
    having: str | None = None
    saying: str = ""
    after: bool = False


class Limits(Wire):
    """Flood limits; None is off.

    ``chat_burst`` messages to one chat in any ``chat_burst * chat_seconds`` seconds, ``group_per_minute`` to one group
    in any minute, ``total_per_second`` to all chats in any second.
    """

    chat_seconds: float | None = None
    chat_burst: int = 1
    group_per_minute: int | None = None
    total_per_second: int | None = None


DOCUMENTED = Limits(chat_seconds=1, chat_burst=3, group_per_minute=20, total_per_second=30)
"""https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this: "avoid sending more than one message
per second" in a chat, "short bursts" may pass (how short is not said; 3 here), "not more than 20 messages per minute"
in a group, "about 30 messages per second" in all."""


class Commands(Wire):
    """The commands set for one scope and language."""

    scope: dict[str, Any]
    language_code: str
    commands: tuple[tuple[str, str], ...]


# What is asked of the control surface.


class NewPerson(Wire):
    first_name: str
    username: str | None = None
    language_code: str | None = None


class NewGroup(Wire):
    title: str
    people: tuple[int, ...]
    supergroup: bool


class Saying(Wire):
    person_id: int
    chat_id: int
    text: str
    reply_to: int | None = None


class Tapping(Wire):
    person_id: int
    chat_id: int
    message_id: int
    data: str
    inaccessible: bool = False


class Forwarding(Wire):
    person_id: int
    chat_id: int
    message_id: int
    to_chat_id: int


class Happening(Wire):
    """An update of any content, such as a later version of the Bot API may have."""

    person_id: int
    kind: str
    what: dict[str, Any]


class Standing(Wire):
    """Whether the bot may write: to the person of a private chat, or in a group."""

    chat_id: int
    allowed: bool


class Passing(Wire):
    seconds: float
