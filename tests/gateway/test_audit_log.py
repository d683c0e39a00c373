"""``AuditLog`` over gRPC: what an auditor gets verifies with the log's public key alone, and others get less."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.gateway.conftest import FakeEngine, Minter, Outage, Served, eventually, execute, refusal
from wingman_core.audit_record import RecordKind, from_bytes
from wingman_core.checkpoint import Checkpoint, open_checkpoint
from wingman_core.errors import Code, Unavailable
from wingman_core.notes import VerifierKey, verifier_key_of
from wingman_core.proofs import require_consistent, root_from
from wingman_core.translog import leaf_hash
from wingman_gateway import audit_log
from wingman_gateway.audit_store import open_pool
from wingman_rpc.v1 import gateway_pb2 as pb
from wingman_rpc.v1.gateway_pb2_grpc import AuditLogStub

HELD_UP = "SELECT count(*) FROM pg_locks WHERE relation = 'audit_checkpoint'::regclass AND NOT granted"


@pytest.fixture
async def auditor(served: Served) -> AsyncIterator[AuditLogStub]:
    async with served.channel("auditor-alice") as channel:
        yield AuditLogStub(channel)


def key_of(served: Served) -> VerifierKey:
    private = load_pem_private_key(served.settings.checkpoint_key.read_bytes(), password=None)
    assert isinstance(private, Ed25519PrivateKey)
    return verifier_key_of(served.settings.origin, private)


async def head_of(served: Served, auditor: AuditLogStub) -> Checkpoint:
    answer = await auditor.Checkpoint(pb.CheckpointRequest())
    head = open_checkpoint(answer.note, [key_of(served)])
    assert head.size == answer.size
    return head


async def run(served: Served, engine: FakeEngine, minter: Minter, times: int) -> list[str]:
    """Execute so often; return the executions' ids."""
    async with served.channel() as channel:
        calls = (execute(channel, minter.mint("docker stop web", engine), "docker stop web") for _ in range(times))
        return [said.accepted.execution_id for said in await asyncio.gather(*calls)]


async def test_every_record_is_proven_in_every_tree_and_every_tree_begins_the_next(
    served: Served, engine: FakeEngine, minter: Minter, auditor: AuditLogStub
):
    empty = await auditor.Checkpoint(pb.CheckpointRequest())
    assert (empty.size, empty.note) == (0, "")
    heads = []
    for _ in range(3):
        await run(served, engine, minter, 2)
        heads.append(await head_of(served, auditor))
    newest = heads[-1]
    assert newest.size == 12
    listed = await auditor.List(pb.ListRequest(first=0, limit=500))
    assert [entry.position for entry in listed.entries] == list(range(12))
    assert listed.size == 12
    for head in heads:
        for entry in listed.entries[: head.size]:
            proof = await auditor.Prove(pb.ProveRequest(position=entry.position, tree_size=head.size))
            root = root_from(leaf_hash(entry.record), entry.position, head.size, proof.hashes)
            assert root == head.root
            assert open_checkpoint(proof.note, [key_of(served)]) == head
        growth = await auditor.Prove(pb.ProveRequest(old_size=head.size))
        assert growth.tree_size == newest.size
        require_consistent(head, open_checkpoint(growth.note, [key_of(served)]), growth.hashes)
    for size in range(1, 13):  # one that ended within a batch was never a head, and has proofs all the same
        proof = await auditor.Prove(pb.ProveRequest(position=0, tree_size=size))
        assert not proof.note or open_checkpoint(proof.note, [key_of(served)]).size == size


async def test_an_execution_is_found_by_its_id_and_a_record_by_its_position(
    served: Served, engine: FakeEngine, minter: Minter, auditor: AuditLogStub
):
    (execution_id,) = await run(served, engine, minter, 1)
    found = await auditor.Get(pb.GetRequest(execution_id=execution_id))
    assert [(entry.position, from_bytes(entry.record).kind) for entry in found.entries] == [
        (0, RecordKind.INTENT),
        (1, RecordKind.RESULT),
    ]
    (one,) = (await auditor.Get(pb.GetRequest(position=1))).entries
    assert one == found.entries[1]


async def test_pages_follow_each_other_and_are_bounded_in_bytes(
    served: Served, engine: FakeEngine, minter: Minter, auditor: AuditLogStub, monkeypatch: pytest.MonkeyPatch
):
    await run(served, engine, minter, 3)
    page = await auditor.List(pb.ListRequest(first=2, limit=3))
    assert [entry.position for entry in page.entries] == [2, 3, 4]
    assert not (await auditor.List(pb.ListRequest(first=6, limit=3))).entries
    monkeypatch.setattr(audit_log, "PAGE_BYTES", len(page.entries[0].record) + 1)
    assert len((await auditor.List(pb.ListRequest(first=2, limit=3))).entries) == 1
    monkeypatch.setattr(audit_log, "PAGE_BYTES", 1)  # less than one record: there is progress all the same
    assert len((await auditor.List(pb.ListRequest(first=2, limit=3))).entries) == 1


BEYOND = [
    ("Get", pb.GetRequest(), Code.REQUEST_INVALID),
    ("Get", pb.GetRequest(position=99), Code.NOT_FOUND),
    ("Get", pb.GetRequest(position=-1), Code.NOT_FOUND),
    ("Get", pb.GetRequest(execution_id=f"exe_{'a' * 26}"), Code.NOT_FOUND),
    ("Get", pb.GetRequest(execution_id="a\0b"), Code.REQUEST_INVALID),
    ("Get", pb.GetRequest(execution_id=f"exe_{'a' * 25}\0"), Code.REQUEST_INVALID),
    ("Get", pb.GetRequest(execution_id=f"exe_{'a' * 26}\n"), Code.REQUEST_INVALID),
    ("Get", pb.GetRequest(position=2**63 - 1), Code.NOT_FOUND),
    ("Prove", pb.ProveRequest(), Code.REQUEST_INVALID),
    ("Prove", pb.ProveRequest(position=2), Code.REQUEST_INVALID),
    ("Prove", pb.ProveRequest(position=-1), Code.REQUEST_INVALID),
    ("Prove", pb.ProveRequest(position=0, tree_size=3), Code.REQUEST_INVALID),
    ("Prove", pb.ProveRequest(position=0, tree_size=-1), Code.REQUEST_INVALID),
    ("Prove", pb.ProveRequest(old_size=0), Code.REQUEST_INVALID),
    ("Prove", pb.ProveRequest(old_size=2, tree_size=1), Code.REQUEST_INVALID),
    ("List", pb.ListRequest(first=0, limit=0), Code.REQUEST_INVALID),
    ("List", pb.ListRequest(first=0, limit=501), Code.REQUEST_INVALID),
    ("List", pb.ListRequest(first=-1, limit=1), Code.REQUEST_INVALID),
    ("List", pb.ListRequest(first=2**63 - 1, limit=1), Code.REQUEST_INVALID),
]


async def test_what_the_log_has_not_reached_is_refused(
    served: Served, engine: FakeEngine, minter: Minter, auditor: AuditLogStub
):
    await run(served, engine, minter, 1)
    for method, request, reason in BEYOND:
        assert (await refusal(getattr(auditor, method)(request))).reason == reason, (method, request)


async def test_a_tool_gets_a_checkpoint_and_no_record(served: Served):
    async with served.channel("tool-deploy") as channel:
        tool = AuditLogStub(channel)
        await tool.Checkpoint(pb.CheckpointRequest())
        for call in (
            tool.Get(pb.GetRequest(position=0)),
            tool.Prove(pb.ProveRequest(position=0)),
            tool.List(pb.ListRequest(limit=1)),
        ):
            refused = await refusal(call)
            assert (refused.reason, refused.status) == (Code.CALLER_ROLE, grpc.StatusCode.PERMISSION_DENIED)


async def test_without_a_database_it_says_so(served: Served, auditor: AuditLogStub, outage: Outage):
    async with outage():
        for call in (
            auditor.Checkpoint(pb.CheckpointRequest()),
            auditor.Get(pb.GetRequest(position=0)),
            auditor.Prove(pb.ProveRequest(position=0)),
            auditor.List(pb.ListRequest(limit=1)),
        ):
            refused = await refusal(call)
            assert (refused.reason, refused.status) == (Code.DATABASE_UNAVAILABLE, grpc.StatusCode.UNAVAILABLE)


async def test_a_read_whose_turn_does_not_come_ends_in_its_time(served: Served, monkeypatch: pytest.MonkeyPatch):
    pool = await open_pool(served.database.dsn("wingman_gateway"), served.database.passwords["wingman_gateway"])
    administrator = await served.database.connection("postgres").connect()

    async def both_read() -> bool:
        return bool(await administrator.fetchval(HELD_UP) == audit_log.READERS)

    try:
        log = audit_log.AuditLog(pool)
        async with administrator.transaction():
            await administrator.execute("LOCK TABLE audit_checkpoint")
            reading = [asyncio.create_task(log.head()) for _ in range(audit_log.READERS)]
            await eventually(both_read)
            monkeypatch.setattr(audit_log, "READ_SECONDS", 0.05)
            async with asyncio.timeout(5):
                with pytest.raises(Unavailable, match="cannot be read"):
                    await log.head()
        monkeypatch.undo()
        assert [head.size for head in await asyncio.gather(*reading)] == [0, 0]
        assert (await log.head()).size == 0
    finally:
        await administrator.close()
        pool.terminate()
