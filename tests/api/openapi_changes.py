"""What a client of an older OpenAPI document would stumble over in a newer one.

``python -m tests.api.openapi_changes OLD NEW`` prints each incompatible change and exits with 1 if there is any.
Compatible are new operations, new optional parameters and fields of requests, and new fields of answers. A value that
is new in an answer's enumeration counts as compatible, and so does a new kind in a union that a field tells apart:
clients are told to expect both.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

Schema = dict[str, Any]
Direction = Literal["request", "response"]
NARROWING = ("pattern", "format", "const", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")
SUCCESS = "2"
CONTENT = ("schema", "itemSchema")
PARTS = ("items", "additionalProperties", "contentSchema")


def incompatible_changes(old: Schema, new: Schema) -> list[str]:
    """Return each change, as a line that begins with the operation."""
    return list(_documents(old, new))


def _documents(old: Schema, new: Schema) -> Iterator[str]:
    for path, operations in old["paths"].items():
        for method, before in operations.items():
            name = f"{method.upper()} {path}"
            after = new["paths"].get(path, {}).get(method)
            if after is None:
                yield f"{name}: is gone"
                continue
            if before["operationId"] != after["operationId"]:
                yield f"{name}: is called {after['operationId']} instead of {before['operationId']}"
            yield from (f"{name}: {change}" for change in _Compare(old, new).operation(before, after))


class _Compare:
    """Compares parts of two documents, references resolved."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new
        self._seen: set[tuple[str, str, str]] = set()

    def operation(self, before: Schema, after: Schema) -> Iterator[str]:
        if after.get("security") and not before.get("security"):
            yield "needs a key now"
        yield from self._parameters(before.get("parameters", []), after.get("parameters", []))
        asked, wanted = _body(before), _body(after)
        if asked is not None and wanted is None:
            yield "takes no body any more"
        elif wanted is not None:
            if asked is None and after["requestBody"].get("required"):
                yield "needs a body now"
            elif asked is not None:
                yield from self.schema(asked, wanted, "body", "request")
        yield from self._answers(before["responses"], after["responses"])

    def _answers(self, before: Schema, after: Schema) -> Iterator[str]:
        for status, answer in before.items():
            if not status.startswith(SUCCESS):
                continue
            if status not in after:
                yield f"does not answer {status} any more"
                continue
            for kind, content in answer.get("content", {}).items():
                found = after[status].get("content", {}).get(kind)
                if found is None:
                    yield f"does not answer {status} with {kind} any more"
                    continue
                for name in CONTENT:
                    if name in content:
                        yield from self.schema(content[name], found.get(name, {}), status, "response")

    def _parameters(self, before: list[Schema], after: list[Schema]) -> Iterator[str]:
        old = {(each["in"], each["name"]): each for each in before}
        new = {(each["in"], each["name"]): each for each in after}
        for key, parameter in old.items():
            if key not in new:
                yield f"parameter {key[1]} is gone"
            else:
                yield from self.schema(parameter["schema"], new[key]["schema"], f"parameter {key[1]}", "request")
        for key, parameter in new.items():
            if parameter.get("required") and not old.get(key, {}).get("required"):
                yield f"parameter {key[1]} is needed now"

    def schema(self, before: Schema, after: Schema, place: str, direction: Direction) -> Iterator[str]:
        pair = (before.get("$ref", ""), after.get("$ref", ""), direction)
        if any(pair[:2]):
            if pair in self._seen:
                return
            self._seen.add(pair)
        old, new = _resolved(self._old, before), _resolved(self._new, after)
        if _options(old) or _options(new):
            yield from self._union(before, after, place, direction)
            return
        if _kind(old) != _kind(new):
            yield f"{place} is of another type"
            return
        if direction == "request":
            yield from _narrowed(old, new, place)
        yield from self._object(old, new, place, direction)
        for part in PARTS:
            if isinstance(old.get(part), dict) and isinstance(new.get(part, {}), dict):
                yield from self.schema(old[part], new.get(part, {}), f"{place}[]", direction)

    def _union(self, before: Schema, after: Schema, place: str, direction: Direction) -> Iterator[str]:
        """Compare by form; one that is no union is a union of one."""
        old, new = _resolved(self._old, before), _resolved(self._new, after)
        forms = {_form(each, self._old): each for each in _options(old) or [before]}
        others = {_form(each, self._new): each for each in _options(new) or [after]}
        for form, option in forms.items():
            if form in others:
                yield from self.schema(option, others[form], place, direction)
            elif direction == "request":
                yield f"{place} does not take {form} any more"
        for form in others.keys() - forms.keys():
            if direction == "response" and "discriminator" not in new:
                yield f"{place} may be {form} now"

    def _object(self, old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[str]:
        fields, others = old.get("properties", {}), new.get("properties", {})
        for name, field in fields.items():
            if name not in others:
                yield f"{place}.{name} is gone"
            else:
                yield from self.schema(field, others[name], f"{place}.{name}", direction)
        if direction == "request":
            for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
                yield f"{place}.{name} is needed now"
        else:
            for name in sorted((set(old.get("required", ())) - set(new.get("required", ()))) & others.keys()):
                yield f"{place}.{name} may be missing now"


def _body(operation: Schema) -> Schema | None:
    content = operation.get("requestBody", {}).get("content", {})
    schema: Schema | None = content.get("application/json", {}).get("schema")
    return schema


def _resolved(document: Schema, schema: Schema) -> Schema:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _kind(schema: Schema) -> str:
    return str(schema.get("type", "anything"))


def _form(schema: Schema, document: Schema) -> str:
    """What tells the forms of a union apart: a model's name, or a type."""
    return schema["$ref"].rpartition("/")[2] if "$ref" in schema else _kind(_resolved(document, schema))


def _options(schema: Schema) -> list[Schema]:
    options: list[Schema] = schema.get("anyOf") or schema.get("oneOf") or []
    return options


def _narrowed(old: Schema, new: Schema, place: str) -> Iterator[str]:
    if missing := set(map(str, old.get("enum", ()))) - set(map(str, new.get("enum", old.get("enum", ())))):
        yield f"{place} does not take {', '.join(sorted(missing))} any more"
    if "enum" in new and "enum" not in old:
        yield f"{place} takes an enumeration's values alone now"
    for name in NARROWING:
        if name in new and new[name] != old.get(name) and not _wider(name, old.get(name), new[name]):
            yield f"{place} has another {name} now"


def _wider(name: str, old: object, new: object) -> bool:
    if not isinstance(old, int | float) or not isinstance(new, int | float):
        return False
    return new <= old if name.startswith("min") else new >= old


def main(old: str, new: str) -> int:
    """Compare two files; return the exit code."""
    changes = incompatible_changes(*(json.loads(Path(name).read_text()) for name in (old, new)))
    for change in changes:
        print(change)  # noqa: T201
    return 1 if changes else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
