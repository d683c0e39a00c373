"""The API's composition root: settings, adapters, use cases, routes; and the process around them."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from types import FrameType
from typing import Final, TypeAlias

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from structlog.typing import FilteringBoundLogger

from wingman_api import ids, openapi
from wingman_api.claims.finding import Probes
from wingman_api.claims.ledger import Ledger
from wingman_api.claims.probes.probes import open_probes
from wingman_api.connection import connection_class
from wingman_api.edge import Edge
from wingman_api.executions.minting import Signer
from wingman_api.executions.relay import Relay
from wingman_api.executions.store import ExecutionStore
from wingman_api.gateway import Gateway
from wingman_api.gateway_client import open_gateway
from wingman_api.language_model import open_language_model
from wingman_api.metrics import Metrics
from wingman_api.settings import Settings, load, thumbprint, tls_files, token_key
from wingman_api.surface import NAME, ROUTERS, surface
from wingman_api.system.chores import chores
from wingman_api.system.schemas import Welcome
from wingman_api.system.store import open_database
from wingman_api.telemetry import OFF, traced
from wingman_api.wiring import Adapters, wire
from wingman_api.workers import EXIT_SETTING, Workers, end_with_parent, inherited
from wingman_core.errors import Code, SettingInvalid, WingmanError

KEEP_ALIVE: Final = 15
BACKLOG: Final = 2048
WORKER_GRACE: Final = 5.0
"""Seconds beyond the drain before a worker that does not end is killed."""
PATIENCE: Final = 120.0
"""Seconds for the gateway to accept: other executions on the same target go first."""
LONGEST_HEADER: Final = 32 * 1024
"""Bytes of a request's line and headers that may wait for their end."""
OpenProbes: TypeAlias = Callable[[Settings, Gateway, Callable[[], datetime]], AbstractAsyncContextManager[Probes]]


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


def create_app(  # noqa: PLR0913 - what it is made of, by name
    settings: Settings,
    log: FilteringBoundLogger,
    now: Callable[[], datetime],
    *,
    telemetry: TelemetryConfig = OFF,
    probes: OpenProbes = open_probes,
    new_id: Callable[[], str] = ids.new_id,
) -> FastAPI:
    """Return the application; it connects to database and gateway in its lifespan. ``now`` returns aware times.

    ``new_id`` returns 26 characters of lowercase base32 that nobody can guess. Raises ``SettingInvalid`` where a key
    or certificate cannot be used. ``app.state.closing`` is an event that ends streams early when the process is about
    to stop.
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
            probes(settings, gateway, now) as looking,
            open_language_model(
                settings.llm_url, settings.llm_model, settings.llm_key.get_secret_value(), settings.llm_timeout
            ) as model,
        ):
            relay = Relay(ExecutionStore(database), now=now, log=log, patience=PATIENCE)
            ledger = Ledger(settings.claims_ledger)
            adapters = Adapters(
                settings=settings,
                signer=files.signer,
                database=database,
                gateway=gateway,
                probes=looking,
                model=model,
                ledger=ledger,
                relay=relay,
                log=log,
                now=now,
                new_id=new_id,
                closing=app.state.closing,
            )
            async with chores(log, wire(app, adapters)):
                try:
                    yield
                finally:
                    await relay.close(settings.drain)
                    await ledger.close()

    app = surface(lifespan, telemetry)
    app.state.metrics = Metrics()
    app.state.ledger_directory = settings.claims_ledger.parent
    app.add_middleware(
        Edge,
        log=log,
        metrics=app.state.metrics,
        new_id=ids.new_correlation_id,
        clock=time.monotonic,
        patience=settings.stall,
    )
    app.state.closing = asyncio.Event()
    app.state.welcome = Welcome(
        name=NAME, version=app.version, environment=settings.environment, endpoints=openapi.endpoints(ROUTERS)
    )
    return app


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
        ws="none",
        log_level="error",  # its warnings tell what any stranger sent, and not in JSON
        http=connection_class(settings.stall),  # h11, which bounds headers that never end; the faster parser does not
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=min(KEEP_ALIVE, round(settings.stall)),
        timeout_graceful_shutdown=round(settings.drain) + 1,
        h11_max_incomplete_event_size=LONGEST_HEADER,
        proxy_headers=False,
    )


async def serve(settings: Settings, log: FilteringBoundLogger, handed: socket.socket | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then finish what runs; with several workers, have them do so.

    ``handed`` is the socket of a parent that keeps workers, of which this is one. Returns the exit code.
    """
    telemetry = traced(settings.otlp_endpoint, version(NAME), settings.environment)
    with telemetry as config, handed or listen(settings.api_listen) as listener:
        app = create_app(settings, log, utc_now, telemetry=config)
        host, port = listener.getsockname()[:2]
        log.info("serving", host=host, port=port, environment=settings.environment)
        if handed is None and settings.api_workers > 1:
            grace = settings.drain + WORKER_GRACE
            return await Workers(listener, settings.api_workers, grace=grace, log=log).run()
        server = Server(server_config(app, settings), app.state.closing)
        if handed is not None:
            end_with_parent(lambda: server.handle_exit(signal.SIGTERM, None))
        await server.serve([listener])
    log.info("stopped")
    return 0


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
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    ).bind()  # at once, or each line would build a logger first
    return log


def main() -> int:
    """Run the API; return the exit code, with one line on standard error where it cannot start."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(serve(load(os.environ), json_log(), inherited(os.environ)))
    except WingmanError as error:
        sys.stderr.write(f"wingman-api: {error}\n")
        return EXIT_SETTING
