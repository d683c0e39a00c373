"""The command table: each spelling, its flags and positionals, and how they become an operation.

A new verb is a row here, a model in ``operations.py``, and its line in ``facts.py``. Sources: docker/cli v28.2.2
``cli/command/container``, ``image`` and ``system``; flag for flag what ``docker <verb> --help`` lists, hidden and
deprecated spellings included.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from wingman_core.command import operations as ops
from wingman_core.command.filters import filter_set, image_filter, ps_filter
from wingman_core.command.flags import Flag, FlagTable
from wingman_core.command.frozen import Frozen
from wingman_core.command.images import image, image_pattern, is_name_only, kind_of, remote_image
from wingman_core.command.ps_options import ps_options
from wingman_core.command.quantities import between, decimal, moment
from wingman_core.command.run_flags import RUN_FLAGS, run_rules
from wingman_core.command.signals import signal
from wingman_core.command.tables import (
    NO_CLIENT_FILES,
    NO_TERMINAL,
    Fields,
    distinct_names,
    ignored,
    refused,
    setting,
    several,
    switch,
)
from wingman_core.command.values import (
    BadValue,
    container,
    free,
    one_of,
    optional,
    platform,
    show_pair,
    straight_path,
    user,
    variable,
)

_MAX_SECONDS: Final = 86_400
_JSON_TEMPLATE: Final = "{{json .}}"


@dataclass(frozen=True, slots=True)
class Positional:
    """What stands outside the flags: one word, or all that are left."""

    field: str
    read: Callable[[str], object]
    least: int = 1
    many: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """One row: the words that name a verb, and how the rest is read."""

    operation: type[Frozen]
    spellings: tuple[str, ...]
    """The first is the canonical one."""
    flags: FlagTable
    positionals: tuple[Positional, ...] = ()
    rules: Callable[[Fields], None] = lambda _: None
    """What fields mean together: puts them in normal form, raises ``BadValue`` for what contradicts."""
    fixed: Mapping[str, object] = field(default_factory=dict)
    """Fields that the spelling alone decides."""


def _format(text: str) -> str:
    return _closed_format(text, {"": "table", "table": "table", "json": "json", _JSON_TEMPLATE: "json"})


def _ps_format(text: str) -> str:
    return _JSON_TEMPLATE if text == _JSON_TEMPLATE else _format(text)


def _inspect_format(text: str) -> str:
    return _closed_format(text, {"": "", "json": "json", _JSON_TEMPLATE: "json"})


def _closed_format(text: str, words: Mapping[str, str]) -> str:
    if text not in words:
        raise BadValue("templates are not served; the formats are " + ", ".join(filter(None, words)))
    return words[text]


def _tail(text: str) -> int:
    return -1 if text == "all" else decimal(text)


def _kill_signal(text: str) -> str:
    return signal(text) if text else "SIGKILL"


def _distinct(fields: Fields, name: str) -> None:
    """Refuse what is named twice: Docker would act on it twice."""
    words = cast("tuple[str, ...]", fields[name])
    if len(set(words)) < len(words):
        raise BadValue("the same name twice; name each object once")


def _containers_rules(fields: Fields) -> None:
    _distinct(fields, "containers")


def _ps_rules(fields: Fields) -> None:
    """Put into one form what has several (cli ``list.go``).

    ``--latest`` is ``--last 1`` unless ``--last`` is given. The template ``{{json .}}`` prints sizes, so that Docker
    asks for them unless ``--size`` says otherwise or only ids are printed; the word ``json`` does not.
    """
    if fields.get("format") == _JSON_TEMPLATE:
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
    kind = cast("str", fields.get("type", ""))
    if kind == "image":
        fields.pop("size", None)  # it is of containers, and Docker does not ask for it
    fields["names"] = tuple((image if kind_of(name, kind) == "image" else container)(name) for name in names)
    _distinct(fields, "names")


def _stats_rules(fields: Fields) -> None:
    if fields.get("no_stream") is not True:
        raise BadValue("a stream has no end; add --no-stream for one sample")
    _distinct(fields, "containers")


def _top_rules(fields: Fields) -> None:
    fields["ps_options"] = ps_options(cast("tuple[str, ...]", fields["ps_options"]))


def _exec_rules(fields: Fields) -> None:
    if not cast("tuple[str, ...]", fields["command"])[0]:
        raise BadValue("the program to run has no name")


def _pull_rules(fields: Fields) -> None:
    reference = cast("str", fields["image"])
    if fields.get("all_tags"):
        if not is_name_only(reference):
            raise BadValue("a tag or digest cannot stand beside --all-tags")
    elif is_name_only(reference):
        fields["image"] = f"{reference}:latest"


_CONTAINER = Positional("container", container)
_CONTAINERS = Positional("containers", container, many=True)
_NAMES = Positional("names", free, many=True)
_FORMAT = setting("format", "format", _format)
_NO_TRUNC = switch("no-trunc", "no_trunc")
_QUIET = switch("quiet", "quiet", "q")
_STOP_FLAGS = (
    setting("signal", "signal", optional(signal), "s"),
    Flag("time", "time", between(0, _MAX_SECONDS), short="t", aliases=("timeout",)),
)
_INSPECT_FLAGS = (setting("format", "format", _inspect_format, "f"), switch("size", "size", "s"))
_DETACH_KEYS = refused("detach-keys", NO_TERMINAL)
_INTERACTIVE = refused("interactive", NO_TERMINAL, "i", switch=True)
_TTY = refused("tty", NO_TERMINAL, "t", switch=True)
_EXPERIMENTAL = "checkpoints are experimental in Docker"


def _of_containers(operation: type[Frozen], verb: str, *flags: Flag) -> Command:
    return Command(operation, (verb, f"container {verb}"), FlagTable(flags), (_CONTAINERS,), rules=_containers_rules)


COMMANDS: Final = (
    Command(
        ops.PsOperation,
        ("ps", "container ls", "container list", "container ps"),
        FlagTable(
            (
                switch("all", "all", "a"),
                several("filter", "filters", ps_filter, filter_set, "f", show=show_pair),
                setting("format", "format", _ps_format),
                setting("last", "last", between(-(2**31), 2**31 - 1), "n"),
                switch("latest", "latest", "l"),
                _NO_TRUNC,
                _QUIET,
                switch("size", "size", "s"),
            )
        ),
        rules=_ps_rules,
    ),
    Command(
        ops.InspectOperation,
        ("inspect",),
        FlagTable((*_INSPECT_FLAGS, setting("type", "type", one_of("container", "image")))),
        (_NAMES,),
        rules=_inspect_rules,
    ),
    Command(
        ops.InspectOperation,
        ("container inspect",),
        FlagTable(_INSPECT_FLAGS),
        (_NAMES,),
        rules=_inspect_rules,
        fixed={"type": "container"},
    ),
    Command(
        ops.InspectOperation,
        ("image inspect",),
        FlagTable((_INSPECT_FLAGS[0], refused("platform", "the image is shown as the engine has it"))),
        (_NAMES,),
        rules=_inspect_rules,
        fixed={"type": "image"},
    ),
    Command(
        ops.LogsOperation,
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
        ops.TopOperation,
        ("top", "container top"),
        FlagTable((), interspersed=False),
        (_CONTAINER, Positional("ps_options", free, least=0, many=True)),
        rules=_top_rules,
    ),
    Command(
        ops.StatsOperation,
        ("stats", "container stats"),
        FlagTable((switch("all", "all", "a"), _FORMAT, switch("no-stream", "no_stream"), _NO_TRUNC)),
        (Positional("containers", container, least=0, many=True),),
        rules=_stats_rules,
    ),
    _of_containers(
        ops.StartOperation,
        "start",
        refused("attach", "it waits for the container's end; read its output with docker logs", "a", switch=True),
        refused("checkpoint", _EXPERIMENTAL),
        refused("checkpoint-dir", _EXPERIMENTAL),
        _DETACH_KEYS,
        _INTERACTIVE,
    ),
    _of_containers(ops.StopOperation, "stop", *_STOP_FLAGS),
    _of_containers(ops.RestartOperation, "restart", *_STOP_FLAGS),
    _of_containers(ops.KillOperation, "kill", setting("signal", "signal", _kill_signal, "s")),
    _of_containers(ops.PauseOperation, "pause"),
    _of_containers(ops.UnpauseOperation, "unpause"),
    Command(
        ops.RmOperation,
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
        ops.ExecOperation,
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
        ops.RunOperation,
        ("run", "container run"),
        FlagTable((*RUN_FLAGS, _DETACH_KEYS, _INTERACTIVE, _TTY), interspersed=False),
        (Positional("image", image), Positional("command", free, least=0, many=True)),
        rules=run_rules,
    ),
    Command(
        ops.ImagesOperation,
        ("images", "image ls", "image list"),
        FlagTable(
            (
                switch("all", "all", "a"),
                switch("digests", "digests"),
                several("filter", "filters", image_filter, filter_set, "f", show=show_pair),
                _FORMAT,
                _NO_TRUNC,
                _QUIET,
                refused("tree", "it is experimental in Docker", switch=True),
            )
        ),
        (Positional("repository", image_pattern, least=0),),
    ),
    Command(
        ops.PullOperation,
        ("pull", "image pull"),
        FlagTable(
            (
                switch("all-tags", "all_tags", "a"),
                ignored("disable-content-trust", one_of("true", "1", "t", "T", "TRUE", "True"), switch=True),
                setting("platform", "platform", optional(platform)),
                _QUIET,
            )
        ),
        (Positional("image", remote_image),),
        rules=_pull_rules,
    ),
)
