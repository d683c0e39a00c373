"""The approval of a request: a state machine of pure transitions, with a quorum of distinct people.

Guarantees: a final state is never left (I17); nobody decides on their own request; a person counts once,
whatever role or channel they use (I18); one rejection rejects; nothing is decided at or past the expiry.
Two spellings are one person when they agree after Unicode NFKC, case folding and the removal of spaces
and of characters without ink (``person_key``). Not guaranteed: that look-alike letters of two scripts are one
person; names come from keys that an operator created, not from what a caller writes.

A transition returns a new request. Storing it with one conditional UPDATE is the store's part: the loser
of a race reads again and gets ``APPROVAL_DECIDED``.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from wingman_core.canonical import digest, rfc3339
from wingman_core.characters import visible
from wingman_core.errors import ApprovalRefused, Code

DECISION_DOMAIN: Final = "wingman/decision/v1"


class Status(StrEnum):
    """Where a request stands; every one but ``PENDING`` is final."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    AUTO_APPROVED = "AUTO_APPROVED"


@dataclass(frozen=True, slots=True)
class Decision:
    """What one person said, when (aware), and through which channel."""

    person: str
    approve: bool
    at: datetime
    channel: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """What the state machine knows of a request."""

    id: str
    worker: str
    """Who wants it done."""
    requested_by: str
    """Whose key asked for it: often the worker's own."""
    status: Status
    people_needed: int
    expires_at: datetime
    decisions: tuple[Decision, ...] = ()

    @property
    def approvers(self) -> tuple[Decision, ...]:
        """The decisions that approve, in their order; each is of another person."""
        return tuple(decision for decision in self.decisions if decision.approve)


def person_key(name: str) -> str:
    """Return what two spellings of one person have in common; raise ``ValueError`` where nothing is left."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    key = visible(folded)
    if not key:
        raise ValueError("a person needs a name")
    # What stood apart may compose now ("y", space, macron): fold until nothing changes.
    return key if key == name else person_key(key)


def initial(*, request_id: str, worker: str, requested_by: str, people_needed: int, expires_at: datetime) -> Request:
    """Return the request as it begins: ``AUTO_APPROVED`` where nobody needs to be asked, else ``PENDING``."""
    if people_needed < 0:
        raise ValueError("people_needed is negative")
    status = Status.PENDING if people_needed else Status.AUTO_APPROVED
    return Request(request_id, worker, requested_by, status, people_needed, expires_at)


def approve(request: Request, decision: Decision) -> Request:
    """Return the request with one more approval, ``APPROVED`` once enough people did; raise ``ApprovalRefused``."""
    decided = _decide(request, decision, approve=True)
    people = {person_key(approval.person) for approval in decided.approvers}
    return replace(decided, status=Status.APPROVED) if len(people) >= request.people_needed else decided


def reject(request: Request, decision: Decision) -> Request:
    """Return the request ``REJECTED``: one person is enough; raise ``ApprovalRefused``."""
    return replace(_decide(request, decision, approve=False), status=Status.REJECTED)


def replay(request: Request) -> Request:
    """Return the request as its decisions make it, each in its turn, whatever its status says.

    Raises ``ApprovalRefused`` for a decision that was not allowed, ``ValueError`` where no request is like this.
    """
    played = initial(
        request_id=request.id,
        worker=request.worker,
        requested_by=request.requested_by,
        people_needed=request.people_needed,
        expires_at=request.expires_at,
    )
    for decision in request.decisions:
        played = (approve if decision.approve else reject)(played, decision)
    return played


def cancel(request: Request, person: str, at: datetime) -> Request:
    """Return the request ``CANCELLED`` by who asked for it (everybody else rejects); raise ``ApprovalRefused``."""
    _require_open(request, at)
    if person_key(person) not in _askers(request):
        raise ApprovalRefused(
            Code.PERSON_MISMATCH, "only who asked for it can cancel a request", hint="reject it instead", id=request.id
        )
    return replace(request, status=Status.CANCELLED)


def expire(request: Request, now: datetime) -> Request:
    """Return the request as it stands at ``now``: ``EXPIRED`` if it was pending and its time is over."""
    return replace(request, status=status_at(request, now))


def status_at(request: Request, now: datetime) -> Status:
    """Return the status at ``now``, also where the expiry was not stored yet."""
    if request.status is Status.PENDING and now >= request.expires_at:
        return Status.EXPIRED
    return request.status


def decision_digest(request: Request, commands: Sequence[tuple[str, str, str]]) -> str:
    """Return 64 hex digits over the request, each decision, and each command it approved.

    A command is its approval id, its operation digest and its target digest, in the request's order.
    """
    return digest(DECISION_DOMAIN, decision_document(request, commands))


def decision_document(request: Request, commands: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
    """Return the JSON object that ``decision_digest`` covers."""
    return {
        "id": request.id,
        "worker": request.worker,
        "requested_by": request.requested_by,
        "status": request.status.value,
        "people_needed": request.people_needed,
        "expires_at": rfc3339(request.expires_at),
        "decisions": [
            {
                "person": decision.person,
                "approve": decision.approve,
                "at": rfc3339(decision.at),
                "channel": decision.channel,
                "note": decision.note,
            }
            for decision in request.decisions
        ],
        "commands": [
            {"approval_id": approval_id, "operation_digest": operation, "target_digest": target}
            for approval_id, operation, target in commands
        ],
    }


def _decide(request: Request, decision: Decision, *, approve: bool) -> Request:
    """Return the request with the decision added, its status unchanged."""
    if decision.approve is not approve:
        raise ValueError("the decision says the opposite of the transition")
    _require_open(request, decision.at)
    person = person_key(decision.person)
    if person in _askers(request):
        raise ApprovalRefused(
            Code.APPROVAL_SELF, "nobody decides on their own request", hint="ask another person", id=request.id
        )
    if person in {person_key(earlier.person) for earlier in request.decisions}:
        raise ApprovalRefused(
            Code.APPROVAL_TWICE,
            "this person has decided on the request already",
            hint="ask another person",
            id=request.id,
        )
    return replace(request, decisions=(*request.decisions, decision))


def _require_open(request: Request, at: datetime) -> None:
    """Refuse a request that is decided, or whose time is over at ``at``."""
    status = status_at(request, at)
    if status is Status.EXPIRED:
        raise ApprovalRefused(
            Code.APPROVAL_EXPIRED,
            f"the request expired at {rfc3339(request.expires_at)}",
            hint="ask again",
            id=request.id,
            status=status.value,
        )
    if status is not Status.PENDING:
        raise ApprovalRefused(
            Code.APPROVAL_DECIDED,
            f"the request is {status.value} already",
            hint="nothing is left to decide",
            id=request.id,
            status=status.value,
        )


def _askers(request: Request) -> frozenset[str]:
    return frozenset({person_key(request.worker), person_key(request.requested_by)})
