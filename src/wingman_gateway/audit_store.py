"""The gateway's side of the audit log in Postgres: spend, append, and what reconciliation reads.

Guarantees: ``append`` returns once the row, the tree's nodes and a signed checkpoint that covers them are
committed together (I15); a token and an approval are spent by exactly one INTENT (I12), and an execution has
one outcome, whatever races; several gateways share one log. A log whose head does not fit its checkpoint, or
that has shrunk under this process, takes no record. A record is unfit only while the log would take another of
its kind.
Does not: know whether a commit took place whose answer was lost. Then it raises ``Unavailable``, nothing is run,
and an INTENT that did arrive is reconciled.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wingman_core.audit_record import AuditRecord, RecordKind
from wingman_core.checkpoint import Checkpoint, sign_checkpoint
from wingman_core.errors import CanonicalError, Code, LogCorrupt, Unavailable, WingmanError
from wingman_core.translog import Frontier, peak_positions
from wingman_gateway.audit_batch import Plan, Waiting, planned
from wingman_gateway.audit_ledger import Connection, Ledger, read_ledger
from wingman_gateway.open_intents import LOCK_LOG, OpenIntents

BATCH: Final = 128
"""Rows in one transaction, at most."""
COMMIT_SECONDS: Final = 10.0
QUICK_SECONDS: Final = 5.0
POOL_SIZE: Final = 4

READ_HEAD: Final = """
SELECT (SELECT coalesce(max(position) + 1, 0) FROM execution_audit) AS rows,
       (SELECT coalesce(max(size), 0) FROM audit_checkpoint) AS size,
       (SELECT root FROM audit_checkpoint ORDER BY size DESC LIMIT 1) AS root
"""
READ_LEAVES: Final = """
SELECT 0 AS level, position AS index, leaf_hash AS hash FROM execution_audit WHERE position = ANY($1::bigint[])
"""
READ_NODES: Final = """
SELECT n.level, n.index, n.hash FROM audit_node n
JOIN unnest($1::integer[], $2::bigint[]) AS w (level, index) ON n.level = w.level AND n.index = w.index
"""
APPEND: Final = "SELECT audit_append($1, $2, $3::execution_audit[], $4, $5, $6, $7, $8)"
ALIVE: Final = "SELECT 1"
SESSION: Final = {
    "application_name": "wingman-gateway",
    "timezone": "UTC",
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
    "idle_in_transaction_session_timeout": "30s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""Whatever the server's defaults: durable commits, a fresh snapshot behind the lock, an end to a vanished holder's."""

# A connection that dies shows as any of these, the driver's own state machine included.
GONE: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
UNFIT: Final = (
    asyncpg.DataError,
    asyncpg.CheckViolationError,
    asyncpg.NotNullViolationError,
    asyncpg.ProgramLimitExceededError,
)
"""What the table says to a record that it will never hold; or to each, where something is wrong with the table."""
PLAIN: Final = "a record of no execution"

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


async def open_pool(url: str, password: str, *, command_seconds: float = COMMIT_SECONDS) -> Pool:
    """Prepare connections as the gateway's role; the first is opened when it is needed."""
    return await asyncpg.create_pool(
        url,
        password=password,
        min_size=0,
        max_size=POOL_SIZE,
        timeout=QUICK_SECONDS,
        command_timeout=command_seconds,
        server_settings=SESSION,
        reset=_as_it_is,
    )


async def _as_it_is(_connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Reset nothing between two users of a connection: none of them sets anything that outlives its transaction."""


def _nobody_counts(_rows: int, _seconds: float) -> None:
    return


class AuditStore:
    """One writer over a pool: what is waiting together is committed together."""

    def __init__(
        self,
        pool: Pool,
        *,
        origin: str,
        key: Ed25519PrivateKey,
        commit_seconds: float = COMMIT_SECONDS,
        committed: Callable[[int, float], None] = _nobody_counts,
    ) -> None:
        """Take the pool of the gateway's role, the log's origin, the key that signs checkpoints, and a bound.

        ``committed`` hears of each batch: its records, and for how many seconds the first of them waited.
        """
        self._pool = pool
        self._origin = origin
        self._key = key
        self._commit_seconds = commit_seconds
        self._committed = committed
        self._open = OpenIntents(pool, seconds=commit_seconds)
        self._queue: asyncio.Queue[Waiting] = asyncio.Queue()
        self._frontier = Frontier()
        self._writer: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many records wait for the next batch."""
        return self._queue.qsize()

    async def start(self) -> None:
        """Start the writer."""
        self._writer = asyncio.create_task(self._write_forever(), name="audit-writer")

    async def close(self) -> None:
        """Stop the writer; whoever still waits, or comes later, is told that the record was not taken."""
        self._closed = True
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait({self._writer})
            self._writer = None
        while not self._queue.empty():
            self._queue.get_nowait().tell(_unavailable("the gateway stops"))

    async def append(self, record: AuditRecord) -> int:
        """Commit one record and return its position; an outcome that the log has already returns that one's.

        Raises ``CapabilityRefused`` (TOKEN_SPENT, APPROVAL_SPENT) for an INTENT that lost, ``CanonicalError`` for
        what the table cannot hold, ``Unavailable`` where the database did not take it, ``LogCorrupt`` where the log
        is not what this process knows it to be.
        """
        if self._closed:
            raise _unavailable("the gateway stops")
        # A record that has no bytes fails its own caller, and nobody else's batch.
        waiting = Waiting(record, record.to_bytes(), asyncio.get_running_loop().create_future(), time.monotonic())
        self._queue.put_nowait(waiting)
        return await waiting.position

    async def open_intents(self) -> tuple[AuditRecord, ...]:
        """Return every INTENT that has no outcome, oldest first."""
        try:
            return await self._open.look()
        except GONE as error:
            raise _unavailable(type(error).__name__) from error

    async def ping(self) -> None:
        """Raise ``Unavailable`` unless the database answers within seconds."""
        try:
            async with asyncio.timeout(QUICK_SECONDS):
                await self._pool.fetchval(ALIVE)
        except GONE as error:
            raise _unavailable(type(error).__name__) from error

    async def _write_forever(self) -> None:
        batch: list[Waiting] = []
        try:
            while True:
                batch = [await self._queue.get()]
                while len(batch) < BATCH and not self._queue.empty():
                    batch.append(self._queue.get_nowait())
                await self._write(batch)
        finally:
            for waiting in batch:
                waiting.tell(_unavailable("the gateway stops"))

    async def _write(self, batch: Sequence[Waiting]) -> None:
        """Commit a batch and tell each waiter its own answer; the writer itself never fails."""
        answers: Sequence[int | WingmanError]
        try:
            async with asyncio.timeout(self._commit_seconds), self._pool.acquire() as connection:
                plan = await self._commit(connection, batch)
                self._frontier = plan.frontier
                _tell(batch, plan.answers)  # before the connection goes back: that takes time as well
        except UNFIT as error:
            if len(batch) > 1:  # one of them alone is at fault
                for waiting in batch:
                    await self._write([waiting])
                return
            fit = await self._takes(_plain(batch[0].record))
            answers = [_unfit(error) if fit else _unavailable(f"{type(error).__name__}, as each of its kind")]
        except WingmanError as error:
            answers = [error] * len(batch)
        except Exception as error:  # noqa: BLE001 - whatever the driver raises, the next batch has its chance
            answers = [_unavailable(type(error).__name__)] * len(batch)
        else:
            self._committed(len(batch), time.monotonic() - batch[0].since)
            return
        _tell(batch, answers)

    async def _commit(self, connection: Connection, batch: Sequence[Waiting]) -> Plan:
        # 1. Mostly nobody else has appended, and nobody has lost: then one round trip is all.
        if plan := await self._at_once(connection, batch):
            return plan
        async with connection.transaction():
            # 2. One appender at a time, until this transaction ends.
            await connection.execute(LOCK_LOG)
            # 3. The head, and whether it is the one that was signed.
            frontier = await self._read_frontier(connection)
            # 4. Who has lost already: known under the lock, so that one loser does not abort the others.
            plan = planned(batch, frontier, await read_ledger(connection, [waiting.record for waiting in batch]))
            if plan.rows and not await self._append(connection, frontier, plan):
                raise _corrupt("its head is not the one that was just read", frontier.size)
            return plan

    async def _at_once(self, connection: Connection, batch: Sequence[Waiting]) -> Plan | None:
        """Append the batch as if nobody had lost; None where it was not taken: who lost is known behind the lock."""
        if any(waiting.record.kind is RecordKind.SETTLED for waiting in batch):
            return None  # what may be settled, only the log knows
        plan = planned(batch, self._frontier, Ledger())
        try:
            return plan if await self._append(connection, self._frontier, plan) else None
        except asyncpg.UniqueViolationError:
            return None

    async def _append(self, connection: Connection, frontier: Frontier, plan: Plan) -> bool:
        """Append rows, nodes, and one checkpoint over them; False where the head is not the frontier's."""
        checkpoint = Checkpoint(self._origin, plan.frontier.size, plan.frontier.root())
        return await _insert(connection, frontier, plan, sign_checkpoint(checkpoint, self._origin, self._key))

    async def _takes(self, record: AuditRecord) -> bool:
        """Whether the log would take a record now: tried without a signature, and taken back."""
        waiting = Waiting(record, record.to_bytes(), asyncio.get_running_loop().create_future(), time.monotonic())
        try:
            async with asyncio.timeout(self._commit_seconds), self._pool.acquire() as connection:
                trial = connection.transaction()
                await trial.start()
                try:
                    await connection.execute(LOCK_LOG)
                    frontier = await self._read_frontier(connection)
                    plan = planned([waiting], frontier, Ledger(doubtful={record.execution_id}))
                    return await _insert(connection, frontier, plan, "")
                finally:
                    await trial.rollback()
        except Exception:  # noqa: BLE001 - whatever the driver raises, it was not taken
            return False

    async def _read_frontier(self, connection: Connection) -> Frontier:
        head = await connection.fetchrow(READ_HEAD)
        if head is None or head["rows"] != head["size"]:
            raise _corrupt("rows and checkpoints do not end at the same position", head["size"] if head else 0)
        size: int = head["size"]
        if size < self._frontier.size:
            raise _corrupt(f"the log had {self._frontier.size} records and has {size}", size)
        frontier = self._frontier
        if size > frontier.size:
            # Another gateway appended, or this one has just started.
            frontier = Frontier(size, await _read_peaks(connection, size))
        if size and frontier.root() != head["root"]:
            raise _corrupt("the stored nodes do not have the checkpoint's root", size)
        return frontier


def _tell(batch: Sequence[Waiting], answers: Sequence[int | WingmanError]) -> None:
    for waiting, answer in zip(batch, answers, strict=True):
        waiting.tell(answer)


async def _insert(connection: Connection, frontier: Frontier, plan: Plan, note: str) -> bool:
    """Have the database append what a batch adds, under a note; False where the head is not the frontier's."""
    appended: bool = await connection.fetchval(
        APPEND,
        frontier.size,
        frontier.root(),
        plan.rows,
        [node.level for node in plan.nodes],
        [node.index for node in plan.nodes],
        [node.hash for node in plan.nodes],
        plan.frontier.root(),
        note,
    )
    return appended


def _plain(record: AuditRecord) -> AuditRecord:
    """Return a record of the same kind that says nothing of its own."""
    return AuditRecord(
        kind=record.kind,
        environment=record.environment,
        created_at=record.created_at,
        execution_id=PLAIN,
        approval_id=PLAIN,
        jti=PLAIN,
        outcome="FAILED",
        evidence="{}",
    )


async def _read_peaks(connection: Connection, size: int) -> tuple[bytes, ...]:
    wanted = peak_positions(size)
    interior = [peak for peak in wanted if peak[0]]
    rows = await connection.fetch(READ_NODES, [level for level, _ in interior], [index for _, index in interior])
    rows += await connection.fetch(READ_LEAVES, [index for level, index in wanted if not level])
    found = {(row["level"], row["index"]): row["hash"] for row in rows}
    for level, index in wanted:
        if (level, index) not in found:
            raise _corrupt(f"the tree's node {index} of level {level} is missing", index << level)
    return tuple(found[peak] for peak in wanted)


def _unavailable(why: str) -> Unavailable:
    return Unavailable(
        Code.DATABASE_UNAVAILABLE, f"the audit log did not take the record ({why})", hint="try again in a moment"
    )


def _unfit(error: asyncpg.PostgresError) -> CanonicalError:
    return CanonicalError(
        Code.CANONICAL_INVALID,
        f"the audit log cannot hold the record ({type(error).__name__})",
        hint="a field of it is too large, or out of range",
    )


def _corrupt(difference: str, position: int) -> LogCorrupt:
    return LogCorrupt(
        Code.LOG_CORRUPT,
        f"the audit log is damaged: {difference}",
        hint="run wingman audit verify",
        position=str(position),
    )
