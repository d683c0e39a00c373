"""The methods of the Bot API that this server has: https://core.telegram.org/bots/api#available-methods.

A method that is not here is answered with 404, as Telegram answers one that it does not have.
"""

import re
from collections.abc import Awaitable, Callable
from secrets import token_hex
from typing import Any

from tests.bot.telegram_server import wire
from tests.bot.telegram_server.entities import explicit_entities, settle, units
from tests.bot.telegram_server.keyboard import Keyboard, inline_keyboard
from tests.bot.telegram_server.markup import parse_html
from tests.bot.telegram_server.parameters import Parameters
from tests.bot.telegram_server.refusal import Refusal, bad_request, conflict, forbidden, too_many_requests
from tests.bot.telegram_server.state import Chat, Content, Message, State
from tests.bot.telegram_server.updates import LONGEST_POLL, MOST, WEBHOOK_IS_SET, wanted_kinds
from tests.bot.telegram_server.webhook import Webhook

LONGEST_TEXT = 4096
"""UTF-16 units "after entities parsing". https://core.telegram.org/bots/api#sendmessage counts characters and does not
say which; this is the strictest reading, and how the entities' offsets count."""
LONGEST_CAPTION = 1024
LARGEST_SOURCE = 1 << 15
"""Bytes of a text before it is parsed."""
LONGEST_ANSWER = 200
MOST_COMMANDS = 100
COMMAND = re.compile(r"[a-z0-9_]{1,32}")
LONGEST_DESCRIPTION = 256
DELETABLE_SECONDS = 48 * 3600
SCOPES = (
    "default",
    "all_private_chats",
    "all_group_chats",
    "all_chat_administrators",
    "chat",
    "chat_administrators",
    "chat_member",
)

Method = Callable[[Parameters], Awaitable[object]]


class Methods:
    """The methods by name, in small letters, since Telegram takes them in any case."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.webhook = Webhook(state)
        self.named: dict[str, Method] = {
            "getme": self.get_me,
            "getupdates": self.get_updates,
            "setwebhook": self.set_webhook,
            "deletewebhook": self.delete_webhook,
            "getwebhookinfo": self.get_webhook_info,
            "sendmessage": self.send_message,
            "senddocument": self.send_document,
            "editmessagetext": self.edit_message_text,
            "editmessagereplymarkup": self.edit_message_reply_markup,
            "deletemessage": self.delete_message,
            "answercallbackquery": self.answer_callback_query,
            "setmycommands": self.set_my_commands,
            "deletemycommands": self.delete_my_commands,
            "getmycommands": self.get_my_commands,
            "getchat": self.get_chat,
        }

    async def call(self, method: str, parameters: Parameters) -> object:
        """The result of a method; raises the refusal."""
        found = self.named.get(method.lower())
        if found is None:
            raise Refusal(404, "Not Found: method not found")
        return await found(parameters)

    async def get_me(self, _parameters: Parameters) -> object:
        groups = {"can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}
        return {**self.state.bot.as_telegram(), **groups, "can_connect_to_business": False, "has_main_web_app": False}

    async def get_updates(self, parameters: Parameters) -> object:
        if self.webhook.url:
            raise conflict(WEBHOOK_IS_SET)
        updates = self.state.updates
        updates.allow(wanted_kinds(parameters.text("allowed_updates")))
        seconds = min(max(parameters.number("timeout"), 0), LONGEST_POLL)
        return await updates.poll(parameters.number("offset"), parameters.number("limit", MOST), seconds)

    async def set_webhook(self, parameters: Parameters) -> object:
        await self.webhook.set(parameters, self.call)
        self.state.updates.allow(wanted_kinds(parameters.text("allowed_updates")))
        return True

    async def delete_webhook(self, parameters: Parameters) -> object:
        flag = {"drop_pending_updates": parameters.text("drop_pending_updates")}
        await self.webhook.set(Parameters(flag), self.call)
        return True

    async def get_webhook_info(self, _parameters: Parameters) -> object:
        return self.webhook.as_telegram()

    async def send_message(self, parameters: Parameters) -> object:
        content = self._text_content(parameters)
        chat = self._chat(parameters, write=True)
        if units(content.text) > LONGEST_TEXT:
            raise bad_request("message is too long")
        return self._send(chat, content, parameters)

    async def send_document(self, parameters: Parameters) -> object:
        document = self._document(parameters)
        text, entities = self._formatted(parameters, "caption", "caption_entities")
        text, settled = settle(text, entities, empty=True)
        chat = self._chat(parameters, write=True)
        if units(text) > LONGEST_CAPTION:
            raise bad_request("message caption is too long")
        sent = self._send(chat, Content(text, settled, _keyboard(parameters), document), parameters)
        self.state.documents[document.file_id] = document
        return sent

    async def edit_message_text(self, parameters: Parameters) -> object:
        content = self._text_content(parameters)
        message = self._own_message(parameters, "message to edit")
        if message.content.document is not None:
            raise bad_request("there is no text in the message to edit")
        if units(content.text) > LONGEST_TEXT:
            raise bad_request("MESSAGE_TOO_LONG")
        return self._edit(message, content)

    async def edit_message_reply_markup(self, parameters: Parameters) -> object:
        keyboard = _keyboard(parameters)
        message = self._own_message(parameters, "message to edit")
        now = message.content
        return self._edit(message, Content(now.text, now.entities, keyboard, now.document))

    async def delete_message(self, parameters: Parameters) -> object:
        chat = self._chat(parameters, write=True)
        message = self.state.message(chat, parameters.number("message_id"))
        if message is None:
            raise bad_request("message to delete not found")
        age = self.state.clock.now() - message.date
        foreign = message.sender is not self.state.bot and chat.type != "private"
        if age > DELETABLE_SECONDS or foreign:
            raise bad_request("message can't be deleted")
        message.deleted = True
        self.state.changes.changed()
        return True

    async def answer_callback_query(self, parameters: Parameters) -> object:
        query = self.state.queries.get(parameters.text("callback_query_id"))
        now = self.state.clock.now()
        if query is None or query.answer is not None or now - query.at > self.state.query_seconds:
            raise bad_request("query is too old and response timeout expired or query ID is invalid")
        text = parameters.text("text")
        if len(text) > LONGEST_ANSWER:
            raise bad_request("MESSAGE_TOO_LONG")
        query.answer = wire.Answer(
            text=text or None,
            show_alert=parameters.flag("show_alert"),
            url=parameters.text("url") or None,
            cache_time=parameters.number("cache_time"),
        )
        self.state.changes.changed()
        return True

    async def set_my_commands(self, parameters: Parameters) -> object:
        key, scope, language = self._scope(parameters)
        given = parameters.decoded("commands", "commands")
        if not isinstance(given, list):
            raise bad_request("expected an Array of BotCommand")
        if len(given) > MOST_COMMANDS:
            raise bad_request("BOT_COMMANDS_TOO_MUCH")
        commands = tuple(_command(item) for item in given)
        self.state.commands[key] = wire.Commands(scope=scope, language_code=language, commands=commands)
        self.state.changes.changed()
        return True

    async def delete_my_commands(self, parameters: Parameters) -> object:
        key, _, _ = self._scope(parameters)
        self.state.commands.pop(key, None)
        self.state.changes.changed()
        return True

    async def get_my_commands(self, parameters: Parameters) -> object:
        key, _, _ = self._scope(parameters)
        found = self.state.commands.get(key)
        return [] if found is None else [{"command": c, "description": d} for c, d in found.commands]

    async def get_chat(self, parameters: Parameters) -> object:
        chat = self._chat(parameters, write=False)
        gifts = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels")
        full = {"accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": dict.fromkeys(gifts, False)}
        return {**chat.as_telegram(), **full}

    def _chat(self, parameters: Parameters, *, write: bool) -> Chat:
        """The chat that a call is about; raises 400 if the bot does not know it, 403 if it may not ``write``."""
        if not parameters.has("chat_id"):
            raise bad_request("chat_id is empty")
        chat_id = parameters.number("chat_id")
        chat, person = self.state.chats.get(chat_id), self.state.people.get(chat_id)
        if chat is None:
            if person is not None and person.met and write:
                raise forbidden("bot can't initiate conversation with a user")
            raise bad_request("chat not found")
        if chat.moved_to is not None:
            reason = "Bad Request: group chat was upgraded to a supergroup chat"
            raise Refusal(400, reason, {"migrate_to_chat_id": chat.moved_to})
        if chat.barred is not None and write:
            raise forbidden(chat.barred)
        return chat

    def _own_message(self, parameters: Parameters, what: str) -> Message:
        """The bot's message that a call is about."""
        if not parameters.has("chat_id") and not parameters.has("message_id"):
            raise bad_request("message identifier is not specified")
        chat = self._chat(parameters, write=True)
        message = self.state.message(chat, parameters.number("message_id"))
        if message is None:
            raise bad_request(f"{what} not found")
        if message.sender is not self.state.bot:
            raise bad_request("message can't be edited")
        return message

    def _text_content(self, parameters: Parameters) -> Content:
        if not parameters.has("text"):
            raise bad_request("message text is empty")
        text, entities = settle(*self._formatted(parameters, "text", "entities"))
        return Content(text, entities, _keyboard(parameters))

    def _formatted(self, parameters: Parameters, text: str, entities: str) -> tuple[str, list[wire.Entity]]:
        """A text by its parse mode, or with the entities given; raises a 400 refusal."""
        source, mode = parameters.text(text), parameters.text("parse_mode").lower()
        if len(source.encode()) > LARGEST_SOURCE:
            raise bad_request("text is too long")
        if source and mode == "html":
            return parse_html(source)
        if source and mode in ("markdown", "markdownv2"):
            raise bad_request("unsupported parse_mode: this server knows HTML and entities alone")
        if source and mode not in ("", "none"):
            raise bad_request("unsupported parse_mode")
        return source, explicit_entities(parameters.decoded(entities, "message entities"))

    def _send(self, chat: Chat, content: Content, parameters: Parameters) -> object:
        replied = self._replied(chat, parameters)
        wait = self.state.flood.admit(chat.id, self.state.clock.now(), group=chat.type != "private")
        if wait is not None:
            raise too_many_requests(wait)
        silent, protected = parameters.flag("disable_notification"), parameters.flag("protect_content")
        message = self.state.add_message(
            chat, self.state.bot, content, reply_to=replied, silent=silent, protected=protected
        )
        return message.as_telegram()

    def _replied(self, chat: Chat, parameters: Parameters) -> Message | None:
        reply = parameters.decoded("reply_parameters", "reply parameters") or {}
        if not isinstance(reply, dict):
            raise bad_request("object expected as reply parameters")
        if "message_id" not in reply:
            return None
        found = self.state.message(chat, int(reply["message_id"]))
        if found is None and not reply.get("allow_sending_without_reply"):
            raise bad_request("message to be replied not found")
        return found

    def _edit(self, message: Message, content: Content) -> object:
        if content == message.content:
            raise bad_request(
                "message is not modified: specified new message content and reply markup are exactly the same as a "
                "current content and reply markup of the message"
            )
        message.versions.append((self.state.clock.now(), content))
        self.state.changes.changed()
        return message.as_telegram()

    def _document(self, parameters: Parameters) -> wire.Document:
        upload = parameters.upload("document")
        if upload is None:
            if not parameters.has("document"):
                raise bad_request("there is no document in the request")
            known = self.state.documents.get(parameters.text("document"))
            if known is None:
                raise bad_request("wrong file identifier/HTTP URL specified")
            return known
        if not upload.content:
            raise bad_request("file must be non-empty")
        return wire.Document.model_construct(
            file_id=f"BQ{token_hex(12)}", file_name=upload.name, mime_type=upload.mime_type, content=upload.content
        )

    def _scope(self, parameters: Parameters) -> tuple[tuple[str, str], dict[str, Any], str]:
        scope = parameters.decoded("scope", "BotCommandScope") or {"type": "default"}
        if not isinstance(scope, dict) or scope.get("type") not in SCOPES:
            raise bad_request("can't parse BotCommandScope: Unsupported type specified")
        if scope["type"] in ("chat", "chat_administrators", "chat_member"):
            self._chat(Parameters({"chat_id": scope.get("chat_id")}), write=False)
        language = parameters.text("language_code")
        if language and not re.fullmatch("[a-z]{2}", language):
            raise bad_request("invalid language code specified")
        return (repr(sorted(scope.items())), language), scope, language


def _keyboard(parameters: Parameters) -> Keyboard:
    return inline_keyboard(parameters.decoded("reply_markup", "reply keyboard markup"))


def _command(item: object) -> tuple[str, str]:
    if not isinstance(item, dict):
        raise bad_request("can't parse BotCommand: expected an Object")
    for name in ("command", "description"):
        if not isinstance(item.get(name), str):
            raise bad_request(f"can't parse BotCommand: Can't find field \"{name}\"")
    command, description = item["command"].strip().removeprefix("/"), item["description"].strip()
    if not command:
        raise bad_request("command must be non-empty")
    if not COMMAND.fullmatch(command):
        raise bad_request("BOT_COMMAND_INVALID")
    if not description:
        raise bad_request("command description must be non-empty")
    if len(description) > LONGEST_DESCRIPTION:
        raise bad_request(f"command description length must not exceed {LONGEST_DESCRIPTION}")
    return command, description
