"""Every operation, as one type and one digest.

Guarantees: two equal operations do the same, have one canonical text and one digest; defaults are filled in,
sets are sorted, values are in their normal form. The parser is what makes them: a model checks types, the
grammar checks contents.
"""

from typing import Annotated

from pydantic import Field

from wingman_core.canonical import digest
from wingman_core.command.compose_operations import ComposeOperation
from wingman_core.command.container_operations import ContainerOperation
from wingman_core.command.object_operations import ObjectOperation

OPERATION_DOMAIN = "wingman/operation/v1"

Operation = Annotated[ContainerOperation | ObjectOperation | ComposeOperation, Field(discriminator="verb")]


def operation_digest(op: Operation) -> str:
    """Return 64 hex digits over the canonical JSON of every field, in Wingman's own domain."""
    return digest(OPERATION_DOMAIN, op.model_dump(mode="json"))
