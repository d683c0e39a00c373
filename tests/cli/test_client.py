"""The REST client: problems become errors with their way out, output is followed over cut connections, once."""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from wingman_api.app import PATIENCE
from wingman_cli.client import RECONNECTS, Client, open_http, refusal_of
from wingman_core.errors import Code, Unavailable, WingmanError
from wingman_core.event_stream import Event, events_of

EXECUTION = "exe_dbc7jx2mqvg5s3k2h6t4yw7raa"
Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler, pauses: list[float] | None = None) -> Client:
    http = httpx.Client(base_url="http://api.test", transport=httpx.MockTransport(handler))
    return Client(http, pause=(pauses if pauses is not None else []).append)


def problem(code: str, status: int = 409, **more: object) -> httpx.Response:
    body = {
        "type": f"urn:wingman:problem:{code}",
        "title": code,
        "status": status,
        "code": code,
        "detail": "what happened",
        "hint": "what to do",
        "correlation_id": "cor_1",
        **more,
    }
    return httpx.Response(status, json=body)


class Cut(httpx.SyncByteStream):
    """A response body that breaks off after its parts."""

    def __init__(self, *parts: str, breaks: bool) -> None:
        self.parts = parts
        self.breaks = breaks

    def __iter__(self) -> Iterator[bytes]:
        yield from (part.encode() for part in self.parts)
        if self.breaks:
            raise httpx.ReadError("cut")


def chunk(number: int, text: str) -> str:
    data = json.dumps({"stream": "stdout", "text": text})
    return f"id: {number}\nevent: output\ndata: {data}\n\n"


def test_a_problem_becomes_an_error_with_code_words_and_way_out():
    with pytest.raises(WingmanError) as refused, client(lambda _: problem("APPROVAL_SPENT")) as api:
        api.execute("apr_x")
    assert (refused.value.code, refused.value.message, refused.value.hint) == (
        Code.APPROVAL_SPENT,
        "what happened",
        "what to do",
    )


def test_an_internal_problem_keeps_its_correlation_id():
    error = refusal_of(problem("INTERNAL", 500, details={}, places=[]))
    assert error.details["correlation_id"] == "cor_1"


def test_a_code_of_a_newer_api_is_told_and_not_guessed():
    error = refusal_of(problem("SOMETHING_NEW"))
    assert error.code is Code.INTERNAL
    assert "SOMETHING_NEW" in error.message


def test_an_answer_that_is_no_problem_is_said_to_be_none():
    response = httpx.Response(502, text="<html>", request=httpx.Request("GET", "http://api.test/x"))
    error = refusal_of(response)
    assert "502" in error.message
    assert "WINGMAN_API_URL" in error.hint


def test_an_answer_of_another_version_is_refused():
    with pytest.raises(WingmanError, match="not one that this version knows"):
        client(lambda _: httpx.Response(200, json={"other": 1})).pending(5)


def test_an_api_that_is_down_is_unavailable_with_a_way_out():
    def down(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(Unavailable) as refused:
        client(down).pending(5)
    assert refused.value.code is Code.GATEWAY_UNAVAILABLE
    assert "wingman up" in refused.value.hint


def test_ids_are_one_segment_of_a_path_whatever_they_hold():
    asked = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path.decode())
        return problem("APPROVAL_UNKNOWN", 404)

    for identifier in ("../keys", "a/b?c#d", ""):
        with pytest.raises(WingmanError):
            client(handler).approval(identifier)
    assert asked == ["/approvals/..%2Fkeys", "/approvals/a%2Fb%3Fc%23d", "/approvals/-"]


def test_output_resumes_after_a_cut_without_repeating_anything():
    asked: list[str] = []
    bodies = [
        Cut(chunk(0, "a"), chunk(1, "b"), 'id: 2\ndata: {"stream', breaks=True),
        Cut(chunk(2, "c"), "event: finished\ndata: {}\n\n", breaks=False),
    ]

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("Last-Event-ID", ""))
        return httpx.Response(200, stream=bodies.pop(0), headers={"Content-Type": "text/event-stream"})

    pauses: list[float] = []
    got = [event.text for event in client(handler, pauses).output(EXECUTION)]
    assert got == ["a", "b", "c"]
    assert asked == ["", "1"]
    assert len(pauses) == 1


def test_output_that_never_comes_back_ends_with_a_reason():
    pauses: list[float] = []

    def handler(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(Unavailable):
        list(client(handler, pauses).output(EXECUTION))
    assert len(pauses) == RECONNECTS
    assert pauses == sorted(pauses)


def test_output_waits_for_an_api_that_is_busy_or_restarts():
    answers = [
        problem("DATABASE_UNAVAILABLE", 503),
        httpx.Response(200, stream=Cut(chunk(0, "a"), breaks=True)),
        problem("DATABASE_UNAVAILABLE", 503),
        httpx.Response(503, text="a proxy's words"),
        httpx.Response(200, stream=Cut(chunk(1, "b"), "event: finished\ndata: {}\n\n", breaks=False)),
    ]
    pauses: list[float] = []
    assert [event.text for event in client(lambda _: answers.pop(0), pauses).output(EXECUTION)] == ["a", "b"]
    assert len(pauses) == 4


def test_an_api_that_stays_busy_is_told_in_its_own_words_with_what_is_running():
    pauses: list[float] = []
    with pytest.raises(WingmanError) as refused:
        list(client(lambda _: problem("DATABASE_UNAVAILABLE", 503), pauses).output(EXECUTION))
    assert refused.value.code is Code.DATABASE_UNAVAILABLE
    assert refused.value.details == {"execution_id": EXECUTION}
    assert len(pauses) == RECONNECTS
    with pytest.raises(WingmanError) as refused:
        client(lambda _: problem("DATABASE_UNAVAILABLE", 503)).execution(EXECUTION)
    assert refused.value.details == {"execution_id": EXECUTION}


def test_who_starts_is_more_patient_than_the_api():
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return problem("DEADLINE_EXCEEDED", 504)

    with pytest.raises(WingmanError):
        client(handler).execute("apr_x")
    assert asked[0].extensions["timeout"]["read"] > PATIENCE


def test_output_of_an_unknown_execution_is_refused_at_once():
    with pytest.raises(WingmanError) as refused:
        list(client(lambda _: problem("EXECUTION_UNKNOWN", 404)).output(EXECUTION))
    assert refused.value.code is Code.EXECUTION_UNKNOWN


def test_the_key_travels_as_a_bearer_token_and_only_if_there_is_one():
    with open_http("http://api.test", "wm_a_b") as http:
        assert http.headers["Authorization"] == "Bearer wm_a_b"
    with open_http("http://api.test", "") as http:
        assert "Authorization" not in http.headers


def test_events_are_parsed_as_the_standard_says():
    lines = [
        ": warm",
        "id: 7",
        "event: output",
        "data: one",
        "data:two",
        "retry: 5",
        "",
        "",
        "data: three",
        "",
        "id: 8",
        "data: lost",
    ]
    assert list(events_of(lines)) == [Event("output", "one\ntwo", "7"), Event("message", "three", "7")]
