"""Typed operations on Compose projects: by the labels of their objects, and by the files of the gateway's registry."""

from typing import Literal

from wingman_core.command.frozen import Format, Frozen, Pairs


class ComposeLsOperation(Frozen):
    """``docker compose ls``: the projects that the engine has containers of."""

    verb: Literal["compose ls"] = "compose ls"
    all: bool = False
    filters: Pairs = ()
    format: Format = "table"
    quiet: bool = False


class Compose(Frozen):
    """What every other verb has: the project, and some of its services (all, where none is named)."""

    project: str
    services: tuple[str, ...] = ()


class ComposePsOperation(Compose):
    """``docker compose ps``."""

    verb: Literal["compose ps"] = "compose ps"
    all: bool = False
    format: Format = "table"
    no_trunc: bool = False
    quiet: bool = False
    services_only: bool = False


class ComposeLogsOperation(Compose):
    """``docker compose logs`` without following."""

    verb: Literal["compose logs"] = "compose logs"
    no_log_prefix: bool = False
    since: str = ""
    tail: int = -1
    timestamps: bool = False
    until: str = ""


class ComposeTopOperation(Compose):
    """``docker compose top``."""

    verb: Literal["compose top"] = "compose top"


class ComposeImagesOperation(Compose):
    """``docker compose images``."""

    verb: Literal["compose images"] = "compose images"
    format: Format = "table"
    quiet: bool = False


class ComposeStartOperation(Compose):
    """``docker compose start``."""

    verb: Literal["compose start"] = "compose start"


class ComposeStopOperation(Compose):
    """``docker compose stop``."""

    verb: Literal["compose stop"] = "compose stop"
    time: int | None = None
    """Seconds before a container is killed; None for its own."""


class ComposeRestartOperation(Compose):
    """``docker compose restart``."""

    verb: Literal["compose restart"] = "compose restart"
    time: int | None = None


class ComposePauseOperation(Compose):
    """``docker compose pause``."""

    verb: Literal["compose pause"] = "compose pause"


class ComposeUnpauseOperation(Compose):
    """``docker compose unpause``."""

    verb: Literal["compose unpause"] = "compose unpause"


class ComposeKillOperation(Compose):
    """``docker compose kill``."""

    verb: Literal["compose kill"] = "compose kill"
    signal: str = "SIGKILL"


class ComposeRmOperation(Compose):
    """``docker compose rm``: the containers that do not run; with ``stop``, all."""

    verb: Literal["compose rm"] = "compose rm"
    force: Literal[True] = True
    """Without it Compose asks at the terminal; the approval is that answer."""
    stop: bool = False
    volumes: bool = False
    """Anonymous volumes go with them."""


class ComposeDownOperation(Compose):
    """``docker compose down``: containers and networks; with ``volumes``, everything the project keeps."""

    verb: Literal["compose down"] = "compose down"
    time: int | None = None
    volumes: bool = False


class ComposeUpOperation(Compose):
    """``docker compose up``, always detached, of the files that the gateway's registry has."""

    verb: Literal["compose up"] = "compose up"
    detach: Literal[True] = True
    force_recreate: bool = False
    no_deps: bool = False
    no_recreate: bool = False
    pull: Literal["", "always", "missing", "never"] = ""
    """Empty for each service's own policy."""
    remove_orphans: bool = False
    time: int | None = None
    wait: bool = False
    wait_timeout: int | None = None


class ComposePullOperation(Compose):
    """``docker compose pull`` of the files that the gateway's registry has."""

    verb: Literal["compose pull"] = "compose pull"
    ignore_pull_failures: bool = False
    include_deps: bool = False
    policy: Literal["", "always", "missing"] = ""
    quiet: bool = False


ComposeRead = ComposePsOperation | ComposeLogsOperation | ComposeTopOperation | ComposeImagesOperation
ComposeAct = (
    ComposeStartOperation
    | ComposeStopOperation
    | ComposeRestartOperation
    | ComposePauseOperation
    | ComposeUnpauseOperation
    | ComposeKillOperation
)
ComposeRemoval = ComposeRmOperation | ComposeDownOperation
ComposeFiles = ComposeUpOperation | ComposePullOperation
ComposeOperation = ComposeLsOperation | ComposeRead | ComposeAct | ComposeRemoval | ComposeFiles
