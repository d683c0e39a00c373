"""The comparison of documents sees what breaks a client, and nothing else."""

# ruff: noqa: ARG005 - each change takes the same three parts

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.openapi_changes import incompatible_changes

DOCUMENT: dict[str, Any] = {
    "paths": {
        "/things": {
            "post": {
                "operationId": "makeThing",
                "parameters": [
                    {"in": "query", "name": "limit", "schema": {"type": "integer", "maximum": 10}},
                    {"in": "header", "name": "key", "schema": {"type": "string", "pattern": "^a"}},
                ],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Wish"}}},
                },
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Thing"}},
                            "text/event-stream": {
                                "itemSchema": {
                                    "type": "object",
                                    "properties": {"data": {"type": "string", "contentSchema": {"type": "object"}}},
                                }
                            },
                        }
                    },
                    "404": {"description": "none"},
                },
            }
        }
    },
    "components": {
        "schemas": {
            "Wish": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "maxLength": 10},
                    "kind": {"type": "string", "enum": ["a", "b"]},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                },
            },
            "Thing": {
                "type": "object",
                "required": ["id"],
                "properties": {
                    "id": {"type": "string"},
                    "map": {"type": "object", "additionalProperties": {"type": "string"}},
                    "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                    "kinds": {"oneOf": [{"type": "string"}], "discriminator": {"propertyName": "kind"}},
                    "parent": {"anyOf": [{"$ref": "#/components/schemas/Thing"}, {"type": "null"}]},
                    "state": {"type": "string", "enum": ["new"]},
                },
            },
        }
    },
}
Change = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], object]


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def item(operation: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = operation["responses"]["200"]["content"]["text/event-stream"]["itemSchema"]["properties"]
    return data["data"]


def changed(change: Change) -> list[str]:
    new = copy.deepcopy(DOCUMENT)
    schemas = new["components"]["schemas"]
    change(new["paths"]["/things"]["post"], schemas["Wish"], schemas["Thing"])
    return incompatible_changes(DOCUMENT, new)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda op, wish, thing: op.update(operationId="newThing"), "is called newThing"),
        (lambda op, wish, thing: op["parameters"].pop(), "parameter key is gone"),
        (lambda op, wish, thing: op["parameters"][0].update(required=True), "parameter limit is needed now"),
        (lambda op, wish, thing: op["parameters"][0]["schema"].update(maximum=9), "limit has another maximum"),
        (lambda op, wish, thing: op["parameters"][1]["schema"].update(pattern="^b"), "key has another pattern"),
        (lambda op, wish, thing: op.pop("requestBody"), "takes no body"),
        (lambda op, wish, thing: op["responses"].pop("200"), "does not answer 200"),
        (lambda op, wish, thing: wish["required"].append("kind"), "body.kind is needed now"),
        (lambda op, wish, thing: wish["properties"].pop("tags"), "body.tags is gone"),
        (lambda op, wish, thing: wish["properties"]["kind"]["enum"].pop(), "does not take b any more"),
        (lambda op, wish, thing: wish["properties"]["name"].update(maxLength=5), "name has another maxLength"),
        (lambda op, wish, thing: wish["properties"]["name"].update(enum=["x"]), "an enumeration's values alone"),
        (lambda op, wish, thing: wish["properties"]["tags"]["items"].update(type="integer"), "another type"),
        (lambda op, wish, thing: op.update(security=[{"ApiKey": []}]), "needs a key now"),
        (
            lambda op, wish, thing: wish["properties"]["either"]["anyOf"].pop(),
            "body.either does not take null any more",
        ),
        (lambda op, wish, thing: wish["properties"].update(either={"type": "string"}), "does not take null any more"),
        (lambda op, wish, thing: thing["properties"]["either"]["anyOf"].append({"type": "null"}), "may be null now"),
        (lambda op, wish, thing: thing["properties"].update(id=nullable({"type": "string"})), "200.id may be null now"),
        (lambda op, wish, thing: thing["required"].pop(), "200.id may be missing now"),
        (
            lambda op, wish, thing: thing["properties"]["map"]["additionalProperties"].update(type="null"),
            "another type",
        ),
        (lambda op, wish, thing: item(op)["contentSchema"].update(type="array"), "200.data[] is of another type"),
        (lambda op, wish, thing: thing["properties"].pop("id"), "200.id is gone"),
        (lambda op, wish, thing: thing["properties"]["id"].update(type="integer"), "200.id is of another type"),
    ],
)
def test_what_breaks_a_client_is_told(change: Change, told: str):
    (line,) = changed(change)
    assert line.startswith("POST /things: ")
    assert told in line


@pytest.mark.parametrize(
    "change",
    [
        lambda op, wish, thing: None,
        lambda op, wish, thing: op["parameters"].append({"in": "query", "name": "x", "schema": {"type": "string"}}),
        lambda op, wish, thing: op["parameters"][0]["schema"].update(maximum=100),
        lambda op, wish, thing: op["responses"].pop("404"),
        lambda op, wish, thing: wish["properties"].update(more={"type": "string"}),
        lambda op, wish, thing: wish["properties"]["either"]["anyOf"].append({"type": "integer"}),
        lambda op, wish, thing: wish["properties"]["either"]["anyOf"].reverse(),
        lambda op, wish, thing: wish["properties"].update(name=nullable(wish["properties"]["name"])),
        lambda op, wish, thing: thing["properties"]["either"]["anyOf"].pop(),
        lambda op, wish, thing: thing["properties"]["kinds"]["oneOf"].append({"type": "integer"}),
        lambda op, wish, thing: thing["required"].append("state"),
        lambda op, wish, thing: wish["required"].remove("name"),
        lambda op, wish, thing: wish["properties"]["kind"]["enum"].append("c"),
        lambda op, wish, thing: thing["properties"].update(more={"type": "string"}),
        lambda op, wish, thing: thing["properties"]["state"]["enum"].append("old"),
    ],
)
def test_what_breaks_nobody_is_not(change: Change):
    assert changed(change) == []


def test_an_operation_that_is_gone_is_told():
    assert incompatible_changes(DOCUMENT, {**DOCUMENT, "paths": {}}) == ["POST /things: is gone"]
