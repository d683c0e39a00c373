"""The Compose projects that ``up`` and ``pull`` know: a read-only file of names, directories and file names.

Guarantees: read and checked once, at the start: a project that cannot be served stops the gateway with the file and the
reason. What the projects' own files say is read at each command.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from wingman_core.errors import Code, SettingInvalid

SETTING: Final = "WINGMAN_COMPOSE_PROJECTS"
PROJECT: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")


class Registered(BaseModel):
    """One project: where its files are, and which of them Compose is given, in this order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    directory: Path
    files: Annotated[tuple[str, ...], Field(min_length=1)] = ("compose.yml",)


_FILE: Final = TypeAdapter(dict[str, Registered])


def read_registry(path: Path, binary: Path) -> Mapping[str, Registered]:
    """Return the projects by name; raise ``SettingInvalid``, also where there is no Compose binary for them."""
    if not os.access(binary, os.X_OK) or not binary.is_file():
        raise SettingInvalid(
            Code.SETTING_INVALID,
            f"WINGMAN_COMPOSE_BINARY: {binary} is no program",
            hint="name the docker-compose binary, or leave WINGMAN_COMPOSE_PROJECTS out",
            setting="WINGMAN_COMPOSE_BINARY",
        )
    try:
        projects = _FILE.validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _invalid(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _invalid(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    for name, project in projects.items():
        if PROJECT.fullmatch(name) is None:
            raise _invalid(f"{path}: {name!a} is no name of a Compose project")
        directory = project.directory
        if not directory.is_absolute() or not directory.is_dir() or directory.resolve() != directory:
            raise _invalid(f"{path}: {name}: {directory} is no directory by its full path without links")
        for file in project.files:
            if not (directory / file).is_file():
                raise _invalid(f"{path}: {name}: there is no file {file} in {directory}")
    return projects


def _invalid(message: str) -> SettingInvalid:
    hint = 'write a table for each project: [shop], directory = "/srv/shop", files = ["compose.yml"]'
    return SettingInvalid(Code.SETTING_INVALID, f"{SETTING}: {message}", hint=hint, setting=SETTING)
