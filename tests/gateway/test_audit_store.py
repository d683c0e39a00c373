"""The log in Postgres: one spender, one outcome, no row uncovered, no way to change what is there."""

import asyncio
import itertools
import os
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.conftest import Database
from tests.gateway.conftest import Outage, eventually
from wingman_core.audit_record import AuditRecord, RecordKind
from wingman_core.audit_verify import LogVerifier, Summary
from wingman_core.checkpoint import open_checkpoint
from wingman_core.errors import CapabilityRefused, Code, LogCorrupt, Unavailable, WingmanError
from wingman_core.notes import verifier_key_of
from wingman_gateway import open_intents
from wingman_gateway.audit_reader import AuditReader
from wingman_gateway.audit_store import AuditStore, open_pool

ORIGIN = "wingman/test/log1"
AT = "2030-01-01T00:00:00.000001Z"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
TABLES = ("execution_audit", "audit_node", "audit_checkpoint")
CHANGES = (
    "UPDATE execution_audit SET worker = 'x'",
    "UPDATE execution_audit SET worker = 'x' WHERE false",
    "DELETE FROM execution_audit",
    "TRUNCATE execution_audit",
    "UPDATE audit_node SET level = 1",
    "DELETE FROM audit_node",
    "TRUNCATE audit_node",
    "UPDATE audit_checkpoint SET note = ''",
    "DELETE FROM audit_checkpoint",
    "TRUNCATE audit_checkpoint",
)
MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
APPENDING = "audit_append(bigint, bytea, execution_audit[], integer[], bigint[], bytea[], bytea, text)"
FORMER_LOCK = 0x5769_6E67_6D61_6E01
"""The advisory lock by which gateways took turns, until migration 0008."""
_numbers = itertools.count()


def intent(*, jti: str = "", approval: str = "") -> AuditRecord:
    """An INTENT that nothing else is like."""
    number = next(_numbers)
    return AuditRecord(
        kind=RecordKind.INTENT,
        environment="test",
        created_at=AT,
        execution_id=f"exe_{number}",
        approval_id=approval or f"apr_{number}.0",
        jti=jti or f"jti-{number}",
        worker="agent",
        command="docker stop web",
        operation_digest="1" * 64,
        target_digest="2" * 64,
        decision_digest="3" * 64,
        token_hash="4" * 64,
        client="spiffe://wingman/test/api",
    )


def result(of: AuditRecord) -> AuditRecord:
    """Its outcome."""
    return of.concluded(RecordKind.RESULT, "SUCCEEDED", AT, exit_code=0, duration_ms=5, output_excerpt="ünï\n")


def refused(reason: str = "TOKEN_EXPIRED") -> AuditRecord:
    """A refusal."""
    return AuditRecord(kind=RecordKind.REFUSED, environment="test", created_at=AT, reason=reason)


WAITERS = """
pg_locks WHERE relation = 'audit_turn'::regclass AND NOT granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
WAITING = f"SELECT count(*) FROM {WAITERS}"

Administrator: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Opener = Callable[[], Awaitable[AuditStore]]


@pytest.fixture
async def open_store(database: Database) -> AsyncIterator[Opener]:
    """Opens stores on the test's database, as gateways would."""
    opened = []

    async def opener() -> AuditStore:
        pool = await open_pool(database.dsn("wingman_gateway"), database.passwords["wingman_gateway"])
        store = AuditStore(pool, origin=ORIGIN, key=KEY)
        await store.start()
        opened.append((store, pool))
        return store

    yield opener
    for store, pool in opened:
        await store.close()
        pool.terminate()


@pytest.fixture
async def store(open_store: Opener) -> AuditStore:
    """One store."""
    return await open_store()


@pytest.fixture
async def superuser(database: Database) -> AsyncIterator[Administrator]:
    """The database's administrator."""
    connection = await database.connection("postgres").connect()
    yield connection
    await connection.close()


async def verified(database: Database) -> Summary:
    """The whole log, verified as an auditor."""
    url, password = database.dsn("wingman_auditor"), database.passwords["wingman_auditor"]
    async with AuditReader.connect(url, password) as reader:
        verifier = LogVerifier(origin=ORIGIN, keys=[verifier_key_of(ORIGIN, KEY)])
        return await reader.verify(verifier, lambda _: None)


async def attempt(store: AuditStore, record: AuditRecord) -> int | Code:
    """The position, or the code of the refusal."""
    try:
        return await store.append(record)
    except WingmanError as error:
        return error.code


async def test_positions_are_gap_free_from_zero_and_the_log_verifies(store: AuditStore, database: Database):
    assert [await store.append(refused()) for _ in range(3)] == [0, 1, 2]
    first = intent()
    assert await store.append(first) == 3
    assert await store.append(result(first)) == 4
    summary = await verified(database)
    assert (summary.size, summary.checkpoints, summary.unfinished) == (5, 5, ())


async def test_what_waits_together_shares_a_commit_and_a_checkpoint(store: AuditStore, database: Database):
    positions = await asyncio.gather(*(store.append(refused()) for _ in range(300)))
    assert sorted(positions) == list(range(300))
    summary = await verified(database)
    assert summary.size == 300
    assert summary.checkpoints < 20


async def test_the_note_is_signed_over_the_size_and_root_of_its_row(store: AuditStore, superuser: Administrator):
    await store.append(refused())
    row = await superuser.fetchrow("SELECT * FROM audit_checkpoint")
    checkpoint = open_checkpoint(row["note"], [verifier_key_of(ORIGIN, KEY)])
    assert (checkpoint.size, checkpoint.root) == (row["size"], row["root"]) == (1, row["root"])


async def test_a_token_is_spent_once(store: AuditStore):
    await store.append(intent(jti="same-token"))
    with pytest.raises(CapabilityRefused) as lost:
        await store.append(intent(jti="same-token"))
    assert lost.value.code is Code.TOKEN_SPENT


async def test_an_approval_is_spent_once(store: AuditStore):
    await store.append(intent(approval="apr_same.0"))
    with pytest.raises(CapabilityRefused) as lost:
        await store.append(intent(approval="apr_same.0"))
    assert lost.value.code is Code.APPROVAL_SPENT
    await store.append(intent(approval="apr_same.1"))


async def test_of_many_racing_spenders_on_several_gateways_one_wins_and_others_are_not_disturbed(
    open_store: Opener, database: Database
):
    stores = [await open_store() for _ in range(3)]
    racing = [attempt(stores[number % 3], intent(approval="apr_raced.0")) for number in range(60)]
    bystanders = [attempt(stores[number % 3], refused()) for number in range(30)]
    answers = await asyncio.gather(*racing, *bystanders)
    winners = [answer for answer in answers[:60] if answer is not Code.APPROVAL_SPENT]
    assert len(winners) == 1
    assert sorted(answer for answer in (*winners, *answers[60:])) == list(range(31))
    assert (await verified(database)).size == 31


async def test_an_outcome_is_written_once_and_its_position_said_again(store: AuditStore, database: Database):
    first = intent()
    await store.append(first)
    assert await store.append(result(first)) == 1
    assert await store.append(result(first)) == 1
    again = first.concluded(RecordKind.RECONCILED, "UNKNOWN", AT)
    assert await asyncio.gather(store.append(again), store.append(again), store.append(refused())) == [1, 1, 2]
    assert (await verified(database)).size == 3


async def test_an_outcome_that_nobody_knows_is_settled_once(store: AuditStore, database: Database):
    running = intent()
    settled = running.concluded(RecordKind.SETTLED, "FAILED", AT, evidence='{"by":"x","note":"y"}')
    await store.append(running)
    assert await attempt(store, settled) is Code.OUTCOME_KNOWN
    await store.append(running.concluded(RecordKind.RECONCILED, "UNKNOWN", AT, evidence='{"said":"x"}'))
    answers = await asyncio.gather(*(attempt(store, settled) for _ in range(2)))
    assert answers == [2, Code.OUTCOME_KNOWN]
    assert await attempt(store, settled) is Code.OUTCOME_KNOWN
    assert (await verified(database)).size == 3


async def test_open_intents_are_those_without_an_outcome_oldest_first(store: AuditStore):
    records = [intent() for _ in range(4)]
    for record in records:
        await store.append(record)
    await store.append(result(records[1]))
    await store.append(records[2].concluded(RecordKind.RECONCILED, "FAILED", AT, evidence="{}"))
    assert await store.open_intents() == (records[0], records[3])
    await store.append(result(records[0]))
    late = intent()
    await store.append(late)
    assert await store.open_intents() == (records[3], late)


async def test_what_is_open_is_found_in_every_piece_of_the_log(store: AuditStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(open_intents, "PIECE", 2)
    records = [intent() for _ in range(5)]
    for record in records:
        await store.append(record)
    await store.append(result(records[1]))
    await store.append(result(records[4]))
    assert await store.open_intents() == (records[0], records[2], records[3])


async def test_a_gateway_that_starts_goes_on_where_others_are(open_store: Opener, database: Database):
    first, second = await open_store(), await open_store()
    for number in range(11):
        assert await (first, second)[number % 2].append(refused()) == number
    third = await open_store()
    assert await third.append(refused()) == 11
    assert (await verified(database)).size == 12


@pytest.mark.parametrize("role", ["wingman_gateway", "wingman_api", "wingman_owner", "postgres"])
async def test_nobody_changes_the_log(store: AuditStore, database: Database, role: str):
    await store.append(refused())
    await store.append(refused())
    connection = await database.connection(role).connect()
    try:
        for replica in (False, True) if role == "postgres" else (False,):
            if replica:
                await connection.execute("SET session_replication_role = replica")
            for statement in CHANGES:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)
    finally:
        await connection.close()
    assert (await verified(database)).size == 2


@pytest.mark.parametrize("role", ["wingman_api", "wingman_auditor"])
async def test_readers_read_and_do_not_write(database: Database, role: str):
    connection = await database.connection(role).connect()
    try:
        for table in TABLES:
            assert await connection.fetch(f"SELECT * FROM {table}") == []
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
                await connection.execute(f"INSERT INTO {table} DEFAULT VALUES")
    finally:
        await connection.close()


@pytest.mark.parametrize("role", ["wingman_api", "wingman_auditor"])
async def test_a_role_that_reads_holds_up_no_append(store: AuditStore, database: Database, role: str):
    connection = await database.connection(role).connect()
    try:
        async with connection.transaction():
            for table in TABLES:  # what a reader may lock, it may keep
                await connection.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE")
            for lock in ("pg_advisory_lock", "pg_advisory_lock_shared"):
                await connection.execute(f"SELECT {lock}($1)", FORMER_LOCK)
            assert await store.append(refused()) == 0
            assert len(await store.open_intents()) == 0
        for table, mode in [*itertools.product(TABLES, MODES[1:]), *itertools.product(["audit_turn"], MODES)]:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"BEGIN; LOCK TABLE {table} IN {mode} MODE")
            await connection.execute("ROLLBACK")
        for table in (*TABLES, "audit_turn"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"SELECT FROM {table} FOR KEY SHARE")
    finally:
        await connection.close()


async def test_the_database_itself_refuses_a_gap_and_a_second_spending(store: AuditStore, superuser: Administrator):
    await store.append(intent(jti="only-once", approval="apr_once.0"))
    copy = "INSERT INTO execution_audit SELECT (jsonb_populate_record(a, $1::jsonb)).* FROM execution_audit a"
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="position 5 does not follow 0"):
        await superuser.execute(copy, '{"position": 5, "kind": "REFUSED"}')
    for changes, index in (
        ('{"position": 1, "approval_id": "a", "execution_id": "e"}', "execution_audit_jti_spent"),
        ('{"position": 1, "jti": "j", "execution_id": "e"}', "execution_audit_approval_spent"),
        ('{"position": 1, "jti": "j", "approval_id": "a"}', "execution_audit_intent"),
    ):
        with pytest.raises(asyncpg.UniqueViolationError, match=index):
            await superuser.execute(copy, changes)


async def _disarm(superuser: Administrator) -> None:
    for table in TABLES:
        await superuser.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DELETE FROM execution_audit WHERE position = 6", "do not end at the same position"),
        ("DELETE FROM audit_checkpoint WHERE size = 7", "do not end at the same position"),
        ("UPDATE audit_checkpoint SET root = sha256('x') WHERE size = 7", "do not have the checkpoint's root"),
        ("UPDATE audit_node SET hash = sha256('x') WHERE level = 2 AND index = 0", "do not have the checkpoint's root"),
        ("DELETE FROM audit_node WHERE level = 2 AND index = 0", "node 0 of level 2 is missing"),
    ],
)
async def test_a_damaged_head_takes_no_record(open_store: Opener, superuser: Administrator, damage: str, said: str):
    store = await open_store()
    for _ in range(7):
        await store.append(refused())
    await _disarm(superuser)
    await superuser.execute(damage)
    late = await open_store()
    with pytest.raises(LogCorrupt, match=said):
        await late.append(intent())


async def test_a_log_that_shrinks_under_a_running_gateway_takes_no_record(store: AuditStore, superuser: Administrator):
    for _ in range(4):
        await store.append(refused())
    await _disarm(superuser)
    await superuser.execute("DELETE FROM execution_audit WHERE position >= 2")
    await superuser.execute("DELETE FROM audit_checkpoint WHERE size > 2")
    await superuser.execute("DELETE FROM audit_node WHERE index > 0 OR level > 1")
    with pytest.raises(LogCorrupt, match="had 4 records and has 2"):
        await store.append(refused())


async def test_a_database_that_is_gone_is_unavailable_and_comes_back(store: AuditStore, outage: Outage):
    await store.append(refused())
    await store.ping()
    async with outage():
        for call in (store.append(refused()), store.ping(), store.open_intents()):
            with pytest.raises(Unavailable) as gone:
                await call
            assert gone.value.code is Code.DATABASE_UNAVAILABLE
    await store.ping()
    assert await store.append(refused()) == 1


async def test_a_connection_that_dies_in_the_middle_commits_nothing_and_fails_all_of_its_batch(
    store: AuditStore, database: Database, superuser: Administrator
):
    await store.append(refused())
    async with superuser.transaction():
        # The appender waits for its turn, and dies waiting.
        await superuser.execute(open_intents.LOCK_LOG)
        waiting = [asyncio.create_task(attempt(store, refused())) for _ in range(3)]
        await eventually(lambda: superuser.fetchval(WAITING))
        await superuser.execute(f"SELECT pg_terminate_backend(pid) FROM {WAITERS}")
        answers = await asyncio.gather(*waiting)
    assert Code.DATABASE_UNAVAILABLE in answers
    taken = sorted(answer for answer in answers if isinstance(answer, int))
    assert taken == list(range(1, 1 + len(taken)))
    assert (await verified(database)).size == 1 + len(taken)


async def test_a_record_that_the_table_cannot_hold_fails_nobody_else(store: AuditStore, database: Database):
    await store.append(refused())
    too_long = intent(jti=secrets.token_hex(20_000))  # no index takes it
    answers = await asyncio.gather(
        *(attempt(store, record) for record in (refused(), too_long, intent(), refused(), too_long))
    )
    assert answers == [1, Code.CANONICAL_INVALID, 2, 3, Code.CANONICAL_INVALID]
    assert (await verified(database)).size == 4


@pytest.mark.parametrize(
    "wrong",
    [
        f"DROP FUNCTION {APPENDING}",
        f"REVOKE EXECUTE ON FUNCTION {APPENDING} FROM wingman_gateway",
        "REVOKE INSERT ON execution_audit FROM wingman_gateway",
        "ALTER TABLE execution_audit ADD COLUMN more text NOT NULL DEFAULT ''",
        "ALTER TABLE execution_audit ADD CONSTRAINT wrong CHECK (kind <> 'RESULT') NOT VALID",
        "ALTER TABLE execution_audit ADD CONSTRAINT wrong CHECK (1 / (position - position) = 1) NOT VALID",
        "ALTER TABLE audit_node ADD wrong text NOT NULL DEFAULT ''; ALTER TABLE audit_node ALTER wrong DROP DEFAULT",
        "ALTER TABLE audit_checkpoint ADD CONSTRAINT wrong CHECK (size < 2) NOT VALID",
    ],
)
async def test_a_table_that_takes_no_such_record_is_unavailable_and_no_record_is_to_blame(
    store: AuditStore, open_store: Opener, superuser: Administrator, wrong: str
):
    running = intent()
    await store.append(running)
    await superuser.execute(wrong)
    for each in (store, await open_store()):
        answers = await asyncio.gather(*(attempt(each, result(running)) for _ in range(2)))
        assert answers == [Code.DATABASE_UNAVAILABLE] * 2


async def test_a_trial_leaves_nothing_behind(store: AuditStore, superuser: Administrator, database: Database):
    await superuser.execute("ALTER TABLE execution_audit ADD CONSTRAINT wrong CHECK (worker <> 'agent')")
    assert await attempt(store, intent()) is Code.CANONICAL_INVALID
    await superuser.execute("ALTER TABLE execution_audit DROP CONSTRAINT wrong")
    assert await store.append(intent()) == 0
    assert (await verified(database)).size == 1


@pytest.mark.parametrize("kind", RecordKind)
async def test_a_record_of_any_kind_may_be_the_one_at_fault(
    store: AuditStore, superuser: Administrator, kind: RecordKind
):
    doubtful = intent()
    await store.append(doubtful)
    await store.append(doubtful.concluded(RecordKind.RECONCILED, "UNKNOWN", doubtful.created_at))
    await superuser.execute("ALTER TABLE execution_audit ADD CONSTRAINT wrong CHECK (worker <> 'spoiled')")
    base = doubtful if kind is RecordKind.SETTLED else intent()
    record = replace(base, kind=kind, worker="spoiled", outcome="FAILED", evidence="{}")
    assert await attempt(store, record) is Code.CANONICAL_INVALID


async def test_whoever_waits_when_the_store_closes_is_told(store: AuditStore, superuser: Administrator):
    async with superuser.transaction():
        await superuser.execute(open_intents.LOCK_LOG)
        waiting = [asyncio.create_task(attempt(store, refused())) for _ in range(2)]
        await eventually(lambda: superuser.fetchval(WAITING))
        waiting.append(asyncio.create_task(attempt(store, refused())))
        await asyncio.sleep(0)
        await store.close()
        assert await asyncio.gather(*waiting) == [Code.DATABASE_UNAVAILABLE] * 3


async def test_a_waiter_that_has_gone_does_not_stop_its_record(store: AuditStore, database: Database):
    waiting = asyncio.create_task(store.append(refused()))
    await asyncio.sleep(0)
    waiting.cancel()
    assert await store.append(refused()) == 1
    assert (await verified(database)).size == 2


async def test_every_column_says_what_the_record_says(store: AuditStore, superuser: Administrator):
    record = replace(result(intent()), targets=('{"a":1}',), evidence="{}", client="spiffe://wingman/test/api")
    await store.append(record)
    row = await superuser.fetchrow("SELECT * FROM execution_audit")
    assert row["record"] == record.to_bytes()
    assert row["leaf_hash"] == record.leaf_hash()
    assert row["created_at"].isoformat() == "2030-01-01T00:00:00.000001+00:00"
    for name, value in record.columns()._asdict().items():
        if name != "created_at":
            assert row[name] == value


async def test_a_database_that_hangs_is_unavailable_in_bounded_time_and_serves_again_afterwards(
    database: Database, superuser: Administrator
):
    pool = await open_pool(database.dsn("wingman_gateway"), database.passwords["wingman_gateway"], command_seconds=2)
    store = AuditStore(pool, origin=ORIGIN, key=KEY, commit_seconds=2)
    await store.start()
    await store.append(refused())
    pids = await superuser.fetch(
        "SELECT pid FROM pg_stat_activity WHERE usename = 'wingman_gateway' AND datname = $1", database.name
    )
    for row in pids:
        os.kill(row["pid"], signal.SIGSTOP)
    try:
        async with asyncio.timeout(30):
            assert await attempt(store, refused()) is Code.DATABASE_UNAVAILABLE
    finally:
        for row in pids:
            os.kill(row["pid"], signal.SIGCONT)
    assert isinstance(await attempt(store, refused()), int)
    await store.close()
    pool.terminate()
    assert (await verified(database)).size >= 2


async def test_a_store_that_is_closed_refuses_at_once(store: AuditStore) -> None:
    await store.close()
    with pytest.raises(Unavailable, match="the gateway stops"):
        await asyncio.wait_for(store.append(refused()), 1)
    assert store.waiting == 0
