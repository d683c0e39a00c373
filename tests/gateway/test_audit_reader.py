"""Whatever the database's administrator changes, with triggers off, verification finds, and names the place."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TypeAlias

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.conftest import Database
from tests.gateway.conftest import Outage
from wingman_core.audit_record import COLUMNS, AuditRecord, RecordKind, from_bytes
from wingman_core.audit_verify import LogVerifier, Summary
from wingman_core.checkpoint import Checkpoint, open_checkpoint
from wingman_core.errors import LogCorrupt, Unavailable
from wingman_core.notes import verifier_key_of
from wingman_gateway import audit_reader
from wingman_gateway.audit_reader import AuditReader
from wingman_gateway.audit_store import AuditStore, open_pool

ORIGIN = "wingman/test/log1"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = [verifier_key_of(ORIGIN, KEY)]
Administrator: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


def records() -> list[AuditRecord]:
    """Twelve executions, every field filled, and a refusal: 25 records."""
    made = []
    for number in range(12):
        intent = AuditRecord(
            kind=RecordKind.INTENT,
            environment="test",
            created_at=f"2030-01-01T00:00:00.{number:06}Z",
            execution_id=f"exe_{number}",
            approval_id=f"apr_{number}.0",
            jti=f"jti-{number}",
            worker="agent",
            command="docker stop web",
            operation_digest="1" * 64,
            targets=('{"id":"a"}',),
            target_digest="2" * 64,
            decision_digest="3" * 64,
            token_hash="4" * 64,
            client="spiffe://wingman/test/api",
            evidence='{"gateway":"gateway"}',
        )
        made.append(intent)
        made.append(
            intent.concluded(
                RecordKind.RESULT,
                "FAILED",
                f"2030-01-01T00:00:01.{number:06}Z",
                reason="ENGINE_REFUSED",
                exit_code=number,
                duration_ms=number,
                output_excerpt="out\n",
                output_digest="5" * 64,
            )
        )
    return [*made, AuditRecord(kind=RecordKind.REFUSED, environment="test", created_at=made[0].created_at, reason="X")]


@pytest.fixture
async def written(database: Database) -> Database:
    """A database whose log holds ``records()``, one checkpoint each."""
    pool = await open_pool(database.dsn("wingman_gateway"), database.passwords["wingman_gateway"])
    store = AuditStore(pool, origin=ORIGIN, key=KEY)
    await store.start()
    for record in records():
        await store.append(record)
    await store.close()
    pool.terminate()
    return database


@pytest.fixture
async def superuser(written: Database) -> AsyncIterator[Administrator]:
    """The administrator, with triggers and constraints out of the way."""
    connection = await written.connection("postgres").connect()
    for table in ("execution_audit", "audit_node", "audit_checkpoint"):
        await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    for name, kind in await connection.fetch(
        "SELECT conname, contype FROM pg_constraint WHERE conrelid = 'execution_audit'::regclass"
    ):
        if kind == b"c":
            await connection.execute(f'ALTER TABLE execution_audit DROP CONSTRAINT "{name}"')
    yield connection
    await connection.close()


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches that end in the middle of everything."""
    monkeypatch.setattr(audit_reader, "BATCH", 7)
    monkeypatch.setattr(audit_reader, "SLICE", 2)


async def verify(database: Database, against: Checkpoint | None = None) -> Summary:
    """Verify as an auditor."""
    url, password = database.dsn("wingman_auditor"), database.passwords["wingman_auditor"]
    seen = []
    async with AuditReader.connect(url, password) as reader:
        summary = await reader.verify(LogVerifier(origin=ORIGIN, keys=KEYS, against=against), seen.append)
    assert seen[-1:] == ([summary.size] if summary.size else [])
    return summary


async def differs(database: Database, against: Checkpoint | None = None) -> tuple[int, str]:
    """The first position that differs, and what."""
    with pytest.raises(LogCorrupt) as found:
        await verify(database, against)
    return int(found.value.details["position"]), found.value.details["what"]


async def test_an_untouched_log_verifies(written: Database):
    summary = await verify(written)
    assert (summary.size, summary.checkpoints, summary.unfinished) == (25, 25, ())
    newest = open_checkpoint(summary.checkpoint, KEYS)
    assert (newest.size, newest.root) == (summary.size, summary.root)


async def test_an_empty_log_verifies_and_has_no_checkpoint(database: Database):
    summary = await verify(database)
    assert (summary.size, summary.checkpoint) == (0, "")
    url, password = database.dsn("wingman_auditor"), database.passwords["wingman_auditor"]
    async with AuditReader.connect(url, password) as reader:
        assert (await reader.size(), await reader.last(5)) == (0, ())


async def test_the_last_records_are_read(written: Database):
    url, password = written.dsn("wingman_auditor"), written.passwords["wingman_auditor"]
    async with AuditReader.connect(url, password) as reader:
        assert await reader.size() == 25
        last = await reader.last(3)
    assert [(each.position, each.record) for each in last] == list(enumerate(records()))[-3:]


# One changed character (or the smallest change of a number or a time) in each column.
CHANGES = {
    "version": "version + 1",
    "exit_code": "exit_code + 1",
    "duration_ms": "duration_ms + 1",
    "created_at": "created_at + interval '1 microsecond'",
    "kind": "'BOUNDARY'",
    "outcome": "'FAILEE'",
}


@pytest.mark.parametrize("column", COLUMNS)
async def test_one_changed_byte_in_any_column_is_found(written: Database, superuser: Administrator, column: str):
    change = CHANGES.get(column, f"overlay({column} placing 'x' from 1)")
    await superuser.execute(f"UPDATE execution_audit SET {column} = {change} WHERE position = 7")
    assert await differs(written) == (7, column)


@pytest.mark.parametrize("column", ["record", "leaf_hash"])
async def test_one_changed_byte_in_what_binds_the_row_is_found(
    written: Database, superuser: Administrator, column: str
):
    changed = f"set_byte({column}, 5, (get_byte({column}, 5) + 1) % 256)"
    await superuser.execute(f"UPDATE execution_audit SET {column} = {changed} WHERE position = 7")
    assert (await differs(written))[0] == 7


async def test_a_row_rewritten_with_its_record_and_leaf_is_found(written: Database, superuser: Administrator):
    old = from_bytes(await superuser.fetchval("SELECT record FROM execution_audit WHERE position = 24"))
    new = replace(old, reason="Y")
    await superuser.execute(
        "UPDATE execution_audit SET reason = 'Y', record = $1, leaf_hash = $2 WHERE position = 24",
        new.to_bytes(),
        new.leaf_hash(),
    )
    assert await differs(written) == (24, "root")


@pytest.mark.parametrize("position", [0, 7, 24])
async def test_a_deleted_row_is_found(written: Database, superuser: Administrator, position: int):
    await superuser.execute("DELETE FROM execution_audit WHERE position = $1", position)
    assert (await differs(written))[0] == position


async def test_a_deleted_row_is_found_also_when_the_others_move_up(written: Database, superuser: Administrator):
    await superuser.execute("DELETE FROM execution_audit WHERE position = 24")
    await superuser.execute("DELETE FROM audit_checkpoint WHERE size = 25")
    await superuser.execute("DELETE FROM execution_audit WHERE position = 7")
    for position in range(8, 24):
        await superuser.execute("UPDATE execution_audit SET position = $1 WHERE position = $2", position - 1, position)
    assert (await differs(written))[0] == 7


async def test_an_inserted_row_is_found(written: Database, superuser: Administrator):
    await superuser.execute(
        "INSERT INTO execution_audit SELECT (jsonb_populate_record(a, '{\"position\": 25}')).* "
        "FROM execution_audit a WHERE position = 24"
    )
    assert (await differs(written))[0] == 25


async def test_an_inserted_row_in_the_middle_is_found(written: Database, superuser: Administrator):
    for position in range(24, 9, -1):
        await superuser.execute("UPDATE execution_audit SET position = $1 WHERE position = $2", position + 1, position)
    await superuser.execute(
        "INSERT INTO execution_audit SELECT (jsonb_populate_record(a, '{\"position\": 10}')).* "
        "FROM execution_audit a WHERE position = 25"
    )
    assert (await differs(written))[0] == 10


async def test_two_swapped_rows_are_found(written: Database, superuser: Administrator):
    for old, new in ((7, -7), (9, 7), (-7, 9)):
        await superuser.execute("UPDATE execution_audit SET position = $2 WHERE position = $1", old, new)
    assert (await differs(written))[0] == 7


async def _truncate(superuser: Administrator, size: int) -> None:
    """Cut the end off as one who knows how the log is built."""
    await superuser.execute("DELETE FROM execution_audit WHERE position >= $1", size)
    await superuser.execute("DELETE FROM audit_checkpoint WHERE size > $1", size)
    await superuser.execute("DELETE FROM audit_node WHERE ((index + 1) << level) > $1", size)


async def test_the_last_ten_cut_off_are_found_with_an_older_checkpoint(written: Database, superuser: Administrator):
    note = await superuser.fetchval("SELECT note FROM audit_checkpoint WHERE size = 25")
    older = open_checkpoint(note, KEYS)
    assert (await verify(written, older)).size == 25
    await _truncate(superuser, 15)
    assert (await verify(written)).size == 15
    assert await differs(written, older) == (15, "against")


async def test_rows_cut_off_without_their_checkpoints_or_nodes_are_found(written: Database, superuser: Administrator):
    await superuser.execute("DELETE FROM execution_audit WHERE position >= 15")
    assert await differs(written) == (15, "position")
    await superuser.execute("DELETE FROM audit_checkpoint WHERE size > 15")
    assert await differs(written) == (15, "nodes")


@pytest.mark.parametrize(
    ("damage", "position"),
    [
        ("UPDATE audit_node SET hash = sha256('x') WHERE level = 1 AND index = 3", 7),
        ("DELETE FROM audit_node WHERE level = 3 AND index = 0", 7),
        ("INSERT INTO audit_node VALUES (1, 900, sha256('x'))", 25),
        ("INSERT INTO audit_node VALUES (60, 900, sha256('x'))", 25),
        ("INSERT INTO audit_node VALUES (60, 7, sha256('x'))", 25),
        ("INSERT INTO audit_node VALUES (2000000000, 9223372036854775807, sha256('x'))", 25),
        ("UPDATE audit_checkpoint SET root = sha256('x') WHERE size = 8", 7),
        ("UPDATE audit_checkpoint SET note = overlay(note placing 'x' from 1) WHERE size = 8", 7),
        ("UPDATE audit_checkpoint SET size = 26 WHERE size = 25", 24),
        ("DELETE FROM audit_checkpoint WHERE size = 25", 24),
    ],
)
async def test_what_is_stored_beside_the_rows_is_checked_too(
    written: Database, superuser: Administrator, damage: str, position: int
):
    await superuser.execute(damage)
    assert (await differs(written))[0] in {position, position + 1}


async def test_a_log_rewritten_by_somebody_without_the_key_is_found(written: Database, superuser: Administrator):
    for table in ("execution_audit", "audit_node", "audit_checkpoint"):
        await superuser.execute(f"TRUNCATE {table}")
    pool = await open_pool(written.dsn("wingman_gateway"), written.passwords["wingman_gateway"])
    forger = AuditStore(pool, origin=ORIGIN, key=Ed25519PrivateKey.generate())
    await forger.start()
    for record in itertools.islice(records(), 5):
        await forger.append(record)
    await forger.close()
    pool.terminate()
    assert await differs(written) == (0, "checkpoint")


async def test_a_database_that_does_not_answer_is_said_to_be_unavailable(database: Database, outage: Outage):
    async with outage():
        with pytest.raises(Unavailable, match="the database does not answer"):
            async with AuditReader.connect(database.dsn("wingman_auditor"), database.passwords["wingman_auditor"]):
                pytest.fail("it is closed")


async def test_a_connection_that_dies_while_reading_is_said_to_be_unavailable(database: Database):
    administrator = await database.connection("postgres").connect()
    url, password = database.dsn("wingman_auditor"), database.passwords["wingman_auditor"]

    async def read() -> None:
        async with AuditReader.connect(url, password) as reader:
            await administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND usename = 'wingman_auditor'"
            )
            await reader.size()

    with pytest.raises(Unavailable, match="the database does not answer"):
        await read()
    await administrator.close()
