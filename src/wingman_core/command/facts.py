"""What an operation means for policy and people: its effect, and each way in which it reaches for the host.

Guarantees (I4): computed from the normal form alone, and failing towards caution: what cannot be shown to be
harmless is stated as present. An exhaustive ``match`` makes a new verb state its facts.

Does not: see what the named objects hold themselves; the resolved targets carry that (a privileged container that
is started, a peer's binds through ``--volumes-from``, a volume whose driver options are a bind).
"""

from dataclasses import dataclass
from typing import Literal, assert_never

from wingman_core.command import operations as ops
from wingman_core.command.images import qualified, repository
from wingman_core.command.privileges import exec_privileges, mount_lines, run_privileges
from wingman_core.command.references import references
from wingman_core.command.shell_words import shell_words

Effect = Literal["read", "lifecycle", "change", "destroy"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What holds of one operation."""

    verb: str
    effect: Effect
    privileges: tuple[str, ...] = ()
    """Each way in which the command reaches for the host; empty for an ordinary one."""
    shell: tuple[str, ...] = ()
    """Each argument that carries shell syntax or starts an interpreter."""
    images: tuple[str, ...] = ()
    """With registry, path and tag spelled out; ids as they are."""
    mounts: tuple[str, ...] = ()
    """Such as ``volume data:/srv``, ``bind /etc:/host:ro``."""


def facts(op: ops.Operation) -> Facts:  # noqa: PLR0911 - one case a kind of verb
    """State the facts of one operation."""
    match op:
        case ops.PsOperation() | ops.LogsOperation() | ops.TopOperation() | ops.StatsOperation():
            return Facts(op.verb, "read")
        case ops.ImagesOperation():
            return Facts(op.verb, "read")
        case ops.InspectOperation():
            images = tuple(qualified(each.name) for each in references(op) if each.kind == "image")
            return Facts(op.verb, "read", images=images)
        case ops.StartOperation() | ops.StopOperation() | ops.RestartOperation():
            return Facts(op.verb, "lifecycle")
        case ops.KillOperation() | ops.PauseOperation() | ops.UnpauseOperation():
            return Facts(op.verb, "lifecycle")
        case ops.RmOperation():
            return Facts(op.verb, "destroy")
        case ops.PullOperation():
            return Facts(op.verb, "change", images=(repository(op.image) if op.all_tags else qualified(op.image),))
        case ops.ExecOperation():
            return Facts(op.verb, "change", exec_privileges(op), shell_words(op.command))
        case ops.RunOperation():
            return Facts(op.verb, "change", run_privileges(op), _run_shell(op), _run_images(op), mount_lines(op))
        case _:
            assert_never(op)


def _run_shell(op: ops.RunOperation) -> tuple[str, ...]:
    entrypoint = (op.entrypoint,) if op.entrypoint else ()
    health = (f"--health-cmd is run by a shell: {op.health_cmd!a}",) if op.health_cmd else ()
    return shell_words((*entrypoint, *op.command)) + health


def _run_images(op: ops.RunOperation) -> tuple[str, ...]:
    mounted = (mount.source for mount in op.mounts if mount.type == "image")
    return tuple(dict.fromkeys(qualified(name) for name in (op.image, *mounted)))
