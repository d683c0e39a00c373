"""Words in which the command table is written: kinds of flags, and how repeated ones are gathered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from wingman_core.command.flags import Flag, FlagTable
from wingman_core.command.frozen import Frozen
from wingman_core.command.values import BadValue, boolean, free

Fields = dict[str, object]
"""Values by the operation's field; on its way to a model, which checks their types."""

NO_TERMINAL: Final = "nobody sits at a terminal; run the command without it"
NO_CLIENT_FILES: Final = "it names a file of Docker's client, which Wingman does not have"
JSON_TEMPLATE: Final = "{{json .}}"


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
    leading: FlagTable | None = None
    """Flags that stand between the group's word and the verb."""


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


def list_format(text: str) -> str:
    """Read ``--format`` of a list: its table, or one JSON object a line."""
    return closed_format(text, {"": "table", "table": "table", "json": "json", JSON_TEMPLATE: "json"})


def object_format(text: str) -> str:
    """Read ``--format`` of what prints objects: its own form, or JSON."""
    return closed_format(text, {"": "", "json": "json", JSON_TEMPLATE: "json"})


def closed_format(text: str, words: Mapping[str, str]) -> str:
    """Read ``--format`` as one of ``words``; templates are programs, and refused."""
    if text not in words:
        raise BadValue("templates are not served; the formats are " + ", ".join(filter(None, words)))
    return words[text]


def once(fields: Fields, name: str) -> None:
    """Refuse what is named twice: Docker would act on it twice."""
    words = cast("tuple[str, ...]", fields[name])
    if len(set(words)) < len(words):
        raise BadValue("the same name twice; name each object once")


def prune_rules(fields: Fields) -> None:
    """Refuse two times in one prune: nobody can say which of them would count. People answer for the terminal."""
    fields["force"] = True
    filters = cast("tuple[tuple[str, str], ...]", fields.get("filters", ()))
    if sum(name == "until" for name, _ in filters) > 1:
        raise BadValue("more than one until; give one time")


LIST_FORMAT: Final = setting("format", "format", list_format)
OBJECT_FORMAT: Final = setting("format", "format", object_format, "f")
NO_TRUNC: Final = switch("no-trunc", "no_trunc")
QUIET: Final = switch("quiet", "quiet", "q")
FORCE: Final = switch("force", "force", "f")
"""Of a prune, which always has it: see ``object_operations.Prune``."""
