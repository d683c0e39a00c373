"""Somebody with an approved request's token and the API's own certificate, who wants another command to run.

For the demo alone: it plays the worst case, in which the token's binding to its operation is all that is left.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Final

from wingman_api.approvals.schemas import RequestView
from wingman_api.gateway_client import open_gateway
from wingman_cli.instance import Instance
from wingman_cli.pki import certificate_thumbprint
from wingman_core import capability
from wingman_core.capability import Claims, Decider

LIFETIME: Final = 60


@dataclass(frozen=True, slots=True)
class Thief:
    """Holds what the API holds of one instance."""

    instance: Instance
    gateway: str
    clock: Callable[[], float] = time.time

    def token(self, request: RequestView) -> str:
        """Return the token that the API would mint for the request's first command."""
        command, now = request.commands[0], int(self.clock())
        claims = Claims(
            iss=capability.issuer_of(request.environment),
            aud=capability.audience_of(request.environment),
            sub=request.worker_id,
            iat=now,
            nbf=now,
            exp=now + LIFETIME,
            jti=token_urlsafe(24),
            apr=command.approval_id,
            env=request.environment,
            op=command.operation_digest,
            tgt=command.target_digest,
            dec=request.decision_digest,
            by=tuple(
                Decider(name=decision.person, at=int(decision.decided_at.timestamp()), via=decision.channel)
                for decision in request.decisions
            ),
            thumbprint=certificate_thumbprint(self.instance.pki / "api.crt"),
        )
        return capability.mint(claims, self.instance.token_key.read_bytes(), self.instance.token_kid())

    def present(self, token: str, command: str) -> str:
        """Present ``token`` to the gateway with ``command``; return the execution's id, or raise its refusal."""
        return asyncio.run(self._present(token, command))

    async def _present(self, token: str, command: str) -> str:
        pki = self.instance.pki
        key, chain, authority = ((pki / name).read_bytes() for name in ("api.key", "api.crt", "ca.crt"))
        async with open_gateway(
            self.gateway, key=key, chain=chain, authority=authority, environment=self.instance.environment
        ) as gateway:
            first = await anext(gateway.execute(token, command))
        return str(getattr(first, "execution_id", first))
