"""``/log_claim``, ``/verify``, ``/stats``: what a claim becomes, what is kept of it, and what is refused."""

# ruff: noqa: ANN401, S108 - JSON is of any kind; the paths stand in claims

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.api.conftest import Api, serve_api
from tests.api.fake_probes import FakeProbes
from wingman_api.claims import verification
from wingman_api.claims.finding import Finding
from wingman_api.claims.record import Evidence, Verification, false_claim
from wingman_api.claims.store import VerificationStore
from wingman_api.claims.verification import showable
from wingman_api.events.event import ClaimFalse
from wingman_api.settings import load
from wingman_api.system.store import open_database
from wingman_core.assertions import FileExists, PortListening, ProcessRunning

HERE = FileExists(path="/tmp/a")
THERE = FileExists(path="/tmp/b")


@pytest.fixture
def probes() -> FakeProbes:
    """What the API looks with."""
    return FakeProbes()


@pytest.fixture
async def claims(api: Api, environ: dict[str, str], probes: FakeProbes) -> AsyncIterator[Api]:
    """The API, looking with ``probes``."""
    async with serve_api(load(environ), api.clock, api.log, probes=probes.open) as (url, app):
        api.url, api.app = url, app
        yield api


async def verified(api: Api, who: str | None = None, **body: Any) -> dict[str, Any]:
    response = await api.call(who, "POST", "/verify", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def refused(api: Api, who: str | None, path: str, body: Any) -> tuple[int, str]:
    response = await api.call(who, "POST", path, json=body)
    return response.status_code, response.json()["code"]


# What was seen, the claim, and the verdict.
VERDICTS: dict[str, tuple[dict[object, Any], dict[str, Any], str]] = {
    "confirmed": ({"file_exists": "confirmed"}, {"claim": "Created /tmp/a and /tmp/b"}, "TRUE"),
    "contradicted": ({HERE: "confirmed", THERE: "contradicted"}, {"claim": "Created /tmp/a and /tmp/b"}, "FALSE"),
    "not known": ({HERE: "confirmed"}, {"claim": "Created /tmp/a and /tmp/b"}, "UNVERIFIABLE"),
    "partly read": ({"file_exists": "confirmed"}, {"claim": "Created /tmp/a with care"}, "UNVERIFIABLE"),
    "partly read, and wrong": ({HERE: "contradicted"}, {"claim": "Created /tmp/a with care"}, "FALSE"),
    "partly known, and wrong": ({HERE: "contradicted"}, {"claim": "Created /tmp/a and /tmp/b"}, "FALSE"),
    "nothing to look at": ({}, {"claim": "All is well"}, "UNVERIFIABLE"),
    "a plan": ({"file_exists": "confirmed"}, {"claim": "I will create /tmp/a"}, "UNVERIFIABLE"),
    "structured": ({HERE: "confirmed"}, {"assertions": [{"kind": "file_exists", "path": "/tmp/a"}]}, "TRUE"),
    "structured, wrong": ({HERE: "contradicted"}, {"assertions": [{"kind": "file_exists", "path": "/tmp/a"}]}, "FALSE"),
}


@pytest.mark.parametrize("name", VERDICTS)
async def test_a_verdict_follows_from_what_was_seen(claims: Api, probes: FakeProbes, name: str):
    probes.outcomes, body, verdict = VERDICTS[name]
    answer = await verified(claims, **body)
    assert answer["verdict"] == verdict
    assert answer["details"].count(".") == 1, "a sentence ends once"
    assert [each["outcome"] for each in answer["evidence"]] == [
        probes.outcomes.get(assertion, probes.outcomes.get(assertion.kind, "unknown")) for assertion in probes.looked
    ]
    assert answer["verifier"] == ("structured" if "assertions" in body else "patterns")
    assert (answer["enhancement"], answer["dropped"]) == ("not_asked", [])


async def test_the_answer_shows_the_evidence_and_what_was_not_read(claims: Api, probes: FakeProbes):
    probes.outcomes, probes.seen = {"file_exists": "confirmed"}, "a file of 3 bytes is there"
    answer = await verified(claims, claim="Created /tmp/a. The deployment went well.", worker_id="agent-7")
    (evidence,) = answer["evidence"]
    assert evidence["assertion"] == {"kind": "file_exists", "path": "/tmp/a"}
    assert (evidence["seen"], evidence["probe"], evidence["origin"]) == (probes.seen, "fake", "patterns")
    (unread,) = answer["unread"]
    assert (unread["text"], unread["reason"]) == ("deployment went well", "no_pattern")
    assert unread["explanation"] in answer["details"]
    assert answer["worker_id"] == "agent-7"
    assert answer["processing_time_ms"] >= 0


async def test_the_examples_of_the_guide_work_without_a_key_with_the_real_probes(api: Api):
    for claim, verdict in (("Process postgres is running", "TRUE"), ("Process nosuchprocess is running", "FALSE")):
        answer = await verified(api, claim=claim)
        assert answer["verdict"] == verdict, answer
    assert (await verified(api, claim="Process nosuchprocess is not running"))["verdict"] == "TRUE"
    response = await api.call(None, "POST", "/log_claim", json={"claim": "Created file /tmp/test.txt"})
    assert response.json()["entry"]["worker_id"] == "anonymous"
    assert (await api.call(None, "GET", "/stats")).json()["total"] == 3


async def test_a_verification_is_kept_as_it_was_answered(claims: Api, probes: FakeProbes):
    probes.outcomes = {HERE: "contradicted"}
    answer = await verified(claims, "worker", claim="Created /tmp/a with care")
    (row,) = await claims.sql("SELECT * FROM verification_logs")
    assert (row["id"], row["verdict"], row["claim"]) == (answer["id"], "FALSE", "Created /tmp/a with care")
    assert (row["worker_id"], row["requested_by"], row["source"], row["verifier"]) == (
        "agent-7",
        "agent-7",
        "api",
        "patterns",
    )
    assert row["key_id"] is not None
    assert (row["details"], row["processing_time_ms"]) == (answer["details"], answer["processing_time_ms"])
    (evidence,) = json.loads(row["evidence"])
    assert evidence["assertion"] == {"kind": "file_exists", "path": "/tmp/a"}
    assert (evidence["outcome"], evidence["origin"]) == ("contradicted", "patterns")
    assert json.loads(row["unread"]) == [{"text": "with care", "reason": "remainder"}]
    counted = await claims.sql("SELECT verdict, count(*) FROM verification_logs GROUP BY verdict")
    assert [tuple(row) for row in counted] == [("FALSE", 1)]
    for change in (
        "UPDATE verification_logs SET verdict = 'TRUE'",
        "DELETE FROM verification_logs",
        "TRUNCATE verification_logs",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await claims.sql(change)


async def test_structured_assertions_are_kept_as_their_text(claims: Api):
    assertions = [
        {"kind": "port_listening", "port": 80},
        {"kind": "port_listening", "port": 80},
        {"kind": "container_restarted", "container": "web", "since": "2026-01-02T10:00:00+02:00"},
    ]
    answer = await verified(claims, assertions=assertions, use_enhanced=True)
    assert len(answer["evidence"]) == 2, "each is looked at once"
    assert answer["enhancement"] == "not_needed"
    (row,) = await claims.sql("SELECT claim, verifier FROM verification_logs")
    assert json.loads(row["claim"])[0] == {"kind": "port_listening", "port": 80}
    assert row["verifier"] == "structured"


async def test_what_a_probe_saw_is_shown_whatever_its_bytes(claims: Api, probes: FakeProbes):
    probes.outcomes, probes.seen = {HERE: "confirmed"}, "\0 \udcff \u2028" + "x" * 5000
    answer = await verified(claims, claim="Created /tmp/a")
    seen = answer["evidence"][0]["seen"]
    assert seen.startswith("\\x00 \\udcff \u2028xxx")
    assert len(seen) < 2100
    assert showable("plain") == "plain"


async def test_a_probe_that_breaks_is_wingmans_failure_and_not_the_workers(claims: Api, probes: FakeProbes):
    probes.error = RuntimeError("secret of the claim")
    answer = await verified(claims, claim="Created /tmp/a")
    assert (answer["verdict"], answer["evidence"][0]["seen"]) == ("ERROR", "the probe failed")
    assert {"event": "probe.failed", "kind": "file_exists", "error": "RuntimeError"} in [
        {name: value for name, value in line.items() if name in {"event", "kind", "error"}} for line in claims.log
    ]
    assert "secret of the claim" not in str(claims.log)
    (row,) = await claims.sql("SELECT verdict FROM verification_logs")
    assert row["verdict"] == "ERROR"


async def test_a_contradiction_counts_even_where_another_probe_broke(claims: Api, environ: dict[str, str]):
    class HalfBroken(FakeProbes):
        async def look(self, assertion: Any) -> Finding:
            self.error = RuntimeError() if assertion == THERE else None
            return await super().look(assertion)

    half = HalfBroken({HERE: "contradicted"})
    async with serve_api(load(environ), claims.clock, [], probes=half.open) as (url, _):
        claims.url = url
        assert (await verified(claims, claim="Created /tmp/a and /tmp/b"))["verdict"] == "FALSE"


async def test_looking_has_an_end(claims: Api, probes: FakeProbes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verification, "LOOK_SECONDS", 0.2)
    probes.gate = asyncio.Event()
    begun = time.monotonic()
    answer = await verified(claims, claim="Created /tmp/a and /tmp/b")
    assert time.monotonic() - begun < 5
    assert answer["verdict"] == "UNVERIFIABLE"
    assert [each["probe"] for each in answer["evidence"]] == ["none", "none"]
    assert "not looked at within" in answer["details"]
    assert probes.at_once == 0, "nobody looks any more"


async def test_so_many_look_at_once_and_no_more(claims: Api, probes: FakeProbes):
    probes.outcomes = {"port_listening": "confirmed"}
    assertions = [{"kind": "port_listening", "port": port} for port in range(1, 33)]
    answers = await asyncio.gather(*(verified(claims, assertions=assertions) for _ in range(4)))
    assert {answer["verdict"] for answer in answers} == {"TRUE"}
    assert 1 < probes.most_at_once <= verification.LOOKS_AT_ONCE


REFUSED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "both": {"claim": "Done", "assertions": [{"kind": "port_listening", "port": 80}]},
    "an empty claim": {"claim": ""},
    "a blank claim": {"claim": " \n\t"},
    "too long a claim": {"claim": "x" * (16 * 1024 + 1)},
    "a control character": {"claim": "a\x00b"},
    "another control character": {"claim": "a\x1bb"},
    "half a character": {"claim": "\ud800"},
    "no text": {"claim": 7},
    "no assertion": {"assertions": []},
    "too many assertions": {"assertions": [{"kind": "port_listening", "port": 80}] * 33},
    "an unknown kind": {"assertions": [{"kind": "sky_blue"}]},
    "an unknown field": {"assertions": [{"kind": "port_listening", "port": 80, "host": "db1"}]},
    "a port that is none": {"assertions": [{"kind": "port_listening", "port": 0}]},
    "a port as text": {"assertions": [{"kind": "port_listening", "port": "80"}]},
    "a path with a null byte": {"assertions": [{"kind": "file_exists", "path": "/tmp/\x00"}]},
    "a text with a null byte": {"assertions": [{"kind": "file_contains", "path": "/tmp/a", "text": "\x00"}]},
    "half a character in a path": {"assertions": [{"kind": "file_exists", "path": "/tmp/\ud800"}]},
    "half a character in a text": {"assertions": [{"kind": "file_contains", "path": "/tmp/a", "text": "a\udc00"}]},
    "a time without offset": {
        "assertions": [{"kind": "file_changed", "path": "/tmp/a", "since": "2026-01-02T10:00:00"}]
    },
    "another worker's name": {"claim": "Done", "worker_id": "../x"},
    "an unknown name": {"claim": "Done", "model": "x"},
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_claim_is_refused_and_nothing_is_kept(claims: Api, probes: FakeProbes, name: str):
    response = await claims.call(
        None, "POST", "/verify", content=json.dumps(REFUSED[name]), headers={"Content-Type": "application/json"}
    )
    assert (response.status_code, response.json()["code"]) == (422, "REQUEST_INVALID")
    assert probes.looked == []
    assert await claims.sql("SELECT 1 FROM verification_logs") == []


async def test_the_longest_claim_is_taken_whatever_it_is(claims: Api):
    for piece in ("x /tmp/a and ", "🎉", '"'):
        answer = await verified(claims, claim=(piece * 16384)[: 16 * 1024])
        assert answer["verdict"] == "UNVERIFIABLE"
        assert len(json.dumps(answer)) < 100_000


async def test_who_may_claim_and_for_whom(claims: Api):
    body = {"claim": "Created /tmp/a", "worker_id": "agent-8"}
    for path in ("/log_claim", "/verify"):
        assert await refused(claims, "worker", path, body) == (403, "PERSON_MISMATCH")
        assert await refused(claims, "auditor", path, body) == (403, "ROLE_MISSING")
        for who in ("other-worker", "alice", "operator", "bot", None):
            assert (await claims.call(who, "POST", path, json=body)).status_code == 200, who
    rows = await claims.sql("SELECT DISTINCT requested_by, source FROM verification_logs WHERE worker_id = 'agent-8'")
    assert {tuple(row) for row in rows} == {
        ("agent-8", "api"),
        ("alice", "api"),
        ("carol", "api"),
        ("telegram", "service"),
        ("anonymous", "api"),
    }


async def test_a_logged_claim_is_in_the_ledger_when_it_is_answered(claims: Api, environ: dict[str, str]):
    response = await claims.call("worker", "POST", "/log_claim", json={"claim": "Did it\nall \u2028 ü"})
    assert response.status_code == 200
    answer = response.json()
    ledger = Path(environ["WINGMAN_CLAIMS_LEDGER"])
    (line,) = ledger.read_bytes().split(b"\n")[:-1]
    entry = json.loads(line)
    assert answer == {"status": "logged", "entry": entry}
    assert (entry["worker_id"], entry["claim"], entry["status"]) == ("agent-7", "Did it\nall \u2028 ü", "logged")
    ledger.rename(ledger.with_suffix(".1"))
    await claims.call("worker", "POST", "/log_claim", json={"claim": "again"})
    assert json.loads(ledger.read_bytes())["claim"] == "again"


async def test_where_the_ledger_cannot_be_written_the_claim_is_refused(claims: Api, environ: dict[str, str]):
    environ["WINGMAN_CLAIMS_LEDGER"] = "/proc/nowhere/claims.jsonl"
    async with serve_api(load(environ), claims.clock, []) as (url, _):
        claims.url = url
        response = await claims.call("worker", "POST", "/log_claim", json={"claim": "Done"})
        assert (response.status_code, response.json()["code"]) == (503, "LEDGER_UNAVAILABLE")
        assert response.headers["retry-after"] == "2"


async def test_statistics_count_what_was_verified_in_the_period(claims: Api, probes: FakeProbes):
    assert (await claims.call(None, "GET", "/stats")).json() | {"since": ""} == {
        "range": "24h",
        "since": "",
        "total": 0,
        "verdicts": {"TRUE": 0, "FALSE": 0, "UNVERIFIABLE": 0, "ERROR": 0},
        "mean_processing_time_ms": None,
        "workers": [],
    }
    probes.outcomes = {HERE: "confirmed", THERE: "contradicted"}
    for claim, worker in (("Created /tmp/a", "agent-7"), ("Created /tmp/b", "agent-7"), ("All is well", "agent-8")):
        await verified(claims, claim=claim, worker_id=worker)
    claims.clock.ahead = timedelta(hours=2)
    await verified(claims, claim="Created /tmp/b", worker_id="agent-8")
    for period, total, false in (("1h", 1, 1), ("24h", 4, 2), ("7d", 4, 2), ("30d", 4, 2)):
        answer = (await claims.call("operator", "GET", "/stats", params={"range": period})).json()
        assert (answer["range"], answer["total"], answer["verdicts"]["FALSE"]) == (period, total, false)
        assert answer["mean_processing_time_ms"] >= 0
    assert [(w["worker_id"], w["total"], w["true"], w["false"]) for w in answer["workers"]] == [
        ("agent-7", 2, 1, 1),
        ("agent-8", 2, 0, 1),
    ]
    own = (await claims.call("worker", "GET", "/stats", params={"range": "7d"})).json()
    assert (own["total"], [each["worker_id"] for each in own["workers"]]) == (2, ["agent-7"])
    bad = await claims.call("operator", "GET", "/stats", params={"range": "1y"})
    assert (bad.status_code, bad.json()["code"]) == (422, "REQUEST_INVALID")


async def test_a_workers_false_claims_are_counted_for_its_history(claims: Api, probes: FakeProbes):
    probes.outcomes = {HERE: "confirmed", THERE: "contradicted"}
    for claim in ("Created /tmp/a", "Created /tmp/b", "Created /tmp/b", "All is well"):
        await verified(claims, "worker", claim=claim, worker_id="agent-7")
    await verified(claims, None, claim="Created /tmp/b", worker_id="agent-7")  # nobody in particular says so
    async with open_database(claims.database.dsn("wingman_api"), claims.database.passwords["wingman_api"]) as pool:
        store, now = VerificationStore(pool), claims.clock.now()
        assert await store.false_claims("agent-7", now - timedelta(hours=1)) == 2
        assert await store.false_claims("agent-7", now + timedelta(hours=1)) == 0
        assert await store.false_claims("agent-8", now - timedelta(hours=1)) == 0


async def test_without_a_database_nothing_is_said_to_be_so(claims: Api, environ: dict[str, str], probes: FakeProbes):
    probes.outcomes = {"file_exists": "confirmed"}
    environ["WINGMAN_DATABASE_URL"] = "postgresql://wingman_api@/nothing?host=/nonexistent"
    async with serve_api(load(environ), claims.clock, [], probes=probes.open) as (url, _):
        claims.url = url
        assert await refused(claims, None, "/verify", {"claim": "Created /tmp/a"}) == (503, "DATABASE_UNAVAILABLE")


def test_the_event_of_a_false_claim_says_what_contradicts_it():
    at = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
    findings = (
        Finding(PortListening(port=80), "contradicted", "nothing listens on port 80", "port", at),
        Finding(ProcessRunning(name="x1"), "confirmed", "it runs", "process", at),
    )
    record = Verification(
        id="ver_" + "a" * 26,
        at=at,
        worker="agent-7",
        requested_by="agent-7",
        key_id=None,
        claim="x" * 1000,
        verdict="FALSE",
        details="",
        evidence=tuple(Evidence(finding, "patterns") for finding in findings),
        unread=(),
        verifier="patterns",
        source="api",
        processing_time_ms=1,
        enhancement="not_asked",
    )
    told = false_claim(record)
    assert record.claim.startswith(told.claim)
    assert 400 < len(told.claim) <= 500
    assert told == ClaimFalse(
        at=at,
        worker_id="agent-7",
        verification_id=record.id,
        claim=told.claim,
        contradicted=("nothing listens on port 80",),
        contradictions=1,
        verifier="patterns",
    )
    worst = replace(
        record,
        claim="password=hunter2hunter2 " + '"\\' * 4000,
        evidence=tuple(
            Evidence(Finding(PortListening(port=80), "contradicted", "\u0800\x7f" * 2048, "port", at), "patterns")
            for _ in range(32)
        ),
    )
    event = false_claim(worst)
    assert (event.contradictions, len(event.contradicted)) == (32, 3)
    assert "hunter2" not in event.claim
    assert len(event.model_dump_json().encode()) < 4096


async def test_a_false_claim_of_many_long_paths_is_kept_and_told(claims: Api, probes: FakeProbes):
    paths = [f"/tmp/{n}{'x' * 400}" for n in range(12)]
    probes.outcomes, probes.seen = {"file_exists": "contradicted"}, "there is nothing at " + "x" * 450
    answer = await verified(claims, claim="Created the following files:\n" + "\n".join(f"- {path}" for path in paths))
    assert answer["verdict"] == "FALSE"
    assert len(await claims.sql("SELECT 1 FROM verification_logs")) == 1
    (event,) = await claims.sql("SELECT payload FROM event WHERE type = 'claim.false'")
    assert json.loads(event["payload"])["contradictions"] == 12


async def test_an_error_of_the_database_does_not_tell_the_row(claims: Api):
    async with open_database(claims.database.dsn("wingman_api"), claims.database.passwords["wingman_api"]) as pool:
        with pytest.raises(asyncpg.CheckViolationError) as refused:
            async with pool.connection() as connection:
                await connection.execute(
                    "INSERT INTO event (type, at, payload) VALUES ('claim.false', now(), $1)",
                    json.dumps("what a worker wrote " * 300),
                )
    assert "what a worker wrote" not in str(refused.value)
