"""Everything the server knows, in memory: people, chats, messages, taps, calls, and the time.

Whoever changes something says so with ``changed``, which wakes those that wait on the control surface.
"""

import asyncio
import time
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

from tests.bot.telegram_server import wire
from tests.bot.telegram_server.keyboard import Keyboard, as_buttons
from tests.bot.telegram_server.orders import Orders
from tests.bot.telegram_server.rate import FloodControl
from tests.bot.telegram_server.updates import Updates

FIRST_SUPERGROUP = -1_001_000_000_000
FIRST_GROUP = -4_000
FIRST_PERSON = 1_000_001


class Clock:
    """The wall clock, monotonic, which tests may move ahead."""

    def __init__(self) -> None:
        self._begun = time.time() - time.monotonic()

    def now(self) -> float:
        """Epoch seconds."""
        return self._begun + time.monotonic()

    def let_pass(self, seconds: float) -> None:
        """Move ahead."""
        self._begun += seconds


class Changes:
    """A number that grows with every change, to be waited for."""

    def __init__(self) -> None:
        self.number = 0
        self._condition: asyncio.Event = asyncio.Event()

    def changed(self) -> None:
        """Wake everyone who waits."""
        self.number += 1
        self._condition.set()
        self._condition = asyncio.Event()

    async def beyond(self, number: int, seconds: float) -> int:
        """The number, once it has passed another one or after so many seconds."""
        deadline = time.monotonic() + seconds
        while self.number <= number and (left := deadline - time.monotonic()) > 0:
            waiting = asyncio.ensure_future(self._condition.wait())
            await asyncio.wait([waiting], timeout=left)
            waiting.cancel()
        return self.number


@dataclass
class Person:
    """A user, or the bot itself."""

    id: int
    first_name: str
    username: str | None = None
    language_code: str | None = None
    is_bot: bool = False
    started: bool = False
    """Whether they have opened the private chat with the bot."""
    met: bool = False
    """Whether the bot has ever seen them."""

    def as_telegram(self) -> dict[str, Any]:
        """A User object."""
        fields = {"username": self.username, "language_code": self.language_code}
        given = {name: value for name, value in fields.items() if value is not None}
        return {"id": self.id, "is_bot": self.is_bot, "first_name": self.first_name, **given}


@dataclass
class Chat:
    """A chat; ``barred`` is why the bot may not write there, ``moved_to`` the supergroup that it has become."""

    id: int
    type: Literal["private", "group", "supergroup"]
    title: str | None
    members: dict[int, Person]
    ids: "count[int]"
    barred: str | None = None
    moved_to: int | None = None

    def as_telegram(self) -> dict[str, Any]:
        """A Chat object."""
        if self.type != "private":
            return {"id": self.id, "type": self.type, "title": self.title}
        person = self.members[self.id]
        username = {} if person.username is None else {"username": person.username}
        return {"id": self.id, "type": "private", "first_name": person.first_name, **username}


@dataclass(frozen=True)
class Content:
    """What a message says; two that are equal are "not modified"."""

    text: str
    entities: tuple[wire.Entity, ...] = ()
    keyboard: Keyboard = ()
    document: wire.Document | None = None


@dataclass
class Message:
    """A message with its history."""

    id: int
    chat: Chat
    sender: Person
    date: float
    versions: list[tuple[float, Content]]
    reply_to: "Message | None" = None
    forwarded_from: "Message | None" = None
    silent: bool = False
    protected: bool = False
    deleted: bool = False

    @property
    def content(self) -> Content:
        """What it says now."""
        return self.versions[-1][1]

    def as_telegram(self, *, replied: bool = True) -> dict[str, Any]:
        """A Message object; the one it replies to, without its own, where ``replied``."""
        content = self.content
        body: dict[str, Any] = {
            "message_id": self.id,
            "from": self.sender.as_telegram(),
            "chat": self.chat.as_telegram(),
            "date": int(self.date),
        }
        if len(self.versions) > 1:
            body["edit_date"] = int(self.versions[-1][0])
        if self.protected:
            body["has_protected_content"] = True
        if self.forwarded_from is not None:
            origin = self.forwarded_from
            user = origin.sender.as_telegram()
            body["forward_origin"] = {"type": "user", "sender_user": user, "date": int(origin.date)}
        if self.reply_to is not None and replied:
            body["reply_to_message"] = self.reply_to.as_telegram(replied=False)
        text, entities = ("text", "entities") if content.document is None else ("caption", "caption_entities")
        if content.text:
            body[text] = content.text
        if content.entities:
            body[entities] = [entity.model_dump(exclude_none=True) for entity in content.entities]
        if content.document is not None:
            body["document"] = document_as_telegram(content.document)
        if content.keyboard:
            body["reply_markup"] = {"inline_keyboard": [list(row) for row in content.keyboard]}
        return body

    def on_wire(self) -> wire.Message:
        """For the control surface."""
        return wire.Message(
            id=self.id,
            chat_id=self.chat.id,
            sender_id=self.sender.id,
            date=self.date,
            versions=tuple(
                wire.Version(
                    at=at, text=c.text, entities=c.entities, keyboard=as_buttons(c.keyboard), document=c.document
                )
                for at, c in self.versions
            ),
            reply_to=None if self.reply_to is None else self.reply_to.id,
            forwarded=self.forwarded_from is not None,
            silent=self.silent,
            deleted=self.deleted,
        )


def document_as_telegram(document: wire.Document) -> dict[str, Any]:
    """A Document object."""
    return {
        "file_id": document.file_id,
        "file_unique_id": f"u{document.file_id}",
        "file_name": document.file_name,
        "mime_type": document.mime_type,
        "file_size": len(document.content),
    }


@dataclass
class Query:
    """A callback query; ``answer`` is what the bot said to it."""

    id: str
    update_id: int | None
    person: Person
    chat: Chat
    message_id: int
    data: str
    at: float
    object: dict[str, Any]
    answer: wire.Answer | None = None

    def on_wire(self) -> wire.Tap:
        """For the control surface."""
        return wire.Tap(
            id=self.id,
            update_id=self.update_id,
            person_id=self.person.id,
            chat_id=self.chat.id,
            message_id=self.message_id,
            data=self.data,
            answer=self.answer,
        )


@dataclass
class State:
    """One bot and its world."""

    token: str
    bot: Person
    clock: Clock = field(default_factory=Clock)
    changes: Changes = field(default_factory=Changes)
    orders: Orders = field(default_factory=Orders)
    flood: FloodControl = field(default_factory=FloodControl)
    people: dict[int, Person] = field(default_factory=dict)
    chats: dict[int, Chat] = field(default_factory=dict)
    messages: dict[int, dict[int, Message]] = field(default_factory=dict)
    """By chat and message id."""
    queries: dict[str, Query] = field(default_factory=dict)
    documents: dict[str, wire.Document] = field(default_factory=dict)
    commands: dict[tuple[str, str], wire.Commands] = field(default_factory=dict)
    calls: list[wire.Call] = field(default_factory=list)
    query_seconds: float = 15
    """How long a callback query can be answered. Telegram only says that it gets too old."""
    open: asyncio.Event = field(default_factory=asyncio.Event)
    """Unset while the server pauses."""
    released: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, and replaced, when the calls that are held go on."""
    updates: Updates = field(default_factory=Updates)
    ids: "count[int]" = field(default_factory=lambda: count(1))
    """Messages of private chats and basic groups are numbered together."""

    def __post_init__(self) -> None:
        self.open.set()

    def release(self) -> None:
        """Let the calls that are held go on."""
        self.released.set()
        self.released = asyncio.Event()

    def add_person(self, first_name: str, username: str | None, language_code: str | None) -> Person:
        """A new user, whom the bot has not met."""
        person = Person(FIRST_PERSON + len(self.people), first_name, username, language_code)
        self.people[person.id] = person
        return person

    def add_chat(self, kind: Literal["private", "group", "supergroup"], title: str | None, *people: Person) -> Chat:
        """A new chat of the bot with these people."""
        first = FIRST_SUPERGROUP if kind == "supergroup" else FIRST_GROUP
        chat_id = people[0].id if kind == "private" else first - len(self.chats)
        ids = count(1) if kind == "supergroup" else self.ids
        chat = self.chats[chat_id] = Chat(chat_id, kind, title, {person.id: person for person in people}, ids)
        self.messages[chat_id] = {}
        return chat

    def add_message(
        self,
        chat: Chat,
        sender: Person,
        content: Content,
        *,
        reply_to: Message | None = None,
        forwarded_from: Message | None = None,
        silent: bool = False,
        protected: bool = False,
    ) -> Message:
        """A new message."""
        now = self.clock.now()
        message = Message(
            next(chat.ids),
            chat,
            sender,
            now,
            [(now, content)],
            reply_to=reply_to,
            forwarded_from=forwarded_from,
            silent=silent,
            protected=protected,
        )
        self.messages[chat.id][message.id] = message
        self.changes.changed()
        return message

    def message(self, chat: Chat, message_id: int) -> Message | None:
        """One that exists and is not deleted."""
        found = self.messages[chat.id].get(message_id)
        return None if found is None or found.deleted else found
