"""OpenAPI's links: which parts of an answer the next request is made of (OpenAPI 3.1, Link Object).

What they say holds for answers that have such a part: a page may be empty, a log at its end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

APPROVAL: Final = "$response.body#/request/id"
DECIDED: Final = "$response.body#/id"
EXECUTION: Final = "$response.body#/execution_id"
NAME: Final = "$response.body#/name"
NAMED: Final = "$request.path.name"


@dataclass(frozen=True, slots=True)
class Link:
    """The operation that may follow, and where its parameters and body come from."""

    operation: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, str] | None = None

    def document(self) -> dict[str, Any]:
        """Return the Link Object."""
        link: dict[str, Any] = {"operationId": self.operation}
        if self.parameters:
            link["parameters"] = dict(self.parameters)
        if self.body is not None:
            link["requestBody"] = dict(self.body)
        return link


def _of_approval(place: str) -> dict[str, Link]:
    return {
        "look": Link("getApproval", {"path.request_id": place}),
        "execute": Link("startExecution", body={"approval_id": place}),
    }


def _of_execution(place: str) -> dict[str, Link]:
    return {
        "look": Link("getExecution", {"path.execution_id": place}),
        "follow": Link("followExecutionOutput", {"path.execution_id": place}),
        "prove": Link("getReceipt", {"path.execution_id": place}),
    }


LINKS: Final[Mapping[str, Mapping[str, Link]]] = {
    "requestApproval": {
        **_of_approval(APPROVAL),
        "approve": Link("approveApproval", {"path.request_id": APPROVAL}),
        "reject": Link("rejectApproval", {"path.request_id": APPROVAL}),
        "cancel": Link("cancelApproval", {"path.request_id": APPROVAL}),
    },
    "approveApproval": _of_approval(DECIDED),
    "listPendingApprovals": {"look": Link("getApproval", {"path.request_id": "$response.body#/pending/0/id"})},
    "listApprovals": {
        "look": Link("getApproval", {"path.request_id": "$response.body#/approvals/0/id"}),
        "next": Link("listApprovals", {"query.cursor": "$response.body#/next_cursor"}),
    },
    "startExecution": _of_execution(EXECUTION),
    "getExecution": _of_execution(EXECUTION),
    "listAuditRecords": {
        "prove": Link("getReceipt", {"path.execution_id": "$response.body#/records/0/execution_id"}),
        "next": Link("listAuditRecords", {"query.from": "$response.body#/next"}),
    },
    "putEventConsumer": {
        "look": Link("getEventConsumer", {"path.name": NAME}),
        "notes": Link("listEventConsumerNotes", {"path.name": NAME}),
        "follow": Link("followEvents", {"query.consumer": NAME}),
        "remove": Link("deleteEventConsumer", {"path.name": NAME}),
    },
    "listEventConsumers": {"look": Link("getEventConsumer", {"path.name": "$response.body#/consumers/0/name"})},
    "listEventConsumerNotes": {
        "look": Link("getEventConsumerNote", {"path.name": NAMED, "path.key": "$response.body#/notes/0/key"}),
        "next": Link("listEventConsumerNotes", {"path.name": NAMED, "query.after": "$response.body#/next_after"}),
    },
}
"""By the operation whose successful answer it is, and by a name for the step."""
