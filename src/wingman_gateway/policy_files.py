"""The policy files of one environment, read and validated: nothing starts on files that do not hold together.

Guarantees: every policy parses, validates against the schema, has an ``@id`` of its own and an ``@reason``, and
there is at least one permit. A failure names file, line and reason. Cedar's own errors carry no line, so files
are cut into statements first and each is validated by itself. Does not judge anything: see ``policy``.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cedarpy

from wingman_core.command.grammar import COMMANDS
from wingman_core.errors import Code, PolicyInvalid

SCHEMA_FILE: Final = "schema.cedarschema"
EVERYWHERE: Final = "everywhere"
VERBS: Final = frozenset(str(command.operation.model_fields["verb"].default) for command in COMMANDS)


@dataclass(frozen=True, slots=True)
class Rule:
    """What users see of one policy, and where it stands."""

    id: str
    reason: str
    permits: bool
    place: str


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """One environment's schema and policies, parsed once."""

    schema: cedarpy.Schema
    policies: cedarpy.PolicySet
    rules: dict[str, Rule]


def read_policy_files(directory: Path, environment: str) -> PolicyFiles:
    """Read schema, ``everywhere.cedar`` and ``<environment>.cedar``; raise ``PolicyInvalid``."""
    schema_path = directory / SCHEMA_FILE
    schema_text = read_text(schema_path)
    try:
        schema = cedarpy.Schema.from_str(schema_text)
    except ValueError as error:
        raise invalid(schema_path, 1, str(error)) from error
    _require_verbs(schema_path, schema_text)
    rules: dict[str, Rule] = {}
    sources = []
    for path in (directory / f"{EVERYWHERE}.cedar", directory / f"{environment}.cedar"):
        text = read_text(path)
        for line, statement in _statements(text):
            rule = _rule(path, line, statement, schema)
            if rule.id in rules:
                raise invalid(path, line, f'@id("{rule.id}") is taken by {rules[rule.id].place}')
            rules[rule.id] = rule
        sources.append(text)
    if not any(rule.permits for rule in rules.values()):
        raise invalid(path, 1, "no policy permits anything; a rule set without a permit is taken for a mistake")
    return PolicyFiles(schema, cedarpy.PolicySet.from_str("\n".join(sources)), rules)


def _require_verbs(path: Path, schema: str) -> None:
    """Raise ``PolicyInvalid`` for a schema without an action for each verb, as one that an older Wingman shipped."""
    missing = sorted(verb for verb in VERBS if f'"{verb}"' not in schema)
    if missing:
        raise invalid(
            path,
            1,
            f"it has no action for {', '.join(missing[:3])}{' and others' if missing[3:] else ''}: it is of an older"
            f" Wingman. Take over {SCHEMA_FILE}, and the policies and cases that came with it, from the package's"
            " wingman_gateway/policies; where you changed none of them, remove the directory, and the next start copies"
            " them anew",
        )


def read_text(path: Path) -> str:
    """Return the file's text; raise ``PolicyInvalid`` where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise invalid(path, 1, f"cannot be read: {type(error).__name__}") from error


def invalid(path: Path, line: int, reason: str) -> PolicyInvalid:
    """Build the one error of this module: file, line, reason."""
    return PolicyInvalid(
        Code.POLICY_INVALID,
        f"{path}:{line}: {reason}",
        hint="correct the file; nothing starts on policies that do not validate",
        file=str(path),
        line=str(line),
    )


def _rule(path: Path, line: int, statement: str, schema: cedarpy.Schema) -> Rule:
    try:
        parsed = json.loads(cedarpy.policies_to_json_str(statement))
    except ValueError as error:
        raise invalid(path, line, str(error)) from error
    if parsed["templates"] or len(parsed["staticPolicies"]) != 1:
        raise invalid(path, line, "expected one policy; templates are not supported")
    (policy,) = parsed["staticPolicies"].values()
    annotations = policy.get("annotations", {})
    for wanted in ("id", "reason"):
        if not annotations.get(wanted):
            raise invalid(path, line, f'the policy has no @{wanted}("...")')
    validation = cedarpy.validate_policies(statement, schema)
    if not validation.validation_passed:
        raise invalid(path, line, "; ".join(error.error for error in validation.errors))
    return Rule(annotations["id"], annotations["reason"], policy["effect"] == "permit", f"{path}:{line}")


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield (first line, source) of each statement: up to a ``;`` outside strings and comments."""
    start, line, index = -1, 1, 0
    first = 1
    while index < len(text):
        character = text[index]
        if text.startswith("//", index):
            index = _end_of(text, index, "\n")
            continue
        if start < 0 and not character.isspace():
            start, first = index, line
        if character == '"':
            end = _end_of_string(text, index)
            line += text.count("\n", index, end)
            index = end
            continue
        line += character == "\n"
        index += 1
        if character == ";":
            yield first, text[start:index]
            start = -1
    if start >= 0:
        yield first, text[start:]


def _end_of(text: str, index: int, mark: str) -> int:
    found = text.find(mark, index)
    return len(text) if found < 0 else found


def _end_of_string(text: str, index: int) -> int:
    index += 1
    while index < len(text) and text[index] != '"':
        index += 2 if text[index] == "\\" else 1
    return min(index + 1, len(text))
