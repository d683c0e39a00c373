"""The records this gateway writes into the audit log: one method for each kind.

Guarantees: a field that is not known or does not apply is empty, nothing of a token but its hash is kept, and
what a worker wrote is kept only where it parsed (as the canonical command, its secrets hidden); a refusal's message
may quote a word of it, without the secrets that are recognised (I16).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from wingman_core.audit_record import AuditRecord, RecordKind, identities
from wingman_core.canonical import canonical_bytes, rfc3339
from wingman_core.capability import Capability
from wingman_core.errors import WingmanError
from wingman_core.redaction import redact_text
from wingman_core.target import Target, targets_digest

MESSAGE_LIMIT: Final = 500
FINDINGS_LIMIT: Final = 20


@dataclass(slots=True)
class Attempt:
    """What is known so far of one ``Execute``; it grows from step to step, for its INTENT or its REFUSED."""

    client: str
    token_hash: str = ""
    capability: Capability | None = None
    command: str = ""
    verb: str = ""
    operation_digest: str = ""
    targets: tuple[Target, ...] | None = None
    policies: tuple[str, ...] = ()


class Records:
    """Words every record of one gateway."""

    def __init__(self, environment: str, gateway_id: str, *, journal: str = "", now: Callable[[], datetime]) -> None:
        """Take where this gateway is, which one it is, its journal's id where that is another, and the clock."""
        self._environment = environment
        self._gateway_id = gateway_id
        self._journal = journal or gateway_id
        self._now = now

    def now(self) -> str:
        """Return the time as records carry it."""
        return rfc3339(self._now())

    def intent(self, attempt: Attempt, execution_id: str) -> AuditRecord:
        """Return the record that spends the attempt's token and approval."""
        noted = {} if self._journal == self._gateway_id else {"journal": self._journal}
        evidence = _json(gateway=self._gateway_id, policies=list(attempt.policies), **noted)
        return replace(self._of(RecordKind.INTENT, attempt), execution_id=execution_id, evidence=evidence)

    def refused(self, attempt: Attempt, error: WingmanError) -> AuditRecord:
        """Return the record of an attempt that ended before its INTENT."""
        message = ascii(redact_text(error.message))[1:-1][:MESSAGE_LIMIT]
        evidence = _json(gateway=self._gateway_id, message=message)
        return replace(self._of(RecordKind.REFUSED, attempt), reason=str(error.code), evidence=evidence)

    def folded(self, client: str, reason: str, number: int) -> AuditRecord:
        """Return the record that stands for ``number`` more refusals of one client and reason."""
        evidence = _json(gateway=self._gateway_id, folded=number)
        return replace(self._of(RecordKind.REFUSED, Attempt(client)), reason=reason, evidence=evidence)

    def boundary(self, findings: Sequence[str], containers: int) -> AuditRecord:
        """Return the verdict on the privilege boundary: SUCCEEDED, or FAILED with the first finding."""
        shown = [finding[:MESSAGE_LIMIT] for finding in findings[:FINDINGS_LIMIT]]
        record = self._of(RecordKind.BOUNDARY, Attempt(""))
        return replace(
            record,
            outcome="FAILED" if findings else "SUCCEEDED",
            reason=shown[0] if shown else "",
            evidence=_json(gateway=self._gateway_id, containers=containers, findings=shown, found=len(findings)),
        )

    def owns(self, intent: AuditRecord) -> bool:
        """Whether this gateway wrote the INTENT: another one's engine cannot testify about it."""
        return _evidence(intent).get("gateway") == self._gateway_id

    def noted_here(self, intent: AuditRecord) -> bool:
        """Whether this gateway's journal, which may be a newer one than its id, has what was noted for the INTENT."""
        evidence = _evidence(intent)
        return evidence.get("journal", evidence.get("gateway")) == self._journal

    def _of(self, kind: RecordKind, attempt: Attempt) -> AuditRecord:
        record = AuditRecord(
            kind=kind,
            environment=self._environment,
            created_at=self.now(),
            command=attempt.command,
            operation_digest=attempt.operation_digest,
            targets=() if attempt.targets is None else identities(attempt.targets),
            target_digest="" if attempt.targets is None else targets_digest(attempt.targets),
            token_hash=attempt.token_hash,
            client=attempt.client,
        )
        if attempt.capability is None:
            return record
        claims = attempt.capability.claims
        return replace(
            record,
            approval_id=claims.apr,
            jti=claims.jti,
            worker=claims.sub,
            decision_digest=claims.dec,
            deciders=claims.by,
        )


def gateway_of(intent: AuditRecord) -> str:
    """Return the id of the gateway that wrote the INTENT; empty where it does not say."""
    return str(_evidence(intent).get("gateway", ""))


def _evidence(intent: AuditRecord) -> Mapping[str, object]:
    """Return what an INTENT says of its gateway; nothing where it is of another form."""
    try:
        evidence = json.loads(intent.evidence)
    except ValueError:
        return {}
    return evidence if isinstance(evidence, dict) else {}


def _json(**members: str | int | list[str]) -> str:
    return canonical_bytes(members).decode()
