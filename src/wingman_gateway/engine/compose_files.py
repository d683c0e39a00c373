"""A project's files as they are now: every file that its Compose model is made of, and no other.

Guarantees: each file is a regular one inside the project's directory that no symbolic link leads to, and is read once;
what Compose reads afterwards is a private copy of those bytes. What lies outside is refused, not read. Files of secrets
and configs are no part of the model: they are bind mounts, and count as such.
"""

import hashlib
import os
import posixpath
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import yaml

from wingman_core.errors import Code, TargetRefused
from wingman_gateway.engine.compose_registry import Registered

LARGEST: Final = 1 << 20
MOST: Final = 200
DOT_ENV: Final = ".env"


class _Loader(yaml.SafeLoader):
    """YAML in which Compose's own tags (``!reset``, ``!override``) are as good as none."""


def _untagged(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> object:
    match node:
        case yaml.MappingNode():
            return loader.construct_mapping(node, deep=True)
        case yaml.SequenceNode():
            return loader.construct_sequence(node, deep=True)
        case _:
            return node.value


_Loader.add_multi_constructor("!", _untagged)


def project_files(registered: Registered) -> Mapping[str, bytes]:
    """Return every file of the project's model by its path in the project's directory; raise ``TargetRefused``."""
    reader = _Reader(registered.directory)
    reader.take(DOT_ENV, "", required=False)
    for file in registered.files:
        reader.compose(file, "", "")
    return reader.files


def digests(files: Mapping[str, bytes]) -> tuple[tuple[str, str], ...]:
    """Return each file's path and SHA-256, sorted."""
    return tuple(sorted((path, hashlib.sha256(data).hexdigest()) for path, data in files.items()))


def copy(files: Mapping[str, bytes], place: Path) -> None:
    """Write the files below an empty private directory."""
    for path, data in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        (place / path).write_bytes(data)


class _Reader:
    """Follows what files refer to, from one to the next."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seen: set[tuple[str, str]] = set()
        self.files: dict[str, bytes] = {}

    def take(self, name: object, base: str, *, required: bool = True) -> str:
        """Read one file; return its path in the project's directory, empty where it may be missing and is."""
        if not isinstance(name, str) or not name or name.startswith(("/", "~")) or "$" in name or "\\" in name:
            raise _refused(f"the path {name!a} is not a plain path inside the project's directory")
        path = posixpath.normpath(posixpath.join(base, name))
        if path.startswith(".."):
            raise _refused(f"the path {name!a} leads out of the project's directory")
        if path not in self.files:
            try:
                self.files[path] = _read(self._directory, path)
            except FileNotFoundError as error:
                if not required:
                    return ""
                raise _refused(f"there is no file {path!a} in it") from error
            except OSError as error:
                raise _refused(f"{path!a} is a symbolic link, or cannot be read: {error.strerror}") from error
            if len(self.files) > MOST:
                raise _refused(f"it has more than {MOST} files")
        return path

    def compose(self, name: object, base: str, own_base: str | None = None) -> None:
        """Read a Compose file and all it refers to; paths in it are relative to its directory, or ``own_base``."""
        path = self.take(name, base)
        base = posixpath.dirname(path) if own_base is None else own_base
        if (path, base) in self._seen:
            return
        self._seen.add((path, base))
        try:
            for document in yaml.load_all(self.files[path], Loader=_Loader):
                if isinstance(document, dict):
                    self._document(document, base)
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            raise _refused(f"{path!a} is no YAML: {str(error).splitlines()[0]!a}") from error

    def _document(self, document: dict[str, Any], base: str) -> None:
        for include in _listed(document.get("include")):
            self._include(include, base)
        services = document.get("services")
        for service in services.values() if isinstance(services, dict) else ():
            if not isinstance(service, dict):
                continue
            extends = service.get("extends")
            if isinstance(extends, dict) and "file" in extends:
                self.compose(extends["file"], base)
            for entry in (*_listed(service.get("env_file")), *_listed(service.get("label_file"))):
                if isinstance(entry, dict):
                    self.take(entry.get("path"), base, required=entry.get("required") is not False)
                else:
                    self.take(entry, base)

    def _include(self, include: object, base: str) -> None:
        entry = include if isinstance(include, dict) else {"path": include}
        if "project_directory" in entry:
            raise _refused("an include with a project_directory is not served")
        for path in _listed(entry.get("path")):
            self.compose(path, base)
            self.take(DOT_ENV, posixpath.dirname(posixpath.join(base, str(path))), required=False)
        for path in _listed(entry.get("env_file")):
            self.take(path, base)


def _listed(value: object) -> Iterator[object]:
    if isinstance(value, list):
        yield from value
    elif value is not None:
        yield value


def _read(directory: Path, path: str) -> bytes:
    """Read a regular file below ``directory``; no part of the way may be a symbolic link."""
    *folders, name = path.split("/")
    with ExitStack() as opened:
        at = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        opened.callback(os.close, at)
        for folder in folders:
            at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            opened.callback(os.close, at)
        # Not blocking: a pipe in a file's place must not hang.
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
        with os.fdopen(file, "rb") as source:
            data = source.read(LARGEST + 1) if stat.S_ISREG(os.fstat(file).st_mode) else None
    if data is None or len(data) > LARGEST:
        raise _refused(f"{path!a} is no regular file of at most {LARGEST >> 10} KiB")
    return data


def _refused(what: str) -> TargetRefused:
    return TargetRefused(
        Code.TARGET_NOT_FOUND,
        f"the project's files cannot be used: {what}",
        hint="have whoever keeps the project's directory put every file it needs there",
    )
