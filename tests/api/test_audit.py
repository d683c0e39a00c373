"""``/audit``: pages, the head, and receipts that hold without this server."""

# ruff: noqa: ANN401 - answers are of any kind here

from typing import Any

import pytest

from tests.api.conftest import RESTART, Api
from tests.api.fake_gateway import VERIFIER
from wingman_core.audit_record import RecordKind
from wingman_core.checkpoint import open_checkpoint
from wingman_core.receipt import check_receipt


async def ran(api: Api, **changes: Any) -> str:
    started = (await api.execute(await api.approved(**changes))).json()
    execution_id: str = started["execution_id"]
    await api.finished(execution_id)
    return execution_id


async def page(api: Api, who: str | None = "auditor", **params: Any) -> dict[str, Any]:
    response = await api.call(who, "GET", "/audit", params=params)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_an_empty_log_has_no_records_and_no_checkpoint(api: Api):
    assert await page(api) == {"records": [], "next": None, "size": 0}
    assert (await api.call("auditor", "GET", "/audit/checkpoint")).status_code == 404


async def test_the_log_is_read_page_by_page_in_order(api: Api):
    ids = [await ran(api, task_name=f"Task {number}") for number in range(3)]
    whole = await page(api)
    assert [record["kind"] for record in whole["records"]] == ["INTENT", "RESULT"] * 3
    assert [record["execution_id"] for record in whole["records"][::2]] == ids
    assert (whole["next"], whole["size"]) == (None, 6)
    gathered, first = [], 0
    while first is not None:
        part = await page(api, **{"from": first, "limit": 4})
        gathered += part["records"]
        first = part["next"]
    assert gathered == whole["records"]
    first_record = whole["records"][0]
    assert (first_record["command"], first_record["worker_id"]) == (RESTART, "agent-7")
    assert [each["name"] for each in first_record["deciders"]] == ["alice"]
    assert [r["position"] for r in (await page(api, kind="RESULT"))["records"]] == [1, 3, 5]
    assert [r["position"] for r in (await page(api, execution_id=ids[1]))["records"]] == [2, 3]
    assert (await page(api, worker="somebody"))["records"] == []


async def test_a_worker_sees_its_own_records(api: Api):
    await ran(api)
    assert len((await page(api, "worker"))["records"]) == 2
    assert (await page(api, "other-worker"))["records"] == []
    refused = await api.call("other-worker", "GET", "/audit", params={"worker": "agent-7"})
    assert refused.json()["code"] == "PERSON_MISMATCH"


async def test_the_checkpoint_is_the_logs_own_signed_head(api: Api):
    await ran(api)
    answer = (await api.call("auditor", "GET", "/audit/checkpoint")).json()
    signed = open_checkpoint(answer["note"], [VERIFIER])
    assert (signed.origin, signed.size, signed.root.hex()) == (answer["origin"], answer["size"], answer["root"])
    assert answer["size"] == 2


@pytest.mark.parametrize("before", [0, 1, 4])
async def test_a_receipt_holds_offline(api: Api, before: int):
    for number in range(before):
        await ran(api, task_name=f"Before {number}")
    execution_id = await ran(api)
    await ran(api, task_name="After")
    response = await api.call("worker", "GET", f"/audit/{execution_id}/receipt")
    assert response.status_code == 200, response.text
    checked = check_receipt(response.content, [VERIFIER])
    assert (checked.intent.command, checked.intent_position) == (RESTART, 2 * before)
    assert checked.outcome is not None
    assert (checked.outcome.kind, checked.outcome.exit_code) == (RecordKind.RESULT, 0)
    assert [each.person for each in checked.request.decisions] == ["alice"]
    shown = response.json()["shown"]
    assert shown["risk"]["votes"]
    assert shown["commands"][0]["preview"]["canonical_command"] == RESTART


async def test_each_command_of_a_request_has_a_receipt_of_its_own(api: Api):
    approval = await api.approved(commands=[RESTART, "docker stop db"])
    for n, command in enumerate((RESTART, "docker stop db")):
        execution_id = (await api.execute(f"{approval}.{n}")).json()["execution_id"]
        await api.finished(execution_id)
        response = await api.call("auditor", "GET", f"/audit/{execution_id}/receipt")
        assert check_receipt(response.content, [VERIFIER]).intent.command == command


async def test_a_receipt_is_for_those_who_may_see_the_execution(api: Api):
    execution_id = await ran(api)
    for who in ("alice", "auditor", "operator", "bot", None):
        assert (await api.call(who, "GET", f"/audit/{execution_id}/receipt")).status_code == 200
    hidden = await api.call("other-worker", "GET", f"/audit/{execution_id}/receipt")
    unknown = await api.call("auditor", "GET", f"/audit/exe_{'a' * 26}/receipt")
    assert (hidden.status_code, unknown.status_code) == (404, 404)
    assert hidden.json()["code"] == unknown.json()["code"] == "EXECUTION_UNKNOWN"
