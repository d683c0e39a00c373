"""``/gateway/token``: minted for one approved command and one certificate, and for nothing else."""

# ruff: noqa: ANN401 - fields of requests are of any kind here

import base64
import json
from datetime import datetime, timedelta
from typing import Any

import grpc
import httpx
import pytest

from tests.api.conftest import RESTART, Api
from wingman_api.executions.minting import APPROVAL_LIFE
from wingman_cli.pki import Authority, Leaf
from wingman_rpc.v1 import gateway_pb2 as pb
from wingman_rpc.v1 import gateway_pb2_grpc as pb_grpc

THUMBPRINT = "ab" * 32


async def mint(api: Api, approval_id: str, who: str | None = "worker", **changes: Any) -> httpx.Response:
    body = {"approval_id": approval_id, "command": RESTART, "client_thumbprint": THUMBPRINT, **changes}
    return await api.call(who, "POST", "/gateway/token", json=body)


def claims(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    payload = response.json()["capability_token"].split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return decoded


async def present(api: Api, pki: Authority, leaf: Leaf, response: httpx.Response) -> list[pb.ExecuteResponse]:
    credentials = grpc.ssl_channel_credentials(
        pki.certificate.read_bytes(), leaf.key.read_bytes(), leaf.certificate.read_bytes()
    )
    answer = response.json()
    async with grpc.aio.secure_channel(api.gateway.address, credentials) as channel:
        request = pb.ExecuteRequest(capability_token=answer["capability_token"], command=answer["command"])
        return [event async for event in pb_grpc.ExecutionGatewayStub(channel).Execute(request, timeout=30)]


async def test_a_tool_presents_its_token_itself(api: Api, pki: Authority):
    approval = await api.approved()
    tool = pki.leaf("tool-deploy")
    # Another spelling of the same operation is the same command.
    response = await mint(api, approval, command="docker container restart -t=5 web", client_thumbprint=tool.thumbprint)
    answer = response.json()
    assert (answer["command"], answer["approval_id"]) == (RESTART, f"{approval}.0")
    assert datetime.fromisoformat(answer["expires_at"]) <= api.clock.now() + timedelta(seconds=60)
    events = await present(api, pki, tool, response)
    assert events[0].accepted.audit_position == 0
    assert events[-1].finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    # The API knows of it from the audit log alone.
    view = (await api.call("worker", "GET", f"/executions/{events[0].accepted.execution_id}")).json()
    assert view["state"] == "SUCCEEDED"


async def test_a_token_says_for_whom_it_is(api: Api):
    said = claims(await mint(api, await api.approved()))
    assert said["cnf"] == {"x5t#S256": base64.urlsafe_b64encode(bytes.fromhex(THUMBPRINT)).rstrip(b"=").decode()}
    assert said["sub"] == "agent-7"
    assert [decider["name"] for decider in said["by"]] == ["alice"]


async def test_another_certificate_cannot_present_it(api: Api, pki: Authority):
    response = await mint(api, await api.approved(), client_thumbprint=pki.leaf("tool-deploy").thumbprint)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await present(api, pki, pki.leaf("api"), response)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_any_number_of_tokens_spends_an_approval_once(api: Api, pki: Authority):
    approval, tool = await api.approved(), pki.leaf("tool-deploy")
    tokens = [await mint(api, approval, client_thumbprint=tool.thumbprint) for _ in range(3)]
    assert len({claims(token)["jti"] for token in tokens}) == 3
    assert await present(api, pki, tool, tokens[1])
    for token in (tokens[0], tokens[2]):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await present(api, pki, tool, token)
        assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert (await api.execute(approval)).json()["code"] == "APPROVAL_SPENT"


async def test_what_is_handed_out_is_in_the_history_without_the_token(api: Api):
    approval = await api.approved()
    token = (await mint(api, approval)).json()["capability_token"]
    history = (await api.call("operator", "GET", f"/approvals/{approval}")).json()["history"]
    assert (history[-1]["event"], history[-1]["actor"]) == ("token.minted", "agent-7")
    assert history[-1]["note"] == f"{approval}.0 for client {THUMBPRINT[:16]}"
    assert token not in str(history)
    assert token not in str(api.log)


async def test_of_several_commands_the_named_or_the_matching_one_is_meant(api: Api):
    commands = [RESTART, "docker stop db", "docker stop db"]
    approval = await api.approved(commands=commands)
    assert (await mint(api, approval)).json()["approval_id"] == f"{approval}.0"
    assert (await mint(api, f"{approval}.2", command="docker stop db")).json()["approval_id"] == f"{approval}.2"
    assert (await mint(api, approval, command="docker stop db")).json()["code"] == "REQUEST_INVALID"
    assert (await mint(api, f"{approval}.0", command="docker stop db")).json()["code"] == "OPERATION_MISMATCH"
    assert (await mint(api, approval, command="docker stop web")).json()["code"] == "OPERATION_MISMATCH"
    assert (await mint(api, f"{approval}.3")).json()["code"] == "APPROVAL_UNKNOWN"


@pytest.mark.parametrize(
    ("who", "changes", "status", "code"),
    [
        ("worker", {"command": "docker rm -f web"}, 409, "OPERATION_MISMATCH"),
        ("worker", {"command": "docker restart db"}, 409, "OPERATION_MISMATCH"),
        ("worker", {"command": "docker restart web; id"}, 422, "COMMAND_CHARACTER"),
        ("worker", {"client_thumbprint": "ab"}, 422, "REQUEST_INVALID"),
        ("worker", {"client_thumbprint": ("ab" * 32).upper()}, 422, "REQUEST_INVALID"),
        ("worker", {"lifetime": 300}, 422, "REQUEST_INVALID"),
        ("other-worker", {}, 404, "APPROVAL_UNKNOWN"),
        ("alice", {}, 403, "ROLE_MISSING"),
        ("auditor", {}, 403, "ROLE_MISSING"),
        ("bot", {}, 403, "ROLE_MISSING"),
        (None, {}, 401, "KEY_MISSING"),
    ],
)
async def test_everything_else_gets_no_token(
    api: Api, who: str | None, changes: dict[str, Any], status: int, code: str
):
    response = await mint(api, await api.approved(), who, **changes)
    assert (response.status_code, response.json()["code"]) == (status, code)


async def test_only_an_approved_request_that_has_a_command_gets_a_token(api: Api):
    pending = (await api.asked())["request"]["id"]
    assert (await mint(api, pending)).json()["code"] == "APPROVAL_PENDING"
    await api.decide("alice", pending, "reject")
    assert (await mint(api, pending)).json()["code"] == "APPROVAL_DECIDED"
    sign_off = await api.approved(commands=None)
    assert (await mint(api, sign_off)).json()["code"] == "APPROVAL_SIGN_OFF"
    late = await api.approved(task_name="Later")
    api.clock.ahead = APPROVAL_LIFE
    assert (await mint(api, late)).json()["code"] == "APPROVAL_EXPIRED"
