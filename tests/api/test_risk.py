"""Sources of risk that are asked: at once, for as long as they may take, from real tables; and what follows."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from secrets import token_bytes
from typing import Any

import pytest
import structlog

from tests.api.conftest import RESTART, Api, twin_of
from tests.api.fake_gateway import Script
from wingman_api.risk import sources
from wingman_api.risk.consensus import Case, Consensus, Consulted, NoAnswer
from wingman_api.risk.sources import consulted
from wingman_api.risk.store import MOST, NOBODYS_FAULT, ConductStore
from wingman_api.system.store import open_database
from wingman_core.errors import Code
from wingman_core.risk import Absence, Level, Risk, Source, Vote
from wingman_core.risk_votes import Conduct, Structure
from wingman_rpc.v1 import gateway_pb2 as pb

NOW = datetime(2026, 7, 1, tzinfo=UTC)
CASE = Case("agent-7", "Restart", "It leaks.", NOW, commands=(RESTART,), effects=("lifecycle",))


def consensus(*asked: Consulted, log: list[Any] | None = None) -> Consensus:
    def collect(_logger: object, _method: str, event: Any) -> Any:  # noqa: ANN401
        (log if log is not None else []).append(dict(event))
        raise structlog.DropEvent

    return Consensus("test", asked, log=structlog.wrap_logger(None, processors=[collect]))


def of(risk: Risk, source: Source) -> Vote:
    (vote,) = [vote for vote in risk.votes if vote.source is source]
    return vote


@dataclass
class Model:
    """A language model that says what a test wants, when it wants."""

    says: Mapping[str, Any] | None
    gate: asyncio.Event | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def answer(self, instructions: str, text: str) -> Mapping[str, Any] | None:
        self.asked.append((instructions, text))
        if self.gate:
            await self.gate.wait()
        return self.says


async def weigh(case: Case = CASE, **given: Any) -> Risk:  # noqa: ANN401
    return await consensus(*consulted(clock=lambda: 0.0, **given)).weigh(case)


async def test_effect_environment_and_wording_need_nobody():
    risk = await consensus().weigh(CASE)
    assert [vote.source for vote in risk.votes] == [Source.ENVIRONMENT, Source.EFFECT, Source.WORDING]
    bare = await consensus().weigh(Case("agent-7", "x", "y", NOW))
    assert [vote.source for vote in bare.votes] == [Source.ENVIRONMENT, Source.WORDING]


async def test_a_late_source_is_absent_and_the_others_are_heard():
    never = asyncio.Event()

    async def late(_case: Case) -> Vote:
        await never.wait()
        raise AssertionError

    async def punctual(_case: Case) -> Vote:
        return Vote(Source.CLAIMS, Level.HIGH, "three")

    both = consensus(Consulted(Source.HISTORY, 0.05, late), Consulted(Source.CLAIMS, 0.05, punctual))
    risk = await both.weigh(CASE)
    assert risk.absent == (Absence(Source.HISTORY, "no answer within 0.05 s"),)
    assert (risk.level, of(risk, Source.CLAIMS).reason) == (Level.HIGH, "three")


async def test_a_broken_source_is_absent_and_its_words_are_not_repeated():
    log: list[Any] = []

    async def broken(_case: Case) -> Vote:
        raise RuntimeError("password=hunter2")

    risk = await consensus(Consulted(Source.STRUCTURE, 1, broken), log=log).weigh(CASE)
    assert risk.absent == (Absence(Source.STRUCTURE, "it failed"),)
    assert log == [{"event": "risk.source_failed", "source": "structure", "error": "RuntimeError"}]


async def test_a_source_that_has_no_answer_says_why():
    async def silent(_case: Case) -> Vote:
        raise NoAnswer("it sleeps")

    risk = await consensus(Consulted(Source.CLAIMS, 1, silent)).weigh(CASE)
    assert risk.absent == (Absence(Source.CLAIMS, "it sleeps"),)


async def test_sources_are_asked_at_once():
    met = asyncio.Barrier(3)

    def waits(source: Source) -> Consulted:
        async def ask(_case: Case) -> Vote:
            await met.wait()
            return Vote(source, Level.LOW, "")

        return Consulted(source, 5, ask)

    risk = await consensus(*(waits(source) for source in (Source.STRUCTURE, Source.HISTORY, Source.CLAIMS))).weigh(CASE)
    assert risk.absent == ()


async def test_who_gives_up_on_a_request_is_not_taken_for_a_late_source():
    never = asyncio.Event()

    async def late(_case: Case) -> Vote:
        await never.wait()
        raise AssertionError

    weighing = asyncio.create_task(consensus(Consulted(Source.HISTORY, 60, late)).weigh(CASE))
    await asyncio.sleep(0)
    weighing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await weighing


async def test_the_structure_is_judged_by_whether_there_are_commands():
    async def lacking(instruction: str) -> Structure:
        assert instruction == CASE.instruction
        return Structure(0, ("MITIGATION",), ("has_mitigation_plan",))

    assert of(await weigh(structure=lacking), Source.STRUCTURE).level is Level.LOW
    sign_off = Case("agent-7", "x", CASE.instruction, NOW)
    assert of(await weigh(sign_off, structure=lacking), Source.STRUCTURE).level is Level.MEDIUM

    async def unjudged(_: str) -> None:
        return None

    nothing = await weigh(structure=unjudged)
    assert (nothing.absent, [v for v in nothing.votes if v.source is Source.STRUCTURE]) == ((), [])


async def test_a_workers_record_is_asked_for_once_in_a_while():
    asked: list[tuple[str, datetime]] = []
    time = 0.0

    async def conduct(worker: str, since: datetime) -> Conduct:
        asked.append((worker, since))
        return Conduct(rejections=len(asked))

    weighs = consensus(*consulted(clock=lambda: time, conduct=conduct))
    await weighs.weigh(CASE)
    await weighs.weigh(CASE)
    await weighs.weigh(Case("agent-8", "x", "y", NOW))
    assert asked == [("agent-7", NOW - timedelta(days=7)), ("agent-8", NOW - timedelta(days=7))]
    time = sources.REMEMBERED_SECONDS
    assert "rejected requests: 3" in of(await weighs.weigh(CASE), Source.HISTORY).reason


async def test_what_failed_is_not_remembered():
    answers = iter([RuntimeError(), 3])

    async def false_claims(_worker: str, _since: datetime) -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    weighs = consensus(*consulted(clock=lambda: 0.0, false_claims=false_claims))
    assert [absence.source for absence in (await weighs.weigh(CASE)).absent] == [Source.CLAIMS]
    again = await weighs.weigh(CASE)
    assert (of(again, Source.CLAIMS).level, again.doubted) == (Level.HIGH, True)


async def test_what_is_remembered_is_bounded():
    asked: list[str] = []

    async def conduct(worker: str, _since: datetime) -> Conduct:
        asked.append(worker)
        return Conduct()

    known = sources.Remembered(conduct, clock=lambda: 0.0)
    for n in range(sources.REMEMBERED_WORKERS + 1):
        await known.of(f"agent-{n}", NOW)
    await known.of("agent-0", NOW)
    assert asked.count("agent-0") == 2


async def test_a_language_model_can_raise_the_level():
    model = Model({"level": "HIGH", "reason": "it hides what it does"})
    risk = await weigh(model=model)
    assert (risk.level, risk.doubted) == (Level.HIGH, True)
    assert of(risk, Source.LANGUAGE_MODEL).reason == 'the model says: "it hides what it does"'


async def test_a_language_model_cannot_lower_it():
    destroys = Case("agent-7", "x", "y", NOW, commands=("docker rm web",), effects=("destroy",))
    risk = await weigh(destroys, model=Model({"level": "LOW", "reason": "trust me"}))
    assert risk.level is Level.HIGH
    assert of(risk, Source.LANGUAGE_MODEL) in risk.dissent


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (None, "the language model gave no usable answer"),
        ({}, "the language model answered in another form than it was asked for"),
        ({"level": "LOW"}, "the language model answered in another form than it was asked for"),
        ({"level": "NONE", "reason": ""}, "the language model answered in another form than it was asked for"),
    ],
)
async def test_a_language_model_without_a_proper_answer_is_absent(says: Mapping[str, Any] | None, reason: str):
    assert (await weigh(model=Model(says))).absent == (Absence(Source.LANGUAGE_MODEL, reason),)


async def test_a_language_model_has_its_own_limit():
    risk = await weigh(model=Model(None, gate=asyncio.Event()), model_seconds=0.05)
    assert risk.absent == (Absence(Source.LANGUAGE_MODEL, "no answer within 0.05 s"),)


async def test_a_language_model_is_shown_the_request_without_secrets_and_not_without_end():
    model = Model({"level": "LOW", "reason": "fine"})
    case = Case(
        "agent-7",
        "export DB_PASSWORD=hunter2",
        "token: ghp_0123456789abcdefghijABCDEFGHIJ012345\n" + "x" * 60_000,
        NOW,
        commands=("docker run -e API_TOKEN=s3cr3t web",),
        effects=("change",),
    )
    await weigh(case, model=model)
    ((instructions, text),) = model.asked
    assert "JSON" in instructions
    shown = json.loads(text)
    assert set(shown) == {"task", "instruction", "commands"}
    assert not [secret for secret in ("hunter2", "ghp_0123", "s3cr3t") if secret in text]
    assert len(shown["instruction"]) == sources.MOST_TEXT


REFUSED = """
INSERT INTO execution_audit (position, version, kind, execution_id, approval_id, jti, worker, environment, command,
    operation_digest, targets, target_digest, decision_digest, deciders, outcome, reason, output_excerpt, output_digest,
    token_hash, client, evidence, created_at, record, leaf_hash)
SELECT coalesce(max(position) + 1, 0), 1, 'REFUSED', '', '', '', $1, 'test', '', '', '[]', '', '', '[]', '', $2, '', '',
    '', '', '', $3, '', $4 FROM execution_audit
"""


async def refused(api: Api, worker: str, reason: Code, at: datetime, times: int = 1) -> None:
    """Rows as the gateway writes them."""
    for _ in range(times):
        await api.sql(REFUSED, worker, reason.value, at, token_bytes(32), role="wingman_gateway")


@asynccontextmanager
async def conduct_store(api: Api) -> AsyncIterator[ConductStore]:
    url, password = api.database.dsn("wingman_api"), api.database.passwords["wingman_api"]
    async with open_database(url, password) as pool:
        yield ConductStore(pool)


async def test_conduct_counts_what_real_tables_hold(api: Api):
    since = api.clock.now() - timedelta(days=7)
    api.gateway.scripts[RESTART] = Script(outcome=pb.Finished.OUTCOME_FAILED, exit_code=1)
    started = (await api.execute((await api.approved()) + ".0")).json()
    await api.finished(started["execution_id"])
    for n in range(2):
        await api.decide("alice", (await api.asked(task_name=f"no {n}"))["request"]["id"], "reject")
    await refused(api, "agent-7", Code.TARGET_CHANGED, api.clock.now(), times=3)
    await refused(api, "agent-8", Code.TARGET_CHANGED, api.clock.now())
    await refused(api, "", Code.TOKEN_MALFORMED, api.clock.now())
    async with conduct_store(api) as store:
        assert await store.conduct("agent-7", since) == Conduct(rejections=2, refusals=3, failures=1)
        assert await store.conduct("agent-8", since) == Conduct(refusals=1)
        assert await store.conduct("agent-9", since) == Conduct()
        assert await store.conduct("agent-7", api.clock.now() + timedelta(seconds=1)) == Conduct()


async def test_what_was_down_is_not_held_against_a_worker_and_counting_ends(api: Api):
    at = api.clock.now()
    for code in NOBODYS_FAULT:
        await refused(api, "agent-7", code, at)
    await refused(api, "agent-8", Code.APPROVAL_SPENT, at, times=MOST + 1)
    async with conduct_store(api) as store:
        assert await store.conduct("agent-7", at) == Conduct()
        assert await store.conduct("agent-8", at) == Conduct(refusals=MOST)


async def test_a_worker_with_a_bad_record_is_looked_at_even_where_the_policy_asks_nobody(api: Api, twin: Api):
    automatic = await api.asked(commands=["docker ps"])
    assert (automatic["status"], automatic["risk"]["level"]) == ("AUTO_APPROVED", "LOW")
    for n in range(5):
        await api.decide("alice", (await api.asked(task_name=f"no {n}"))["request"]["id"], "reject")
    doubted = await twin.asked(commands=["docker ps"])  # the twin has not asked for this worker's record before
    assert (doubted["status"], doubted["request"]["people_needed"]) == ("PENDING", 1)
    assert doubted["risk"]["level"] == "HIGH"
    assert {"source": "history", "level": "HIGH", "reason": "in 7 days: rejected requests: 5"} in doubted["risk"][
        "votes"
    ]
    restart = await twin.asked(task_name="again")
    assert restart["request"]["people_needed"] == 1, "the policy's own person is enough"
    assert (await api.decide("alice", doubted["request"]["id"], "approve")).json()["status"] == "APPROVED"
    other = await twin.asked("other-worker", worker_id="agent-8", commands=["docker ps"])
    assert other["status"] == "AUTO_APPROVED"


async def test_a_source_that_fails_is_shown_as_absent_and_kept(api: Api):
    await api.sql("REVOKE SELECT ON execution_audit FROM wingman_api", role="wingman_owner")
    answer = await api.asked()
    assert answer["risk"]["absent"] == [{"source": "history", "reason": "it failed"}]
    assert "history" not in {vote["source"] for vote in answer["risk"]["votes"]}
    await api.sql("GRANT SELECT ON execution_audit TO wingman_api", role="wingman_owner")
    kept = (await api.call("alice", "GET", f"/approvals/{answer['request']['id']}")).json()
    assert kept["risk"] == answer["risk"]
    failed = [entry for entry in api.log if entry["event"] == "risk.source_failed"]
    assert [(entry["source"], entry["error"]) for entry in failed] == [("history", "InsufficientPrivilegeError")]


async def test_a_source_that_hangs_is_left_behind(api: Api):
    owner = await api.database.connection("wingman_owner").connect()
    try:
        async with owner.transaction():
            await owner.execute("LOCK TABLE execution_audit IN ACCESS EXCLUSIVE MODE")
            answer = await api.asked()
    finally:
        await owner.close()
    assert answer["risk"]["absent"] == [{"source": "history", "reason": "no answer within 2 s"}]


async def test_without_consensus_effect_environment_and_wording_are_left(environ: dict[str, str], api: Api):
    async with twin_of(api, {**environ, "WINGMAN_CONSENSUS_ENABLED": "0"}) as twin:
        judged = {vote["source"] for vote in (await twin.asked())["risk"]["votes"]}
    assert judged == {"environment", "effect", "blast_radius", "wording"}


async def test_a_deployment_may_ask_more_people_for_high(environ: dict[str, str], api: Api):
    api.gateway.radius = pb.BlastRadius(summary="data goes", reversible=False, data_lost=["volume data"])
    async with twin_of(api, {**environ, "WINGMAN_HIGH_RISK_PEOPLE": "2"}) as twin:
        high = await twin.asked()
        assert (high["risk"]["level"], high["request"]["people_needed"]) == ("HIGH", 2)
        read = await twin.asked(commands=["docker ps"], task_name="production")
        assert (read["risk"]["level"], read["status"]) == ("HIGH", "AUTO_APPROVED")
