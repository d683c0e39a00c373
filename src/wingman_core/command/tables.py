"""Words in which the command table is written: kinds of flags, and how repeated ones are gathered."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from wingman_core.command.flags import Flag
from wingman_core.command.values import BadValue, boolean, free

Fields = dict[str, object]
"""Values by the operation's field; on its way to a model, which checks their types."""

NO_TERMINAL: Final = "nobody sits at a terminal; run the command without it"
NO_CLIENT_FILES: Final = "it names a file of Docker's client, which Wingman does not have"


def switch(name: str, field: str, short: str = "") -> Flag:
    """Return a flag that may stand alone."""
    return Flag(name, field, boolean, short=short, switch=True)


def setting(
    name: str, field: str, read: Callable[[str], object], short: str = "", *, show: Callable[[Any], str] = str
) -> Flag:
    """Return a flag with one value; of several, the last counts."""
    return Flag(name, field, read, show, short=short)


def several(  # noqa: PLR0913 - a row of a table
    name: str,
    field: str,
    read: Callable[[str], object],
    gather: Callable[[tuple[Any, ...]], object],
    short: str = "",
    *,
    show: Callable[[Any], str] = str,
    aliases: tuple[str, ...] = (),
) -> Flag:
    """Return a flag that may be repeated."""
    return Flag(name, field, read, show, short=short, aliases=aliases, gather=gather)


def ignored(name: str, read: Callable[[str], object] = free, short: str = "", *, switch: bool = False) -> Flag:
    """Return a flag whose accepted values change nothing here, so that no operation carries it."""
    return Flag(name, "", read, short=short, switch=switch)


def refused(name: str, reason: str, short: str = "", *, switch: bool = False) -> Flag:
    """Return a flag that Docker has and Wingman does not take."""
    return Flag(name, "", free, short=short, switch=switch, refused=reason)


def in_order(values: tuple[object, ...]) -> tuple[object, ...]:
    """Gather what has an order."""
    return values


def unique(show: Callable[[Any], str] = str) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Return a gatherer of a set, sorted by its canonical text."""
    return lambda values: tuple(sorted(set(values), key=show))


def distinct(show: Callable[[Any], str]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Return a gatherer of a set in which nothing may stand twice, because Docker would ask for it twice."""

    def gather(values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise BadValue("the same twice")
        return tuple(sorted(values, key=show))

    return gather


def distinct_names(pairs: Sequence[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
    """Gather a map in which a name may stand once, because nobody can say which of two would count."""
    if len(dict(pairs)) < len(pairs):
        raise BadValue("the same name twice")
    return by_name(pairs)


def by_name(pairs: Sequence[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
    """Gather a map: the last value of a name counts, names are sorted."""
    return tuple(sorted(dict(pairs).items()))
