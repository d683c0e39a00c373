"""The gateway's composition root: settings to adapters to use case to transport, start, drain and stop.

Guarantees: it listens with mutual TLS alone and serves nobody without a certificate of the deployment's CA;
renewed certificates are served without a restart; SIGTERM lets running mutations end before the process does.
"""

import asyncio
import base64
import gc
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import grpc
import structlog
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from structlog.typing import FilteringBoundLogger

from wingman_core.errors import Code, SettingInvalid, WingmanError
from wingman_gateway.audit_log import AuditLog
from wingman_gateway.audit_store import AuditStore, Pool, open_pool
from wingman_gateway.boundary_watch import BoundaryWatch, Seen
from wingman_gateway.callers import Callers
from wingman_gateway.certificates import Credentials
from wingman_gateway.engine import Engine as DockerEngine
from wingman_gateway.engine import read_registry
from wingman_gateway.execution import Engine as Acting
from wingman_gateway.execution import Executor
from wingman_gateway.health import PARTS, Health
from wingman_gateway.journal import Journal
from wingman_gateway.judgement import Judge, Policy
from wingman_gateway.limits import Limits, Turns
from wingman_gateway.metrics import Metrics
from wingman_gateway.observer import Engine as Showing
from wingman_gateway.observer import Observer
from wingman_gateway.output import OutputLimits
from wingman_gateway.policy import Policy as CedarPolicy
from wingman_gateway.reconcile import Reconciler
from wingman_gateway.records import Records
from wingman_gateway.refusals import Refusals
from wingman_gateway.reload import Reloads, Watched
from wingman_gateway.servicer import Admission, AuditServicer, Edge, Servicer
from wingman_gateway.settings import Settings, checkpoint_key, load, tls_files, token_keys
from wingman_gateway.settlement import Settler
from wingman_gateway.tracing import OFF, Tracing
from wingman_rpc.v1 import gateway_pb2, gateway_pb2_grpc

SERVICE: Final = gateway_pb2.DESCRIPTOR.services_by_name["ExecutionGateway"].full_name
AUDIT_SERVICE: Final = gateway_pb2.DESCRIPTOR.services_by_name["AuditLog"].full_name
OPTIONS: Final = (
    ("grpc.max_receive_message_length", 64 << 10),
    ("grpc.so_reuseport", 0),
)
SERVICES: Final = 4
"""To each of them a caller may have ``WINGMAN_CONCURRENCY`` calls; so many one connection carries, and more wait."""
CONNECTIONS: Final = 4
"""Connections as full as that, past which the server refuses calls, whoever makes them."""
EXIT_SETTING: Final = 2


class Engine(Acting, Showing, Seen, Protocol):
    """The Docker engine, as ``wingman_gateway.engine.Engine`` adapts it."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where time and ids come from."""

    now: Callable[[], datetime]
    clock: Callable[[], float]
    new_id: Callable[[], str]


class Gateway:
    """One gateway from its parts, for as long as it runs."""

    def __init__(  # noqa: PLR0913 - its parts
        self,
        settings: Settings,
        *,
        engine: Engine,
        policy: Policy,
        pool: Pool,
        journal: Journal,
        sources: Sources,
        log: FilteringBoundLogger,
        tracing: Tracing = OFF,
    ) -> None:
        """Wire everything around an open journal. Raises ``SettingInvalid`` for a key that cannot be used."""
        self._settings = settings
        self._log = log
        self._metrics = Metrics(tracing.stage)
        key = checkpoint_key(settings)
        self._audit = AuditStore(pool, origin=settings.origin, key=key, committed=self._metrics.committed)
        # By default an execution is the business of whoever has its journal, which is locked: no two gateways
        # that share a log can take each other's running executions for abandoned ones.
        journal_id = journal.identity()
        records = Records(settings.environment, settings.gateway_id or journal_id, journal=journal_id, now=sources.now)
        self._boundary = BoundaryWatch(
            settings.boundary_project,
            engine=engine,
            audit=self._audit,
            records=records,
            interval=settings.boundary_interval,
            stops=settings.boundary_stops and bool(settings.boundary_project),
            clock=sources.clock,
            log=log,
        )
        self._refusals = Refusals(self._audit, records, log, clock=sources.clock)
        self.unsettled: Final = asyncio.Event()
        judge = Judge(
            settings.environment,
            token_keys=token_keys(settings),
            engine=engine,
            policy=policy,
            now=sources.now,
            stage=self._metrics.stage,
        )
        self.executor: Final = Executor(
            judge,
            output_limits=OutputLimits(settings.output_limit, settings.excerpt_limit),
            engine=engine,
            audit=self._audit,
            journal=journal,
            records=records,
            refusals=self._refusals,
            turns=Turns(wait=settings.target_wait, queue=settings.target_queue),
            permit=self._boundary.require,
            metrics=self._metrics,
            unsettled=self.unsettled,
            now=sources.now,
            clock=sources.clock,
            new_id=sources.new_id,
            log=log,
        )
        audit_log = AuditLog(pool)
        reconciler = Reconciler(
            engine=engine,
            audit=self._audit,
            entries=audit_log,
            journal=journal,
            records=records,
            running=lambda: self.executor.running,
            log=log,
        )
        self._status = health.aio.HealthServicer()
        self._health = Health(
            engine=engine,
            database=self._audit,
            journal=journal,
            reconciler=reconciler,
            refusals=self._refusals,
            unsettled=self.unsettled,
            publish=self._publish,
            interval=settings.probe_interval,
            log=log,
        )
        self._reloads = Reloads(
            self._watched(judge), interval=settings.probe_interval, told=self._metrics.reloaded, log=log
        )
        self._metrics.watch("executions_running", "Executions under way.", lambda: len(self.executor.running))
        self._metrics.watch("audit_waiting", "Records that wait for a commit.", lambda: self._audit.waiting)
        self._metrics.watch("journal_outcomes", "Outcomes that the log could not take yet.", journal.waiting)
        self._metrics.watch(
            "executions_left_open",
            "Executions of other gateways that had no outcome when this one last reconciled.",
            lambda: reconciler.left_open,
        )
        self._metrics.watch(
            "executions_open_seconds",
            "Age of the oldest execution, this process's own aside, that had no outcome when it last reconciled.",
            reconciler.open_seconds,
        )
        edge = Edge(Callers(settings.environment, now=sources.now), log, sources.new_id)
        limits = Limits(concurrency=settings.concurrency, rate=settings.rate, clock=sources.clock)
        admission = Admission(edge, limits, records, self._refusals, metrics=self._metrics, call=tracing.call)
        streams = SERVICES * settings.concurrency
        self._server = grpc.aio.server(
            interceptors=[admission],
            options=(*OPTIONS, ("grpc.max_concurrent_streams", streams)),
            maximum_concurrent_rpcs=CONNECTIONS * streams,
        )
        servicer = Servicer(edge, judge, self.executor, Observer(judge, engine), self._metrics)
        gateway_pb2_grpc.add_ExecutionGatewayServicer_to_server(servicer, self._server)
        auditing = AuditServicer(
            edge, audit_log, Settler(audit_log, self._audit, records, reconciled=self.unsettled.set)
        )
        gateway_pb2_grpc.add_AuditLogServicer_to_server(auditing, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._status, self._server)
        if settings.environment == "test":
            from grpc_reflection.v1alpha import reflection  # noqa: PLC0415 - megabytes that PRD does not hold

            health_service = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
            names = (SERVICE, AUDIT_SERVICE, health_service, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self._server)
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> int:
        """Take the port, start the loops, serve; return the port. Raises ``SettingInvalid``."""
        port = self._bind()
        await self._publish(dict.fromkeys(PARTS, False))
        await self._audit.start()
        self._loops = [asyncio.create_task(self._health.settle()), asyncio.create_task(self._health.watch())]
        if self._settings.boundary_project:
            self._loops.append(asyncio.create_task(self._boundary.watch()))
        self._loops.append(asyncio.create_task(self._reloads.watch()))
        await self._server.start()
        self._log.info("listening", address=self._settings.gateway_listen, port=port)
        return port

    def _watched(self, judge: Judge) -> Iterator[Watched[Any]]:
        """Yield what may change under a running gateway; of the certificate only whether it can be used.

        Each handshake takes that from its files by itself (``certificates``).
        """
        settings = self._settings
        yield Watched(
            "token keys", lambda: settings.token_keys.glob("*.pem"), lambda: token_keys(settings), judge.use_keys
        )
        yield Watched(
            "policies",
            lambda: (path for path in settings.policy_dir.rglob("*") if path.is_file()),
            lambda: CedarPolicy.load(settings.policy_dir, settings.environment),
            judge.use_policy,
        )
        yield Watched(
            "certificates",
            lambda: (settings.tls_key, settings.tls_cert, settings.tls_ca),
            lambda: tls_files(settings),
            lambda _: None,
        )

    def _bind(self) -> int:
        try:
            credentials = Credentials(self._settings).for_server()
            return self._server.add_secure_port(self._settings.gateway_listen, credentials)
        except RuntimeError as error:
            raise SettingInvalid(
                Code.SETTING_INVALID,
                f"WINGMAN_GATEWAY_LISTEN: cannot listen on {self._settings.gateway_listen}",
                hint="is the port taken?",
            ) from error

    async def stop(self) -> None:
        """Drain: no new calls, reads end, mutations get their time; then close what ``start`` opened."""
        await self._status.enter_graceful_shutdown()
        await asyncio.gather(self._server.stop(self._settings.drain), self.executor.drain(self._settings.drain))
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self._refusals.flush()
        await self._audit.close()

    async def _publish(self, parts: Mapping[str, bool]) -> None:
        self._metrics.health(parts)
        for name, fit in parts.items():
            status = health_pb2.HealthCheckResponse.SERVING if fit else health_pb2.HealthCheckResponse.NOT_SERVING
            await self._status.set(name, status)
            if not name:
                await self._status.set(SERVICE, status)
                if fit and self._settings.health_file is not None:
                    self._settings.health_file.touch()


async def serve(settings: Settings, log: FilteringBoundLogger) -> None:
    """Run until SIGTERM or SIGINT, then drain."""
    policy = CedarPolicy.load(settings.policy_dir, settings.environment)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    sources = Sources(now=lambda: datetime.now(UTC), clock=time.monotonic, new_id=new_execution_id)
    async with AsyncExitStack() as opened:
        tracing = OFF
        if settings.otlp_endpoint:
            from wingman_gateway.otlp import exporting  # noqa: PLC0415 - megabytes that a gateway without one spares

            tracing = opened.enter_context(exporting(settings.otlp_endpoint, settings.environment))
        engine = await DockerEngine.connect(
            settings.docker_host,
            span=tracing.request,
            projects=read_registry(settings.compose_projects, settings.compose_binary)
            if settings.compose_projects
            else {},
            compose_binary=settings.compose_binary,
        )
        opened.push_async_callback(engine.close)
        pool = await open_pool(settings.database_url, settings.db_password.get_secret_value())
        opened.callback(pool.terminate)
        journal = opened.enter_context(Journal(settings.journal))
        gateway = Gateway(
            settings,
            engine=engine,
            policy=policy,
            pool=pool,
            journal=journal,
            sources=sources,
            log=log,
            tracing=tracing,
        )
        await gateway.start()
        gc.freeze()  # what start-up made stays: no collection needs to look at it again
        opened.push_async_callback(gateway.stop)
        await stopped.wait()
        log.info("draining", seconds=settings.drain)
    log.info("stopped")


def new_execution_id() -> str:
    """Return ``exe_`` and 26 base32 digits: 48 bits of milliseconds, 80 of randomness."""
    raw = (time.time_ns() // 1_000_000).to_bytes(6) + secrets.token_bytes(10)
    return "exe_" + base64.b32encode(raw).decode("ascii").rstrip("=").lower()


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
    """Run the gateway; return the exit code, with one line on standard error where it cannot start."""
    try:
        uvloop.run(serve(load(os.environ), json_log()))
    except WingmanError as error:
        sys.stderr.write(f"wingman-gateway: {error}\n")
        return EXIT_SETTING
    return 0
