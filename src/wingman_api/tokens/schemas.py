"""What tooling asks for, and the token it gets."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from wingman_api.previews import Digest, ShownCommand, View
from wingman_api.tokens.tokens import Minted


class Wanted(BaseModel):
    """Which approved command, and whose certificate will present the token."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        json_schema_extra={
            "example": {
                "approval_id": "apr_dbc7jx2mqvg5s3k2h6t4yw7raa",
                "command": "docker restart --time 10 web",
                "client_thumbprint": "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
            }
        },
    )

    approval_id: Annotated[str, Field(pattern=r"^apr_[a-z2-7]{26}(\.(0|[1-9][0-9]{0,2}))?$")] = Field(
        description="A command's approval; the request's id alone where only one of its commands is meant."
    )
    command: Annotated[str, Field(min_length=1, max_length=4096)] = Field(
        description="The approved command, in any spelling that means the same operation."
    )
    client_thumbprint: Digest = Field(
        description="SHA-256 of the DER certificate that will present the token (RFC 8705), in hex: `wingman pki show`."
    )


class TokenAnswer(View):
    """A capability: it opens the gateway for one command, once, to one client, for a short time."""

    capability_token: str
    command: ShownCommand = Field(
        description="The canonical command; send it to `Execute` with the token. Where a secret value is hidden, send "
        "the command as you know it, in any spelling that means the same."
    )
    approval_id: str
    operation_digest: Digest
    target_digest: Digest
    expires_at: datetime

    @classmethod
    def of(cls, minted: Minted) -> "TokenAnswer":
        """Return the answer for a minted token."""
        return cls(
            capability_token=minted.token,
            command=minted.command.text,
            approval_id=minted.command.approval_id,
            operation_digest=minted.command.operation_digest,
            target_digest=minted.command.target_digest,
            expires_at=minted.expires_at,
        )
