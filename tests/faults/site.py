"""One deployment under faults: its settings, an engine to look at, a log to read, gateways that come and go."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.conftest import Database
from tests.gateway.conftest import Minter, eventually
from tests.gateway.process import GatewayProcess, environ_of, gateway_process
from wingman_cli.pki import Authority
from wingman_core.audit_record import AuditRecord, RecordKind
from wingman_core.audit_verify import LogVerifier
from wingman_core.command import operation_digest, parse
from wingman_core.notes import verifier_key_of
from wingman_core.target import targets_digest
from wingman_gateway.audit_reader import AuditReader
from wingman_gateway.engine import Engine
from wingman_gateway.settings import Settings
from wingman_rpc.v1 import gateway_pb2 as pb
from wingman_rpc.v1.gateway_pb2_grpc import ExecutionGatewayStub

OUTCOMES = {RecordKind.RESULT, RecordKind.RECONCILED}


class Site:
    """One deployment: settings, an engine to look at, a log to read."""

    def __init__(self, settings: Settings, database: Database, pki: Authority, minter: Minter, engine: Engine) -> None:
        self.settings, self.database, self.pki, self.minter, self.engine = settings, database, pki, minter, engine

    def changed(self, **settings: object) -> "Site":
        """The same, for gateways with other settings."""
        return Site(self.settings.model_copy(update=settings), self.database, self.pki, self.minter, self.engine)

    async def token(self, command: str, approval: str) -> str:
        """A token for the command on what it resolves to now."""
        operation = parse(command)
        targets = await self.engine.resolve(operation)
        digests = {"op": operation_digest(operation), "tgt": targets_digest(targets)}
        return self.minter.mint_for(digests, apr=approval)

    async def log(self) -> list[AuditRecord]:
        """Every record, after the whole log verified."""
        key = load_pem_private_key(self.settings.checkpoint_key.read_bytes(), password=None)
        assert isinstance(key, Ed25519PrivateKey)
        verifier = LogVerifier(origin=self.settings.origin, keys=[verifier_key_of(self.settings.origin, key)])
        url, password = self.database.dsn("wingman_auditor"), self.database.passwords["wingman_auditor"]
        async with AuditReader.connect(url, password) as reader:
            summary = await reader.verify(verifier, lambda _: None)
            return [each.record for each in await reader.last(summary.size + 1)]

    async def settled(self, *, seconds: float = 30) -> list[AuditRecord]:
        """The log once every INTENT has its outcome."""
        log: list[AuditRecord] = []

        async def every_intent_has_one() -> bool:
            log[:] = await self.log()
            kinds = [record.kind for record in log]
            return kinds.count(RecordKind.INTENT) == sum(kind in OUTCOMES for kind in kinds)

        await eventually(every_intent_has_one, seconds=seconds)
        return log

    async def story(self, approval: str) -> list[tuple[RecordKind, str, int | None]]:
        """What the log has of one approval, refusals aside: kinds, outcomes, exit codes."""
        kept = [record for record in await self.log() if record.approval_id == approval]
        return [(each.kind, each.outcome, each.exit_code) for each in kept if each.kind is not RecordKind.REFUSED]

    def faulty(self, point: str, number: signal.Signals) -> AbstractAsyncContextManager[GatewayProcess]:
        """A gateway that sends itself a signal at a point of the next execution (``faulty_gateway``)."""
        environ = environ_of(self.settings, FAULT_AT=point, FAULT_SIGNAL=str(int(number)))
        return gateway_process(environ, program=("-m", "tests.faults.faulty_gateway"))

    async def killed(self, command: str, token: str, moment: Callable[[], bool]) -> None:
        """Start a gateway, execute, and SIGKILL it at the moment, which comes after INTENT and before RESULT."""
        async with self.running() as gateway, gateway.channel(self.pki) as channel:
            await gateway.serving(self.pki)
            call = asyncio.create_task(execute_all(channel, token, command))

            async def has_come() -> bool:
                return await asyncio.to_thread(moment)

            await eventually(has_come)
            assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL
            with pytest.raises(grpc.aio.AioRpcError):
                await call
        assert [record.kind for record in await self.log()] == [RecordKind.INTENT]

    def running(self) -> AbstractAsyncContextManager[GatewayProcess]:
        """A gateway process of this deployment."""
        return gateway_process(environ_of(self.settings))


async def execute_all(channel: grpc.aio.Channel, token: str, command: str) -> list[pb.ExecuteResponse]:
    """Every event of an execution; raises ``grpc.aio.AioRpcError``."""
    request = pb.ExecuteRequest(capability_token=token, command=command)
    return [event async for event in ExecutionGatewayStub(channel).Execute(request, timeout=60)]
