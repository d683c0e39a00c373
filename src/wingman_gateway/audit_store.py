"""The gateway's side of the audit log in Postgres: spend, append, and what reconciliation reads.

Guarantees: ``append`` returns once the row, the tree's nodes and a signed checkpoint that covers them are
committed together (I15); a token and an approval are spent by exactly one INTENT (I12), and an execution has
one outcome, whatever races; several gateways share one log. A log whose head does not fit its checkpoint, or
that has shrunk under this process, takes no record.
Does not: know whether a commit took place whose answer was lost. Then it raises ``Unavailable``, nothing is run,
and an INTENT that did arrive is reconciled.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias, assert_never

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wingman_core.audit_record import COLUMNS, AuditRecord, RecordKind, from_bytes
from wingman_core.checkpoint import Checkpoint, sign_checkpoint
from wingman_core.errors import CapabilityRefused, Code, LogCorrupt, Unavailable, WingmanError
from wingman_core.translog import Frontier, Node, leaf_hash, peak_positions

BATCH: Final = 128
"""Rows in one transaction, at most."""
COMMIT_SECONDS: Final = 10.0
QUICK_SECONDS: Final = 5.0
POOL_SIZE: Final = 4
APPEND_LOCK: Final = 0x5769_6E67_6D61_6E01
"""The advisory lock that makes appenders take turns; the same in every gateway."""

LOCK_LOG: Final = "SELECT pg_advisory_xact_lock($1)"
READ_HEAD: Final = """
SELECT (SELECT coalesce(max(position) + 1, 0) FROM execution_audit) AS rows,
       (SELECT coalesce(max(size), 0) FROM audit_checkpoint) AS size,
       (SELECT root FROM audit_checkpoint ORDER BY size DESC LIMIT 1) AS root
"""
READ_LEAF: Final = "SELECT leaf_hash FROM execution_audit WHERE position = $1"
READ_NODE: Final = "SELECT hash FROM audit_node WHERE level = $1 AND index = $2"
READ_SPENT: Final = """
SELECT jti, approval_id FROM execution_audit
WHERE kind = 'INTENT' AND (jti = ANY($1) OR approval_id = ANY($2))
"""
READ_OUTCOMES: Final = """
SELECT execution_id, position FROM execution_audit
WHERE kind IN ('RESULT', 'RECONCILED') AND execution_id = ANY($1)
"""
READ_DOUBTFUL: Final = """
SELECT execution_id FROM execution_audit AS outcome
WHERE kind IN ('RESULT', 'RECONCILED') AND outcome = 'UNKNOWN' AND execution_id = ANY($1) AND NOT EXISTS (
    SELECT FROM execution_audit AS settled
    WHERE settled.execution_id = outcome.execution_id AND settled.kind = 'SETTLED')
"""
READ_OPEN: Final = """
SELECT record FROM execution_audit AS intent
WHERE kind = 'INTENT' AND NOT EXISTS (
    SELECT FROM execution_audit AS outcome
    WHERE outcome.execution_id = intent.execution_id AND outcome.kind IN ('RESULT', 'RECONCILED'))
ORDER BY position
"""
INSERT_ROW: Final = (
    f"INSERT INTO execution_audit (position, record, leaf_hash, {', '.join(COLUMNS)}) "  # noqa: S608 - field names
    f"VALUES ({', '.join(f'${number}' for number in range(1, len(COLUMNS) + 4))})"
)
CREATED_AT: Final = COLUMNS.index("created_at")
INSERT_NODE: Final = "INSERT INTO audit_node (level, index, hash) VALUES ($1, $2, $3)"
INSERT_CHECKPOINT: Final = "INSERT INTO audit_checkpoint (size, root, note) VALUES ($1, $2, $3)"
OUTCOME_KINDS: Final = frozenset({RecordKind.RESULT, RecordKind.RECONCILED})
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

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
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
    )


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A record in the queue, and who waits for its position."""

    record: AuditRecord
    data: bytes
    position: "asyncio.Future[int]"
    since: float


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
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._frontier = Frontier()
        self._writer: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many records wait for the next batch."""
        return self._queue.qsize()

    async def start(self) -> None:
        """Start the writer."""
        self._writer = asyncio.create_task(self._write_forever(), name="audit-writer")

    async def close(self) -> None:
        """Stop the writer; whoever still waits is told that the record was not taken."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait({self._writer})
            self._writer = None
        while not self._queue.empty():
            _tell(self._queue.get_nowait(), _unavailable("the gateway stops"))

    async def append(self, record: AuditRecord) -> int:
        """Commit one record and return its position; an outcome that the log has already returns that one's.

        Raises ``CapabilityRefused`` (TOKEN_SPENT, APPROVAL_SPENT) for an INTENT that lost, ``Unavailable`` where
        the database did not take it, ``LogCorrupt`` where the log is not what this process knows it to be.
        """
        # A record that has no bytes fails its own caller, and nobody else's batch.
        waiting = _Waiting(record, record.to_bytes(), asyncio.get_running_loop().create_future(), time.monotonic())
        self._queue.put_nowait(waiting)
        return await waiting.position

    async def open_intents(self) -> tuple[AuditRecord, ...]:
        """Return every INTENT that has no outcome, oldest first."""
        try:
            async with asyncio.timeout(self._commit_seconds):
                async with self._pool.acquire() as connection, connection.transaction():
                    # An INTENT whose answer was lost may still be on its way in: read behind it.
                    await connection.execute(LOCK_LOG, APPEND_LOCK)
                    rows = await connection.fetch(READ_OPEN)
        except GONE as error:
            raise _unavailable(type(error).__name__) from error
        return tuple(from_bytes(row["record"]) for row in rows)

    async def ping(self) -> None:
        """Raise ``Unavailable`` unless the database answers within seconds."""
        try:
            async with asyncio.timeout(QUICK_SECONDS):
                await self._pool.fetchval(ALIVE)
        except GONE as error:
            raise _unavailable(type(error).__name__) from error

    async def _write_forever(self) -> None:
        batch: list[_Waiting] = []
        try:
            while True:
                batch = [await self._queue.get()]
                while len(batch) < BATCH and not self._queue.empty():
                    batch.append(self._queue.get_nowait())
                await self._write(batch)
        finally:
            for waiting in batch:
                _tell(waiting, _unavailable("the gateway stops"))

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        """Commit a batch and tell each waiter its own answer; the writer itself never fails."""
        answers: Sequence[int | WingmanError]
        try:
            async with asyncio.timeout(self._commit_seconds):
                async with self._pool.acquire() as connection, connection.transaction():
                    answers, frontier = await self._append(connection, batch)
        except WingmanError as error:
            answers = [error] * len(batch)
        except Exception as error:  # noqa: BLE001 - whatever the driver raises, the next batch has its chance
            answers = [_unavailable(type(error).__name__)] * len(batch)
        else:
            self._frontier = frontier
            self._committed(len(batch), time.monotonic() - batch[0].since)
        for waiting, answer in zip(batch, answers, strict=True):
            _tell(waiting, answer)

    async def _append(
        self, connection: Connection, batch: Sequence[_Waiting]
    ) -> tuple[list[int | WingmanError], Frontier]:
        # 1. One appender at a time, until this transaction ends.
        await connection.execute(LOCK_LOG, APPEND_LOCK)
        # 2. The head, and whether it is the one that was signed.
        frontier = await self._read_frontier(connection)
        # 3. Who has lost already: known under the lock, so that one loser does not abort the others.
        ledger = await _read_ledger(connection, [waiting.record for waiting in batch])
        # 4. Rows, nodes, and one checkpoint over the batch.
        answers: list[int | WingmanError] = []
        rows: list[tuple[object, ...]] = []
        nodes: list[Node] = []
        for waiting in batch:
            answer = ledger.admit(waiting.record, frontier.size)
            answers.append(answer)
            if answer == frontier.size:
                leaf = leaf_hash(waiting.data)
                rows.append(_row(frontier.size, waiting.record, waiting.data, leaf))
                frontier, completed = frontier.append(leaf)
                nodes.extend(completed)
        if rows:
            await connection.executemany(INSERT_ROW, rows)
            await connection.executemany(INSERT_NODE, [(node.level, node.index, node.hash) for node in nodes])
            checkpoint = Checkpoint(self._origin, frontier.size, frontier.root())
            note = sign_checkpoint(checkpoint, self._origin, self._key)
            await connection.execute(INSERT_CHECKPOINT, checkpoint.size, checkpoint.root, note)
        return answers, frontier

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
            frontier = Frontier(size, tuple([await _read_peak(connection, *peak) for peak in peak_positions(size)]))
        if size and frontier.root() != head["root"]:
            raise _corrupt("the stored nodes do not have the checkpoint's root", size)
        return frontier


@dataclass(slots=True)
class _Ledger:
    """What is spent and which executions have an outcome, the batch so far included."""

    tokens: set[str]
    approvals: set[str]
    outcomes: dict[str, int]
    doubtful: set[str]
    """Executions whose outcome is UNKNOWN and not settled."""

    def admit(self, record: AuditRecord, position: int) -> int | WingmanError:
        """Return ``position`` and remember the record, or say why it is not written."""
        match record.kind:
            case RecordKind.INTENT:
                if record.jti in self.tokens:
                    return CapabilityRefused(
                        Code.TOKEN_SPENT, "the token was used already", hint="an approval runs once; ask again"
                    )
                if record.approval_id in self.approvals:
                    return CapabilityRefused(
                        Code.APPROVAL_SPENT, "the approval was used already", hint="an approval runs once; ask again"
                    )
                self.tokens.add(record.jti)
                self.approvals.add(record.approval_id)
            case RecordKind.RESULT | RecordKind.RECONCILED:
                return self.outcomes.setdefault(record.execution_id, position)
            case RecordKind.SETTLED:
                if record.execution_id not in self.doubtful:
                    return WingmanError(
                        Code.OUTCOME_KNOWN,
                        "no outcome of this execution is open to be settled",
                        hint="see wingman audit tail, or the execution's receipt",
                    )
                self.doubtful.remove(record.execution_id)
            case RecordKind.REFUSED | RecordKind.BOUNDARY:
                return position
            case _:
                assert_never(record.kind)
        return position


async def _read_ledger(connection: Connection, records: Sequence[AuditRecord]) -> _Ledger:
    intents = [record for record in records if record.kind is RecordKind.INTENT]
    endings = [record.execution_id for record in records if record.kind in OUTCOME_KINDS]
    settling = [record.execution_id for record in records if record.kind is RecordKind.SETTLED]
    spent, outcomes, doubtful = [], [], []
    if intents:
        jtis, approvals = [record.jti for record in intents], [record.approval_id for record in intents]
        spent = await connection.fetch(READ_SPENT, jtis, approvals)
    if endings:
        outcomes = await connection.fetch(READ_OUTCOMES, endings)
    if settling:
        doubtful = await connection.fetch(READ_DOUBTFUL, settling)
    return _Ledger(
        doubtful={row["execution_id"] for row in doubtful},
        tokens={row["jti"] for row in spent},
        approvals={row["approval_id"] for row in spent},
        outcomes={row["execution_id"]: row["position"] for row in outcomes},
    )


async def _read_peak(connection: Connection, level: int, index: int) -> bytes:
    query, arguments = (READ_NODE, (level, index)) if level else (READ_LEAF, (index,))
    found = await connection.fetchval(query, *arguments)
    if found is None:
        raise _corrupt(f"the tree's node {index} of level {level} is missing", index << level)
    return bytes(found)


def _row(position: int, record: AuditRecord, data: bytes, leaf: bytes) -> tuple[object, ...]:
    """Return the values of ``INSERT_ROW``."""
    values: list[object] = list(record.columns())
    values[CREATED_AT] = datetime.fromisoformat(record.created_at)
    return (position, data, leaf, *values)


def _tell(waiting: _Waiting, answer: int | WingmanError) -> None:
    if waiting.position.done():
        return
    if isinstance(answer, WingmanError):
        waiting.position.set_exception(answer)
    else:
        waiting.position.set_result(answer)


def _unavailable(why: str) -> Unavailable:
    return Unavailable(
        Code.DATABASE_UNAVAILABLE, f"the audit log did not take the record ({why})", hint="try again in a moment"
    )


def _corrupt(difference: str, position: int) -> LogCorrupt:
    return LogCorrupt(
        Code.LOG_CORRUPT,
        f"the audit log is damaged: {difference}",
        hint="run wingman audit verify",
        position=str(position),
    )
