"""The committed OpenAPI document, as tests walk it: operations, examples, schemas."""

# ruff: noqa: ANN401 - JSON is of any kind

import json
from dataclasses import dataclass
from typing import Any, Final

import jsonschema_rs

from tests.conftest import REPOSITORY

COMMITTED: Final = REPOSITORY / "docs" / "openapi.json"
DOCUMENT: Final[dict[str, Any]] = json.loads(COMMITTED.read_text("utf-8"))
JSON: Final = "application/json"


@dataclass(frozen=True)
class Operation:
    """One operation of the document."""

    name: str
    method: str
    path: str
    said: dict[str, Any]

    def parameters(self, place: str) -> dict[str, Any]:
        """The first example of each parameter in ``place`` (path, query, header) that shows one."""
        shown = {
            each["name"]: _examples(each["schema"]) for each in self.said.get("parameters", ()) if each["in"] == place
        }
        return {name: examples[0] for name, examples in shown.items() if examples}

    @property
    def bodies(self) -> list[Any]:
        """The examples of the body; a single None where there is no body."""
        content = self.said.get("requestBody", {}).get("content", {}).get(JSON)
        return [None] if content is None else _examples(content["schema"])

    @property
    def url(self) -> str:
        """The path with its parameters' examples in it."""
        return self.path.format_map(self.parameters("path"))

    @property
    def answer(self) -> dict[str, Any] | None:
        """The content of a successful answer in JSON; None where there is none."""
        contents = [each.get("content", {}) for status, each in self.said["responses"].items() if status[0] == "2"]
        return next((content[JSON] for content in contents if JSON in content), None)


def _examples(schema: dict[str, Any]) -> list[Any]:
    schema = resolved(schema)
    return ([schema["example"]] if "example" in schema else []) + list(schema.get("examples", ()))


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema behind a reference."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return DOCUMENT["components"]["schemas"][name] if name else schema


def violations(schema: dict[str, Any], value: Any) -> list[str]:
    """What is wrong with ``value``, formats included."""
    whole = {**schema, "components": DOCUMENT["components"]}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    return [f"{each.instance_path}: {each.message}" for each in validator.iter_errors(value)]


OPERATIONS: Final = {
    operation["operationId"]: Operation(operation["operationId"], method.upper(), path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
