"""``POST /check`` over HTTP: its answer, who may ask, and what it never tells."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.api.conftest import PEOPLE, Api
from tests.api.labelled import secrets
from wingman_api.edge import MAX_BODY
from wingman_api.instructions.checking import AT_ONCE
from wingman_api.instructions.schemas import CheckAnswer
from wingman_core.instruction.headings import Section

TEN = "\n".join(f"{section}: x" for section in Section)


async def check(api: Api, instruction: Any, who: str | None = None) -> httpx.Response:  # noqa: ANN401
    return await api.call(who, "POST", "/check", json={"instruction": instruction})


async def test_ten_sections_of_one_letter_pass_without_a_key(api: Api):
    response = await check(api, TEN)
    assert response.status_code == 200
    answer = response.json()
    assert (answer["approved"], answer["score"], answer["missing_sections"]) == (True, 100, [])
    assert answer["policy_checks"] == {
        "no_force_flags": True,
        "no_hardcoded_secrets": True,
        "no_dangerous_commands": True,
        "has_mitigation_plan": True,
    }
    assert list(answer["sections"]) == [section.value for section in Section]
    assert answer["sections"]["MITIGATION"] == {"present": True, "line": 5, "text": "x", "problem": None}
    assert answer["findings"] == []


async def test_what_is_wrong_comes_with_section_line_and_rule(api: Api):
    answer = (await check(api, "DELIVERABLES:\n\nBOUNDARIES: web\ndocker rm -f web\n")).json()
    assert (answer["approved"], answer["score"]) == (False, 10)
    assert answer["missing_sections"] == [section for section in Section if section is not Section.BOUNDARIES]
    assert answer["sections"]["DELIVERABLES"] == {
        "present": False,
        "line": 1,
        "text": None,
        "problem": "there is no text under the heading on line 1",
    }
    assert answer["policy_checks"]["no_force_flags"] is False
    assert {"check": "no_force_flags", "rule": "short-force-flag", "line": 4} in [
        {name: value for name, value in finding.items() if name != "message"} for finding in answer["findings"]
    ]


@pytest.mark.parametrize("who", [None, *PEOPLE])
async def test_every_role_may_ask(api: Api, who: str | None):
    assert (await check(api, TEN, who)).json()["approved"] is True


async def test_no_secret_is_in_the_answer_or_in_the_log(api: Api):
    value = "hunter2" * 3
    text = f"{TEN.replace('DELIVERABLES: x', f'DELIVERABLES: token={value}')}\nDB_PASSWORD={value}"
    response = await check(api, text)
    assert response.json()["policy_checks"]["no_hardcoded_secrets"] is False
    assert response.json()["sections"]["DELIVERABLES"]["problem"] == "its text is withheld: a secret stands in it"
    assert value not in response.text
    assert value not in json.dumps(api.log, default=str)
    assert "QUALITY_METRICS" not in json.dumps(api.log, default=str)


async def test_no_labelled_secret_that_is_found_comes_back(api: Api):
    for case in secrets():
        found = {int(str(line)) for line in case.found}
        lines = [line for number, line in enumerate(case.text.split("\n"), 1) if number in found]
        wrapped = "\n".join(f"{section}:\n{case.text}" for section in Section)
        shown = [section["text"] or "" for section in (await check(api, wrapped)).json()["sections"].values()]
        assert not any(line in text for line in lines for text in shown), case.name


@pytest.mark.parametrize(
    "instruction",
    ["\x00", "a\x1bb", "\x7f", "\x85", None, 5, ["x"], "x" * (MAX_BODY + 1)],
    ids=ascii,
)
async def test_what_is_no_instruction_is_refused(api: Api, instruction: Any):  # noqa: ANN401
    response = await check(api, instruction)
    assert response.status_code in {413, 422}
    assert response.json()["code"] in {"REQUEST_INVALID", "REQUEST_TOO_LARGE"}


async def test_unknown_fields_and_half_a_surrogate_are_refused(api: Api):
    response = await api.call(None, "POST", "/check", json={"instruction": TEN, "x": 1})
    assert (response.status_code, response.json()["places"][0]["where"]) == (422, "body.x")
    headers = {"Content-Type": "application/json"}
    half = await api.call(None, "POST", "/check", content=b'{"instruction": "\\ud800"}', headers=headers)
    assert (half.status_code, half.json()["code"]) == (422, "REQUEST_INVALID")


@pytest.mark.parametrize("instruction", ["", " ", "\t\r\n", "\N{PILE OF POO}", "\u2028", "\ufeff", "\xa0"])
async def test_a_text_without_anything_has_no_points(api: Api, instruction: str):
    answer = (await check(api, instruction)).json()
    assert (answer["score"], answer["approved"]) == (0, False)


async def test_a_long_text_is_checked_beside_others(api: Api):
    long = f"{TEN}\n" + "and so on, over many lines\n" * (AT_ONCE // 10)
    answers = await asyncio.gather(*(check(api, text) for text in (long, TEN, long, TEN)))
    assert [answer.json()["score"] for answer in answers] == [100] * 4


async def test_the_longest_body_is_answered(api: Api):
    text = f"{TEN}\n" + "x" * (MAX_BODY - len(TEN) - 200)
    assert (await check(api, text)).json()["score"] == 100


async def test_the_answer_is_what_the_document_says(api: Api):
    for text in ("", TEN, f"{TEN}\ntoken=hunter22\nrm -rf /"):
        response = await check(api, text)
        assert CheckAnswer.model_validate_json(response.content).model_dump(mode="json") == response.json()


async def test_the_documents_example_is_true(api: Api):
    schemas = (await api.call(None, "GET", "/openapi.json")).json()["components"]["schemas"]
    example = schemas["Instruction"]["example"]
    assert (await api.call(None, "POST", "/check", json=example)).json()["score"] == 100


BODIES: dict[str, bytes] = {
    "right": json.dumps({"instruction": TEN}).encode(),
    "in another encoding": json.dumps({"instruction": "DELIVERABLES: ä"}, ensure_ascii=False).encode("utf-16"),
    "with what nobody knows": json.dumps({"instruction": TEN, "more": 1}).encode(),
    "said twice": b'{"instruction": "MITIGATION: a", "instruction": "BOUNDARIES: b"}',
    "of another type": b'{"instruction": 7}',
    "half a surrogate": b'{"instruction": "\\ud800"}',
    "a control character": b'{"instruction": "\\u0007"}',
    "no object": b'["instruction"]',
    "no number": b'{"instruction": "x", "n": NaN}',
    "cut off": b'{"instruction": "x',
    "empty": b"",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_the_short_way_answers_as_the_frameworks_own(api: Api, body: bytes):
    short, own = [
        await api.call("worker", "POST", "/check", content=body, headers={"Content-Type": content_type})
        for content_type in ("application/json", "application/json; charset=utf-8")
    ]
    assert short.status_code == own.status_code
    assert short.json() | {"correlation_id": ""} == own.json() | {"correlation_id": ""}
    assert {**short.headers}.keys() == {**own.headers}.keys()


async def test_a_body_is_not_taken_for_json_without_its_word(api: Api):
    answers = [
        await api.call("worker", "POST", "/check", content=BODIES["right"], headers=headers)
        for headers in ({"Content-Type": "text/plain"}, {})
    ]
    assert [answer.status_code for answer in answers] == [422, 422]
