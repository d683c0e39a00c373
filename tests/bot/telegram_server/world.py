"""What people do in Telegram, and which updates the bot gets for it.

In groups the bot has privacy mode on, as bots have unless their owner says otherwise: it sees commands meant for it or
for nobody in particular, replies to its messages and mentions of it. https://core.telegram.org/bots/features#privacy-mode
"""

from itertools import count
from secrets import randbelow
from typing import Any

from tests.bot.telegram_server.entities import found_entities, settle
from tests.bot.telegram_server.state import Chat, Content, Message, Person, Query, State
from tests.bot.telegram_server.wire import Entity


class World:
    """Acts on the state as people's clients do; raises LookupError and ValueError for what no client can do."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.instances: dict[int, str] = {}
        self.query_ids = count(4_000_000_000_000_000_001 + randbelow(1_000_000))

    def start(self, person: Person) -> Chat:
        """Open the private chat, without the /start that a client would send."""
        person.started = person.met = True
        return self.state.add_chat("private", None, person)

    def say(self, person: Person, chat: Chat, text: str, reply_to: Message | None) -> Message:
        """Send a text; commands and the like become entities, as in a person's client."""
        self._member(person, chat)
        text, entities = settle(text, ())
        message = self.state.add_message(chat, person, Content(text, entities), reply_to=reply_to)
        if chat.type == "private" or self._meant_for_bot(message):
            self._update("message", message.as_telegram(), person)
        return message

    def tap(self, person: Person, chat: Chat, message_id: int, data: str, *, inaccessible: bool) -> Query:
        """Tap a button, whatever it is said to carry.

        "Be aware that the message originated the query can contain no callback buttons with this data":
        https://core.telegram.org/bots/api#callbackquery.
        """
        message = self.state.messages[chat.id].get(message_id)
        shown = None if message is None or message.deleted or inaccessible else message.as_telegram()
        query_id = str(next(self.query_ids))
        instance = self.instances.setdefault(chat.id, str(next(self.query_ids)))
        body = {
            "id": query_id,
            "from": person.as_telegram(),
            "message": shown or {"chat": chat.as_telegram(), "message_id": message_id, "date": 0},
            "chat_instance": instance,
            "data": data,
        }
        update_id = self._update("callback_query", body, person)
        now = self.state.clock.now()
        query = self.state.queries[query_id] = Query(query_id, update_id, person, chat, message_id, data, now, body)
        return query

    def tap_again(self, query: Query) -> Query:
        """Deliver a tap a second time under a new update id, with the query's own id."""
        query.update_id = self._update("callback_query", query.object, query.person)
        return query

    def forward(self, person: Person, message: Message, to: Chat) -> Message:
        """Forward a message; its buttons with payloads stay behind, as Telegram has it."""
        self._member(person, message.chat)
        self._member(person, to)
        if message.protected:
            raise ValueError("the message is protected: no client forwards it")
        rows = tuple(tuple(b for b in row if "callback_data" not in b) for row in message.content.keyboard)
        now = message.content
        copy = Content(now.text, now.entities, tuple(row for row in rows if row), now.document)
        forwarded = self.state.add_message(to, person, copy, forwarded_from=message.forwarded_from or message)
        if to.type == "private" or self._meant_for_bot(forwarded):
            self._update("message", forwarded.as_telegram(), person)
        return forwarded

    def happen(self, person: Person, kind: str, what: dict[str, Any]) -> None:
        """Do what no method here knows: the update says it as it is."""
        self._update(kind, what, person)

    def allow(self, chat: Chat, *, allowed: bool) -> None:
        """Block or unblock the bot, or remove it from a group or take it back; it is told by ``my_chat_member``."""
        barred = (
            "bot was blocked by the user" if chat.type == "private" else f"bot was kicked from the {chat.type} chat"
        )
        before, chat.barred = chat.barred, None if allowed else barred
        person = next(iter(chat.members.values()))
        change = {
            "chat": chat.as_telegram(),
            "from": person.as_telegram(),
            "date": int(self.state.clock.now()),
            "old_chat_member": self._membership(banned=before is not None),
            "new_chat_member": self._membership(banned=not allowed),
        }
        self._update("my_chat_member", change, person)

    def upgrade(self, chat: Chat) -> Chat:
        """A basic group becomes a supergroup; the old id is refused with the new one from now on."""
        if chat.type != "group":
            raise ValueError("only a basic group can be upgraded")
        new = self.state.add_chat("supergroup", chat.title, *chat.members.values())
        chat.moved_to = new.id
        self.state.changes.changed()
        return new

    def _membership(self, *, banned: bool) -> dict[str, Any]:
        user = self.state.bot.as_telegram()
        return {"status": "kicked", "user": user, "until_date": 0} if banned else {"status": "member", "user": user}

    def _member(self, person: Person, chat: Chat) -> None:
        if person.id not in chat.members:
            raise ValueError(f"{person.first_name} is not in the chat {chat.id}")

    def _update(self, kind: str, body: dict[str, Any], person: Person) -> int | None:
        person.met = True
        update_id = self.state.updates.add(kind, body)
        self.state.changes.changed()
        return update_id

    def _meant_for_bot(self, message: Message) -> bool:
        name = f"@{self.state.bot.username}".lower()
        content = message.content
        if message.reply_to is not None and message.reply_to.sender is self.state.bot:
            return True
        for entity in found_entities(content.text):
            said = _covered(content.text, entity).lower()
            if entity.type == "mention" and said == name:
                return True
            if entity.type == "bot_command" and ("@" not in said or said.endswith(name)):
                return True
        return False


def _covered(text: str, entity: Entity) -> str:
    coded = text.encode("utf-16-le")
    return coded[2 * entity.offset : 2 * (entity.offset + entity.length)].decode("utf-16-le")
