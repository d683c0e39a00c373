"""Who calls: the role that a client certificate carries, and what each role may ask for.

Guarantees: a caller is a certificate with exactly one SPIFFE id of this environment and a known role, within
its validity at the time of the call; a method that has no row below serves nobody.
Does not: check the chain (the TLS handshake did, against the deployment's CA alone).
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from wingman_core.errors import CallerRefused, Code

CACHE_SIZE: Final = 1024


class Role(StrEnum):
    """The first part of a SPIFFE id's path after the environment."""

    API = "api"
    TOOL = "tool"
    AUDITOR = "auditor"


EXECUTORS: Final = frozenset({Role.API, Role.TOOL})
READERS: Final = frozenset({Role.API, Role.AUDITOR})
EVERYBODY: Final = frozenset(Role)

METHOD_ROLES: Final[Mapping[str, frozenset[Role]]] = {
    "/wingman_rpc.v1.ExecutionGateway/Preview": EXECUTORS,
    "/wingman_rpc.v1.ExecutionGateway/Execute": EXECUTORS,
    # Without a token: a tool asks through Execute, with one; an auditor reads the log and no container.
    "/wingman_rpc.v1.ExecutionGateway/Observe": frozenset({Role.API}),
    "/wingman_rpc.v1.ExecutionGateway/Metrics": frozenset({Role.API}),
    # A head says nothing of anybody, and the more keep one the better; records name people and commands.
    "/wingman_rpc.v1.AuditLog/Checkpoint": EVERYBODY,
    "/wingman_rpc.v1.AuditLog/Get": READERS,
    "/wingman_rpc.v1.AuditLog/Prove": READERS,
    "/wingman_rpc.v1.AuditLog/List": READERS,
    # A person's word, under a certificate of the person's own: nobody speaks for them.
    "/wingman_rpc.v1.AuditLog/Settle": frozenset({Role.AUDITOR}),
    "/grpc.health.v1.Health/Check": EVERYBODY,
    "/grpc.health.v1.Health/Watch": EVERYBODY,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": EVERYBODY,
}

NAME: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
SPIFFE: Final = re.compile(
    rf"spiffe://wingman/(?P<environment>[a-z]+)/(?:(?P<api>api)|(?P<named>tool|auditor)/{NAME})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Caller:
    """A peer whose certificate this deployment issued."""

    identity: str
    """The SPIFFE id, as the audit log names the client."""
    role: Role
    thumbprint: str
    """Lowercase hex SHA-256 of the DER certificate (RFC 8705 section 3.1, in hex)."""
    not_before: datetime
    not_after: datetime

    def require(self, method: str) -> None:
        """Raise ``CallerRefused`` unless the method lists this caller's role."""
        if self.role not in METHOD_ROLES.get(method, frozenset()):
            raise CallerRefused(
                Code.CALLER_ROLE,
                f"the role {self.role} may not call {method.rpartition('/')[2][:80]!a}",
                hint="use a certificate of a role that this method serves",
                role=self.role,
            )


class Callers:
    """Reads callers from certificates; what a certificate says is parsed once."""

    def __init__(self, environment: str, *, now: Callable[[], datetime]) -> None:
        """Take the only environment whose certificates count, and the clock."""
        self._environment = environment
        self._now = now
        self._known: OrderedDict[bytes, Caller] = OrderedDict()

    def identify(self, certificate: bytes) -> Caller:
        """Return the caller of a PEM certificate; raise ``CallerRefused`` if it is none of ours, or not now."""
        caller = self._known.get(certificate)
        if caller is None:
            caller = self._known[certificate] = self._read(certificate)
            if len(self._known) > CACHE_SIZE:
                self._known.popitem(last=False)
        # A connection may outlive the certificate it was opened with.
        if not caller.not_before <= self._now() <= caller.not_after:
            raise _unknown("the client certificate is not valid at this time", "issue a new one with wingman pki")
        return caller

    def _read(self, certificate: bytes) -> Caller:
        try:
            parsed = x509.load_pem_x509_certificate(certificate)
            names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            uris = names.get_values_for_type(x509.UniformResourceIdentifier)
        except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension) as error:
            raise _unknown("there is no readable client certificate", "present one of the deployment's CA") from error
        if len(uris) != 1 or (match := SPIFFE.fullmatch(uris[0])) is None:
            raise _unknown("the client certificate names no known role", "issue one with wingman pki")
        if match["environment"] != self._environment:
            raise _unknown(
                f"the client certificate is of another environment than {self._environment}",
                f"use a certificate of {self._environment}",
            )
        return Caller(
            identity=uris[0],
            role=Role(match["api"] or match["named"]),
            thumbprint=parsed.fingerprint(hashes.SHA256()).hex(),
            not_before=parsed.not_valid_before_utc,
            not_after=parsed.not_valid_after_utc,
        )


def _unknown(message: str, hint: str) -> CallerRefused:
    return CallerRefused(Code.CALLER_UNKNOWN, message, hint=hint)
