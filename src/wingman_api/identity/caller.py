"""A caller, its role, and the one table of what a role may do.

Guarantees: a permission that is not in the table is not given; a worker's key speaks for that worker alone;
only a ``service`` key decides on behalf of other people, and only of those its owner listed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from wingman_core.errors import CallerRefused, Code

ANONYMOUS: Final = "anonymous"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
"""People's and workers' names: ASCII, so that no two look alike."""


class Role(StrEnum):
    """What a key is for."""

    WORKER = "worker"
    APPROVER = "approver"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    SERVICE = "service"


class Permission(StrEnum):
    """What a route asks for."""

    READ = "read"
    """See requests, executions and their output; a worker's key sees its own."""
    REQUEST = "request"
    """Ask for approval; a worker's key in its own name."""
    DECIDE = "decide"
    CANCEL = "cancel"
    """Withdraw one's own request."""
    EXECUTE = "execute"
    """Have an approved command run; a worker's key its own."""
    CONSUME = "consume"
    """Keep a durable place in the feed of events, and notes beside it."""
    CLAIM = "claim"
    """Log a claim, and have one verified; a worker's key in its own name."""


READ_ONLY: Final = frozenset({Permission.READ})
PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.WORKER: READ_ONLY | {Permission.REQUEST, Permission.CANCEL, Permission.EXECUTE, Permission.CLAIM},
    Role.APPROVER: READ_ONLY | {Permission.DECIDE, Permission.CLAIM},
    Role.AUDITOR: READ_ONLY,
    Role.OPERATOR: frozenset(Permission),
    Role.SERVICE: READ_ONLY | {Permission.DECIDE, Permission.CONSUME, Permission.CLAIM},
}
ANONYMOUS_PERMISSIONS: Final = frozenset({Permission.READ, Permission.REQUEST, Permission.CLAIM})
"""Without a key nobody decides, withdraws or executes, whatever the anonymous role is."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who stands behind a request, once a key (or the setting for callers without one) said so."""

    person: str
    role: Role
    key_id: str | None
    """None for an anonymous caller."""
    speaks_for: frozenset[str] = frozenset()
    expires_at: datetime | None = None
    """When the key ends; None where it has no end."""

    @property
    def permissions(self) -> frozenset[Permission]:
        """What this caller may do."""
        return ANONYMOUS_PERMISSIONS if self.key_id is None else PERMISSIONS[self.role]

    @property
    def only_worker(self) -> str | None:
        """The one worker this caller may see and speak for; None where it is not confined to one."""
        return self.person if self.role is Role.WORKER and self.key_id is not None else None

    def require(self, permission: Permission) -> None:
        """Raise ``CallerRefused`` unless the role includes ``permission``."""
        if permission in self.permissions:
            return
        if self.key_id is None:
            raise CallerRefused(
                Code.KEY_MISSING, f"to {permission} needs an API key", hint="send Authorization: Bearer wm_..."
            )
        able = ", ".join(role for role, permissions in PERMISSIONS.items() if permission in permissions)
        raise CallerRefused(
            Code.ROLE_MISSING,
            f"the role {self.role} may not {permission}",
            hint=f"use a key of role {able}",
            role=self.role.value,
        )

    def require_worker(self, worker: str) -> None:
        """Raise ``CallerRefused`` where this caller may not speak for ``worker``."""
        if self.only_worker is not None and self.only_worker != worker:
            raise CallerRefused(
                Code.PERSON_MISMATCH,
                "a worker's key speaks for that worker alone",
                hint=f"send worker_id {self.only_worker}",
            )

    def deciding_as(self, decided_by: str | None) -> tuple[str, str]:
        """Return the person who decides, and the channel; raise ``CallerRefused`` for somebody else's name."""
        if self.role is Role.SERVICE:
            if decided_by is not None and decided_by in self.speaks_for:
                return decided_by, "service"
            raise CallerRefused(
                Code.PERSON_MISMATCH, "this key may not decide for that person", hint="name a person it speaks for"
            )
        if decided_by is not None and decided_by != self.person:
            raise CallerRefused(
                Code.PERSON_MISMATCH, "decided_by is not the key's person", hint="leave it out, or use their key"
            )
        return self.person, "api"
