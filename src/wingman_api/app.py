"""The API's composition root: settings, adapters, use cases, routes; and the process around them."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from secrets import token_bytes
from types import FrameType
from typing import Final, TypeAlias

import structlog
import uvicorn
from fastapi import FastAPI
from structlog.typing import FilteringBoundLogger

from wingman_api import openapi, problems
from wingman_api.approvals import routes as approvals
from wingman_api.approvals.requests import Lifetimes, Requests
from wingman_api.approvals.store import RequestStore
from wingman_api.claims import routes as claims
from wingman_api.claims.finding import Probes
from wingman_api.claims.ledger import Ledger
from wingman_api.claims.probes import open_probes
from wingman_api.claims.store import VerificationStore
from wingman_api.claims.translation import Translator
from wingman_api.claims.verification import Claims
from wingman_api.edge import Edge
from wingman_api.executions import routes as executions
from wingman_api.executions.executions import Executions
from wingman_api.executions.minting import Mint, Signer
from wingman_api.executions.relay import Relay
from wingman_api.executions.signals import Signals
from wingman_api.executions.store import CHANNEL, ExecutionStore
from wingman_api.gateway import Gateway
from wingman_api.gateway_client import open_gateway
from wingman_api.identity.authenticator import Authenticator
from wingman_api.identity.caller import Role
from wingman_api.identity.store import KeyStore, key_hasher
from wingman_api.ids import new_id
from wingman_api.language_model import LanguageModel, open_language_model
from wingman_api.policy import routes as policy
from wingman_api.settings import Settings, load, thumbprint, tls_files, token_key
from wingman_api.system import routes as system
from wingman_api.system.health import Health
from wingman_api.system.schemas import Welcome
from wingman_api.system.store import Database, open_database
from wingman_core.errors import Code, SettingInvalid, WingmanError

NAME: Final = "wingman"
EXIT_SETTING: Final = 2
KEEP_ALIVE: Final = 15
BACKLOG: Final = 2048
PATIENCE: Final = 120.0
"""Seconds for the gateway to accept: other executions on the same target go first."""
LONGEST_HEADER: Final = 32 * 1024
"""Bytes of a request's line and headers that may wait for their end."""
OpenProbes: TypeAlias = Callable[[Settings, Gateway], AbstractAsyncContextManager[Probes]]


@dataclass(frozen=True, slots=True)
class Files:
    """What the settings' files hold, read and checked before anything starts."""

    key: bytes
    chain: bytes
    authority: bytes
    signer: Signer

    @classmethod
    def read(cls, settings: Settings) -> "Files":
        """Read them; raise ``SettingInvalid`` for the first that cannot be used."""
        key, chain, authority = tls_files(settings)
        signer = Signer(token_key(settings), settings.token_kid, thumbprint(chain), settings.token_lifetime)
        return cls(key, chain, authority, signer)


def create_app(
    settings: Settings, log: FilteringBoundLogger, now: Callable[[], datetime], *, probes: OpenProbes = open_probes
) -> FastAPI:
    """Return the application; it connects to database and gateway in its lifespan. ``now`` returns aware times.

    Raises ``SettingInvalid`` where a key or certificate cannot be used. ``app.state.closing`` is an event that
    ends streams early when the process is about to stop.
    """
    files = Files.read(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        password = settings.db_password.get_secret_value()
        async with (
            open_database(settings.database_url, password) as database,
            open_gateway(
                settings.gateway_address,
                key=files.key,
                chain=files.chain,
                authority=files.authority,
                environment=settings.environment,
            ) as gateway,
            probes(settings, gateway) as looking,
            open_language_model(
                settings.llm_url, settings.llm_model, settings.llm_key.get_secret_value(), settings.llm_timeout
            ) as model,
        ):
            ledger = Ledger(settings.claims_ledger)
            app.state.claims = _claims(settings, ledger, looking, model, database=database, log=log, now=now)
            signals = Signals(database, CHANNEL)
            relay = Relay(ExecutionStore(database), now=now, log=log, patience=PATIENCE)
            _wire(
                app, settings, files.signer, database=database, gateway=gateway, relay=relay, signals=signals, now=now
            )
            listening = asyncio.create_task(signals.run())
            try:
                yield
            finally:
                await relay.close(settings.drain)
                await ledger.close()
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)

    app = FastAPI(
        title="Wingman",
        version=version(NAME),
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    app.add_middleware(Edge, log=log, new_id=new_id, clock=time.monotonic)
    problems.install(app)
    openapi.install(app)
    routers = [feature.router for feature in (system, approvals, executions, claims, policy)]
    for router in routers:
        app.include_router(router)
    app.state.closing = asyncio.Event()
    app.state.welcome = Welcome(
        name=NAME, version=app.version, environment=settings.environment, endpoints=openapi.endpoints(routers)
    )
    return app


def _wire(  # noqa: PLR0913 - the adapters, by name
    app: FastAPI,
    settings: Settings,
    signer: Signer,
    *,
    database: Database,
    gateway: Gateway,
    relay: Relay,
    signals: Signals,
    now: Callable[[], datetime],
) -> None:
    """Put the use cases where the routes find them."""
    environment = settings.environment
    hasher = key_hasher()
    requests = Requests(
        RequestStore(database),
        gateway,
        environment=environment,
        lifetimes=Lifetimes(high=timedelta(seconds=settings.expiry_high), other=timedelta(seconds=settings.expiry)),
        now=now,
        new_id=new_id,
    )
    app.state.authenticator = Authenticator(
        KeyStore(database, hasher=hasher, now=now, random_bytes=token_bytes),
        hasher=hasher,
        clock=time.monotonic,
        anonymous_role=None if settings.anonymous_role is None else Role(settings.anonymous_role),
    )
    app.state.requests = requests
    app.state.executions = Executions(
        ExecutionStore(database),
        requests,
        gateway,
        mint=Mint(signer, environment=environment, now=now, new_id=new_id),
        relay=relay,
        signals=signals,
        now=now,
        closing=app.state.closing,
    )
    app.state.health = Health(database, gateway)


def _claims(  # noqa: PLR0913 - the adapters, by name
    settings: Settings,
    ledger: Ledger,
    probes: Probes,
    model: LanguageModel | None,
    *,
    database: Database,
    log: FilteringBoundLogger,
    now: Callable[[], datetime],
) -> Claims:
    return Claims(
        VerificationStore(database),
        ledger,
        probes,
        translator=Translator(model, settings.llm_timeout),
        now=now,
        clock=time.monotonic,
        new_id=new_id,
        log=log,
    )


def utc_now() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


class Server(uvicorn.Server):
    """Uvicorn that tells open streams when it has been asked to stop."""

    def __init__(self, config: uvicorn.Config, closing: asyncio.Event) -> None:
        """Take the configuration, and the event to set."""
        super().__init__(config)
        self._closing = closing

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Let streams end, then stop as ever."""
        self._closing.set()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Handle signals as ever, without raising them again afterwards: to stop when asked is a success."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Return how uvicorn serves ``app``: no access log of its own, no word of what it is, limits on everything."""
    return uvicorn.Config(
        app,
        http="h11",  # it bounds headers that never end; the faster parser does not
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=round(settings.drain) + 1,
        h11_max_incomplete_event_size=LONGEST_HEADER,
        proxy_headers=False,
    )


async def serve(settings: Settings, log: FilteringBoundLogger) -> None:
    """Serve until SIGTERM or SIGINT, then finish what runs."""
    app = create_app(settings, log, utc_now)
    with listen(settings.api_listen) as listener:
        host, port = listener.getsockname()[:2]
        log.info("serving", host=host, port=port, environment=settings.environment)
        await Server(server_config(app, settings), app.state.closing).serve([listener])
    log.info("stopped")


def listen(address: str) -> socket.socket:
    """Return a socket that listens on ``host:port``; raise ``SettingInvalid`` where that cannot be."""
    host, _, port = address.rpartition(":")
    plain = host.strip("[]")
    family = socket.AF_INET6 if ":" in plain else socket.AF_INET
    try:
        return socket.create_server((plain, int(port)), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        raise SettingInvalid(
            Code.SETTING_INVALID,
            f"WINGMAN_API_LISTEN: cannot listen on {address}: {error}",
            hint="see what else listens there, or choose another port",
        ) from error


def json_log() -> FilteringBoundLogger:
    """Return a log that writes one JSON object a line to standard output."""
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stdout),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )
    return log


def main() -> int:
    """Run the API; return the exit code, with one line on standard error where it cannot start."""
    try:
        asyncio.run(serve(load(os.environ), json_log()))
    except WingmanError as error:
        sys.stderr.write(f"wingman-api: {error}\n")
        return EXIT_SETTING
    return 0
