"""A person's word on an execution whose outcome nobody saw and Docker could not tell.

Guarantees: only an outcome that is UNKNOWN is settled, once, with who says so and why (without the secrets that are
recognised, I16); the record repeats what was approved and stands behind the UNKNOWN one, which stays. An INTENT of
another gateway that has no outcome becomes UNKNOWN first: that gateway may have lost its journal, and with it its name.
Nothing is run, and no token or approval comes back.
Does not: know whether the other gateway is gone for good; an outcome that it reports later changes nothing.
"""

from collections.abc import Callable
from typing import Final, Protocol

from wingman_core.audit_record import AuditRecord, RecordKind, from_bytes
from wingman_core.canonical import canonical_bytes
from wingman_core.errors import Code, WingmanError
from wingman_core.redaction import redact_text
from wingman_gateway.audit_log import AuditLog
from wingman_gateway.records import Records, gateway_of

NOTE_LIMIT: Final = 1000
UNKNOWN: Final = "UNKNOWN"
"""The outcome that may be settled."""


class Appending(Protocol):
    """The audit log, as settling writes to it."""

    async def append(self, record: AuditRecord) -> int:
        """Commit one record; refuse the settlement of what is not open."""
        ...


class Settler:
    """Settles outcomes."""

    def __init__(self, log: AuditLog, audit: Appending, records: Records, *, reconciled: Callable[[], None]) -> None:
        """Take the log to read, the log to write, and who words records; ``reconciled`` hears of an INTENT closed."""
        self._log = log
        self._audit = audit
        self._records = records
        self._reconciled = reconciled

    async def settle(self, execution_id: str, outcome: str, note: str, by: str) -> int:
        """Append what a person (their certificate's SPIFFE id) found out; return the record's position.

        Raises ``WingmanError``: REQUEST_INVALID, NOT_FOUND, OUTCOME_KNOWN; ``Unavailable``.
        """
        if outcome not in {"SUCCEEDED", "FAILED"}:
            raise _invalid("the outcome is SUCCEEDED or FAILED")
        if not note.strip() or not note.isprintable() or len(note) > NOTE_LIMIT:
            raise _invalid(f"the note is 1 to {NOTE_LIMIT} printable characters: what was found, and how")
        entries = await self._log.of(execution_id)
        intent, *rest = (from_bytes(entry.record) for entry in entries)
        if not rest:
            settles = await self._give_up(intent, by)
        elif [record.outcome for record in rest] == [UNKNOWN]:
            settles = entries[1].position
        else:
            raise WingmanError(
                Code.OUTCOME_KNOWN,
                "no outcome of this execution is open to be settled",
                hint="see wingman audit tail, or the execution's receipt",
            )
        evidence = canonical_bytes({"by": by, "note": redact_text(note), "settles": settles}).decode()
        code = 0 if outcome == "SUCCEEDED" else None
        settled = intent.concluded(
            RecordKind.SETTLED,
            "SUCCEEDED" if outcome == "SUCCEEDED" else "FAILED",
            self._records.now(),
            exit_code=code,
            evidence=evidence,
        )
        return await self._audit.append(settled)

    async def _give_up(self, intent: AuditRecord, by: str) -> int:
        """Append that nobody reported the outcome of another gateway's INTENT; return the record's position."""
        if self._records.owns(intent):
            raise WingmanError(
                Code.OUTCOME_KNOWN,
                "still open: this gateway runs it, or asks Docker what became of it",
                hint="its outcome follows by itself; the gateway's log says what it waits for",
            )
        said = "its gateway has not reported, and another one cannot ask its engine"
        evidence = canonical_bytes({"by": by, "gateway": gateway_of(intent), "said": said}).decode()
        record = intent.concluded(RecordKind.RECONCILED, UNKNOWN, self._records.now(), evidence=evidence)
        position = await self._audit.append(record)
        self._reconciled()
        return position


def _invalid(message: str) -> WingmanError:
    return WingmanError(Code.REQUEST_INVALID, message, hint="see wingman executions resolve --help")
