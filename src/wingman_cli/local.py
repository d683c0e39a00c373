"""Wingman on one machine, from its data directory: embedded Postgres, gateway, API, perhaps a bot; all supervised.

Guarantees: one at a time per directory; started in the order they need each other and stopped in reverse, also
when starting fails halfway; each process gets its own database role and only the key files it needs. A Postgres
that is killed is started again like the others.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx

from wingman_cli.embedded_db import OWNER, EmbeddedPostgres, migrate
from wingman_cli.instance import Instance, Running
from wingman_cli.keys import key_store
from wingman_cli.pki import write_private
from wingman_cli.renewal import serve as serve_renewals
from wingman_cli.rotation.passwords import settle_passwords
from wingman_cli.session import LOCAL_KEYS
from wingman_cli.supervisor import Service, Supervisor, end_leftover
from wingman_cli.telegram import NAME as BOT
from wingman_cli.telegram import TOKEN, Wanted, kept_token, make_key
from wingman_core.errors import Code, SettingInvalid, Unavailable

HOST: Final = "127.0.0.1"
READY_LIMIT: Final = 60.0
POLL: Final = 0.1
WATCH: Final = 1.0
"""Seconds between two looks at Postgres."""
GRACE: Final = 75.0
"""Seconds; longer than a gateway takes to end, as ``stop_grace_period`` in deploy/compose/services.yml is."""
LOG_TAIL: Final = 3
LOG_TAIL_BYTES: Final = 4096
EXIT_SETTING: Final = 2
"""How gateway and API end where settings, keys or policies cannot be used: waiting would not help."""
PROCESSES: Final = ("gateway", "api")
TUNING: Final = (
    "WINGMAN_CHECKPOINT_EVERY",
    "WINGMAN_CONSENSUS_ENABLED",
    "WINGMAN_EVENT_",
    "WINGMAN_EXPIRY",
    "WINGMAN_HIGH_RISK_PEOPLE",
    "WINGMAN_LLM_",
    "WINGMAN_OTLP_ENDPOINT",
    "WINGMAN_RATE_LIMIT_",
    "WINGMAN_STALL",
    "WINGMAN_TOKEN_LIFETIME",
)
PRIVATE: Final = ("WINGMAN_", "DB_PASSWORD", "BOT_TOKEN")
"""What no process inherits from the shell: each gets its own, and nothing else of it."""
ROOTS: Final = "WINGMAN_CLAIM_ROOTS"
HOSTS: Final = "WINGMAN_CLAIM_HOSTS"
COMPOSE: Final = ("WINGMAN_COMPOSE_PROJECTS", "WINGMAN_COMPOSE_BINARY")
"""The gateway's settings that the shell may give."""
SCRATCH: Final = "/tmp"  # noqa: S108 - where claims are looked at, not where anything is written


@dataclass(frozen=True, slots=True)
class Plan:
    """What to start."""

    instance: Instance
    port: int
    """The API's; 0 takes a free one."""
    docker_host: str
    has_engine: bool
    """Whether to wait until the engine is seen."""
    workers: int = 1
    """Processes of the API."""
    bot: Wanted | None = None
    """The Telegram bot to start, too."""


def tuning(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the API's settings that the shell may give; where it listens and what it trusts are the instance's."""
    return {name: value for name, value in environ.items() if name.startswith(TUNING)}


def claim_settings(instance: Instance, environ: Mapping[str, str], *, here: Path, home: Path) -> dict[str, str]:
    """Return where the API may look at claims: where the shell says, else in TEST the scratch and this directory.

    Never into the instance itself; and by default not into a directory that holds the user's whole home.
    """
    roots = [SCRATCH, *([] if home.is_relative_to(here) or ":" in str(here) else [str(here)])]
    default = ":".join(roots) if instance.environment == "test" else ""
    return {
        ROOTS: environ.get(ROOTS, default),
        HOSTS: environ.get(HOSTS, ""),
        "WINGMAN_CLAIM_HIDDEN": str(instance.directory.absolute()),
        "WINGMAN_CLAIM_MACHINE": "1",
    }


class Local:
    """A running instance; a context manager that stops it."""

    def __init__(self, plan: Plan, *, tell: Callable[[str], None], environ: Mapping[str, str]) -> None:
        """``tell`` gets a line for what goes on and goes wrong; ``environ`` is what processes inherit."""
        self._plan = plan
        self._tell = tell
        self._inherited = {name: value for name, value in environ.items() if not name.startswith(PRIVATE)}
        self._tuning = tuning(environ)
        self._claims = claim_settings(plan.instance, environ, here=Path.cwd(), home=Path.home())
        self._compose = {name: environ[name] for name in COMPOSE if name in environ}
        self._stack = AsyncExitStack()
        self._postgres = EmbeddedPostgres(plan.instance.postgres, passwords={})
        self.supervisor: Final = Supervisor(plan.instance.directory, tell=tell, grace=GRACE)
        self.first_start = False
        self.api = ""
        self.gateway = ""
        self.is_up = False

    @property
    def postgres(self) -> EmbeddedPostgres:
        """The database's server."""
        return self._postgres

    async def __aenter__(self) -> Self:
        """Start everything; raise ``WingmanError`` with nothing left running."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, the last started first."""
        await self._stack.aclose()

    async def _start(self) -> None:
        instance = self._plan.instance
        self._stack.enter_context(instance.held())
        self.first_start = instance.prepare(now=datetime.now(UTC))
        for name in (BOT, *reversed(PROCESSES)):
            await end_leftover(instance.directory / "run" / f"{name}.pid", grace=GRACE)
        port = _free_port(self._plan.port)
        self._postgres = EmbeddedPostgres(instance.postgres, passwords=instance.passwords())
        self._stack.push_async_callback(asyncio.to_thread, self._postgres.stop)
        await asyncio.to_thread(self._postgres.start)
        await settle_passwords(instance, self._postgres)
        await self._postgres.prepare()
        await migrate(self._postgres.connection(OWNER))
        await self._make_keys()
        stopping = asyncio.Event()
        watching = asyncio.create_task(self._watch_postgres(stopping))
        self._stack.push_async_callback(self._end_watching, stopping, watching)
        self._stack.push_async_callback(self.supervisor.stop)
        self.gateway = f"{HOST}:{_free_port(0)}"
        self.api = f"http://{HOST}:{port}"
        await self.supervisor.start(self._gateway_service(self.gateway))
        await self.supervisor.start(self._api_service(f"{HOST}:{port}", self.gateway))
        await self._until_ready()
        if self._plan.bot is not None:
            await self.supervisor.start(self._bot_service(self._plan.bot))
        renewing = asyncio.create_task(serve_renewals(instance, self._renew))
        self._stack.push_async_callback(_cancelled, renewing)
        instance.announce(Running(os.getpid(), self.api, self.gateway))
        self.is_up = True

    async def _renew(self, names: Sequence[str]) -> None:
        """Start processes anew with what the instance has for them now; raise ``Unavailable`` if one is not ready."""
        self._postgres.rekey(self._plan.instance.passwords())
        for name in names:
            if name == BOT and self._plan.bot is not None:
                await self.supervisor.replace(self._bot_service(self._plan.bot))
            elif name == "gateway":
                await self.supervisor.replace(self._gateway_service(self.gateway))
            elif name == "api":
                await self.supervisor.replace(self._api_service(self.api.removeprefix("http://"), self.gateway))
        await self._until_ready()

    async def _make_keys(self) -> None:
        """Make the local identities' API keys where their files are missing."""
        from wingman_api.identity.caller import Role

        instance = self._plan.instance
        missing = [name for name in LOCAL_KEYS if not instance.api_key_file(name).exists()]
        if not missing and self._plan.bot is None:
            return
        async with key_store(self._postgres.connection("wingman_api")) as store:
            for name in missing:
                key = await store.create(name, Role(name))
                write_private(instance.api_key_file(name), key.text.encode("ascii"))
            if self._plan.bot is not None:
                await make_key(store, instance, self._plan.bot.operators)

    def _gateway_service(self, listen: str) -> Service:
        instance = self._plan.instance
        return self._service(
            "gateway",
            "wingman_gateway",
            WINGMAN_GATEWAY_LISTEN=listen,
            WINGMAN_DOCKER_HOST=self._plan.docker_host,
            WINGMAN_TOKEN_KEYS=str(instance.token_keys.absolute()),
            WINGMAN_CHECKPOINT_KEY=str(instance.checkpoint_key.absolute()),
            WINGMAN_LOG_ID=instance.log_id(),
            WINGMAN_POLICY_DIR=str(instance.policies.absolute()),
            WINGMAN_JOURNAL=str(instance.journal.absolute()),
            **self._compose,
        )

    def _api_service(self, listen: str, gateway: str) -> Service:
        instance = self._plan.instance
        anonymous = {"WINGMAN_ANONYMOUS_ROLE": "worker"} if instance.environment == "test" else {}
        return self._service(
            "api",
            "wingman_api",
            WINGMAN_API_LISTEN=listen,
            WINGMAN_API_WORKERS=str(self._plan.workers),
            WINGMAN_GATEWAY_ADDRESS=gateway,
            WINGMAN_TOKEN_KEY=str(instance.token_key.absolute()),
            WINGMAN_TOKEN_KID=instance.token_kid(),
            WINGMAN_CLAIMS_LEDGER=str(instance.ledger.absolute()),
            **anonymous,
            **self._claims,
            **self._tuning,
        )

    def _bot_service(self, bot: Wanted) -> Service:
        """Return the bot's: no database, no engine, no certificate; its key, and where the API is."""
        token = kept_token(self._plan.instance)
        variables = {**self._inherited, **bot.variables, TOKEN: token, "WINGMAN_API_URL": self.api}
        return Service(BOT, (sys.executable, "-m", "wingman_bot"), variables)

    def _service(self, name: str, module: str, **settings: str) -> Service:
        instance = self._plan.instance
        access = self._postgres.connection(module)
        shared = {
            "WINGMAN_ENVIRONMENT": instance.environment,
            "WINGMAN_DATABASE_URL": access.url,
            "DB_PASSWORD": access.password,
            "WINGMAN_TLS_CERT": str((instance.pki / f"{name}.crt").absolute()),
            "WINGMAN_TLS_KEY": str((instance.pki / f"{name}.key").absolute()),
            "WINGMAN_TLS_CA": str((instance.pki / "ca.crt").absolute()),
        }
        return Service(name, (sys.executable, "-m", module), {**self._inherited, **shared, **settings})

    async def _watch_postgres(self, stopping: asyncio.Event) -> None:
        """Start Postgres again when its main process is gone, until ``stopping``."""
        while not stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), WATCH)
            if not self._postgres.alive:
                self._tell("postgres ended; starting it again")
                with suppress(Exception):  # the next look tries again
                    await asyncio.to_thread(self._postgres.restart)

    async def _end_watching(self, stopping: asyncio.Event, watching: "asyncio.Task[None]") -> None:
        stopping.set()
        self._postgres.interrupt()
        await watching

    async def _until_ready(self) -> None:
        """Return once all that can be well is; raise ``Unavailable`` with the processes' last words."""
        deadline = asyncio.get_running_loop().time() + READY_LIMIT
        async with httpx.AsyncClient(base_url=self.api, timeout=5.0, trust_env=False) as http:
            while not await self._is_ready(http):
                refused = any(self.supervisor.last_exit(name) == EXIT_SETTING for name in PROCESSES)
                if refused or asyncio.get_running_loop().time() > deadline:
                    why = "a process refuses its settings" if refused else f"not ready within {READY_LIMIT:.0f} s"
                    raise Unavailable(
                        Code.GATEWAY_UNAVAILABLE,
                        f"Wingman did not start, {why}: {self._last_words()}",
                        hint=f"read {self._plan.instance.logs}",
                    )
                await asyncio.sleep(POLL)

    async def _is_ready(self, http: httpx.AsyncClient) -> bool:
        try:
            health = (await http.get("/health")).json()
        except (httpx.HTTPError, ValueError):
            return False
        if self._plan.has_engine:
            return bool(health["status"] == "healthy")
        parts = health["components"]
        return bool(parts["database"] == "healthy" and parts["gateway"] != "unhealthy")

    def _last_words(self) -> str:
        words = []
        for name in PROCESSES:
            log = self._plan.instance.logs / f"{name}.log"
            if log.exists():
                lines = log.read_bytes()[-LOG_TAIL_BYTES:].decode("utf-8", "replace").splitlines()
                words += [f"{name}: {line}" for line in lines[-LOG_TAIL:]]
        return " | ".join(words) or "nothing was printed"


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _free_port(wanted: int) -> int:
    """Return ``wanted`` if it is free, or a free port for 0; raise ``SettingInvalid`` if it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError as error:
            raise SettingInvalid(
                Code.SETTING_INVALID,
                f"port {wanted} on {HOST} cannot be had: {error.strerror}",
                hint="stop what listens there, or choose another with --port",
            ) from error
        port: int = probe.getsockname()[1]
    return port
