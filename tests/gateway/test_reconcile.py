"""What did not reach the log is brought there once; what nobody saw is asked of Docker, never run again."""

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.conftest import Database
from tests.gateway.conftest import FakeEngine
from wingman_core.audit_record import AuditRecord, RecordKind, identities
from wingman_core.command import parse
from wingman_core.errors import Code, Unavailable
from wingman_core.target import Reference, Target
from wingman_gateway.audit_log import AuditLog
from wingman_gateway.audit_store import AuditStore, Pool, open_pool
from wingman_gateway.engine import EngineRefused, events
from wingman_gateway.journal import Journal
from wingman_gateway.reconcile import Reconciler, target_of
from wingman_gateway.records import Attempt, Records

NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Site:
    """A reconciler, the log as it sees it, and what else it works on."""

    def __init__(self, engine: FakeEngine, pool: Pool, journal: Journal) -> None:
        self.engine, self.journal = engine, journal
        self.store = AuditStore(pool, origin="wingman/test/log1", key=Ed25519PrivateKey.generate())
        self.entries = AuditLog(pool)
        self.running: set[str] = set()
        self.now = NOW
        self.number = 0
        self.told: list[MutableMapping[str, Any]] = []
        self.take = self.store.append
        self.look: Callable[[], Awaitable[tuple[AuditRecord, ...]]] = self.store.open_intents
        self.reconciler = self.of("gateway")

    def of(self, gateway: str, journal: str = "") -> Reconciler:
        return Reconciler(
            engine=self.engine,
            audit=self,
            entries=self.entries,
            journal=self.journal,
            records=Records("test", gateway, journal=journal, now=lambda: self.now),
            running=lambda: frozenset(self.running),
            log=structlog.wrap_logger(structlog.PrintLogger(), processors=[self.hear]),
        )

    def hear(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
        self.told.append(event)
        return str(event)

    async def append(self, record: AuditRecord) -> int:
        return await self.take(record)

    async def open_intents(self) -> tuple[AuditRecord, ...]:
        return await self.look()

    def journaled_meanwhile(self, intent: AuditRecord) -> Callable[[], Awaitable[tuple[AuditRecord, ...]]]:
        """Read the log as late as the outcome of an execution goes into the journal."""

        async def look() -> tuple[AuditRecord, ...]:
            self.journal.keep(concluded(intent).to_bytes())
            return await self.store.open_intents()

        return look

    async def intent(
        self,
        command: str = "docker stop web",
        *,
        told: str = "",
        gateway: str = "gateway",
        journal: str = "",
        **changes: str,
    ) -> AuditRecord:
        """Append an INTENT and return it; ``told`` is the command it claims."""
        self.number += 1
        operation = parse(command)
        attempt = Attempt("client", command=told or command, targets=await self.engine.resolve(operation))
        record = Records("test", gateway, journal=journal, now=lambda: self.now).intent(attempt, f"exe_{self.number}")
        record = replace(record, approval_id=f"apr_{self.number}", jti=f"jti_{self.number}", **changes)
        await self.store.append(record)
        return record

    async def open(self) -> list[str]:
        return [intent.execution_id for intent in await self.store.open_intents()]


def concluded(intent: AuditRecord, *, exit_code: int | None = None) -> AuditRecord:
    return intent.concluded(RecordKind.RESULT, "FAILED", "2030-01-01T00:00:00.000000Z", exit_code=exit_code)


@pytest.fixture
async def site(engine: FakeEngine, database: Database, tmp_path: Path) -> AsyncIterator[Site]:
    pool = await open_pool(database.dsn("wingman_gateway"), database.passwords["wingman_gateway"])
    with Journal(tmp_path / "journal") as journal:
        site = Site(engine, pool, journal)
        await site.store.start()
        yield site
        await site.store.close()
    pool.terminate()


async def test_an_open_intent_is_closed_with_what_docker_testifies(site: Site):
    intent = await site.intent()
    site.journal.note(intent.execution_id, "exec_id", "1234")
    assert await site.reconciler.run()
    assert site.engine.asked == [("exe_1", "docker stop web", {"exec_id": "1234"})]
    assert await site.open() == []
    assert site.journal.notes("exe_1") == {}
    assert await site.reconciler.run()
    assert len(site.engine.asked) == 1
    assert site.engine.acts == []


async def test_one_that_still_runs_is_asked_about_again(site: Site):
    await site.intent()
    site.engine.testimony = events.Testimony("RUNNING", None, "{}")
    assert not await site.reconciler.run()
    assert await site.open() == ["exe_1"]
    site.engine.testimony = events.Testimony("FAILED", 7, '{"objects":[{"error":"exec: --password hunter2"}]}')
    assert await site.reconciler.run()
    assert await site.open() == []
    assert b"exec: --password [redacted]" in (await site.entries.at(1))[0].record


async def test_what_this_process_still_answers_for_is_left_alone(site: Site):
    await site.intent()
    await site.intent("docker stop db")
    site.running = {"exe_1"}
    assert await site.reconciler.run()
    assert await site.open() == ["exe_1"]


async def test_another_gateways_intents_are_left_to_it(site: Site):
    await site.intent(gateway="other")
    await site.intent(evidence="no json")
    await site.intent(evidence="[]")
    assert await site.reconciler.run()
    assert await site.open() == ["exe_1", "exe_2", "exe_3"]
    assert site.engine.asked == []
    assert await site.of("other").run()
    assert await site.open() == ["exe_2", "exe_3"]


async def test_of_two_outcomes_the_one_in_the_log_is_told(site: Site):
    async def late(record: AuditRecord) -> int:
        await site.store.append(replace(record, outcome="FAILED"))  # by another gateway of the same name
        return await site.store.append(record)

    await site.intent()
    await site.intent("docker stop db")
    site.running, site.take = {"exe_2"}, late
    assert await site.reconciler.run()
    site.running, site.take = set(), site.store.append
    assert await site.reconciler.run()
    assert [(each["event"], each["outcome"], each["position"]) for each in site.told] == [
        ("an execution had its outcome already", "FAILED", 2),
        ("an execution was reconciled", "SUCCEEDED", 3),
    ]


async def test_a_journal_says_nothing_of_what_another_noted(site: Site):
    for journal in ("one", "two", ""):
        await site.intent(journal=journal)
    assert await site.of("gateway", "one").run()
    assert site.engine.asked == [
        ("exe_1", "docker stop web", {}),
        ("exe_2", "docker stop web", None),
        ("exe_3", "docker stop web", None),
    ]


async def test_how_long_the_oldest_has_been_open_is_known(site: Site):
    def open_seconds() -> float:
        site.now += timedelta(seconds=1)
        return site.reconciler.open_seconds()

    assert open_seconds() == 0
    lost = await site.intent(gateway="other")
    site.now += timedelta(minutes=1)
    hung = await site.intent()
    await site.intent()
    site.running = {"exe_3"}
    site.engine.refusing[hung.execution_id] = Unavailable(Code.ENGINE_UNAVAILABLE, "no answer in time")
    assert not await site.reconciler.run()
    assert (site.reconciler.left_open, open_seconds()) == (1, 61)
    await site.store.append(concluded(lost))
    site.look = site.journaled_meanwhile(await site.intent())
    assert not await site.reconciler.run()
    assert (site.reconciler.left_open, open_seconds()) == (0, 2)
    site.look = site.store.open_intents
    site.engine.refusing.clear()
    assert await site.reconciler.run()
    assert open_seconds() == 0  # what this process runs is no matter of reconciliation


async def test_the_journal_goes_first_in_order_and_once(site: Site):
    intents = [await site.intent() for _ in range(3)]
    results = [concluded(intent) for intent in intents]
    for result in (results[1], results[0], results[1]):
        site.journal.keep(result.to_bytes())
    site.journal.note("exe_1", "exec_id", "1")
    assert await site.reconciler.run()
    assert site.journal.empty()
    assert site.journal.notes("exe_1") == {}
    assert [asked for asked, _, _ in site.engine.asked] == ["exe_3"]
    positions = [await site.store.append(result) for result in (results[1], results[0])]
    assert positions == [3, 4]


async def test_an_outcome_that_is_journaled_in_the_meantime_wins(site: Site):
    site.look = site.journaled_meanwhile(await site.intent())
    assert not await site.reconciler.run()
    site.look = site.store.open_intents
    assert site.engine.asked == []
    assert await site.reconciler.run()
    assert site.engine.asked == []
    assert await site.open() == []


async def test_an_outcome_that_the_log_cannot_hold_stops_no_other(site: Site, tmp_path: Path):
    intents = [await site.intent() for _ in range(2)]
    unfit, good = (concluded(intent, exit_code=9) for intent in intents)
    damaged = unfit.to_bytes().replace(b'"exit_code":9', b'"exit_code":3221225786')
    for data in (damaged, good.to_bytes()):
        site.journal.keep(data)
    assert await site.reconciler.run()
    assert [asked for asked, _, _ in site.engine.asked] == ["exe_1"]
    assert await site.open() == []
    (kept,) = (tmp_path / "journal").glob("*.refused")
    assert kept.read_bytes() == damaged


async def test_a_testimony_of_more_than_32_bits_is_recorded_all_the_same(site: Site):
    intent = await site.intent()
    site.engine.testimony = events.Testimony("FAILED", 1 << 40, f'{{"exit_code":{1 << 40}}}')
    assert await site.reconciler.run()
    assert await site.open() == []
    assert await site.store.append(concluded(intent)) == 1


async def test_without_an_engine_it_waits(site: Site):
    await site.intent()
    site.engine.down = True
    with pytest.raises(Unavailable):
        await site.reconciler.run()
    assert await site.open() == ["exe_1"]


async def test_a_command_that_is_not_understood_any_more_has_an_unknown_outcome(site: Site):
    await site.intent()
    await site.intent(told="docker teleport web")
    assert await site.reconciler.run()
    assert [asked for asked, _, _ in site.engine.asked] == ["exe_1"]
    assert await site.open() == []


async def test_an_engine_that_refuses_to_say_makes_it_unknown(site: Site):
    intent = await site.intent()
    site.engine.refusing[intent.execution_id] = EngineRefused(400, "no: DB_PASSWORD=hunter2")
    assert await site.reconciler.run()
    assert await site.open() == []
    assert b"no: DB_PASSWORD=[redacted]" in (await site.entries.of(intent.execution_id))[1].record


async def test_an_engine_that_is_just_coming_up_is_asked_again(site: Site):
    intent = await site.intent()
    for status in (500, 503):
        site.engine.refusing[intent.execution_id] = EngineRefused(status, "starting")
        assert not await site.reconciler.run()
        assert await site.open() == ["exe_1"]
    site.engine.refusing.clear()
    assert await site.reconciler.run()
    assert await site.open() == []


async def test_an_answer_that_nobody_foresaw_stops_no_other(site: Site):
    strange = await site.intent()
    await site.intent()
    site.engine.refusing[strange.execution_id] = KeyError("State")
    assert not await site.reconciler.run()
    assert await site.open() == ["exe_1"]


async def test_what_begins_while_the_log_is_read_is_left_alone(site: Site):
    async def begun_meanwhile() -> tuple[AuditRecord, ...]:
        intent = await site.intent()
        site.running.add(intent.execution_id)
        return await site.store.open_intents()

    site.look = begun_meanwhile
    assert await site.reconciler.run()
    assert site.engine.asked == []
    assert await site.open() == ["exe_1"]


async def test_one_that_the_engine_does_not_answer_for_holds_up_no_other(site: Site):
    hung = await site.intent()
    await site.intent("docker stop db")
    site.engine.refusing[hung.execution_id] = Unavailable(Code.ENGINE_UNAVAILABLE, "no answer in time")
    assert not await site.reconciler.run()
    assert await site.open() == ["exe_1"]
    site.engine.refusing.clear()
    assert await site.reconciler.run()
    assert await site.open() == []


async def test_damaged_notes_are_not_taken_for_an_answer_and_hold_up_no_other(site: Site, tmp_path: Path):
    await site.intent()
    await site.intent("docker stop db")
    notes = tmp_path / "journal" / "exe_1.notes"
    notes.write_text("{")
    assert not await site.reconciler.run()
    assert await site.open() == ["exe_1"]
    assert notes.read_text() == "{"
    notes.unlink()
    assert await site.reconciler.run()
    assert await site.open() == []


async def test_a_log_that_takes_no_record_ends_the_run(site: Site):
    await site.intent()

    async def refuse(_record: AuditRecord) -> int:
        raise Unavailable(Code.DATABASE_UNAVAILABLE, "gone")

    site.take = refuse
    with pytest.raises(Unavailable, match="gone"):
        await site.reconciler.run()


@pytest.mark.parametrize(
    "target",
    [
        Target(Reference("container", "web", "peer"), "a" * 64, image_digest="sha256:1", name="web"),
        Target(Reference("image", "3fa9"), "sha256:3fa9", name="web:1", names=("web:1", "web:2")),
    ],
)
def test_a_target_comes_back_from_its_identity(target: Target):
    (text,) = identities([target])
    assert target_of(text).identity() == target.identity()


async def test_a_command_whose_secret_is_hidden_is_asked_about(site: Site):
    hidden = "docker exec --env DB_PASSWORD=[REDACTED sha256:12345678] web ls"
    await site.intent("docker exec --env DB_PASSWORD=hunter2 web ls", told=hidden)
    assert await site.reconciler.run()
    assert site.engine.asked == [("exe_1", "docker exec --env DB_PASSWORD=REDACTED-12345678 web ls", {})]
