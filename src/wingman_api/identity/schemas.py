"""A caller as HTTP carries it."""

from datetime import datetime

from pydantic import ConfigDict, Field

from wingman_api.identity.caller import Caller, Permission, Role
from wingman_api.previews import View


class WhoAmI(View):
    """Who the API takes the caller for, and what it lets it do."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "person": "agent-7",
                "role": "worker",
                "permissions": ["cancel", "execute", "read", "request"],
                "speaks_for": [],
                "key_id": "abcdefghijklmnop",
                "expires_at": None,
            }
        }
    )

    person: str = Field(description="Whose name requests and decisions carry; `anonymous` without a key.")
    role: Role
    permissions: tuple[Permission, ...]
    speaks_for: tuple[str, ...] = Field(description="For whom a service's key decides.")
    key_id: str | None = Field(description="Null without a key.")
    expires_at: datetime | None = Field(description="When the key ends; null where it has no end.")

    @classmethod
    def of(cls, caller: Caller) -> "WhoAmI":
        """Return the view of a caller."""
        return cls(
            person=caller.person,
            role=caller.role,
            permissions=tuple(sorted(caller.permissions)),
            speaks_for=tuple(sorted(caller.speaks_for)),
            key_id=caller.key_id,
            expires_at=caller.expires_at,
        )
