"""The OpenAPI document: what generated clients live on."""

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.api.documented import COMMITTED, DOCUMENT, OPERATIONS, resolved
from tests.api.openapi_changes import incompatible_changes
from wingman_api.links import LINKS
from wingman_api.openapi import text
from wingman_api.surface import surface

NAMES = {
    "getWelcome",
    "getHealth",
    "getLiveness",
    "getReadiness",
    "checkInstruction",
    "requestApproval",
    "listPendingApprovals",
    "listApprovals",
    "getApproval",
    "approveApproval",
    "rejectApproval",
    "cancelApproval",
    "startExecution",
    "getExecution",
    "followExecutionOutput",
    "explainPolicy",
    "getMetrics",
    "getGatewayMetrics",
    "mintToken",
    "listAuditRecords",
    "getCheckpoint",
    "getReceipt",
    "followEvents",
    "listEventConsumers",
    "getEventConsumer",
    "putEventConsumer",
    "deleteEventConsumer",
    "listEventConsumerNotes",
    "getEventConsumerNote",
    "getWhoAmI",
    "logClaim",
    "verifyClaim",
    "getStatistics",
}


REPEATABLE = {
    "requestApproval",
    "approveApproval",
    "rejectApproval",
    "cancelApproval",
    "startExecution",
    "logClaim",
    "verifyClaim",
}


@pytest.fixture
async def document(api: Api) -> dict[str, Any]:
    """The live document."""
    found: dict[str, Any] = (await api.call(None, "GET", "/openapi.json")).json()
    return found


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {op["operationId"]: op for ops in document["paths"].values() for op in ops.values()}


def test_it_is_what_was_committed(document: dict[str, Any]):
    assert incompatible_changes(DOCUMENT, document) == [], "clients break; BREAKING=1 make openapi, if that is meant"
    assert document == DOCUMENT, "it has changed: make openapi"
    assert text(surface()) == COMMITTED.read_text("utf-8")


def test_links_lead_to_operations_and_start_from_what_is_answered():
    for name, links in LINKS.items():
        answer = OPERATIONS[name].answer
        assert answer is not None
        for step, link in links.items():
            target = OPERATIONS[link.operation]
            declared = {f"{each['in']}.{each['name']}" for each in target.said.get("parameters", ())}
            assert set(link.parameters) <= declared, (name, step)
            if link.body is not None:
                body = resolved(target.said["requestBody"]["content"]["application/json"]["schema"])
                assert set(body["required"]) == set(link.body), (name, step)
            for expression in (*link.parameters.values(), *(link.body or {}).values()):
                assert found(expression, OPERATIONS[name].parameters("path"), answer["example"]), (name, expression)


def found(expression: str, parameters: dict[str, str], answer: Any) -> bool:  # noqa: ANN401
    """Whether a runtime expression leads to something: a part of the request's path, or of the answer."""
    place, _, pointer = expression.partition("#/")
    if place.startswith("$request.path."):
        return place.removeprefix("$request.path.") in parameters
    for part in pointer.split("/"):
        answer = answer[int(part) if part.isdigit() else part]
    return place == "$response.body"


def test_operation_ids_are_stable(document: dict[str, Any]):
    assert set(operations(document)) == NAMES


def test_every_operation_is_tagged_described_and_declares_its_problems(document: dict[str, Any]):
    for name, operation in operations(document).items():
        assert operation["tags"], name
        assert operation["summary"], name
        assert operation["description"], name
        for status, response in operation["responses"].items():
            if int(status) < 400 or (name in {"getHealth", "getReadiness"} and status == "503"):
                continue
            content = response["content"]
            assert set(content) == {"application/problem+json"}, (name, status)
            assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
        expected = {"422", "500", "503"} | (set() if operation["tags"] == ["system"] else {"401", "429"})
        assert expected <= set(operation["responses"]), name
        assert "403" in operation["responses"] or name == "getWhoAmI" or operation["tags"] == ["system"], name


def test_what_counts_requests_says_so_in_header_fields(document: dict[str, Any]):
    for name, operation in operations(document).items():
        for status, response in operation["responses"].items():
            fields = set(response.get("headers", ()))
            assert ({"RateLimit-Policy", "RateLimit"} <= fields) is ("security" in operation), (name, status)
            waits = status in {"429", "503"} or (status == "409" and name in REPEATABLE)
            assert ("Retry-After" in fields) is waits, (name, status)
            assert ("Idempotent-Replayed" in fields) is (name in REPEATABLE and status in {"200", "202"}), (
                name,
                status,
            )


def test_what_creates_or_decides_is_repeatable(document: dict[str, Any]):
    for name, operation in operations(document).items():
        keys = [each for each in operation.get("parameters", ()) if each["name"] == "Idempotency-Key"]
        assert len(keys) == (name in REPEATABLE), name
        for key in keys:
            assert (key["in"], key["required"]) == ("header", False)
            assert {"409", "422"} <= set(operation["responses"])


def test_every_reference_leads_somewhere(document: dict[str, Any]):
    schemas = document["components"]["schemas"]
    assert {"Problem", "Place", "RequestView", "ExecutionView", "PreviewView"} <= set(schemas)
    assert "HTTPValidationError" not in schemas
    for reference in references(document):
        root, components, kind, name = reference.split("/")
        assert (root, components) == ("#", "components")
        assert name in document["components"][kind], reference


def test_every_object_refuses_unknown_fields(document: dict[str, Any]):
    for name, schema in document["components"]["schemas"].items():
        if schema.get("type") == "object":
            assert schema["additionalProperties"] is False, name


def test_output_is_declared_as_server_sent_events(document: dict[str, Any]):
    for name in ("followExecutionOutput", "followEvents"):
        assert set(operations(document)[name]["responses"]["200"]["content"]) == {"text/event-stream"}


def references(value: Any) -> list[str]:  # noqa: ANN401
    """Every ``$ref`` in a document."""
    if isinstance(value, dict):
        found = [value["$ref"]] if "$ref" in value else []
        return found + [each for child in value.values() for each in references(child)]
    return [each for child in value for each in references(child)] if isinstance(value, list) else []
