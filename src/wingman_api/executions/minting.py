"""Capabilities for approved commands: the one use of the token's private key.

Guarantees: nothing is minted for a request that is not approved, or no longer; the token says who decided and
what digest their decision has, and only one certificate can present it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from wingman_api.approvals.record import Command, Record
from wingman_core import capability
from wingman_core.approval import Status
from wingman_core.capability import Claims, Decider
from wingman_core.errors import ApprovalRefused, Code

APPROVAL_LIFE: Final = timedelta(days=1)
"""How long after its decision an approved command may be run: people approve for now, not for ever."""


@dataclass(frozen=True, slots=True)
class Signer:
    """The ES256 key in PEM and its id, and whose certificate (64 hex digits) presents what it signs."""

    private_key: str = field(repr=False)
    kid: str
    thumbprint: str
    lifetime: int
    """Seconds a token is valid."""


class Mint:
    """Mints; ``now`` returns aware times, ``new_id`` an unguessable word."""

    def __init__(
        self, signer: Signer, *, environment: str, now: Callable[[], datetime], new_id: Callable[[], str]
    ) -> None:
        """Take the key and where it counts."""
        self._signer = signer
        self._environment = environment
        self._now = now
        self._new_id = new_id

    def token_id(self) -> str:
        """Return a new id for a token, which nobody can guess."""
        return self._new_id()

    def token(self, record: Record, command: Command, *, token_id: str) -> str:
        """Return a capability for one command of an approved request, which this API presents itself.

        Of several with one ``token_id`` at most one can be spent. Raises ``ApprovalRefused`` where it is not approved.
        """
        return self.for_client(record, command, self._signer.thumbprint, token_id=token_id)[0]

    def for_client(self, record: Record, command: Command, thumbprint: str, *, token_id: str) -> tuple[str, datetime]:
        """Return a capability that the certificate of that thumbprint presents, and when it expires."""
        _require_approved(record, self._now())
        now = int(self._now().timestamp())
        claims = Claims(
            iss=capability.issuer_of(self._environment),
            aud=capability.audience_of(self._environment),
            sub=record.request.worker,
            iat=now,
            nbf=now,
            exp=now + self._signer.lifetime,
            jti=token_id,
            apr=command.approval_id,
            env=self._environment,
            op=command.operation_digest,
            tgt=command.target_digest,
            dec=record.decision_digest,
            by=tuple(
                Decider(name=decision.person, at=int(decision.at.timestamp()), via=decision.channel)
                for decision in record.request.approvers
            ),
            thumbprint=thumbprint,
        )
        token = capability.mint(claims, self._signer.private_key, self._signer.kid)
        return token, datetime.fromtimestamp(claims.exp, UTC)


def _require_approved(record: Record, now: datetime) -> None:
    status = record.request.status
    details = {"id": record.request.id, "status": status.value}
    if status in {Status.APPROVED, Status.AUTO_APPROVED}:
        if now < (record.decided_at or record.created_at) + APPROVAL_LIFE:
            return
        raise ApprovalRefused(
            Code.APPROVAL_EXPIRED, "the approval is older than a day and was not used", hint="ask again", **details
        )
    if status is Status.PENDING:
        missing = record.request.people_needed - len(record.request.approvers)
        raise ApprovalRefused(
            Code.APPROVAL_PENDING, "the request is not approved yet", hint=f"people still needed: {missing}", **details
        )
    code = Code.APPROVAL_EXPIRED if status is Status.EXPIRED else Code.APPROVAL_DECIDED
    raise ApprovalRefused(code, f"the request is {status.value}: nothing runs", hint="ask again", **details)
