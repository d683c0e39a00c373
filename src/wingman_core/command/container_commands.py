"""The rows of the command table for containers, and for ``inspect`` of anything.

Source: docker/cli v28.2.2 ``cli/command/container`` and ``system/inspect.go``.
"""

from typing import Final, Literal, cast

from wingman_core.command import container_operations as containers
from wingman_core.command import object_operations as objects
from wingman_core.command.filters import filter_set, prune_filter, ps_filter
from wingman_core.command.flags import Flag, FlagTable
from wingman_core.command.frozen import Frozen
from wingman_core.command.images import image, kind_of
from wingman_core.command.limits import restart_policy
from wingman_core.command.network import exposed, show_exposed
from wingman_core.command.ps_options import ps_options
from wingman_core.command.quantities import between, decimal, moment
from wingman_core.command.run_flags import RUN_FLAGS, run_rules
from wingman_core.command.signals import signal
from wingman_core.command.tables import (
    FORCE,
    JSON_TEMPLATE,
    LIST_FORMAT,
    NO_CLIENT_FILES,
    NO_TERMINAL,
    NO_TRUNC,
    OBJECT_FORMAT,
    QUIET,
    Command,
    Fields,
    Positional,
    distinct_names,
    list_format,
    once,
    prune_rules,
    refused,
    setting,
    several,
    switch,
)
from wingman_core.command.values import (
    BadValue,
    container,
    free,
    new_name,
    one_of,
    optional,
    show_pair,
    straight_path,
    user,
    variable,
)

_MAX_SECONDS: Final = 86_400


def _tail(text: str) -> int:
    return -1 if text == "all" else decimal(text)


def _kill_signal(text: str) -> str:
    return signal(text) if text else "SIGKILL"


def _ps_format(text: str) -> str:
    return JSON_TEMPLATE if text == JSON_TEMPLATE else list_format(text)


def _containers_rules(fields: Fields) -> None:
    once(fields, "containers")


def _ps_rules(fields: Fields) -> None:
    """Put into one form what has several (cli ``list.go``).

    ``--latest`` is ``--last 1`` unless ``--last`` is given. The template ``{{json .}}`` prints sizes, so that Docker
    asks for them unless ``--size`` says otherwise or only ids are printed; the word ``json`` does not.
    """
    if fields.get("format") == JSON_TEMPLATE:
        fields["format"] = "json"
        if not fields.get("quiet"):
            fields.setdefault("size", True)
    last = cast("int", fields.get("last", -1))
    if fields.pop("latest", False) and last == -1:
        last = 1
    fields["last"] = last if last > 0 else -1


def _inspect_rules(fields: Fields) -> None:
    """Hold each name to the grammar of what it can be."""
    names = cast("tuple[str, ...]", fields["names"])
    kind = cast("Literal['', 'container', 'image', 'network', 'volume']", fields.get("type", ""))
    if kind not in {"", "container"}:
        fields.pop("size", None)  # it is of containers, and Docker does not ask for it
    fields["names"] = tuple(_NAME_OF[kind_of(name, kind)](name) for name in names)
    once(fields, "names")


_NAME_OF: Final = {"container": container, "image": image, "network": container, "volume": new_name}


def _stats_rules(fields: Fields) -> None:
    if fields.get("no_stream") is not True:
        raise BadValue("a stream has no end; add --no-stream for one sample")
    once(fields, "containers")


def _top_rules(fields: Fields) -> None:
    fields["ps_options"] = ps_options(cast("tuple[str, ...]", fields["ps_options"]))


def _update_rules(fields: Fields) -> None:
    once(fields, "containers")
    if not any(value for name, value in fields.items() if name not in {"verb", "containers"}):
        raise BadValue("nothing is to change; name a limit")


def _private_port(text: str) -> str:
    """Read ``80`` or ``80/udp`` as ``80/tcp`` or ``80/udp``."""
    port = exposed(text)
    if port.first != port.last or text != text.lower():
        raise BadValue("not one port, such as 80 or 80/udp")
    return f"{show_exposed(port.model_copy(update={'protocol': 'tcp'}))}/{port.protocol}"


def _exec_rules(fields: Fields) -> None:
    if not cast("tuple[str, ...]", fields["command"])[0]:
        raise BadValue("the program to run has no name")


_CONTAINER = Positional("container", container)
_CONTAINERS = Positional("containers", container, many=True)
_NAMES = Positional("names", free, many=True)
_STOP_FLAGS = (
    setting("signal", "signal", optional(signal), "s"),
    Flag("time", "time", between(0, _MAX_SECONDS), short="t", aliases=("timeout",)),
)
_INSPECT_FLAGS = (OBJECT_FORMAT, switch("size", "size", "s"))
_DETACH_KEYS = refused("detach-keys", NO_TERMINAL)
_INTERACTIVE = refused("interactive", NO_TERMINAL, "i", switch=True)
_TTY = refused("tty", NO_TERMINAL, "t", switch=True)
_UPDATED = frozenset(
    {
        *("blkio-weight", "cpu-period", "cpu-quota", "cpu-rt-period", "cpu-rt-runtime", "cpu-shares", "cpus"),
        *("cpuset-cpus", "cpuset-mems", "kernel-memory", "memory", "memory-reservation", "memory-swap", "pids-limit"),
    }
)
_EXPERIMENTAL = "checkpoints are experimental in Docker"


def _of_containers(operation: type[Frozen], verb: str, *flags: Flag) -> Command:
    return Command(operation, (verb, f"container {verb}"), FlagTable(flags), (_CONTAINERS,), rules=_containers_rules)


CONTAINER_COMMANDS: Final = (
    Command(
        containers.PsOperation,
        ("ps", "container ls", "container list", "container ps"),
        FlagTable(
            (
                switch("all", "all", "a"),
                several("filter", "filters", ps_filter, filter_set, "f", show=show_pair),
                setting("format", "format", _ps_format),
                setting("last", "last", between(-(2**31), 2**31 - 1), "n"),
                switch("latest", "latest", "l"),
                NO_TRUNC,
                QUIET,
                switch("size", "size", "s"),
            )
        ),
        rules=_ps_rules,
    ),
    Command(
        containers.InspectOperation,
        ("inspect",),
        FlagTable((*_INSPECT_FLAGS, setting("type", "type", one_of("container", "image", "network", "volume")))),
        (_NAMES,),
        rules=_inspect_rules,
    ),
    Command(
        containers.InspectOperation,
        ("container inspect",),
        FlagTable(_INSPECT_FLAGS),
        (_NAMES,),
        rules=_inspect_rules,
        fixed={"type": "container"},
    ),
    Command(
        containers.InspectOperation,
        ("image inspect",),
        FlagTable((_INSPECT_FLAGS[0], refused("platform", "the image is shown as the engine has it"))),
        (_NAMES,),
        rules=_inspect_rules,
        fixed={"type": "image"},
    ),
    Command(
        containers.InspectOperation,
        ("volume inspect",),
        FlagTable(_INSPECT_FLAGS[:1]),
        (_NAMES,),
        rules=_inspect_rules,
        fixed={"type": "volume"},
    ),
    Command(
        containers.InspectOperation,
        ("network inspect",),
        FlagTable(
            (
                _INSPECT_FLAGS[0],
                refused("verbose", "networks of a swarm are not served", "v", switch=True),
            )
        ),
        (_NAMES,),
        rules=_inspect_rules,
        fixed={"type": "network"},
    ),
    Command(
        containers.LogsOperation,
        ("logs", "container logs"),
        FlagTable(
            (
                switch("details", "details"),
                refused("follow", "following has no end; read again with --since", "f", switch=True),
                setting("since", "since", moment),
                setting("tail", "tail", _tail, "n"),
                switch("timestamps", "timestamps", "t"),
                setting("until", "until", moment),
            )
        ),
        (_CONTAINER,),
    ),
    Command(
        containers.TopOperation,
        ("top", "container top"),
        FlagTable((), interspersed=False),
        (_CONTAINER, Positional("ps_options", free, least=0, many=True)),
        rules=_top_rules,
    ),
    Command(
        containers.StatsOperation,
        ("stats", "container stats"),
        FlagTable((switch("all", "all", "a"), LIST_FORMAT, switch("no-stream", "no_stream"), NO_TRUNC)),
        (Positional("containers", container, least=0, many=True),),
        rules=_stats_rules,
    ),
    _of_containers(
        containers.StartOperation,
        "start",
        refused("attach", "it waits for the container's end; read its output with docker logs", "a", switch=True),
        refused("checkpoint", _EXPERIMENTAL),
        refused("checkpoint-dir", _EXPERIMENTAL),
        _DETACH_KEYS,
        _INTERACTIVE,
    ),
    _of_containers(containers.StopOperation, "stop", *_STOP_FLAGS),
    _of_containers(containers.RestartOperation, "restart", *_STOP_FLAGS),
    _of_containers(containers.KillOperation, "kill", setting("signal", "signal", _kill_signal, "s")),
    _of_containers(containers.PauseOperation, "pause"),
    _of_containers(containers.UnpauseOperation, "unpause"),
    Command(
        containers.RmOperation,
        ("rm", "container rm", "container remove"),
        FlagTable(
            (
                switch("force", "force", "f"),
                refused("link", "legacy links are not served", "l", switch=True),
                switch("volumes", "volumes", "v"),
            )
        ),
        (_CONTAINERS,),
        rules=_containers_rules,
    ),
    Command(
        containers.ExecOperation,
        ("exec", "container exec"),
        FlagTable(
            (
                switch("detach", "detach", "d"),
                _DETACH_KEYS,
                several("env", "env", variable, distinct_names, "e", show=show_pair),
                refused("env-file", NO_CLIENT_FILES),
                _INTERACTIVE,
                switch("privileged", "privileged"),
                _TTY,
                setting("user", "user", optional(user), "u"),
                setting("workdir", "workdir", optional(straight_path), "w"),
            ),
            interspersed=False,
        ),
        (_CONTAINER, Positional("command", free, many=True)),
        rules=_exec_rules,
    ),
    Command(
        containers.RunOperation,
        ("run", "container run"),
        FlagTable((*RUN_FLAGS, _DETACH_KEYS, _INTERACTIVE, _TTY), interspersed=False),
        (Positional("image", image), Positional("command", free, least=0, many=True)),
        rules=run_rules,
    ),
    Command(
        containers.CreateOperation,
        ("create", "container create"),
        FlagTable(
            (*(flag for flag in RUN_FLAGS if flag.name not in {"detach", "sig-proxy"}), _INTERACTIVE, _TTY),
            interspersed=False,
        ),
        (Positional("image", image), Positional("command", free, least=0, many=True)),
        rules=run_rules,
    ),
    Command(
        containers.PortOperation,
        ("port", "container port"),
        FlagTable(()),
        (_CONTAINER, Positional("private", _private_port, least=0)),
    ),
    Command(containers.DiffOperation, ("diff", "container diff"), FlagTable(()), (_CONTAINER,)),
    _of_containers(containers.WaitOperation, "wait"),
    Command(
        containers.RenameOperation,
        ("rename", "container rename"),
        FlagTable(()),
        (_CONTAINER, Positional("name", new_name)),
    ),
    Command(
        containers.UpdateOperation,
        ("update", "container update"),
        FlagTable(
            (
                *(flag for flag in RUN_FLAGS if flag.name in _UPDATED),
                setting("restart", "restart", optional(restart_policy)),
            )
        ),
        (_CONTAINERS,),
        rules=_update_rules,
    ),
    Command(
        objects.ContainerPruneOperation,
        ("container prune",),
        FlagTable((several("filter", "filters", prune_filter, filter_set, show=show_pair), FORCE)),
        rules=prune_rules,
    ),
)
