"""What ``run`` mounts: ``--volume``, ``--mount`` and ``--tmpfs``, with every path cleaned as the engine cleans it.

Sources: docker/cli v28.2.2 ``opts/mount.go`` and ``loader/volume.go``, moby ``volume/mounts/linux_parser.go``.
Stricter than those: no relative host paths (they would be relative to a client Wingman does not have), no option
that Docker would silently ignore, no quotes inside ``--mount``.
"""

from collections.abc import Callable, Mapping
from typing import Final, Literal, assert_never

from wingman_core.command.frozen import Frozen
from wingman_core.command.images import image
from wingman_core.command.lexer import shown
from wingman_core.command.quantities import show_size, size
from wingman_core.command.values import (
    BadValue,
    boolean,
    free,
    label,
    matching,
    new_name,
    one_of,
    pair,
    path,
    show_pair,
    straight_path,
)

_PROPAGATIONS: Final = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_CONSISTENCIES: Final = ("consistent", "cached", "delegated", "default")
_MODE_GROUPS: Final = (
    frozenset({"ro", "rw"}),
    frozenset({"z", "Z"}),
    frozenset({"nocopy"}),
    frozenset(_PROPAGATIONS),
    frozenset(_CONSISTENCIES),
)
_MODES: Final = frozenset(mode for modes in _MODE_GROUPS for mode in modes)


class Volume(Frozen):
    """``--volume [source:]target[:mode]``; no source is an anonymous volume, ``/...`` a bind mount."""

    source: str
    target: str
    modes: tuple[str, ...] = ()

    @property
    def is_bind(self) -> bool:
        """Whether the source is a path of the host."""
        return self.source.startswith("/")

    @property
    def read_only(self) -> bool:
        """Whether the container may not write."""
        return "ro" in self.modes


class Tmpfs(Frozen):
    """``--tmpfs target[:options]``."""

    target: str
    options: str = ""


class Mount(Frozen):
    """``--mount type=...,source=...,target=...``."""

    type: Literal["bind", "volume", "tmpfs", "image"]
    target: str
    source: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_propagation: str = ""
    bind_recursive: str = ""
    volume_nocopy: bool = False
    volume_subpath: str = ""
    volume_labels: tuple[tuple[str, str], ...] = ()
    volume_driver: str = ""
    volume_options: tuple[tuple[str, str], ...] = ()
    image_subpath: str = ""
    tmpfs_size: int = 0
    tmpfs_mode: str = ""


def volume(text: str) -> Volume:
    """Read ``--volume``."""
    parts = text.split(":")
    match parts:
        case [target]:
            return Volume(source="", target=_mount_point(target))
        case [source, target]:
            return Volume(source=_source(source), target=_mount_point(target))
        case [source, target, modes]:
            place = Volume(source=_source(source), target=_mount_point(target))
            return Volume(source=place.source, target=place.target, modes=_modes(modes, bind=place.is_bind))
        case _:
            raise BadValue("not a volume; write source:target or source:target:ro")


def show_volume(value: Volume) -> str:
    """Write ``source:target:modes``."""
    parts = [value.source, value.target] if value.source else [value.target]
    return ":".join([*parts, ",".join(value.modes)] if value.modes else parts)


def tmpfs(text: str) -> Tmpfs:
    """Read ``--tmpfs``."""
    target, _, options = text.partition(":")
    # The engine cleans the paths of volumes and mounts, and hands this one on as it stands.
    return Tmpfs(target=_mount_point(straight_path(target)), options=_tmpfs_options(options))


def tmpfs_map(values: tuple[Tmpfs, ...]) -> tuple[Tmpfs, ...]:
    """Gather ``--tmpfs``: paths are sorted, and one may stand once, in whatever spelling."""
    if len({value.target for value in values}) < len(values):
        raise BadValue("the same path twice")
    return tuple(sorted(values, key=lambda value: value.target))


def show_tmpfs(value: Tmpfs) -> str:
    """Write ``target:options``."""
    return f"{value.target}:{value.options}" if value.options else value.target


def volumes_from(text: str) -> tuple[str, str]:
    """Read ``--volumes-from container[:mode]`` as container and mode."""
    name, colon, mode = text.partition(":")
    if matching(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", "container")(name) and colon:
        return name, one_of("ro", "rw", "z", "Z", "ro,z", "ro,Z", "rw,z", "rw,Z")(mode)
    return name, ""


def show_volumes_from(value: tuple[str, str]) -> str:
    """Write ``container:mode``."""
    return ":".join(part for part in value if part)


def mount(text: str) -> Mount:
    """Read ``--mount``; of a field given twice, the last counts, except for labels and options, which add up.

    How a bind recurses may be said once: Docker would gather both words into a state that neither of them names.
    """
    if '"' in text:
        raise BadValue("quotes inside --mount are not served")
    fields: dict[str, object] = {"type": "volume"}
    maps: dict[str, dict[str, str]] = {"volume_labels": {}, "volume_options": {}}
    for part in text.split(","):
        field, value = _mount_field(part)
        if field == "bind_recursive" and field in fields:
            raise BadValue("bind-recursive and bind-nonrecursive are one field, given twice")
        if field in maps and isinstance(value, tuple):
            maps[field].update([value])
        else:
            fields[field] = value
    if "target" not in fields:
        raise BadValue("target is required")
    fields |= {name: tuple(sorted(found.items())) for name, found in maps.items() if found}
    _require_fields_of_type(fields)
    return _consistent(Mount.model_validate(fields))


def _mount_field(part: str) -> tuple[str, object]:
    key, equals, value = part.partition("=")
    key = _MOUNT_ALIASES.get(key.lower(), key.lower())
    if key in _MOUNT_SWITCHES:
        return key.replace("-", "_"), boolean(value) if equals else True
    if key == "bind-nonrecursive":
        return "bind_recursive", "disabled" if not equals or boolean(value) else ""
    read = _MOUNT_READERS.get(key)
    if read is None or not equals:
        raise BadValue(f"{shown(key)} is no field of --mount, or has no value")
    return _MOUNT_FIELDS.get(key, key.replace("-", "_")), read(value)


def show_mount(value: Mount) -> str:
    """Write the fields that differ from their defaults, in one order."""
    parts = [f"type={value.type}"]
    for key, text in (
        ("source", value.source),
        ("target", value.target),
        ("readonly", "true" if value.read_only else ""),
        ("consistency", value.consistency),
        ("bind-propagation", value.bind_propagation),
        ("bind-recursive", value.bind_recursive),
        ("volume-nocopy", "true" if value.volume_nocopy else ""),
        ("volume-subpath", value.volume_subpath),
        *(("volume-label", show_pair(each)) for each in value.volume_labels),
        ("volume-driver", value.volume_driver),
        *(("volume-opt", show_pair(each)) for each in value.volume_options),
        ("image-subpath", value.image_subpath),
        ("tmpfs-size", show_size(value.tmpfs_size) if value.tmpfs_size else ""),
        ("tmpfs-mode", value.tmpfs_mode),
    ):
        if text:
            parts.append(f"{key}={text}")
    return ",".join(parts)


def _mount_point(text: str) -> str:
    cleaned = path(text)
    if cleaned == "/":
        raise BadValue("the root of the container cannot be mounted over")
    if ":" in cleaned:
        raise BadValue("a path in a container cannot hold a colon here")
    return cleaned


def _source(text: str) -> str:
    if text.startswith("/"):
        return path(text)
    if text.startswith((".", "~")):
        raise BadValue("a host path must be absolute")
    return new_name(text)


def _modes(text: str, *, bind: bool) -> tuple[str, ...]:
    modes = text.split(",")
    for group in _MODE_GROUPS:
        if sum(mode in group for mode in modes) > 1:
            raise BadValue("modes that contradict or repeat each other")
    for mode in modes:
        if mode not in _MODES:
            raise BadValue("not a mode, such as ro")
        if mode == "nocopy" and bind:
            raise BadValue("nocopy is for volumes, not for bind mounts")
        if mode in _PROPAGATIONS and not bind:
            raise BadValue("propagation is for bind mounts, not for volumes")
    return tuple(sorted(set(modes) - {"rw"}))


_TMPFS_OPTION: Final = r"[a-z_]+(?:=[a-zA-Z0-9%]+)?"
_tmpfs_options: Final = matching(rf"(?:{_TMPFS_OPTION}(?:,{_TMPFS_OPTION})*)?", "size=64m,mode=1777")


def _lower(*words: str) -> Callable[[str], str]:
    return lambda text: one_of(*words)(text.lower())


def _subpath(text: str) -> str:
    if not text or text.startswith("/") or ".." in text.split("/"):
        raise BadValue("a subpath is relative and stays inside")
    return text


def _octal(text: str) -> str:
    """Read a mode; 0 is Docker's default, as leaving it out is."""
    return f"{int(matching('[0-7]{1,4}', '1777')(text), 8):o}".removeprefix("0")


def _bind_recursive(text: str) -> str:
    return one_of("enabled", "disabled", "writable", "readonly")(text).replace("enabled", "")


def _require_fields_of_type(fields: Mapping[str, object]) -> None:
    """Refuse what belongs to another type of mount, also where it says no more than the default."""
    for field in fields:
        kind = field.partition("_")[0]
        if kind in _TYPES and kind != fields["type"]:
            raise BadValue(f"{field.replace('_', '-')} is not for mounts of type {fields['type']}")


def _consistent(value: Mount) -> Mount:
    """Refuse what contradicts itself, and put the source into the type's own normal form."""
    if value.bind_recursive in {"writable", "readonly"} and not value.read_only:
        raise BadValue(f"bind-recursive={value.bind_recursive} needs readonly")
    if value.bind_recursive == "readonly" and value.bind_propagation != "rprivate":
        raise BadValue("bind-recursive=readonly needs bind-propagation=rprivate")
    return value.model_copy(update={"source": _mount_source(value)})


def _mount_source(value: Mount) -> str:
    match value.type:
        case "bind":
            return path(value.source)
        case "volume":
            return new_name(value.source) if value.source else ""
        case "tmpfs":
            if value.source:
                raise BadValue("a tmpfs has no source")
            return ""
        case "image":
            return image(value.source)
        case other:
            assert_never(other)


_TYPES: Final = ("bind", "volume", "tmpfs", "image")
_MOUNT_ALIASES: Final = {
    "src": "source",
    "dst": "target",
    "destination": "target",
    "ro": "read-only",
    "readonly": "read-only",
}
_MOUNT_SWITCHES: Final = frozenset({"read-only", "volume-nocopy"})
_MOUNT_FIELDS: Final = {"volume-label": "volume_labels", "volume-opt": "volume_options"}
_MOUNT_READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "type": _lower(*_TYPES),
    "source": free,
    "target": _mount_point,
    "consistency": _lower(*_CONSISTENCIES),
    "bind-propagation": _lower(*_PROPAGATIONS),
    "bind-recursive": _bind_recursive,
    "volume-label": label,
    "volume-opt": pair,
    "volume-subpath": _subpath,
    "volume-driver": matching(r"[a-zA-Z0-9][a-zA-Z0-9_./:-]*", "local"),
    "image-subpath": _subpath,
    "tmpfs-size": size,
    "tmpfs-mode": _octal,
}
