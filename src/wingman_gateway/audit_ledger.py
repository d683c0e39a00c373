"""Which records the log still takes: what is spent, which executions have an outcome, which may be settled.

Guarantees: a token and an approval are spent by one INTENT (I12), and an execution has one outcome, records of one
batch included. The table's unique indexes say the same; known in advance, one loser does not abort the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, assert_never

import asyncpg

from wingman_core.audit_record import AuditRecord, RecordKind
from wingman_core.errors import CapabilityRefused, Code, WingmanError

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
OUTCOME_KINDS: Final = frozenset({RecordKind.RESULT, RecordKind.RECONCILED})

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


@dataclass(slots=True)
class Ledger:
    """What is spent and which executions have an outcome, the batch so far included."""

    tokens: set[str] = field(default_factory=set)
    approvals: set[str] = field(default_factory=set)
    outcomes: dict[str, int] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
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


async def read_ledger(connection: Connection, records: Sequence[AuditRecord]) -> Ledger:
    """Return what the log knows of these records; certain for as long as the caller holds the log's lock."""
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
    return Ledger(
        doubtful={row["execution_id"] for row in doubtful},
        tokens={row["jti"] for row in spent},
        approvals={row["approval_id"] for row in spent},
        outcomes={row["execution_id"]: row["position"] for row in outcomes},
    )
