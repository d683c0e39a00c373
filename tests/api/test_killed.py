"""An API that is killed under load, again and again: clients that repeat with their keys converge."""

import asyncio
import os
import socket
from typing import Any

import httpx
import pytest

from tests.api.conftest import NO_TLS, Api
from tests.api.test_app import start

KILLS = int(os.environ.get("KILLS", "3"))
"""`make faults` says 20."""
CLIENTS = 8 * KILLS


class Client:
    """One worker's story, told to whichever process answers: ask, have it approved, run it."""

    def __init__(self, http: httpx.AsyncClient, number: int, keys: dict[str, str]) -> None:
        self.http = http
        self.number = number
        self.keys = keys
        self.repeated = 0

    async def post(self, who: str, path: str, step: str, **body: Any) -> dict[str, Any]:  # noqa: ANN401
        """Send it until it is answered, then once more: the answers must be the same."""
        first = await self._until_answered(who, path, step, body)
        again = await self._until_answered(who, path, step, body)
        assert first.is_success, first.text
        assert again.headers["idempotent-replayed"] == "true"
        assert again.content == first.content
        answer: dict[str, Any] = first.json()
        return answer

    async def _until_answered(self, who: str, path: str, step: str, body: dict[str, Any]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.keys[who]}", "Idempotency-Key": f"{step}-{self.number}"}
        while True:
            try:
                response = await self.http.post(path, json=body, headers=headers)
            except httpx.TransportError:
                response = None
            if response is not None and response.status_code not in (409, 503):
                return response
            self.repeated += 1
            await asyncio.sleep(0.02)

    async def story(self) -> tuple[str, str]:
        """The request's and the execution's id."""
        asked = await self.post(
            "worker",
            "/approvals/request",
            "ask",
            worker_id="agent-7",
            task_name=f"number {self.number}",
            instruction="i",
            commands=[f"docker restart web{self.number}"],
        )
        request_id: str = asked["request"]["id"]
        assert asked["deduped"] is False
        approved = await self.post("alice", f"/approvals/{request_id}/approve", "approve", note="yes")
        assert (approved["status"], len(approved["decisions"])) == ("APPROVED", 1)
        started = await self.post("worker", "/executions", "run", approval_id=f"{request_id}.0")
        return request_id, started["execution_id"]


@pytest.mark.timeout(300)
async def test_nothing_is_lost_or_done_twice(api: Api, environ: dict[str, str]):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environ["WINGMAN_API_LISTEN"] = f"127.0.0.1:{port}"
    keys = {who: await api.key(who) for who in ("worker", "alice")}
    limits = httpx.Limits(max_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=NO_TLS, timeout=30, limits=limits) as http:
        clients = [Client(http, number, keys) for number in range(CLIENTS)]
        telling = [asyncio.create_task(client.story()) for client in clients]
        for turn in range(KILLS + 1):
            process = await start(environ)
            assert process.stdout is not None
            for _ in range(6 + 10 * (turn % 4)):  # lines of the log: it has begun, and has answered some
                await process.stdout.readline()
            reading = asyncio.create_task(process.stdout.read())
            if turn < KILLS:
                process.kill()
            else:
                stories = await asyncio.gather(*telling)
                process.terminate()
            await asyncio.gather(process.wait(), reading)
    assert sum(client.repeated for client in clients) > CLIENTS, "each was cut off at least while nobody listened"
    assert len({request_id for request_id, _ in stories}) == len({execution for _, execution in stories}) == CLIENTS
    for table in ("approval_request", "approval_decision"):
        assert len(await api.sql(f"SELECT 1 FROM {table}")) == CLIENTS
    intents = await api.sql("SELECT execution_id, approval_id FROM execution_audit WHERE kind = 'INTENT'")
    assert {(f"{request_id}.0", execution) for request_id, execution in stories} == {
        (row["approval_id"], row["execution_id"]) for row in intents
    }
    assert len(intents) == CLIENTS
