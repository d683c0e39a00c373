"""``/control/...``: what tests do to the server and look up in it. ``client.py`` speaks it."""

import json
from collections.abc import Sequence
from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import TypeAdapter

from tests.bot.telegram_server import wire
from tests.bot.telegram_server.rate import FloodControl
from tests.bot.telegram_server.state import Chat, Message, Person, State
from tests.bot.telegram_server.world import World

Asked = TypeVar("Asked", bound=wire.Wire)
MESSAGES = TypeAdapter(list[wire.Message])
LONGEST_WAIT = 20.0
ROUTES = (
    ("POST", "people", "add_person"),
    ("POST", "starts", "start"),
    ("POST", "groups", "add_group"),
    ("POST", "says", "say"),
    ("POST", "taps", "tap"),
    ("POST", "taps/{id}/again", "tap_again"),
    ("GET", "taps/{id}", "tapped"),
    ("POST", "forwards", "forward"),
    ("POST", "happenings", "happen"),
    ("POST", "standing", "standing"),
    ("POST", "upgrade", "upgrade"),
    ("GET", "chats/{id}/messages", "messages"),
    ("GET", "calls", "calls"),
    ("GET", "commands", "commands"),
    ("GET", "pending", "pending"),
    ("POST", "orders", "order"),
    ("DELETE", "orders", "clear_orders"),
    ("PUT", "limits", "limit"),
    ("PUT", "query-seconds", "query_seconds"),
    ("POST", "passes", "let_pass"),
    ("POST", "token", "change_token"),
    ("POST", "pause", "pause"),
    ("POST", "resume", "resume"),
    ("POST", "release", "release"),
    ("GET", "changes", "changes"),
)
"""Verb, path under ``/control/``, and the method of ``Control`` that answers."""


class Control:
    """Answers what ``ROUTES`` lists."""

    def __init__(self, state: State, world: World) -> None:
        self.state = state
        self.world = world

    async def change_token(self, request: web.Request) -> web.Response:
        """Have the bot's token be another one; the old one is refused from now on."""
        self.state.token = await request.text()
        return web.Response(status=204)

    async def add_person(self, request: web.Request) -> web.Response:
        asked = await _asked(request, wire.NewPerson)
        person = self.state.add_person(asked.first_name, asked.username, asked.language_code)
        return _one(
            wire.Person(
                id=person.id,
                first_name=person.first_name,
                username=person.username,
                language_code=person.language_code,
            )
        )

    async def start(self, request: web.Request) -> web.Response:
        return _one(_chat(self.world.start(self._person(int(await request.text())))))

    async def add_group(self, request: web.Request) -> web.Response:
        asked = await _asked(request, wire.NewGroup)
        people = [self._person(person_id) for person_id in asked.people]
        return _one(_chat(self.state.add_chat("supergroup" if asked.supergroup else "group", asked.title, *people)))

    async def say(self, request: web.Request) -> web.Response:
        asked = await _asked(request, wire.Saying)
        chat = self._chat(asked.chat_id)
        reply = None if asked.reply_to is None else self._message(chat, asked.reply_to)
        return _one(self.world.say(self._person(asked.person_id), chat, asked.text, reply).on_wire())

    async def tap(self, request: web.Request) -> web.Response:
        asked = await _asked(request, wire.Tapping)
        person, chat = self._person(asked.person_id), self._chat(asked.chat_id)
        query = self.world.tap(person, chat, asked.message_id, asked.data, inaccessible=asked.inaccessible)
        return _one(query.on_wire())

    async def tap_again(self, request: web.Request) -> web.Response:
        return _one(self.world.tap_again(self.state.queries[request.match_info["id"]]).on_wire())

    async def tapped(self, request: web.Request) -> web.Response:
        return _one(self.state.queries[request.match_info["id"]].on_wire())

    async def forward(self, request: web.Request) -> web.Response:
        asked = await _asked(request, wire.Forwarding)
        message = self._message(self._chat(asked.chat_id), asked.message_id)
        forwarded = self.world.forward(self._person(asked.person_id), message, self._chat(asked.to_chat_id))
        return _one(forwarded.on_wire())

    async def happen(self, request: web.Request) -> web.Response:
        asked = await _asked(request, wire.Happening)
        self.world.happen(self._person(asked.person_id), asked.kind, asked.what)
        return web.Response(status=204)

    async def standing(self, request: web.Request) -> web.Response:
        asked = await _asked(request, wire.Standing)
        self.world.allow(self._chat(asked.chat_id), allowed=asked.allowed)
        return web.Response(status=204)

    async def upgrade(self, request: web.Request) -> web.Response:
        return _one(_chat(self.world.upgrade(self._chat(int(await request.text())))))

    async def messages(self, request: web.Request) -> web.Response:
        chat = self._chat(int(request.match_info["id"]))
        first = int(request.query.get("from", 0))
        found = [message.on_wire() for message in self.state.messages[chat.id].values() if message.id >= first]
        return web.Response(body=MESSAGES.dump_json(found), content_type="application/json")

    async def calls(self, request: web.Request) -> web.Response:
        return _many(self.state.calls[int(request.query.get("from", 0)) :])

    async def commands(self, _request: web.Request) -> web.Response:
        return _many([*self.state.commands.values()])

    async def pending(self, _request: web.Request) -> web.Response:
        return web.json_response([*self.state.updates.pending.values()])

    async def order(self, request: web.Request) -> web.Response:
        self.state.orders.add(await _asked(request, wire.Order))
        return web.Response(status=204)

    async def clear_orders(self, _request: web.Request) -> web.Response:
        self.state.orders.clear()
        return web.Response(status=204)

    async def limit(self, request: web.Request) -> web.Response:
        self.state.flood = FloodControl(await _asked(request, wire.Limits))
        return web.Response(status=204)

    async def query_seconds(self, request: web.Request) -> web.Response:
        self.state.query_seconds = (await _asked(request, wire.Passing)).seconds
        return web.Response(status=204)

    async def let_pass(self, request: web.Request) -> web.Response:
        self.state.clock.let_pass((await _asked(request, wire.Passing)).seconds)
        return web.Response(status=204)

    async def pause(self, _request: web.Request) -> web.Response:
        self.state.open.clear()
        return web.Response(status=204)

    async def resume(self, _request: web.Request) -> web.Response:
        self.state.open.set()
        return web.Response(status=204)

    async def release(self, _request: web.Request) -> web.Response:
        self.state.release()
        return web.Response(status=204)

    async def changes(self, request: web.Request) -> web.Response:
        seconds = min(float(request.query.get("seconds", 0)), LONGEST_WAIT)
        return web.json_response(await self.state.changes.beyond(int(request.query["after"]), seconds))

    def _person(self, person_id: int) -> Person:
        return self.state.people[person_id]

    def _chat(self, chat_id: int) -> Chat:
        return self.state.chats[chat_id]

    def _message(self, chat: Chat, message_id: int) -> Message:
        return self.state.messages[chat.id][message_id]


@web.middleware
async def explained(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What a test asks for and cannot have is said with 422, on the control surface alone."""
    try:
        return await handler(request)
    except (LookupError, ValueError) as error:
        if not request.path.startswith("/control/"):
            raise
        return web.Response(status=422, text=f"{type(error).__name__}: {error}")


async def _asked(request: web.Request, model: type[Asked]) -> Asked:
    return model.model_validate_json(await request.read())


def _one(model: wire.Wire) -> web.Response:
    return web.Response(body=model.model_dump_json().encode(), content_type="application/json")


def _many(models: Sequence[wire.Wire]) -> web.Response:
    return web.json_response([json.loads(model.model_dump_json()) for model in models])


def _chat(chat: Chat) -> wire.Chat:
    return wire.Chat(id=chat.id, type=chat.type, title=chat.title)
