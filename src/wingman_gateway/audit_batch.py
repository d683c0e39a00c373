"""What records that are committed together add to the log, and the answer to each who waits for one.

Does no I/O: place in the tree, what is spent, and records come in; rows, nodes and answers come out.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import itemgetter
from typing import Final

from wingman_core.audit_record import COLUMNS, AuditRecord
from wingman_core.errors import WingmanError
from wingman_core.translog import Frontier, Node, leaf_hash
from wingman_gateway.audit_ledger import Ledger

TABLE_ORDER: Final = (
    "position",
    "version",
    "kind",
    "execution_id",
    "approval_id",
    "jti",
    "worker",
    "environment",
    "command",
    "operation_digest",
    "targets",
    "target_digest",
    "decision_digest",
    "deciders",
    "outcome",
    "reason",
    "exit_code",
    "duration_ms",
    "output_excerpt",
    "output_digest",
    "token_hash",
    "client",
    "evidence",
    "created_at",
    "record",
    "leaf_hash",
)
"""The table's columns, in the order in which a row is sent."""
_BESIDE: Final = ("position", "created_at", "record", "leaf_hash")
_in_order = itemgetter(*((*_BESIDE, *COLUMNS).index(name) for name in TABLE_ORDER))


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record in the queue, and who waits for its position."""

    record: AuditRecord
    data: bytes
    position: "asyncio.Future[int]"
    since: float
    """A monotonic clock's seconds."""

    def tell(self, answer: int | WingmanError) -> None:
        """Answer whoever waits, unless nobody does any more."""
        if self.position.done():
            return
        if isinstance(answer, WingmanError):
            self.position.set_exception(answer)
        else:
            self.position.set_result(answer)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch adds to the log, and the answer to each who waits."""

    answers: list[int | WingmanError]
    rows: list[tuple[object, ...]]
    nodes: list[Node]
    frontier: Frontier


def planned(batch: Sequence[Waiting], frontier: Frontier, ledger: Ledger) -> Plan:
    """Return what the batch adds behind a frontier, by what the ledger knows to be spent."""
    plan = Plan([], [], [], frontier)
    for waiting in batch:
        answer = ledger.admit(waiting.record, frontier.size)
        plan.answers.append(answer)
        if answer == frontier.size:
            leaf = leaf_hash(waiting.data)
            plan.rows.append(row_of(frontier.size, waiting.record, waiting.data, leaf))
            frontier, completed = frontier.append(leaf)
            plan.nodes.extend(completed)
    return replace(plan, frontier=frontier)


def row_of(position: int, record: AuditRecord, data: bytes, leaf: bytes) -> tuple[object, ...]:
    """Return the values of one row in ``TABLE_ORDER``."""
    beside = (position, datetime.fromisoformat(record.created_at), data, leaf)
    row: tuple[object, ...] = _in_order((*beside, *record.columns()))
    return row
