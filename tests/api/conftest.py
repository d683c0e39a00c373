"""The API as a real HTTP server on a free port, on a real database, in front of a fake gateway."""

# ruff: noqa: ANN401 - requests, contexts and SQL arguments are of any kind here

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_bytes
from typing import Any

import asyncpg
import httpx
import pytest
import structlog
from argon2 import PasswordHasher
from fastapi import FastAPI

from tests.api.fake_gateway import FakeGateway, serve_gateway
from tests.conftest import Database
from wingman_api.app import Server, create_app, server_config
from wingman_api.identity.caller import Role
from wingman_api.identity.store import KeyStore
from wingman_api.ids import new_id
from wingman_api.settings import Settings, load
from wingman_api.system.store import open_database
from wingman_cli.pki import Authority, create_token_key

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""The API speaks plain HTTP on loopback; reading the machine's CAs for each client would be slow."""

RESTART = "docker restart --time 5 web"
PEOPLE: dict[str, tuple[str, Role, tuple[str, ...]]] = {
    "worker": ("agent-7", Role.WORKER, ()),
    "other-worker": ("agent-8", Role.WORKER, ()),
    "alice": ("alice", Role.APPROVER, ()),
    "bob": ("bob", Role.APPROVER, ()),
    "auditor": ("dora", Role.AUDITOR, ()),
    "operator": ("carol", Role.OPERATOR, ()),
    "bot": ("telegram", Role.SERVICE, ("alice", "bob")),
}


@dataclass
class Clock:
    """The time, as far ahead as a test says."""

    ahead: timedelta = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Ids:
    """New ids: those a test wants next, then any."""

    wanted: list[str] = field(default_factory=list)

    def new(self) -> str:
        return self.wanted.pop(0) if self.wanted else new_id()


@dataclass
class Api:
    """A running API and what a test needs around it."""

    url: str
    app: FastAPI
    gateway: FakeGateway
    clock: Clock
    database: Database
    store: KeyStore
    log: list[Any]
    keys: dict[str, str] = field(default_factory=dict)
    ids: Ids = field(default_factory=Ids)

    async def key(self, who: str) -> str:
        """The key of one of ``PEOPLE``, made when it is first needed."""
        if who not in self.keys:
            person, role, speaks_for = PEOPLE[who]
            self.keys[who] = (await self.store.create(person, role, speaks_for=speaks_for)).text
        return self.keys[who]

    async def client(self, who: str | None) -> httpx.AsyncClient:
        """A client with the key of ``who``; None has no key."""
        headers = {} if who is None else {"Authorization": f"Bearer {await self.key(who)}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30, verify=NO_TLS)

    async def call(self, who: str | None, method: str, path: str, **options: Any) -> httpx.Response:
        async with await self.client(who) as client:
            return await client.request(method, path, **options)

    async def ask(self, who: str | None = "worker", **changes: Any) -> httpx.Response:
        wish = {"worker_id": "agent-7", "task_name": "Restart", "instruction": "It leaks.", "commands": [RESTART]}
        body = {name: value for name, value in {**wish, **changes}.items() if value is not None}
        return await self.call(who, "POST", "/approvals/request", json=body)

    async def asked(self, who: str | None = "worker", **changes: Any) -> dict[str, Any]:
        response = await self.ask(who, **changes)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def decide(self, who: str | None, request_id: str, word: str, **body: Any) -> httpx.Response:
        return await self.call(who, "POST", f"/approvals/{request_id}/{word}", json=body)

    async def approved(self, **changes: Any) -> str:
        request_id: str = (await self.asked(**changes))["request"]["id"]
        response = await self.decide("alice", request_id, "approve")
        assert response.json()["status"] == "APPROVED", response.text
        return request_id

    async def execute(self, approval_id: str, who: str | None = "worker") -> httpx.Response:
        return await self.call(who, "POST", "/executions", json={"approval_id": approval_id})

    async def finished(self, execution_id: str) -> dict[str, Any]:
        """The execution, once it is over."""
        return await eventually(lambda: self._over(execution_id))

    async def _over(self, execution_id: str) -> dict[str, Any] | None:
        view: dict[str, Any] = (await self.call("operator", "GET", f"/executions/{execution_id}")).json()
        return None if view["state"] == "RUNNING" else view

    async def sql(self, statement: str, *arguments: Any, role: str = "wingman_api") -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.database.url(role))
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()


async def eventually(look: Callable[[], Any], seconds: float = 30) -> Any:
    """What ``look`` returns, once it is not None."""
    deadline = asyncio.get_running_loop().time() + seconds
    while (found := await look()) is None:
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)
    return found


@pytest.fixture(scope="session")
def token_keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """The private key, the directory of public ones, and the kid."""
    place = tmp_path_factory.mktemp("token")
    kid = create_token_key(place / "token.key", place / "public")
    return place / "token.key", place / "public", kid


@pytest.fixture
def environ(database: Database, pki: Authority, token_keys: tuple[Path, Path, str], tmp_path: Path) -> dict[str, str]:
    """The variables of a working API."""
    leaf = pki.leaf("api")
    return {
        "WINGMAN_ENVIRONMENT": "test",
        "WINGMAN_API_LISTEN": "127.0.0.1:0",
        "WINGMAN_DATABASE_URL": database.dsn("wingman_api"),
        "DB_PASSWORD": database.passwords["wingman_api"],
        "WINGMAN_GATEWAY_ADDRESS": "127.0.0.1:1",
        "WINGMAN_TLS_CERT": str(leaf.certificate),
        "WINGMAN_TLS_KEY": str(leaf.key),
        "WINGMAN_TLS_CA": str(pki.certificate),
        "WINGMAN_TOKEN_KEY": str(token_keys[0]),
        "WINGMAN_TOKEN_KID": token_keys[2],
        "WINGMAN_CLAIMS_LEDGER": str(tmp_path / "claims_audit.jsonl"),
        "WINGMAN_CLAIM_MACHINE": "1",
        "WINGMAN_CLAIM_ROOTS": "/tmp",  # noqa: S108 - where the guide's example looks
        "WINGMAN_ANONYMOUS_ROLE": "worker",
        "WINGMAN_DRAIN": "2",
        **{f"WINGMAN_RATE_LIMIT_{what}": "1000000/60" for what in ("READS", "WRITES", "ANONYMOUS", "FAILURES")},
    }


@asynccontextmanager
async def serve_api(
    settings: Settings, clock: Clock, log: list[Any], **adapters: Any
) -> AsyncIterator[tuple[str, FastAPI]]:
    """Serve the API on a free port; yield its address. ``adapters`` take the place of the real ones."""

    def collect(_logger: object, _method: str, event: Any) -> Any:
        log.append(dict(event))
        raise structlog.DropEvent

    app = create_app(settings, structlog.wrap_logger(None, processors=[collect]), clock.now, **adapters)
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(server_config(app, settings), app.state.closing)
    serving = asyncio.create_task(server.serve([listener]))
    while not server.started:
        assert not serving.done(), await serving
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", app
    finally:
        app.state.closing.set()
        server.should_exit = True
        await serving
        listener.close()


@asynccontextmanager
async def twin_of(api: Api, environ: dict[str, str]) -> AsyncIterator[Api]:
    """A second instance of ``api``: the same database, gateway, clock and keys, nothing else in common."""
    async with serve_api(load(environ), api.clock, api.log) as (url, app):
        yield replace(api, url=url, app=app)


@pytest.fixture
async def twin(api: Api, environ: dict[str, str]) -> AsyncIterator[Api]:
    """A second instance with the same settings."""
    async with twin_of(api, environ) as second:
        yield second


@pytest.fixture
async def gateway(
    database: Database, pki: Authority, token_keys: tuple[Path, Path, str], clock: Clock
) -> AsyncIterator[FakeGateway]:
    """A fake gateway on this test's audit log."""
    async with (
        asyncpg.create_pool(database.url("wingman_gateway"), min_size=1, max_size=8) as audit,
        serve_gateway(audit, pki, token_keys[1], clock.now) as fake,
    ):
        yield fake


@pytest.fixture
def clock() -> Clock:
    """This test's time."""
    return Clock()


@pytest.fixture
async def api(environ: dict[str, str], database: Database, gateway: FakeGateway, clock: Clock) -> AsyncIterator[Api]:
    """The API, with keys for ``PEOPLE`` as they are needed."""
    environ["WINGMAN_GATEWAY_ADDRESS"] = gateway.address
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_database(environ["WINGMAN_DATABASE_URL"], environ["DB_PASSWORD"]))
        # Cheaper than real keys; what a hash costs to verify, it says itself.
        cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        store = KeyStore(pool, hasher=cheap, now=clock.now, random_bytes=token_bytes)
        log: list[Any] = []
        ids = Ids()
        url, app = await stack.enter_async_context(serve_api(load(environ), clock, log, new_id=ids.new))
        yield Api(url, app, gateway, clock, database, store, log, ids=ids)


@pytest.fixture
async def another(api: Api, environ: dict[str, str], clock: Clock) -> AsyncIterator[Api]:
    """A second API on the same database, with the same keys."""
    log: list[Any] = []
    async with serve_api(load(environ), clock, log) as (url, app):
        yield replace(api, url=url, app=app, log=log)
