"""What the API reads of the audit log; its role has no more than SELECT.

Guarantees: a checkpoint that is returned covers every node that is read behind it, since the log only grows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wingman_api.system.store import Connection, Database
from wingman_core.audit_record import AuditRecord, RecordKind, from_bytes
from wingman_core.proofs import Position, inclusion_proof, wanted

PAGE: Final = """
SELECT position, record, leaf_hash FROM execution_audit
WHERE position >= $1 AND ($2::text IS NULL OR worker = $2) AND ($3::text IS NULL OR kind = $3)
  AND ($4::text IS NULL OR execution_id = $4)
ORDER BY position LIMIT $5
"""
HEAD: Final = "SELECT size, root, note FROM audit_checkpoint ORDER BY size DESC LIMIT 1"
OF_EXECUTION: Final = """
SELECT position, record, leaf_hash FROM execution_audit
WHERE execution_id = $1 AND kind IN ('INTENT', 'RESULT', 'RECONCILED', 'SETTLED') ORDER BY position
"""
LEAVES: Final = "SELECT position AS index, leaf_hash AS hash FROM execution_audit WHERE position = ANY($1::bigint[])"
NODES: Final = """
SELECT n.level, n.index, n.hash FROM audit_node n
JOIN unnest($1::integer[], $2::bigint[]) AS w (level, index) ON n.level = w.level AND n.index = w.index
"""


@dataclass(frozen=True, slots=True)
class Positioned:
    """A record, where it stands, and the leaf hash that stands for it."""

    position: int
    record: AuditRecord
    data: bytes
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The newest checkpoint: how many records, the root over them (32 bytes), the signed note."""

    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True)
class Proven:
    """A record with its inclusion proof in the tree of a head."""

    entry: Positioned
    proof: tuple[bytes, ...]


class AuditLog:
    """Reads the log."""

    def __init__(self, database: Database) -> None:
        """Use the API's pool."""
        self._database = database

    async def head(self) -> Head | None:
        """Return the newest checkpoint; None for an empty log."""
        async with self._database.connection() as connection:
            return await _head(connection)

    async def page(
        self, first: int, limit: int, *, worker: str | None, kind: RecordKind | None, execution_id: str | None
    ) -> tuple[Positioned, ...]:
        """Return records from position ``first`` on, at most ``limit``, in order."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(PAGE, first, worker, kind and kind.value, execution_id, limit)
        return tuple(Positioned(r["position"], from_bytes(r["record"]), r["record"], r["leaf_hash"]) for r in rows)

    async def proven(self, execution_id: str) -> tuple[Head, tuple[Proven, ...]] | None:
        """Return an execution's INTENT and outcome, each proven in the newest tree; None if there are none."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(OF_EXECUTION, execution_id)
            head = await _head(connection)
            if not rows or head is None:
                return None
            entries = [Positioned(r["position"], from_bytes(r["record"]), r["record"], r["leaf_hash"]) for r in rows]
            nodes = await _nodes(connection, {node for each in entries for node in wanted(each.position, head.size)})
        return head, tuple(Proven(each, inclusion_proof(each.position, head.size, nodes)) for each in entries)


async def _head(connection: Connection) -> Head | None:
    row = await connection.fetchrow(HEAD)
    return None if row is None else Head(row["size"], row["root"], row["note"])


async def _nodes(connection: Connection, positions: set[Position]) -> dict[Position, bytes]:
    """Return the hashes at the positions, with two queries however many there are."""
    interior: Sequence[Position] = sorted(node for node in positions if node[0])
    leaves = [index for level, index in positions if not level]
    found = {(0, row["index"]): row["hash"] for row in await connection.fetch(LEAVES, leaves)}
    rows = await connection.fetch(NODES, [level for level, _ in interior], [index for _, index in interior])
    return found | {(row["level"], row["index"]): row["hash"] for row in rows}
