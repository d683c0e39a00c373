"""The rows of the command table for Compose projects. Source: the reference of ``docker compose`` v2.

A project's objects are found by their labels; ``up`` and ``pull`` read the files that the gateway's registry has.
Which project is always said; there is no directory here that could say it.
"""

from collections.abc import Callable
from typing import Final, cast

from wingman_core.command import compose_operations as compose
from wingman_core.command.filters import filter_set, project_filter
from wingman_core.command.flags import Flag, FlagTable
from wingman_core.command.frozen import Frozen
from wingman_core.command.quantities import between, decimal, moment
from wingman_core.command.signals import signal
from wingman_core.command.tables import (
    LIST_FORMAT,
    NO_TRUNC,
    QUIET,
    Command,
    Fields,
    Positional,
    ignored,
    once,
    refused,
    setting,
    several,
    switch,
)
from wingman_core.command.values import BadValue, boolean, container, free, matching, one_of, optional, show_pair

_NO_FILES: Final = "a project is found by its labels, and its files by the gateway's registry"
_NO_BUILD: Final = "nothing is built; images come from a registry"
_DETACHED: Final = "up is always detached; read with docker compose logs"
_MAX_SECONDS: Final = 86_400
_PROJECT: Final = matching(r"[a-z0-9][a-z0-9_-]*", "shop")

LEADING: Final = FlagTable(
    (
        setting("project-name", "project", _PROJECT, "p"),
        refused("file", _NO_FILES, "f"),
        refused("env-file", _NO_FILES),
        refused("project-directory", _NO_FILES),
        refused("profile", _NO_FILES),
        refused("dry-run", "a preview shows what would happen", switch=True),
        refused("all-resources", _NO_FILES, switch=True),
        ignored("ansi", free),
        ignored("progress", free),
        refused("parallel", "containers are taken one after the other"),
        refused("compatibility", _NO_FILES, switch=True),
    ),
    interspersed=False,
)
"""What stands between ``compose`` and the verb."""

_SERVICES: Final = Positional("services", container, least=0, many=True)
_TIME: Final = setting("timeout", "time", between(0, _MAX_SECONDS), "t")


def _rules(fields: Fields) -> None:
    if not fields.get("project"):
        raise BadValue("which project is not said; write docker compose --project-name shop ...")
    once(fields, "services")
    fields["services"] = tuple(sorted(cast("tuple[str, ...]", fields["services"])))


def _removal_rules(fields: Fields) -> None:
    fields["force"] = True
    _rules(fields)


def _up_rules(fields: Fields) -> None:
    if fields.get("force_recreate") and fields.get("no_recreate"):
        raise BadValue("--force-recreate and --no-recreate contradict each other")
    if not fields.get("wait"):
        fields.pop("wait_timeout", None)  # it is the limit of --wait, and nothing without it
    fields["detach"] = True
    _rules(fields)


def _tail(text: str) -> int:
    return -1 if text == "all" else decimal(text)


def _pull_policy(*words: str) -> Callable[[str], str]:
    known = one_of("", "policy", *words)
    return lambda text: known(text).removeprefix("policy")


def _row(operation: type[Frozen], verb: str, *flags: Flag) -> Command:
    rules = {"rm": _removal_rules, "up": _up_rules}.get(verb, _rules)
    return Command(operation, (f"compose {verb}",), FlagTable(flags), (_SERVICES,), rules=rules, leading=LEADING)


COMPOSE_COMMANDS: Final = (
    Command(
        compose.ComposeLsOperation,
        ("compose ls",),
        FlagTable(
            (
                switch("all", "all", "a"),
                several("filter", "filters", project_filter, filter_set, show=show_pair),
                LIST_FORMAT,
                QUIET,
            )
        ),
        leading=FlagTable((), interspersed=False),
    ),
    _row(
        compose.ComposePsOperation,
        "ps",
        switch("all", "all", "a"),
        refused("filter", "name services instead"),
        LIST_FORMAT,
        NO_TRUNC,
        refused("orphans", _NO_FILES, switch=True),
        QUIET,
        switch("services", "services_only"),
        refused("status", "docker ps --filter status=... has it"),
    ),
    _row(
        compose.ComposeLogsOperation,
        "logs",
        refused("follow", "following has no end; read again with --since", "f", switch=True),
        refused("index", "name the container, with docker logs"),
        ignored("no-color", boolean, switch=True),
        switch("no-log-prefix", "no_log_prefix"),
        setting("since", "since", moment),
        setting("tail", "tail", _tail, "n"),
        switch("timestamps", "timestamps", "t"),
        setting("until", "until", moment),
    ),
    _row(compose.ComposeTopOperation, "top"),
    _row(compose.ComposeImagesOperation, "images", LIST_FORMAT, QUIET),
    _row(
        compose.ComposeStartOperation,
        "start",
        refused("wait", "it waits for health; ask with docker compose ps", switch=True),
        refused("wait-timeout", "it waits for health; ask with docker compose ps"),
    ),
    _row(compose.ComposeStopOperation, "stop", _TIME),
    _row(
        compose.ComposeRestartOperation,
        "restart",
        _TIME,
        ignored("no-deps", boolean, switch=True),
    ),
    _row(compose.ComposePauseOperation, "pause"),
    _row(compose.ComposeUnpauseOperation, "unpause"),
    _row(
        compose.ComposeKillOperation,
        "kill",
        setting("signal", "signal", optional(signal), "s"),
        refused("remove-orphans", _NO_FILES, switch=True),
    ),
    _row(
        compose.ComposeRmOperation,
        "rm",
        switch("force", "force", "f"),
        switch("stop", "stop", "s"),
        switch("volumes", "volumes", "v"),
    ),
    _row(
        compose.ComposeDownOperation,
        "down",
        ignored("remove-orphans", boolean, switch=True),
        refused("rmi", "remove images with docker rmi"),
        _TIME,
        switch("volumes", "volumes", "v"),
    ),
    _row(
        compose.ComposeUpOperation,
        "up",
        switch("detach", "detach", "d"),
        switch("force-recreate", "force_recreate"),
        ignored("no-build", boolean, switch=True),
        ignored("no-color", boolean, switch=True),
        ignored("no-log-prefix", boolean, switch=True),
        ignored("quiet-pull", boolean, switch=True),
        switch("no-deps", "no_deps"),
        switch("no-recreate", "no_recreate"),
        setting("pull", "pull", _pull_policy("always", "missing", "never")),
        switch("remove-orphans", "remove_orphans"),
        _TIME,
        switch("wait", "wait"),
        setting("wait-timeout", "wait_timeout", between(1, _MAX_SECONDS)),
        refused("build", _NO_BUILD, switch=True),
        refused("quiet-build", _NO_BUILD, switch=True),
        *(refused(name, _DETACHED) for name in ("attach", "exit-code-from", "no-attach")),
        *(
            refused(name, _DETACHED, switch=True)
            for name in ("abort-on-container-exit", "abort-on-container-failure", "attach-dependencies", "menu")
        ),
        refused("timestamps", _DETACHED, switch=True),
        refused("watch", _DETACHED, "w", switch=True),
        refused("always-recreate-deps", "name the services, with --force-recreate", switch=True),
        refused("no-start", "create is not served for projects", switch=True),
        refused("renew-anon-volumes", "it loses data; remove with docker compose rm --volumes first", "V", switch=True),
        refused("scale", "how many is the file's business"),
        refused("dry-run", "a preview shows what would happen", switch=True),
        refused("yes", "what Compose would ask about is answered with no", "y", switch=True),
    ),
    _row(
        compose.ComposePullOperation,
        "pull",
        ignored("ignore-buildable", boolean, switch=True),
        switch("ignore-pull-failures", "ignore_pull_failures"),
        switch("include-deps", "include_deps"),
        setting("policy", "policy", _pull_policy("always", "missing")),
        switch("quiet", "quiet", "q"),
        refused("dry-run", "a preview shows what would happen", switch=True),
    ),
)
