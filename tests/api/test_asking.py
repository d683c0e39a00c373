"""Asking for approval: what a wish becomes, and what is refused before anybody is bothered."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from tests.api.conftest import RESTART, Api, eventually
from tests.api.fake_gateway import automatic, forbidden, people
from wingman_core.errors import Code, TargetRefused
from wingman_rpc.v1 import gateway_pb2 as pb


async def test_a_wish_becomes_a_pending_request_with_preview_risk_and_people(api: Api):
    answer = await api.asked()
    request = answer["request"]
    assert (answer["needs_approval"], answer["status"], answer["deduped"]) == (True, "PENDING", False)
    assert request["worker_id"] == request["requested_by"] == "agent-7"
    assert (request["people_needed"], request["people_approved"]) == (1, 0)
    assert [command["command"] for command in request["commands"]] == [RESTART]
    assert request["commands"][0]["approval_id"] == f"{request['id']}.0"
    assert answer["previews"] == [request["commands"][0]["preview"]]
    assert answer["previews"][0]["targets"][0]["reference"] == "web"
    assert answer["previews"][0]["blast_radius"]["summary"] == "web restarts"
    assert answer["risk"]["level"] == "MEDIUM"
    judged = [vote["source"] for vote in answer["risk"]["votes"]]
    assert judged == ["environment", "effect", "blast_radius", "wording", "structure", "history", "claims"]
    assert [vote["source"] for vote in answer["risk"]["dissent"]] == [
        "environment",
        "wording",
        "structure",
        "history",
        "claims",
    ]
    assert answer["risk"]["absent"] == []
    assert lifetime(request) == timedelta(hours=1)


async def test_high_risk_waits_a_quarter_of_an_hour(api: Api):
    takes = "0 to 1 s: 1 object, rarely over 1 s each"
    api.gateway.radius = pb.BlastRadius(
        summary="data goes", reversible=False, data_lost=["volume data"], expected_time=takes
    )
    answer = await api.asked()
    assert answer["risk"]["level"] == "HIGH"
    assert answer["previews"][0]["blast_radius"]["expected_time"] == takes
    assert lifetime(answer["request"]) == timedelta(minutes=15)


async def test_what_the_policy_allows_to_everybody_is_approved_at_once(api: Api):
    answer = await api.asked(commands=["docker ps"])
    assert (answer["needs_approval"], answer["status"]) == (False, "AUTO_APPROVED")
    assert answer["request"]["people_needed"] == 0
    again = await api.asked(commands=["docker ps"])
    assert again["request"]["id"] != answer["request"]["id"], "each automatic wish is an approval of its own"


async def test_the_strictest_command_says_how_many_people(api: Api):
    api.gateway.verdicts["docker stop db"] = people(2)
    answer = await api.asked(commands=["docker ps", RESTART, "docker stop db"])
    assert answer["request"]["people_needed"] == 2
    assert [c["approval_id"].rpartition(".")[2] for c in answer["request"]["commands"]] == ["0", "1", "2"]


async def test_commands_come_from_the_instructions_docker_lines(api: Api):
    instruction = "Please do:\n  docker restart web\nand then look with docker ps.\ndockerps"
    answer = await api.asked(commands=None, instruction=instruction)
    assert [c["command"] for c in answer["request"]["commands"]] == ["docker restart web"]


async def test_without_a_command_it_is_a_sign_off_by_one_person(api: Api):
    answer = await api.asked(commands=None, instruction="May I go home?")
    assert (answer["status"], answer["request"]["people_needed"], answer["previews"]) == ("PENDING", 1, [])
    explicit = await api.asked(commands=[], instruction="docker restart web is what I would do")
    assert explicit["request"]["commands"] == []


async def test_a_forbidden_command_creates_nothing(api: Api):
    api.gateway.verdicts["docker rm web"] = forbidden("the web server stays")
    response = await api.ask(commands=[RESTART, "docker rm web"])
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["code"], problem["detail"]) == ("POLICY_FORBIDS", "the web server stays")
    assert problem["details"] == {"index": "1", "command": "docker rm web", "policies": "no-shell"}
    assert await api.sql("SELECT 1 FROM approval_request") == []


async def test_what_is_no_command_is_refused_here_before_the_gateway_hears_of_it(api: Api):
    for command, code in (
        ("docker restart web; rm -rf /", "COMMAND_CHARACTER"),
        ("docker login", "COMMAND_REFUSED"),
        ("ls", "COMMAND_NOT_DOCKER"),
        ("docker -H tcp://x ps", "COMMAND_GLOBAL_FLAG"),
        ("docker restart 'web", "COMMAND_QUOTING"),
        ("docker ps\n", "COMMAND_CHARACTER"),
        ("docker ps --nope", "COMMAND_FLAG"),
        ("docker ps --token=hunter2", "COMMAND_FLAG"),
        ("docker run --name 'DB_PASSWORD=hunter2' app", "COMMAND_VALUE"),
    ):
        response = await api.ask(commands=["docker ps", command])
        assert (response.status_code, response.json()["code"]) == (422, code), command
        assert response.json()["details"]["index"] == "1"
        assert "hunter2" not in f"{response.text} {api.log}"
    assert api.gateway.previewed == []


async def test_the_gateways_refusal_arrives_with_its_code_and_details(api: Api):
    api.gateway.refusals[RESTART] = TargetRefused(
        Code.TARGET_NOT_FOUND, "no container is called web", hint="docker ps lists them", name="web"
    )
    response = await api.ask()
    assert response.status_code == 422
    problem = response.json()
    assert (problem["code"], problem["hint"]) == ("TARGET_NOT_FOUND", "docker ps lists them")
    assert problem["details"] == {"name": "web", "index": "0"}


async def test_a_gateway_that_reads_a_command_differently_is_not_believed(api: Api):
    def change(response: pb.PreviewResponse) -> None:
        response.operation_digest = "0" * 64

    api.gateway.answers[RESTART] = change
    response = await api.ask()
    assert (response.status_code, response.json()["code"]) == (500, "INTERNAL")
    assert await api.sql("SELECT 1 FROM approval_request") == []


async def test_more_commands_in_an_instruction_than_allowed_are_refused(api: Api):
    response = await api.ask(commands=None, instruction="docker ps\n" * 17)
    assert (response.status_code, response.json()["code"]) == (422, "REQUEST_INVALID")


async def test_the_environment_may_be_named_in_any_case(api: Api):
    for environment in ("TEST", "test", "Test"):
        assert (await api.asked(deployment_env=environment))["request"]["environment"] == "test"


async def test_another_environment_is_refused(api: Api):
    response = await api.ask(deployment_env="PRD")
    assert (response.status_code, response.json()["code"]) == (422, "ENVIRONMENT_MISMATCH")


async def test_an_identical_pending_request_is_returned_not_doubled(api: Api):
    first, second = await api.asked(), await api.asked()
    assert second["deduped"] is True
    assert second["request"]["id"] == first["request"]["id"]
    other = await api.asked(task_name="Restart once more")
    assert other["deduped"] is False
    await api.decide("alice", first["request"]["id"], "reject")
    third = await api.asked()
    assert (third["deduped"], third["request"]["id"] == first["request"]["id"]) == (False, False)


async def test_the_same_wish_of_another_person_is_another_request(api: Api):
    first = await api.asked("worker")
    second = await api.asked("operator")
    assert second["request"]["id"] != first["request"]["id"], "else carol could approve what she asked for"


async def test_identical_wishes_that_race_make_one_request(api: Api):
    await api.key("worker")  # made once, before the race
    answers = await asyncio.gather(*(api.asked() for _ in range(12)))
    assert len({answer["request"]["id"] for answer in answers}) == 1
    assert [answer["deduped"] for answer in answers].count(False) == 1


async def test_another_target_behind_the_same_name_is_another_request(api: Api):
    first = await api.asked()

    def change(response: pb.PreviewResponse) -> None:
        response.target_digest = "1" * 64

    api.gateway.answers[RESTART] = change
    assert (await api.asked())["request"]["id"] != first["request"]["id"]


async def test_a_workers_key_asks_in_its_own_name_alone(api: Api):
    response = await api.ask("worker", worker_id="agent-8")
    assert (response.status_code, response.json()["code"]) == (403, "PERSON_MISMATCH")


async def test_an_operator_asks_for_any_worker_and_is_named(api: Api):
    request = (await api.asked("operator", worker_id="agent-9"))["request"]
    assert (request["worker_id"], request["requested_by"]) == ("agent-9", "carol")


async def test_without_a_key_one_may_ask_where_the_setting_says_so(api: Api):
    assert (await api.asked(None))["request"]["requested_by"] == "anonymous"


BAD: list[dict[str, Any]] = [
    {"worker_id": ""},
    {"worker_id": "a b"},
    {"worker_id": "agent\n"},
    {"worker_id": "\N{CYRILLIC SMALL LETTER A}gent"},
    {"worker_id": 7},
    {"task_name": ""},
    {"task_name": "x" * 201},
    {"task_name": "a\x00b"},
    {"task_name": "a\x1b[2Jb"},
    {"instruction": ""},
    {"instruction": "x" * (64 * 1024 + 1)},
    {"instruction": "\x85"},
    {"commands": "docker ps"},
    {"commands": ["docker ps"] * 17},
    {"commands": ["x" * 4097]},
    {"commands": [7]},
    {"surprise": 1},
    {"deployment_env": 1},
]


async def test_what_does_not_fit_the_schema_is_refused_by_place(api: Api):
    for change in BAD:
        response = await api.ask(**change)
        assert response.status_code == 422, (change, response.text)
        problem = response.json()
        assert problem["code"] == "REQUEST_INVALID"
        assert problem["places"][0]["where"].startswith(f"body.{next(iter(change))}")
    assert api.gateway.previewed == []


async def test_a_body_that_is_not_the_json_it_should_be_is_refused(api: Api):
    surrogate = b'{"worker_id": "agent-7", "task_name": "\\ud800", "instruction": "x", "commands": []}'
    json = {"content-type": "application/json"}
    for body in (b"{", b"", b"[1]", b'"x"', surrogate, b"\xff\xfe", b"[" * 100_000, b"1" * 5000, b'{"a": NaN}'):
        response = await api.call("worker", "POST", "/approvals/request", content=body, headers=json)
        assert (response.status_code, response.json()["code"]) == (422, "REQUEST_INVALID"), (body[:20], response.text)


async def test_a_body_of_another_type_is_refused(api: Api):
    response = await api.call("worker", "POST", "/approvals/request", data={"worker_id": "agent-7"})
    assert (response.status_code, response.json()["code"]) == (422, "REQUEST_INVALID")


async def test_unicode_in_texts_is_kept_as_it_is(api: Api):
    request = (await api.asked(task_name="Neustart: Übung 🛠", instruction="a\tb\r\nc"))["request"]
    assert (request["task_name"], request["instruction"]) == ("Neustart: Übung 🛠", "a\tb\r\nc")


async def test_explain_shows_the_verdict_and_stores_nothing(api: Api):
    api.gateway.verdicts["docker rm web"] = forbidden("the web server stays")
    response = await api.call("auditor", "GET", "/policy/explain", params={"command": "docker container rm web"})
    assert response.status_code == 200
    assert response.json()["verdict"] == {
        "outcome": "forbidden",
        "people": 0,
        "policies": ["no-shell"],
        "reason": "the web server stays",
    }
    assert api.gateway.previewed[0].worker == "dora"
    assert await api.sql("SELECT 1 FROM approval_request") == []


async def test_explain_for_a_worker(api: Api):
    api.gateway.verdicts["docker ps"] = automatic()
    path = "/policy/explain?command=docker%20ps&worker_id=agent-8"
    assert (await api.call("operator", "GET", path)).json()["verdict"]["outcome"] == "automatic"
    refused = await api.call("worker", "GET", path)
    assert (refused.status_code, refused.json()["code"]) == (403, "PERSON_MISMATCH")
    bad = await api.call("operator", "GET", "/policy/explain", params={"command": "docker ps |"})
    assert (bad.status_code, bad.json()["code"]) == (422, "COMMAND_CHARACTER")


def lifetime(request: dict[str, Any]) -> timedelta:
    return datetime.fromisoformat(request["expires_at"]) - datetime.fromisoformat(request["created_at"])


async def test_what_is_decided_while_it_is_asked_for_again_is_asked_for_anew(api: Api):
    first = (await api.asked())["request"]["id"]
    connection = await asyncpg.connect(api.database.url("wingman_api"))
    async with connection.transaction():
        await connection.execute(
            "UPDATE approval_request SET status = 'REJECTED', decided_at = now() WHERE id = $1", first
        )
        asking = asyncio.create_task(api.asked())
        await eventually(lambda: waits_for_a_lock(api))
    await connection.close()
    again = await asking
    assert (again["deduped"], again["status"], again["request"]["id"] == first) == (False, "PENDING", False)


async def test_what_expired_under_somebody_elses_lock_is_asked_for_anew(api: Api):
    first = (await api.asked())["request"]["id"]
    api.clock.ahead = timedelta(hours=2)
    connection = await asyncpg.connect(api.database.url("wingman_api"))
    async with connection.transaction():
        await connection.execute("SELECT FROM approval_request WHERE id = $1 FOR NO KEY UPDATE", first)
        asking = asyncio.create_task(api.asked())
        await eventually(lambda: waits_for_a_lock(api))
    await connection.close()
    again = await asking
    assert (again["deduped"], again["status"], again["request"]["id"] == first) == (False, "PENDING", False)
    assert (await api.call("alice", "GET", f"/approvals/{first}")).json()["status"] == "EXPIRED"


async def waits_for_a_lock(api: Api) -> bool | None:
    waiting = "SELECT FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'"
    return bool(await api.sql(waiting, api.database.name, role="postgres")) or None
