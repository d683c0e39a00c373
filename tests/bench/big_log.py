"""A log of as many rows as one likes, written as gateways write it, but in bulk: what verification is measured on."""

import base64
import hashlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wingman_core.audit_record import AuditRecord, RecordKind
from wingman_core.canonical import rfc3339
from wingman_core.checkpoint import Checkpoint, sign_checkpoint
from wingman_core.claims import Decider
from wingman_core.translog import Frontier, Node, leaf_hash
from wingman_gateway.audit_batch import TABLE_ORDER, row_of
from wingman_gateway.open_intents import LOCK_LOG

BATCH: Final = 20_000
COVERED: Final = 50
"""Rows under one checkpoint, as of a gateway that is busy."""
LISTING: Final = "CONTAINER ID   IMAGE          COMMAND        CREATED        STATUS        PORTS     NAMES\n" * 4


def records() -> Iterator[AuditRecord]:
    """Yield executions of ordinary size: an INTENT and its RESULT, in turn."""
    began = datetime(2030, 1, 1, tzinfo=UTC)
    while True:
        began += timedelta(milliseconds=40)
        intent = AuditRecord(
            kind=RecordKind.INTENT,
            environment="test",
            created_at=rfc3339(began),
            execution_id=f"exe_{secrets.token_hex(13)}",
            approval_id=f"apr_{base64.b32encode(secrets.token_bytes(16)).decode().rstrip('=').lower()}.0",
            jti=secrets.token_hex(16),
            worker="agent",
            command="docker restart --time 10 web",
            operation_digest=secrets.token_hex(32),
            targets=(
                f'{{"id":"{secrets.token_hex(32)}","image_digest":"","kind":"container","reference":"web","role":"object"}}',
            ),
            target_digest=secrets.token_hex(32),
            decision_digest=secrets.token_hex(32),
            deciders=(Decider("Alice", int(began.timestamp()), "telegram"),),
            token_hash=hashlib.sha256(secrets.token_bytes(8)).hexdigest(),
            client="spiffe://wingman/test/api",
            evidence='{"gateway":"bench","policies":["test-lifecycle"]}',
        )
        yield intent
        yield replace(
            intent,
            kind=RecordKind.RESULT,
            outcome="SUCCEEDED",
            created_at=rfc3339(began + timedelta(milliseconds=20)),
            exit_code=0,
            duration_ms=20,
            output_excerpt=LISTING,
            output_digest=hashlib.sha256(LISTING.encode()).hexdigest(),
            evidence="",
        )


async def write_log(
    connection: "asyncpg.Connection[asyncpg.Record]",
    *,
    origin: str,
    key: Ed25519PrivateKey,
    rows: int,
    told: Callable[[int], None],
) -> None:
    """Fill an empty log with ``rows`` rows; ``told`` hears how many there are by now."""
    frontier, source = Frontier(), records()
    while frontier.size < rows:
        lines, nodes, checkpoints = [], [], []
        for record in (next(source) for _ in range(min(BATCH, rows - frontier.size))):
            data = record.to_bytes()
            leaf = leaf_hash(data)
            lines.append(row_of(frontier.size, record, data, leaf))
            completed: tuple[Node, ...]
            frontier, completed = frontier.append(leaf)
            nodes.extend((node.level, node.index, node.hash) for node in completed)
            if frontier.size % COVERED == 0 or frontier.size == rows:
                head = Checkpoint(origin, frontier.size, frontier.root())
                checkpoints.append((head.size, head.root, sign_checkpoint(head, origin, key)))
        async with connection.transaction():
            await connection.execute(LOCK_LOG)
            for table, columns, values in (
                ("execution_audit", TABLE_ORDER, lines),
                ("audit_node", ("level", "index", "hash"), nodes),
                ("audit_checkpoint", ("size", "root", "note"), checkpoints),
            ):
                await connection.copy_records_to_table(table, columns=columns, records=values)
        told(frontier.size)
    for table in ("execution_audit", "audit_node", "audit_checkpoint"):
        await connection.execute(f"ANALYZE {table}")
