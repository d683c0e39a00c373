"""Receipts: the log's records of one execution with their proofs, and the decision they relied on.

Guarantees: what is written here is what ``wingman_core.receipt.check_receipt`` reads; nothing of it needs trust in
this API, except for what stands under ``shown``.
"""

from typing import Final

from wingman_api.approvals.record import Record
from wingman_api.approvals.requests import Requests
from wingman_api.approvals.schemas import RequestView
from wingman_api.audit.store import AuditLog, Head, Proven
from wingman_api.executions.store import unknown
from wingman_api.identity.caller import Caller
from wingman_core.approval import decision_document
from wingman_core.proofs import proof_text
from wingman_core.receipt import Entry, Receipt, ReceiptRequest

SHOWN: Final = frozenset({"task_name", "instruction", "environment", "risk", "commands"})


class Receipts:
    """The use case."""

    def __init__(self, log: AuditLog, requests: Requests) -> None:
        """Take the log and the requests."""
        self._log = log
        self._requests = requests

    async def receipt(self, execution_id: str, caller: Caller) -> Receipt:
        """Return the receipt of an execution that this caller may see; raise ``WingmanError`` (EXECUTION_UNKNOWN)."""
        found = await self._log.proven(execution_id)
        if found is None:
            raise unknown(execution_id)
        head, proven = found
        intent = proven[0].entry.record
        if caller.only_worker not in (None, intent.worker):
            raise unknown(execution_id)
        record = await self._requests.get(intent.approval_id.partition(".")[0], caller)
        return Receipt(
            request=_request(record),
            log=tuple(_entry(each, head) for each in proven),
            shown=RequestView.of(record).model_dump(mode="json", include=set(SHOWN)),
        )


def _request(record: Record) -> ReceiptRequest:
    commands = [(each.approval_id, each.operation_digest, each.target_digest) for each in record.commands]
    return ReceiptRequest.model_validate(decision_document(record.request, commands))


def _entry(proven: Proven, head: Head) -> Entry:
    return Entry(
        record=proven.entry.data.decode("utf-8"), proof=proof_text(proven.entry.position, proven.proof, head.note)
    )
