"""The gateway is killed in the middle of an act: afterwards the log says what Docker knows, and nothing ran twice."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.conftest import Database
from tests.faults.conftest import Container
from tests.gateway.conftest import Minter, Outage, eventually, new_approval, refusal
from tests.gateway.process import GatewayProcess, environ_of, gateway_process
from wingman_cli.pki import Authority
from wingman_core.audit_record import AuditRecord, RecordKind
from wingman_core.audit_verify import LogVerifier
from wingman_core.command import operation_digest, parse
from wingman_core.errors import Code
from wingman_core.notes import verifier_key_of
from wingman_core.target import targets_digest
from wingman_gateway.audit_reader import AuditReader
from wingman_gateway.engine import Engine
from wingman_gateway.settings import Settings
from wingman_rpc.v1 import gateway_pb2 as pb
from wingman_rpc.v1.gateway_pb2_grpc import ExecutionGatewayStub


class Site:
    """One deployment: settings, an engine to look at, a log to read."""

    def __init__(self, settings: Settings, database: Database, pki: Authority, minter: Minter, engine: Engine) -> None:
        self.settings, self.database, self.pki, self.minter, self.engine = settings, database, pki, minter, engine

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
            await reader.verify(verifier, lambda _: None)
            return [each.record for each in await reader.last(100)]

    async def settled(self) -> list[AuditRecord]:
        """The log once every INTENT has its outcome."""
        log: list[AuditRecord] = []

        async def every_intent_has_one() -> bool:
            log[:] = await self.log()
            kinds = [record.kind for record in log]
            return kinds.count(RecordKind.INTENT) == sum(
                kind in {RecordKind.RESULT, RecordKind.RECONCILED} for kind in kinds
            )

        await eventually(every_intent_has_one)
        return log

    async def killed(self, command: str, token: str, moment: Callable[[], bool]) -> None:
        """Start a gateway, execute, and SIGKILL it at the moment, which comes after INTENT and before RESULT."""
        async with self.running() as gateway, gateway.channel(self.pki) as channel:
            await gateway.serving(self.pki)
            call = asyncio.create_task(_execute(channel, token, command))

            async def has_come() -> bool:
                return await asyncio.to_thread(moment)

            await eventually(has_come)
            assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL
            with pytest.raises(grpc.aio.AioRpcError):
                await call
        assert [record.kind for record in await self.log()] == [RecordKind.INTENT]

    def running(self):
        """A gateway process of this deployment."""
        return gateway_process(environ_of(self.settings))


async def _execute(channel: grpc.aio.Channel, token: str, command: str) -> list[pb.ExecuteResponse]:
    request = pb.ExecuteRequest(capability_token=token, command=command)
    return [event async for event in ExecutionGatewayStub(channel).Execute(request, timeout=60)]


@pytest.fixture
async def site(
    settings: Settings, database: Database, pki: Authority, minter: Minter, engine_url: str
) -> AsyncIterator[Site]:
    engine = await Engine.connect(engine_url)
    yield Site(settings.model_copy(update={"docker_host": engine_url}), database, pki, minter, engine)
    await engine.close()


async def _spent(site: Site, gateway: GatewayProcess, command: str, approval: str) -> None:
    """Neither the approval nor anything else makes it run again."""
    await gateway.serving(site.pki)
    async with gateway.channel(site.pki) as channel:
        refused = await refusal(_execute(channel, await site.token(command, approval), command))
    assert refused.reason == Code.APPROVAL_SPENT


async def test_killed_while_a_container_stops(site: Site, container: Container):
    command, approval = f"docker stop {container.name}", new_approval()
    await site.killed(command, await site.token(command, approval), lambda: "stopping" in container.logs())
    async with site.running() as gateway:
        intent, reconciled = await site.settled()
        assert (reconciled.kind, reconciled.outcome) == (RecordKind.RECONCILED, "SUCCEEDED")
        assert reconciled.execution_id == intent.execution_id
        (evidence,) = json.loads(reconciled.evidence)["containers"]
        assert evidence["state"] == "exited"
        assert container.state() == "exited"
        await _spent(site, gateway, command, approval)
    assert container.logs().count("stopping") == 1


async def test_killed_while_an_exec_runs(site: Site, container: Container):
    command, approval = f"docker exec {container.name} /job", new_approval()
    await site.killed(command, await site.token(command, approval), lambda: container.runs() == 1)
    async with site.running() as gateway:
        intent, reconciled = await site.settled()
        assert (reconciled.kind, reconciled.outcome, reconciled.exit_code) == (RecordKind.RECONCILED, "FAILED", 7)
        assert reconciled.execution_id == intent.execution_id
        evidence = json.loads(reconciled.evidence)
        assert (evidence["running"], evidence["exit_code"]) == (False, 7)
        assert evidence["exec_id"]
        await _spent(site, gateway, command, approval)
    assert container.runs() == 1
    assert not list(site.settings.journal.glob("*.notes"))


@pytest.mark.parametrize("milliseconds", [0, 20, 60, 150])
async def test_killed_at_any_moment_it_ran_once_or_not_at_all_and_the_log_agrees(
    site: Site, container: Container, milliseconds: int
):
    command, approval = f"docker exec {container.name} /job", new_approval()
    token = await site.token(command, approval)
    async with site.running() as gateway, gateway.channel(site.pki) as channel:
        await gateway.serving(site.pki)
        call = asyncio.create_task(_execute(channel, token, command))
        await asyncio.sleep(milliseconds / 1000)
        await gateway.end(signal.SIGKILL)
        with pytest.raises(grpc.aio.AioRpcError):
            await call
    async with site.running() as gateway:
        await gateway.serving(site.pki)
        log = await site.settled()
        assert [record.kind for record in log] in ([], [RecordKind.INTENT, RecordKind.RECONCILED])
        runs = container.runs()
        assert runs <= 1
        if runs:
            assert (log[1].outcome, log[1].exit_code) == ("FAILED", 7)
        elif log:
            assert log[1].outcome in {"FAILED", "UNKNOWN"}
            assert log[1].exit_code is None


async def test_killed_with_the_outcome_in_the_journal(site: Site, container: Container, outage: Outage):
    command, approval = f"docker exec {container.name} /job", new_approval()
    token = await site.token(command, approval)
    async with site.running() as gateway, gateway.channel(site.pki) as channel:
        await gateway.serving(site.pki)
        call = asyncio.create_task(_execute(channel, token, command))

        async def has_begun() -> bool:
            return await asyncio.to_thread(container.runs) == 1

        await eventually(has_begun)
        async with outage():
            events = await call
            assert events[-1].finished.audit_position == -1
            assert events[-1].finished.exit_code == 7
            await gateway.end(signal.SIGKILL)
    async with site.running() as gateway:
        _, result = await site.settled()
        assert (result.kind, result.outcome, result.exit_code) == (RecordKind.RESULT, "FAILED", 7)
        await _spent(site, gateway, command, approval)
    assert container.runs() == 1
