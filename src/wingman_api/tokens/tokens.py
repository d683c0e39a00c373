"""Minting for trusted tooling.

Guarantees: only for an approved command whose operation is the one that was approved; bound to the certificate
that was named; written into the request's history before it is handed out. Spending stays the gateway's: of any
number of tokens for one approval, one runs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from wingman_api.approvals.record import Command, Record
from wingman_api.approvals.requests import Requests
from wingman_api.executions.executions import approved_command, parts_of
from wingman_api.executions.minting import Mint
from wingman_api.executions.store import ExecutionStore
from wingman_api.identity.caller import Caller
from wingman_core.command import operation_digest, parse
from wingman_core.errors import CapabilityRefused, Code

SHOWN: Final = 16
"""Hex digits of a thumbprint in the history."""


@dataclass(frozen=True, slots=True)
class Minted:
    """A token, and what it is for."""

    token: str = field(repr=False)
    command: Command
    expires_at: datetime


class Tokens:
    """The use case; ``now`` returns aware times."""

    def __init__(self, requests: Requests, store: ExecutionStore, *, mint: Mint, now: Callable[[], datetime]) -> None:
        """Take the collaborators."""
        self._requests = requests
        self._store = store
        self._mint = mint
        self._now = now

    async def mint(self, approval_id: str, command: str, client_thumbprint: str, caller: Caller) -> Minted:
        """Return a token; raise ``CommandRefused``, ``ApprovalRefused``, or ``CapabilityRefused`` (TOKEN_OPERATION)."""
        request_id, n = parts_of(approval_id)
        wanted = operation_digest(parse(command))
        record = await self._requests.get(request_id, caller)
        approved = _approved(record, n, wanted)
        token, expires_at = self._mint.for_client(record, approved, client_thumbprint, token_id=self._mint.token_id())
        note = f"{approved.approval_id} for client {client_thumbprint[:SHOWN]}"
        await self._store.minted(request_id, caller.person, caller.key_id, note, self._now())
        return Minted(token, approved, expires_at)


def _approved(record: Record, n: int | None, wanted: str) -> Command:
    """Return the approved command of that operation, the only one or the one of that number."""
    matching = [command for command in record.commands if command.operation_digest == wanted]
    if n is None and len(matching) == 1:
        return matching[0]
    command = approved_command(record, n)[1] if matching or len(record.commands) <= 1 else None
    if command not in matching:
        raise CapabilityRefused(
            Code.OPERATION_MISMATCH,
            "the command is not the one that was approved",
            hint=f"GET /approvals/{record.request.id} shows what was",
            id=record.request.id,
        )
    return command
