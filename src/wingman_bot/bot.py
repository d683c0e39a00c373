"""The bot's composition root: settings to adapters to what they do together, for as long as it runs."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import AiogramError, TelegramNotFound, TelegramUnauthorizedError
from aiohttp import web
from structlog.typing import FilteringBoundLogger

from wingman_bot.alerts import Alerts
from wingman_bot.api_client import ApiClient
from wingman_bot.backoff import delays
from wingman_bot.commands import Commands
from wingman_bot.decisions import Decisions
from wingman_bot.desk import Desk
from wingman_bot.feed import Feed
from wingman_bot.help_texts import COMMANDS, DEFAULT, bot_commands
from wingman_bot.ledger import Ledger
from wingman_bot.liveness import show_life
from wingman_bot.metrics import CONTENT_TYPE, Metrics
from wingman_bot.operators import Gate
from wingman_bot.pace import Later, Limits, Pace
from wingman_bot.settings import Settings, not_spoken_for
from wingman_bot.taps import Taps
from wingman_bot.telegram import Telegram, Unauthorized, words
from wingman_bot.updates import MOST_BODY, ONCE, PATH, Updates
from wingman_core.errors import Code, SettingInvalid, Unavailable

FLUSH: Final = 3.0
"""Seconds to store what is left at the end."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Where time comes from."""

    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    monotonic: Callable[[], float] = time.monotonic
    later: Later | None = None
    """How ``pace`` comes back after some seconds of ``monotonic``; None: by the loop."""


class WingmanBot:
    """One bot from its parts, for as long as it runs."""

    def __init__(  # noqa: PLR0913 - its parts
        self,
        settings: Settings,
        bot: Bot,
        api: ApiClient,
        log: FilteringBoundLogger,
        *,
        limits: Limits | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        """Wire everything around a bot and a connection to the API."""
        clocks = clocks or Clocks()
        people, chats = settings.operators, settings.chats
        self._settings = settings
        self._bot = bot
        self._api = api
        self._log = log
        self._clocks = clocks
        self._loaded = asyncio.Event()
        self.metrics: Final = Metrics()
        self.pace: Final = Pace(limits or Limits(), clocks.monotonic, clocks.later)
        telegram = Telegram(bot, self.pace, self.metrics, log)
        self.ledger: Final = Ledger(api, settings.bot_consumer, writer=secrets.token_hex(8), log=log)
        self.desk: Final = Desk(
            api, telegram, self.ledger, chat=chats[0], operators=people.values(), now=clocks.now, log=log
        )
        self._alerts = Alerts(
            api,
            telegram,
            self.ledger,
            chat=chats[0],
            most_pending=settings.bot_pending_alert,
            metrics=self.metrics,
            log=log,
        )
        self.feed: Final = Feed(
            api, self.ledger, self.desk, self._alerts, clock=clocks.monotonic, metrics=self.metrics, log=log
        )
        decisions = Decisions(api, monotonic=clocks.monotonic, metrics=self.metrics, log=log)
        taps = Taps(api, telegram, self.desk, decisions, metrics=self.metrics, log=log)
        commands = Commands(
            api,
            telegram,
            self.desk,
            decisions,
            operators=people.values(),
            state=self._state_lines,
            now=clocks.now,
            log=log,
        )
        dispatcher = Dispatcher(disable_fsm=True)
        self.gate: Final = Gate(people, chats, telegram=telegram, clock=clocks.monotonic, metrics=self.metrics, log=log)
        dispatcher.update.outer_middleware(self.gate)
        dispatcher.include_routers(taps.router, commands.router)
        self.updates: Final = Updates(bot, dispatcher, self.metrics, log)
        self._watch()

    async def run(self) -> None:
        """Work until cancelled; raise a group with the first ``SettingInvalid``, ``Unauthorized``, ``Superseded``."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(), name="follow")
                group.create_task(self._listen(), name="listen")
                if self._settings.bot_metrics_listen:
                    group.create_task(self._show_metrics(), name="metrics")
                if (path := self._settings.bot_liveness_file) is not None:
                    group.create_task(show_life(path, lambda: self.feed.is_live, self.state), name="liveness")
        finally:
            await self.updates.close()
            with suppress(Exception, TimeoutError):  # the process ends; what is not stored is found again
                async with asyncio.timeout(FLUSH):
                    await self.ledger.flush()

    async def _follow(self) -> None:
        """Follow the API, whether or not Telegram answers."""
        await self._until_loaded()
        self._loaded.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.ledger.run(), name="ledger")
            group.create_task(self.feed.run(), name="feed")
            group.create_task(self.desk.run(), name="desk")
            group.create_task(self._alerts.run(), name="alerts")

    async def _listen(self) -> None:
        """Listen to people, once it is known which message is which card."""
        await self._until_known()
        await self._loaded.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._introduce(), name="introduce")
            group.create_task(self._take_updates(), name="updates")

    def state(self) -> dict[str, Any]:
        """Return how the bot is, for people and programs."""
        return {
            "telegram": self.updates.state,
            "feed": "ok" if self.feed.is_live else "not live",
            "cursor": self.ledger.cursor,
            "cards_waiting": self.desk.waiting,
            "calls_waiting": self.pace.waiting,
        }

    def _state_lines(self) -> list[str]:
        return [f"bot's {name.replace('_', ' ')}: {value}" for name, value in self.state().items()]

    def _watch(self) -> None:
        self.metrics.watch("telegram_ok", "1 while Telegram answers.", lambda: float(self.updates.state == "ok"))
        self.metrics.watch("notes_refused", "Notes that the API did not take.", lambda: float(self.ledger.refused))
        self.metrics.watch("feed_live", "1 while the feed is live.", lambda: float(self.feed.is_live))
        self.metrics.watch("cards_waiting", "Requests that wait to be shown.", lambda: float(self.desk.waiting))
        self.metrics.watch("calls_waiting", "Calls that wait for their turn.", lambda: float(self.pace.waiting))
        self.metrics.watch("notes", "Requests that are not over.", lambda: float(len(self.ledger.notes)))

    async def _until_known(self) -> None:
        """Return once Telegram knows the token; raise ``Unauthorized`` where it does not."""
        for wait in delays():
            try:
                me = await self._bot.get_me(request_timeout=ONCE)
            except (TelegramUnauthorizedError, TelegramNotFound) as error:  # 404: it does not even look like a token
                raise Unauthorized(words(error)) from None
            except AiogramError as error:
                self.updates.state = "Telegram does not answer"
                self._log.warning("telegram.lost", method="getMe", error=words(error))
            else:
                self._bot._me = me  # noqa: SLF001 - as Bot.me does; commands addressed to another bot are not ours
                self.updates.state = "ok"
                self._log.info("telegram.known", username=me.username)
                return
            await asyncio.sleep(wait)

    async def _until_loaded(self) -> None:
        """Return once the API has said who this is, and what is shown; raise ``SettingInvalid`` for a wrong key."""
        people = self._settings.operators.values()
        for wait in delays(longest=10.0):
            try:
                me = await self._api.whoami()
                if me.role != "service":
                    raise _wrong_key(
                        f"its key is of role {me.role}", "make one: wingman keys create ... --role service"
                    )
                if dumb := not_spoken_for(people, me.speaks_for):
                    self._log.warning(
                        "key.does_not_speak_for", people=dumb, mend=f"wingman keys speaks-for {me.key_id}"
                    )
                await self.ledger.load()
            except Unavailable as error:
                self._log.warning("api.waits", error=str(error))
            else:
                return
            await asyncio.sleep(wait)

    async def _introduce(self) -> None:
        """Tell Telegram the commands; a server that does not take them is no reason to stop."""
        for language in COMMANDS:
            code = None if language == DEFAULT else language
            try:
                await self._bot.set_my_commands(bot_commands(language), language_code=code, request_timeout=ONCE)
            except AiogramError as error:
                self._log.warning("telegram.no_commands", language=language, error=words(error))
                return

    async def _take_updates(self) -> None:
        """Take updates in the way that the settings say."""
        settings = self._settings
        if not settings.telegram_webhook_url:
            await self.updates.poll()
        secret = settings.telegram_webhook_secret.get_secret_value()
        route = web.post(PATH, self.updates.webhook(secret))
        async with _served(settings.telegram_webhook_listen, "WINGMAN_TELEGRAM_WEBHOOK_LISTEN", route):
            await self.updates.register(f"{settings.telegram_webhook_url}{PATH}", secret)
            await asyncio.Event().wait()

    async def _show_metrics(self) -> None:
        route = web.get("/metrics", self._metrics)
        async with _served(self._settings.bot_metrics_listen, "WINGMAN_BOT_METRICS_LISTEN", route):
            await asyncio.Event().wait()

    async def _metrics(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=self.metrics.text(), headers={"Content-Type": CONTENT_TYPE})


def open_bot(settings: Settings) -> Bot:
    """Return the bot's connection to Telegram, or to the server that the settings name."""
    session = AiohttpSession(api=TelegramAPIServer.from_base(settings.telegram_api))
    return Bot(settings.bot_token.get_secret_value(), session=session)


@asynccontextmanager
async def _served(address: str, setting: str, *routes: web.RouteDef) -> AsyncIterator[None]:
    """Serve routes on ``host:port``."""
    host, _, port = address.rpartition(":")
    app = web.Application(client_max_size=MOST_BODY)
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host.strip("[]"), int(port)).start()
        except OSError as error:
            raise SettingInvalid(
                Code.SETTING_INVALID,
                f"{setting}: cannot listen on {address}: {error.strerror}",
                hint="choose another port",
            ) from error
        yield
    finally:
        await runner.cleanup()


def _wrong_key(problem: str, hint: str) -> SettingInvalid:
    return SettingInvalid(Code.SETTING_INVALID, f"WINGMAN_API_KEY_FILE: {problem}", hint=hint)
