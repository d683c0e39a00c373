"""The cases beside each policy file: commands that must be allowed and commands that must not.

They run whenever policies are loaded, so that an edit which changes a verdict is seen before it counts. A case
names a command, what is expected of it (``automatic``, ``forbidden``, or how many people), optionally the policy
that must have decided, and what the engine would know of the objects it names.
"""

import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Protocol, assert_never

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wingman_core.command import Operation, parse
from wingman_core.errors import CommandRefused, PolicyInvalid
from wingman_core.target import Target
from wingman_core.verdict import Automatic, Forbidden, NeedsPeople, Verdict
from wingman_gateway.policy_files import EVERYWHERE, invalid, read_text
from wingman_gateway.resources import unresolved


class Judge(Protocol):
    """The part of ``Policy`` that cases need."""

    def verdict(self, op: Operation, targets: tuple[Target, ...], worker: str) -> Verdict:
        """Say what the policy makes of it."""
        ...


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ObjectFacts(_Strict):
    """What the engine would know of an object the command names."""

    name: str | None = None
    project: str = ""
    labels: dict[str, str] = {}
    privileges: list[str] = []


class Case(_Strict):
    """One command and the verdict it must get."""

    command: str
    expect: Literal["automatic", "forbidden"] | Annotated[int, Field(ge=1)]
    because: str | None = None
    worker: str = "worker"
    objects: dict[str, ObjectFacts] = {}


class _CaseFile(_Strict):
    case: list[Case] = Field(min_length=1)


def check_cases(policy: Judge, directory: Path, environment: str) -> None:
    """Run ``cases/everywhere.toml`` and ``cases/<environment>.toml``; raise ``PolicyInvalid`` at the first surprise."""
    for name in (EVERYWHERE, environment):
        path = directory / "cases" / f"{name}.toml"
        for line, case in read_cases(path):
            _check(policy, path, line, case)


def read_cases(path: Path) -> list[tuple[int, Case]]:
    """Return the file's cases, each with its line; raise ``PolicyInvalid``."""
    text = read_text(path)
    try:
        cases = _CaseFile.model_validate(tomllib.loads(text)).case
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        raise invalid(path, int(found[1]) if found else 1, str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        number = next((part for part in first["loc"] if isinstance(part, int)), 0)
        raise invalid(path, _line_of(text, number), f"{where}: {first['msg']}") from error
    return [(_line_of(text, number), case) for number, case in enumerate(cases)]


def _line_of(text: str, number: int) -> int:
    """Return the line of the ``number``-th ``[[case]]`` header (from 0), 1 where there is none."""
    lines = [line for line, content in enumerate(text.splitlines(), 1) if content.strip() == "[[case]]"]
    return lines[number] if number < len(lines) else 1


def _check(policy: Judge, path: Path, line: int, case: Case) -> None:
    try:
        op = parse(case.command)
    except CommandRefused as error:
        raise invalid(path, line, f"{case.command!a} is no command: {error.message}") from error
    verdict = policy.verdict(op, _targets(path, line, op, case), case.worker)
    match verdict:
        case Automatic():
            found: str | int = "automatic"
        case NeedsPeople():
            found = verdict.people
        case Forbidden():
            found = "forbidden"
        case _:
            assert_never(verdict)
    if found != case.expect:
        raise _surprise(path, line, case, f"expected {case.expect}, found {found}", verdict)
    if case.because is not None and case.because not in verdict.policies:
        raise _surprise(path, line, case, f"expected {case.because} to decide", verdict)


def _surprise(path: Path, line: int, case: Case, what: str, verdict: Verdict) -> PolicyInvalid:
    decided = ", ".join(verdict.policies) or "none"
    return invalid(path, line, f"{case.command!a}: {what} (policies: {decided}; {verdict.reason})")


def _targets(path: Path, line: int, op: Operation, case: Case) -> tuple[Target, ...]:
    targets = unresolved(op)
    unknown = set(case.objects) - {target.reference.name for target in targets}
    if unknown:
        raise invalid(path, line, f"{case.command!a} names no object {min(unknown)!a}")
    return tuple(_known(target, case.objects.get(target.reference.name)) for target in targets)


def _known(target: Target, known: ObjectFacts | None) -> Target:
    if known is None:
        return target
    return replace(
        target,
        name=target.name if known.name is None else known.name,
        project=known.project,
        labels=tuple(sorted(known.labels.items())),
        privileges=tuple(known.privileges),
    )
