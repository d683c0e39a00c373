"""What the feed is told of a request, from the values that the store is about to commit."""

from datetime import datetime
from typing import Literal, assert_never

from wingman_api.approvals.record import Record
from wingman_api.events.event import ApprovalCancelled, ApprovalDecided, ApprovalExpired, ApprovalRequested
from wingman_core.approval import Request, Status
from wingman_core.risk import Level


def requested(record: Record) -> ApprovalRequested:
    """Return the event for a new request."""
    request = record.request
    return ApprovalRequested(
        at=record.created_at,
        request_id=request.id,
        worker_id=request.worker,
        requested_by=request.requested_by,
        environment="prd" if record.environment == "prd" else "test",
        status="PENDING" if request.status is Status.PENDING else "AUTO_APPROVED",
        risk=_level(record.risk.level),
        people_needed=request.people_needed,
        commands=len(record.commands),
        expires_at=request.expires_at,
    )


def changed(before: Request, after: Request, actor: str, at: datetime) -> ApprovalDecided | ApprovalCancelled:
    """Return the event for a transition: one more decision, or the withdrawal."""
    if len(after.decisions) == len(before.decisions):
        return ApprovalCancelled(at=at, request_id=after.id, worker_id=after.worker, person=actor)
    decision = after.decisions[-1]
    return ApprovalDecided(
        at=at,
        request_id=after.id,
        worker_id=after.worker,
        decision="approve" if decision.approve else "reject",
        person=decision.person,
        channel=decision.channel,
        status=_decided(after.status),
        people_approved=len(after.approvers),
        people_needed=after.people_needed,
    )


def expired(request_id: str, worker: str, at: datetime) -> ApprovalExpired:
    """Return the event for a request whose time is over."""
    return ApprovalExpired(at=at, request_id=request_id, worker_id=worker)


def _decided(status: Status) -> Literal["PENDING", "APPROVED", "REJECTED"]:
    match status:
        case Status.APPROVED:
            return "APPROVED"
        case Status.REJECTED:
            return "REJECTED"
        case Status.PENDING:
            return "PENDING"
        case Status.EXPIRED | Status.CANCELLED | Status.AUTO_APPROVED:
            raise ValueError(f"no decision leads to {status}")
        case _:
            assert_never(status)


def _level(level: Level) -> Literal["LOW", "MEDIUM", "HIGH"]:
    match level:
        case Level.LOW:
            return "LOW"
        case Level.MEDIUM:
            return "MEDIUM"
        case Level.HIGH:
            return "HIGH"
        case _:
            assert_never(level)
