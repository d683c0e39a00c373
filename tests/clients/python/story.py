"""One command's life, told by the generated Python client; prints the receipt.

``story.py URL``, with the keys of a worker and of an approver in WORKER_KEY and APPROVER_KEY.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from wingman_client import AuthenticatedClient
from wingman_client.api.approvals import approve_approval, list_pending_approvals, request_approval
from wingman_client.api.audit import get_receipt
from wingman_client.api.claims import get_statistics, verify_claim
from wingman_client.api.executions import get_execution, start_execution
from wingman_client.api.identity import get_who_am_i
from wingman_client.api.instructions import check_instruction
from wingman_client.models import (
    Asked,
    AskedAnswer,
    CheckAnswer,
    Decided,
    ExecutionView,
    Instruction,
    PendingAnswer,
    Problem,
    ProcessRunning,
    Receipt,
    RequestView,
    Role,
    StartedAnswer,
    StatisticsAnswer,
    Status,
    ToExecute,
    ToVerify,
    VerifiedAnswer,
    WhoAmI,
)
from wingman_client.types import Response

T = TypeVar("T")
PATIENCE = 30.0


def expect(kind: type[T], answer: object) -> T:
    """Return the answer as what it should be."""
    if not isinstance(answer, kind):
        raise SystemExit(f"not a {kind.__name__}: {answer}")
    return answer


def check(what: str, *, holds: bool) -> None:
    """End the story where something does not hold."""
    if not holds:
        raise SystemExit(f"it does not hold: {what}")


def refused(answer: Response[T | Problem], status: HTTPStatus, code: str) -> Problem:
    """Return the problem that the API refused with."""
    problem = expect(Problem, answer.parsed)
    check(
        f"{code}, not {problem.code}",
        holds=(answer.status_code, problem.status, problem.code) == (status, status, code),
    )
    check("a problem says what to do", holds=bool(problem.hint and problem.type_.startswith("urn:wingman:problem:")))
    return problem


def eventually(look: Callable[[], ExecutionView]) -> ExecutionView:
    """Return the execution once it is over."""
    deadline = time.monotonic() + PATIENCE
    while (view := look()).state == "RUNNING":
        check("the execution ends", holds=time.monotonic() < deadline)
        time.sleep(0.05)
    return view


def story(worker: AuthenticatedClient, approver: AuthenticatedClient) -> Receipt:
    """Tell it; return the receipt."""
    me = expect(WhoAmI, get_who_am_i.sync(client=worker))
    check("who calls", holds=(me.role, me.key_id is None) == (Role.WORKER, False))

    gate = expect(CheckAnswer, check_instruction.sync(client=worker, body=Instruction("DELIVERABLES: a restart")))
    check("the gate counts sections", holds=(gate.score, gate.approved, len(gate.missing_sections)) == (10, False, 9))

    wish = Asked(
        worker_id=me.person,
        task_name="Restart the web server",
        instruction="It leaks memory.",
        commands=["docker restart --time 10 web"],
    )
    asked = expect(AskedAnswer, request_approval.sync(client=worker, body=wish, idempotency_key="a-story-0001"))
    again = request_approval.sync_detailed(client=worker, body=wish, idempotency_key="a-story-0001")
    check("sent twice, asked once", holds=expect(AskedAnswer, again.parsed).request.id == asked.request.id)
    check("and said so", holds=again.headers["Idempotent-Replayed"] == "true")
    (command,) = asked.request.commands
    check("it waits", holds=(asked.needs_approval, asked.status) == (True, Status.PENDING))
    early = start_execution.sync_detailed(client=worker, body=ToExecute(command.approval_id))
    check("details", holds=refused(early, HTTPStatus.CONFLICT, "APPROVAL_PENDING").details["status"] == "PENDING")

    pending = expect(PendingAnswer, list_pending_approvals.sync(client=approver, limit=10))
    check("it is listed", holds=asked.request.id in {each.id for each in pending.pending})
    mine = approve_approval.sync_detailed(asked.request.id, client=worker, body=Decided())
    refused(mine, HTTPStatus.FORBIDDEN, "ROLE_MISSING")
    decided = expect(RequestView, approve_approval.sync(asked.request.id, client=approver, body=Decided(note="go")))
    check("approved", holds=(decided.status, decided.note) == (Status.APPROVED, "go"))

    started = expect(StartedAnswer, start_execution.sync(client=worker, body=ToExecute(command.approval_id)))
    ended = eventually(lambda: expect(ExecutionView, get_execution.sync(started.execution_id, client=worker)))
    check("it ran", holds=(ended.state, ended.exit_code, ended.command) == ("SUCCEEDED", 0, command.command))
    twice = start_execution.sync_detailed(client=worker, body=ToExecute(command.approval_id))
    spent = refused(twice, HTTPStatus.CONFLICT, "APPROVAL_SPENT")
    check("once", holds=spent.details["execution_id"] == started.execution_id)

    claim = ToVerify(assertions=[ProcessRunning(name="postgres")])
    verified = expect(VerifiedAnswer, verify_claim.sync(client=worker, body=claim))
    check("a claim's verdict", holds=(verified.verdict, len(verified.evidence)) == ("TRUE", 1))
    figures = expect(StatisticsAnswer, get_statistics.sync(client=worker))
    check("it is counted", holds=(figures.total, figures.verdicts.true_) == (1, 1))
    return expect(Receipt, get_receipt.sync(started.execution_id, client=worker))


def client(name: str) -> AuthenticatedClient:
    """Return a client with the key of that variable."""
    return AuthenticatedClient(base_url=sys.argv[1], token=os.environ[name], raise_on_unexpected_status=True)


if __name__ == "__main__":
    print(json.dumps(story(client("WORKER_KEY"), client("APPROVER_KEY")).to_dict()))  # noqa: T201
