"""What an operation means for policy and people: its effect, and each way in which it reaches for the host.

Guarantees (I4): computed from the normal form alone, and failing towards caution: what cannot be shown to be
harmless is stated as present. A verb without an effect in the table here is no verb.

Does not: see what the named objects hold themselves; the resolved targets carry that (a privileged container that
is started, a peer's binds through ``--volumes-from``, a volume whose driver options are a bind).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from wingman_core.command import compose_operations as compose
from wingman_core.command import container_operations as containers
from wingman_core.command import object_operations as objects
from wingman_core.command.frozen import Frozen
from wingman_core.command.images import qualified, repository
from wingman_core.command.object_privileges import connect_privileges, network_privileges, volume_privileges
from wingman_core.command.operations import Operation
from wingman_core.command.privileges import exec_privileges, mount_lines, run_privileges, update_privileges
from wingman_core.command.references import references
from wingman_core.command.shell_words import shell_words, variables

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


_EFFECTS: Final[Mapping[type[Frozen], Effect]] = {
    **dict.fromkeys(
        (
            containers.PsOperation,
            containers.LogsOperation,
            containers.TopOperation,
            containers.StatsOperation,
            containers.InspectOperation,
            containers.PortOperation,
            containers.DiffOperation,
            containers.WaitOperation,
            objects.ImagesOperation,
            objects.HistoryOperation,
            objects.VolumeLsOperation,
            objects.NetworkLsOperation,
            objects.InfoOperation,
            objects.VersionOperation,
            objects.SystemDfOperation,
            compose.ComposeLsOperation,
            *get_args(compose.ComposeRead),
        ),
        "read",
    ),
    **dict.fromkeys(
        (
            containers.StartOperation,
            containers.StopOperation,
            containers.RestartOperation,
            containers.KillOperation,
            containers.PauseOperation,
            containers.UnpauseOperation,
            *get_args(compose.ComposeAct),
        ),
        "lifecycle",
    ),
    **dict.fromkeys(
        (
            containers.ExecOperation,
            containers.RunOperation,
            containers.CreateOperation,
            containers.RenameOperation,
            containers.UpdateOperation,
            objects.PullOperation,
            objects.TagOperation,
            objects.VolumeCreateOperation,
            objects.NetworkCreateOperation,
            objects.NetworkConnectOperation,
            objects.NetworkDisconnectOperation,
            *get_args(compose.ComposeFiles),
        ),
        "change",
    ),
    **dict.fromkeys(
        (
            containers.RmOperation,
            objects.RmiOperation,
            objects.VolumeRmOperation,
            objects.NetworkRmOperation,
            *get_args(objects.PruneOperation),
            *get_args(compose.ComposeRemoval),
        ),
        "destroy",
    ),
}
"""A verb that is missing here has no effect that anybody may approve: a KeyError, and a test that holds them all."""


def facts(op: Operation) -> Facts:  # noqa: PLR0911 - one return a kind of verb
    """State the facts of one operation."""
    effect = _EFFECTS[type(op)]
    match op:
        case containers.RunOperation() | containers.CreateOperation():
            return Facts(op.verb, effect, run_privileges(op), _run_shell(op), _run_images(op), mount_lines(op))
        case containers.ExecOperation():
            return Facts(op.verb, effect, exec_privileges(op), (*shell_words(op.command), *variables(op.env)))
        case objects.PullOperation():
            return Facts(op.verb, effect, images=(repository(op.image) if op.all_tags else qualified(op.image),))
        case containers.UpdateOperation():
            return Facts(op.verb, effect, update_privileges(op))
        case objects.VolumeCreateOperation():
            return Facts(op.verb, effect, volume_privileges(op))
        case objects.NetworkCreateOperation():
            return Facts(op.verb, effect, network_privileges(op))
        case objects.NetworkConnectOperation():
            return Facts(op.verb, effect, connect_privileges(op))
        case _:
            named = (each.name for each in references(op) if each.kind == "image")
            return Facts(op.verb, effect, images=tuple(map(qualified, named)))


def _run_shell(op: containers.RunOperation | containers.CreateOperation) -> tuple[str, ...]:
    entrypoint = (op.entrypoint,) if op.entrypoint else ()
    health = (f"--health-cmd is run by a shell: {op.health_cmd!a}",) if op.health_cmd else ()
    return (*shell_words((*entrypoint, *op.command)), *health, *variables(op.env))


def _run_images(op: containers.RunOperation | containers.CreateOperation) -> tuple[str, ...]:
    mounted = (mount.source for mount in op.mounts if mount.type == "image")
    return tuple(dict.fromkeys(qualified(name) for name in (op.image, *mounted)))
