"""What a command names, and the object of the engine it resolved to.

Guarantees: two resolutions have one digest exactly when every reference led to the same object
(container id and the image it runs, image id, registry digest; of an image that is acted on by its id, all names,
since they go with it). State and labels may change without changing the digest: they are shown and judged, not bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from wingman_core.canonical import digest

TARGETS_DOMAIN = "wingman/targets/v1"

Kind = Literal["container", "image", "network", "project", "volume"]
Role = Literal["object", "peer", "new", "fetch", "tag"]


@dataclass(frozen=True, slots=True)
class Reference:
    """One name in a command: of what kind, and what the command wants with it.

    ``object``: acted on. ``peer``: joined or read from (``--volumes-from``, ``--network container:x``,
    the image of ``run``). ``new``: an identity the command creates; must not exist yet. ``fetch``: an
    image reference to be pulled; need not exist yet. ``tag``: an image reference that the command gives; the
    object is the image that has it now, if any.
    """

    kind: Kind
    name: str
    role: Role = "object"


@dataclass(frozen=True, slots=True)
class Target:
    """A reference as the engine resolved it. Empty strings where nothing is known or exists."""

    reference: Reference
    id: str
    """Containers and networks: 64 hex digits. Images: ``sha256:`` and 64 hex digits. Volumes, projects: the name.

    Empty: nothing exists yet."""
    name: str = ""
    names: tuple[str, ...] = ()
    """Of an image that is named by its id: all that it is called, the first of which is ``name``."""
    image: str = ""
    """Containers: the image reference it was made from."""
    image_digest: str = ""
    """Containers: the image's id. Images: the registry's digest where known."""
    project: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    state: str = ""
    privileges: tuple[str, ...] = field(default=())
    """Each way in which the object itself already holds the host; empty for an ordinary one."""

    def identity(self) -> dict[str, str]:
        """Return what approval binds: the part that must not differ at execution."""
        return {
            "kind": self.reference.kind,
            "reference": self.reference.name,
            "role": self.reference.role,
            "id": self.id,
            "image_digest": self.image_digest,
            **({"names": " ".join(self.names)} if self.names and self.reference.role == "object" else {}),
        }


def targets_digest(targets: Sequence[Target]) -> str:
    """Return 64 hex digits over the identities, in the order the command names them."""
    return digest(TARGETS_DOMAIN, [target.identity() for target in targets])
