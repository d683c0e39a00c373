"""Filters of lists and prunes: closed lists of keys, each with its values' grammar.

Sources: moby v28 ``daemon/list.go`` and ``daemon/images/images.go``; key and value are trimmed and the key is
lower-cased, as docker/cli ``FilterOpt`` does. An empty filter is none, as there.
"""

from collections.abc import Callable, Mapping
from typing import Final

from wingman_core.command.images import image
from wingman_core.command.network import exposed, show_exposed
from wingman_core.command.quantities import decimal, moment
from wingman_core.command.values import BadValue, boolean, container, free, matching, one_of

_STATES: Final = ("created", "restarting", "running", "removing", "paused", "exited", "dead")


def _truth(text: str) -> str:
    return "true" if boolean(text) else "false"


def _port(text: str) -> str:
    return show_exposed(exposed(text))


def _some(text: str) -> str:
    if not text:
        raise BadValue("a filter needs a value")
    return free(text)


def _since(text: str) -> str:
    if not text:
        raise BadValue("a time is needed")
    return moment(text)


_PS: Final[Mapping[str, Callable[[str], str]]] = {
    "ancestor": image,
    "before": container,
    "exited": lambda text: str(decimal(text)),
    "expose": _port,
    "health": one_of("starting", "healthy", "unhealthy", "none"),
    "id": matching(r"[a-f0-9]{1,64}", "4f6b1c"),
    "is-task": _truth,
    "label": _some,
    "name": _some,
    "network": container,
    "publish": _port,
    "since": container,
    "status": one_of(*_STATES),
    "volume": matching(r"[a-zA-Z0-9_./-]+", "data or /data"),
}
_IMAGES: Final[Mapping[str, Callable[[str], str]]] = {
    "before": image,
    "dangling": _truth,
    "label": _some,
    "reference": matching(r"[a-zA-Z0-9_.:/@*?\[\]-]+", "team/app:*"),
    "since": image,
    "until": moment,
}

_VOLUMES: Final[Mapping[str, Callable[[str], str]]] = {
    "dangling": _truth,
    "driver": _some,
    "label": _some,
    "name": _some,
}
_NETWORKS: Final[Mapping[str, Callable[[str], str]]] = {
    "dangling": _truth,
    "driver": _some,
    "id": matching(r"[a-f0-9]{1,64}", "4f6b1c"),
    "label": _some,
    "name": _some,
    "scope": one_of("global", "local", "swarm"),
    "type": one_of("builtin", "custom"),
}
_LABELS: Final[Mapping[str, Callable[[str], str]]] = {"label": _some, "label!": _some}
_PRUNE: Final[Mapping[str, Callable[[str], str]]] = {**_LABELS, "until": _since}


def ps_filter(text: str) -> tuple[str, str] | None:
    """Read one ``--filter`` of ``docker ps``; None for an empty one."""
    return _filter(text, _PS)


def image_filter(text: str) -> tuple[str, str] | None:
    """Read one ``--filter`` of ``docker images``; None for an empty one."""
    return _filter(text, _IMAGES)


def volume_filter(text: str) -> tuple[str, str] | None:
    """Read one ``--filter`` of ``docker volume ls``; None for an empty one."""
    return _filter(text, _VOLUMES)


def network_filter(text: str) -> tuple[str, str] | None:
    """Read one ``--filter`` of ``docker network ls``; None for an empty one."""
    return _filter(text, _NETWORKS)


def project_filter(text: str) -> tuple[str, str] | None:
    """Read one ``--filter`` of ``docker compose ls``; None for an empty one."""
    return _filter(text, {"name": matching(r"[a-z0-9_-]+", "shop")})


def prune_filter(text: str) -> tuple[str, str] | None:
    """Read one ``--filter`` of a prune; None for an empty one."""
    return _filter(text, _PRUNE)


def volume_prune_filter(text: str) -> tuple[str, str] | None:
    """Read one ``--filter`` of ``docker volume prune``, which knows no time; None for an empty one."""
    return _filter(text, _LABELS)


def filter_set(filters: tuple[tuple[str, str] | None, ...]) -> tuple[tuple[str, str], ...]:
    """Gather filters: a sorted set, without the empty ones."""
    return tuple(sorted({each for each in filters if each is not None}))


def _filter(text: str, keys: Mapping[str, Callable[[str], str]]) -> tuple[str, str] | None:
    if text == "":
        return None
    name, equals, value = text.partition("=")
    read = keys.get(name.strip(" ").lower())
    if read is None or not equals:
        raise BadValue("not a filter; write key=value with one of " + ", ".join(keys))
    return name.strip(" ").lower(), read(value.strip(" "))
