"""The parts put together: one bot's state, the Bot API and the control surface, which a reset replaces as a whole."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from tests.bot.telegram_server.bot_api import BotApi
from tests.bot.telegram_server.control import ROUTES, Control, explained
from tests.bot.telegram_server.methods import Methods
from tests.bot.telegram_server.parameters import LARGEST_UPLOAD
from tests.bot.telegram_server.state import Person, State
from tests.bot.telegram_server.updates import OTHER_POLLER
from tests.bot.telegram_server.world import World

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """What answers now."""

    def __init__(self, token: str) -> None:
        self.token = token
        self._begin()

    def application(self) -> web.Application:
        """Every route."""
        app = web.Application(client_max_size=LARGEST_UPLOAD, middlewares=[explained])
        app.router.add_route("*", "/bot{token}/{method}", self._call)
        app.router.add_post("/control/reset", self._reset)
        for verb, path, name in ROUTES:
            app.router.add_route(verb, f"/control/{path}", self._controlled(name))
        app.on_shutdown.append(self._shut_down)
        return app

    def _begin(self) -> None:
        bot = Person(int(self.token.partition(":")[0]), "Wingman", username="wingman_test_bot", is_bot=True)
        self.state = State(self.token, bot)
        self.methods = Methods(self.state)
        self.api = BotApi(self.state, self.methods)
        self.control = Control(self.state, World(self.state))

    async def _call(self, request: web.Request) -> web.StreamResponse:
        return await self.api.handle(request)

    async def _reset(self, _request: web.Request) -> web.StreamResponse:
        """Forget everything; whoever waits for something is sent away."""
        old = self.state
        await self.methods.webhook.end()
        self._begin()
        old.updates.end_poll(OTHER_POLLER)
        old.open.set()
        old.release()
        old.changes.changed()
        return web.Response(status=204)

    def _controlled(self, name: str) -> Handle:
        async def handle(request: web.Request) -> web.StreamResponse:
            found: Handle = getattr(self.control, name)
            return await found(request)

        return handle

    async def _shut_down(self, _app: web.Application) -> None:
        await self.methods.webhook.end()
