"""A secret on a command line shows nowhere: in no answer, event, log line, card or row but the command's own (I16)."""

import json
import secrets
from typing import Any

import httpx
from rich.console import Console

from tests.api.conftest import Api
from tests.api.fake_gateway import VERIFIER, forbidden
from wingman_api.approvals.schemas import RequestView
from wingman_bot import views
from wingman_bot.cards import card
from wingman_bot.details import details
from wingman_cli.cards import request_card
from wingman_core.command import parse, render
from wingman_core.command.hidden import hide
from wingman_core.receipt import check_receipt

TABLES = """
SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
"""


class Planted:
    """A command with one secret in its environment, labels and arguments; and all that is said of it."""

    def __init__(self) -> None:
        self.secret = secrets.token_hex(12)
        self.command = (
            f"docker run --env DB_PASSWORD={self.secret} --label token={self.secret} img tool --password={self.secret}"
        )
        self.shown = hide(render(parse(self.command)))
        self.said: list[str] = []

    def take(self, response: httpx.Response, status: int = 200) -> Any:  # noqa: ANN401
        assert response.status_code == status, response.text
        self.said.append(response.text)
        return response.json() if "json" in response.headers["content-type"] else None


async def rows_with(api: Api, text: str) -> dict[str, int]:
    """How many rows of each table hold the text, as the superuser sees them."""
    tables = [row["name"] for row in await api.sql(TABLES, role="wingman_owner")]
    found = {}
    for table in tables:
        query = f"SELECT count(*) AS n FROM {table} AS t WHERE strpos(t::text, $1) > 0"
        (row,) = await api.sql(query, text, role="wingman_owner")
        if row["n"]:
            found[table] = row["n"]
    return found


async def test_a_planted_secret_is_in_one_column_and_nowhere_else(api: Api):
    planted = Planted()
    text = f"Start it so:\n{planted.command}\nwith DB_PASSWORD={planted.secret}"
    wish = {"worker_id": "agent-7", "task_name": f"token={planted.secret}", "instruction": text}
    async with await api.client("worker") as worker:
        for _ in range(2):  # the second is the idempotent replay
            headers = {"Idempotency-Key": "once-and-again"}
            asked = planted.take(await worker.post("/approvals/request", json=wish, headers=headers))
        planted.take(await worker.post("/approvals/request", json=wish))  # and the identical request
    request_id = asked["request"]["id"]
    assert asked["request"]["commands"][0]["command"] == asked["previews"][0]["canonical_command"] == planted.shown
    assert planted.shown.count("[REDACTED sha256:") == 3, "which values are hidden is seen"

    for path in ("/approvals", "/approvals/pending", f"/approvals/{request_id}"):
        request = planted.take(await api.call("alice", "GET", path))
    explained = await api.call("worker", "GET", "/policy/explain", params={"command": planted.command})
    planted.take(explained)
    of_bot = views.Request.model_validate(request)
    drawn = card(of_bot, {}, ["alice"])
    assert planted.shown in drawn.body.text
    planted.said += [drawn.body.text, str(drawn.document), details(of_bot).text]
    console = Console(width=400)
    with console.capture() as printed:
        console.print(request_card(RequestView.model_validate({k: v for k, v in request.items() if k != "history"})))
    planted.said.append(printed.get())

    planted.take(await api.decide("alice", request_id, "approve", note="go"))
    minted = {"approval_id": request_id, "command": planted.command, "client_thumbprint": "ab" * 32}
    planted.take(await api.call("worker", "POST", "/gateway/token", json=minted))
    execution_id = planted.take(await api.execute(request_id), 202)["execution_id"]
    await api.finished(execution_id)
    for path in (f"/executions/{execution_id}", "/audit"):
        planted.take(await api.call("operator", "GET", path))
    receipt = await api.call("worker", "GET", f"/audit/{execution_id}/receipt")
    planted.take(receipt)
    assert check_receipt(receipt.content, [VERIFIER]).intent.command == planted.shown

    assert api.gateway.claims[-1].apr.startswith(request_id), "and yet what was approved is what ran"
    assert planted.secret not in "\n".join(planted.said)
    assert planted.secret not in json.dumps(api.log, default=str)
    assert await rows_with(api, planted.secret) == {"public.approval_command": 1}
    (kept,) = await api.sql("SELECT operation_digest, target_digest, preview FROM approval_command")
    assert planted.secret not in str(tuple(kept)), "the command's column alone"


async def test_labels_of_objects_and_what_policy_forbids_show_none_either(api: Api):
    planted = Planted()
    command = render(parse(planted.command))

    def labelled(response: Any) -> None:  # noqa: ANN401
        response.targets[0].labels.update({"api_token": planted.secret, "tier": "web"})

    api.gateway.answers[command] = labelled
    explained = planted.take(await api.call("worker", "GET", "/policy/explain", params={"command": command}))
    assert explained["targets"][0]["labels"] == {"a": "b", "api_token": "[redacted]", "tier": "web"}
    api.gateway.verdicts[command] = forbidden("no")
    refused = planted.take(await api.ask(commands=[command]), 422)
    assert refused["details"]["command"] == planted.shown
    assert planted.secret not in "".join(planted.said)
