"""What the gateway's tests share: a database that can go away, a scripted engine, tokens, a gateway that listens."""

import asyncio
import base64
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import grpc
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from tests.conftest import Cluster, Database
from wingman_cli.pki import Authority, create_checkpoint_key, create_token_key
from wingman_core.audit_record import AuditRecord
from wingman_core.audit_verify import LogVerifier
from wingman_core.capability import audience_of, issuer_of, mint
from wingman_core.claims import Claims, Decider
from wingman_core.command import Operation, operation_digest, parse, references, render
from wingman_core.errors import Code, TargetRefused, Unavailable
from wingman_core.notes import verifier_key_of
from wingman_core.observation import ContainerState, PathState
from wingman_core.target import Reference, Target, targets_digest
from wingman_core.verdict import BlastRadius
from wingman_gateway.audit_reader import AuditReader
from wingman_gateway.audit_store import open_pool
from wingman_gateway.engine.events import Event, Exit, Note, Output, Testimony
from wingman_gateway.engine.fleet import Fleet
from wingman_gateway.journal import Journal
from wingman_gateway.policy import Policy
from wingman_gateway.server import Engine, Gateway, Sources, new_execution_id
from wingman_gateway.settings import Settings, load
from wingman_rpc.v1 import gateway_pb2 as pb
from wingman_rpc.v1.gateway_pb2_grpc import ExecutionGatewayStub

POLICIES = Path(str(resources.files("wingman_gateway") / "policies"))
CLOSE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND usename = 'wingman_gateway'
"""


async def eventually(condition: Callable[[], Awaitable[object]], *, seconds: float = 30) -> None:
    """Poll until the condition is true; fail after so many seconds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - the condition is another process's
            await asyncio.sleep(0.01)


Outage = Callable[[], AbstractAsyncContextManager[None]]


@pytest.fixture
def outage(postgres: Cluster, database: Database) -> Outage:
    """Takes the test's database away from the gateway's role, for as long as the context lasts."""

    @asynccontextmanager
    async def gone() -> AsyncIterator[None]:
        connection = await postgres.server.connection("postgres", "postgres").connect()
        try:
            await connection.execute(f'ALTER DATABASE "{database.name}" ALLOW_CONNECTIONS false')
            await connection.execute(CLOSE, database.name)
            yield
            await connection.execute(f'ALTER DATABASE "{database.name}" ALLOW_CONNECTIONS true')
        finally:
            await connection.close()

    return gone


class FakeEngine:
    """An engine of named containers that does what a test scripts; the port is ``execution.Engine``."""

    def __init__(self) -> None:
        self.ids = {"web": "a" * 64, "db": "b" * 64}
        self.acts: list[tuple[str, tuple[str, ...]]] = []
        """The canonical commands that were acted on, with the ids of their targets."""
        self.stopped: list[str] = []
        """The canonical commands whose act was ended from outside."""
        self.leaving: list[str] = []
        """Containers that are listed, and gone when they are looked at."""
        self.labels: dict[str, dict[str, str]] = {}
        self.privileges: dict[str, tuple[str, ...]] = {}
        self.script: Script = succeed
        self.testimony = Testimony("SUCCEEDED", 0, '{"fake":true}')
        self.asked: list[tuple[str, str, dict[str, str] | None]] = []
        """The execution ids that testimony was asked for, with the canonical command and the notes."""
        self.refusing: dict[str, Exception] = {}
        """What is raised instead of testimony, by execution id."""
        self.down = False
        self.seen = Fleet((), (), (), "/var/lib/docker")
        self.resolving = asyncio.Event()
        self.resolving.set()

    def hold(self, code: int = 0) -> asyncio.Event:
        """Have what is executed wait for what is returned to be set, and end with this code."""
        go_on = asyncio.Event()

        async def held(_execution_id: str, _note: Note) -> AsyncIterator[Event]:
            await go_on.wait()
            yield Exit(code)

        self.script = held
        return go_on

    def _answer(self) -> None:
        if self.down:
            raise Unavailable(Code.ENGINE_UNAVAILABLE, "the engine does not answer", hint="start it")

    async def ping(self) -> None:
        self._answer()

    async def resolve(self, op: Operation) -> tuple[Target, ...]:
        self._answer()
        await self.resolving.wait()
        return tuple(self.resolved(reference) for reference in references(op))

    def resolved(self, reference: Reference) -> Target:
        found = self.ids.get(reference.name, "")
        if not found and reference.role == "object":
            raise TargetRefused(Code.TARGET_NOT_FOUND, f"no container is named {reference.name!a}")
        return Target(
            reference,
            found,
            name=reference.name,
            image="app:1",
            labels=tuple(self.labels.get(reference.name, {"tier": "front"}).items()),
            state="running",
            privileges=self.privileges.get(reference.name, ()),
        )

    async def blast_radius(self, _op: Operation, targets: Sequence[Target]) -> BlastRadius:
        self._answer()
        return BlastRadius("web stops", reversible=True, stops=tuple(target.name for target in targets))

    async def fleet(self) -> Fleet:
        self._answer()
        return self.seen

    async def state(self, target: Target) -> ContainerState:
        self._answer()
        started = datetime(2030, 1, 1, tzinfo=UTC)
        return ContainerState(target.name, "running", 0, started, 2, target.image, "sha256:" + "c" * 64, "healthy")

    async def processes(self, target: Target) -> frozenset[str]:
        self._answer()
        return frozenset({"nginx", target.name})

    async def path(self, target: Target, path: str) -> PathState:
        self._answer()
        return PathState("file", len(path + target.name), datetime(2030, 1, 1, tzinfo=UTC), "d" * 64)

    async def running(self, limit: int) -> tuple[tuple[str, ...], bool]:
        self._answer()
        listed = (*self.ids, *self.leaving)
        return listed[:limit], len(listed) <= limit

    async def execute(
        self, op: Operation, targets: Sequence[Target], execution_id: str, note: Note
    ) -> AsyncIterator[Event]:
        self._answer()
        self.acts.append((render(op), tuple(target.id for target in targets)))
        try:
            async for event in self.script(execution_id, note):
                yield event
        except asyncio.CancelledError:
            self.stopped.append(render(op))
            raise

    async def testify(
        self,
        op: Operation,
        targets: Sequence[Target],
        execution_id: str,
        intent_at: datetime,
        notes: Mapping[str, str] | None,
    ) -> Testimony:
        self._answer()
        assert intent_at.tzinfo is not None
        assert all(target.id == self.ids[target.reference.name] for target in targets)
        self.asked.append((execution_id, render(op), None if notes is None else dict(notes)))
        if refusal := self.refusing.get(execution_id):
            raise refusal
        return self.testimony


Script = Callable[[str, Note], AsyncIterator[Event]]


async def succeed(_execution_id: str, _note: Note) -> AsyncIterator[Event]:
    """Say one line, exit with 0."""
    yield Output("stdout", b"web\n")
    yield Exit(0)


@pytest.fixture
def engine() -> FakeEngine:
    """A fake engine with the containers web and db."""
    return FakeEngine()


@dataclass(frozen=True)
class Minter:
    """Mints tokens as the API would."""

    key: bytes
    kid: str
    keys: Path
    thumbprint: str

    def claims(self, **changes: object) -> Claims:
        """Valid claims but for the two digests, then changed."""
        now = int(time.time())
        plain: dict[str, object] = {
            "iss": issuer_of("test"),
            "aud": audience_of("test"),
            "sub": "agent",
            "iat": now,
            "nbf": now,
            "exp": now + 60,
            "jti": secrets.token_hex(16),
            "apr": new_approval(),
            "env": "test",
            "dec": "d" * 64,
            "by": (Decider("Alice", now, "rest"),),
            "thumbprint": self.thumbprint,
        }
        return Claims(**(plain | changes))  # type: ignore[arg-type]

    def mint(self, command: str, engine: FakeEngine, **changes: object) -> str:
        """Return a token for the command on what the fake engine resolves it to, with claims changed."""
        op = parse(command)
        targets = [engine.resolved(reference) for reference in references(op)]
        return self.mint_for({"op": operation_digest(op), "tgt": targets_digest(targets)}, **changes)

    def mint_for(self, digests: Mapping[str, str], **changes: object) -> str:
        """Return a token for these digests."""
        return mint(self.claims(**{**digests, **changes}), self.key, self.kid)


def new_approval() -> str:
    """An approval id that was never used."""
    return f"apr_{base64.b32encode(secrets.token_bytes(16)).decode().rstrip('=').lower()}.0"


@pytest.fixture(scope="session")
def minter(tmp_path_factory: pytest.TempPathFactory, pki: Authority) -> Minter:
    """The API's signing key, for tokens bound to the API's certificate."""
    place = tmp_path_factory.mktemp("tokens")
    kid = create_token_key(place / "token.key", place / "keys")
    return Minter((place / "token.key").read_bytes(), kid, place / "keys", pki.leaf("api").thumbprint)


@pytest.fixture
def settings(tmp_path: Path, database: Database, pki: Authority, minter: Minter) -> Settings:
    """The settings of a gateway on the test's database, on a free port."""
    create_checkpoint_key(tmp_path / "checkpoint.key")
    certificate = pki.leaf("gateway")
    return load(
        {
            "WINGMAN_ENVIRONMENT": "test",
            "WINGMAN_GATEWAY_LISTEN": "127.0.0.1:0",
            "WINGMAN_DATABASE_URL": database.dsn("wingman_gateway"),
            "DB_PASSWORD": database.passwords["wingman_gateway"],
            "WINGMAN_TLS_CERT": str(certificate.certificate),
            "WINGMAN_TLS_KEY": str(certificate.key),
            "WINGMAN_TLS_CA": str(pki.certificate),
            "WINGMAN_TOKEN_KEYS": str(minter.keys),
            "WINGMAN_CHECKPOINT_KEY": str(tmp_path / "checkpoint.key"),
            "WINGMAN_LOG_ID": "log1",
            "WINGMAN_POLICY_DIR": str(POLICIES),
            "WINGMAN_GATEWAY_ID": "gateway",
            "WINGMAN_JOURNAL": str(tmp_path / "journal"),
            "WINGMAN_PROBE_INTERVAL": "0.05",
            "WINGMAN_DRAIN": "5",
        }
    )


@dataclass
class Served:
    """A gateway that listens, and its log."""

    gateway: Gateway
    port: int
    settings: Settings
    pki: Authority
    database: Database

    def channel(self, role: str = "api") -> grpc.aio.Channel:
        """A channel with the certificate of that stem."""
        leaf = self.pki.leaf(role)
        credentials = grpc.ssl_channel_credentials(
            self.pki.certificate.read_bytes(), leaf.key.read_bytes(), leaf.certificate.read_bytes()
        )
        return grpc.aio.secure_channel(f"127.0.0.1:{self.port}", credentials)

    async def log(self) -> list[AuditRecord]:
        """Every record, after the whole log verified."""
        key = load_pem_private_key(self.settings.checkpoint_key.read_bytes(), password=None)
        assert isinstance(key, Ed25519PrivateKey)
        verifier = LogVerifier(origin=self.settings.origin, keys=[verifier_key_of(self.settings.origin, key)])
        url, password = self.database.dsn("wingman_auditor"), self.database.passwords["wingman_auditor"]
        async with AuditReader.connect(url, password) as reader:
            await reader.verify(verifier, lambda _: None)
            return [each.record for each in await reader.last(1000)]

    async def until(self, condition: Callable[[list[AuditRecord]], bool]) -> list[AuditRecord]:
        """Wait, at most 30 s, until the log fulfils the condition; return it."""
        log: list[AuditRecord] = []

        async def fulfilled() -> bool:
            log[:] = await self.log()
            return condition(log)

        await eventually(fulfilled)
        return log


Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def serve(settings: Settings, database: Database, pki: Authority) -> Serve:
    """Runs a gateway for as long as the context lasts."""

    @asynccontextmanager
    async def serving(engine: Engine, **changes: object) -> AsyncIterator[Served]:
        changed = settings.model_copy(update=changes)
        pool = await open_pool(changed.database_url, changed.db_password.get_secret_value())
        sources = Sources(lambda: datetime.now(UTC), time.monotonic, new_execution_id)
        policy = Policy.load(POLICIES, changed.environment)
        log = structlog.wrap_logger(structlog.PrintLogger())
        try:
            with Journal(changed.journal) as journal:
                gateway = Gateway(
                    changed, engine=engine, policy=policy, pool=pool, journal=journal, sources=sources, log=log
                )
                port = await gateway.start()
                try:
                    yield Served(gateway, port, changed, pki, database)
                finally:
                    await gateway.stop()
        finally:
            pool.terminate()

    return serving


@pytest.fixture
async def served(serve: Serve, engine: FakeEngine) -> AsyncIterator[Served]:
    """A gateway over the fake engine."""
    async with serve(engine) as running:
        yield running


@dataclass(frozen=True)
class Said:
    """What one Execute said."""

    accepted: pb.Accepted
    stdout: bytes
    stderr: bytes
    progress: list[str]
    finished: pb.Finished


async def execute(channel: grpc.aio.Channel, token: str, command: str) -> Said:
    """Run a command to its end; raises ``grpc.aio.AioRpcError``."""
    events = [
        event
        async for event in ExecutionGatewayStub(channel).Execute(
            pb.ExecuteRequest(capability_token=token, command=command), timeout=60
        )
    ]
    assert events[0].WhichOneof("event") == "accepted"
    assert events[-1].WhichOneof("event") == "finished"
    return Said(
        events[0].accepted,
        b"".join(event.stdout for event in events),
        b"".join(event.stderr for event in events),
        [event.progress for event in events if event.progress],
        events[-1].finished,
    )


@dataclass(frozen=True)
class Refused:
    """How a call was refused."""

    status: grpc.StatusCode
    reason: str
    message: str
    metadata: dict[str, str]


async def refusal(call: Awaitable[object]) -> Refused:
    """Await a call that must be refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    status = rpc_status.from_call(caught.value)
    info = ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(info)
    assert info.domain == "wingman"
    return Refused(caught.value.code(), info.reason, str(caught.value.details()), dict(info.metadata))
