"""Every refusal counts; a flood of them does not fill the log."""

import json
from datetime import UTC, datetime

import pytest
import structlog

from wingman_core.audit_record import AuditRecord
from wingman_core.errors import Code, Unavailable, WingmanError
from wingman_gateway import refusals as module
from wingman_gateway.records import Attempt, Records
from wingman_gateway.refusals import Refusals


class Log:
    """A log in memory that may be down."""

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []
        self.down = False

    async def append(self, record: AuditRecord) -> int:
        if self.down:
            raise Unavailable(Code.DATABASE_UNAVAILABLE, "gone")
        self.records.append(record)
        return len(self.records) - 1


class Flood:
    """Refusals, a log, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.log = Log()
        self.records = Records("test", "gateway", now=lambda: datetime(2030, 1, 1, tzinfo=UTC))
        self.refusals = Refusals(self.log, self.records, structlog.wrap_logger(None), clock=lambda: self.seconds)

    async def refuse(self, number: int, client: str = "a", code: Code = Code.TOKEN_EXPIRED) -> None:
        for _ in range(number):
            await self.refusals.record(self.records.refused(Attempt(client), WingmanError(code, "no")))

    def told(self) -> int:
        """How many refusals the log accounts for."""
        return sum(json.loads(record.evidence).get("folded", 1) for record in self.log.records)


@pytest.fixture
def flood() -> Flood:
    return Flood()


async def test_a_few_have_a_record_each(flood: Flood):
    await flood.refuse(module.BURST)
    assert len(flood.log.records) == module.BURST
    await flood.refusals.flush()
    assert len(flood.log.records) == module.BURST


LOGIN = "user:hunter2"


def test_whatever_a_message_quotes_a_record_holds_no_secret(flood: Flood):
    error = WingmanError(Code.ENGINE_REFUSED, f"the engine refused: 'https://{LOGIN}@registry\\nDB_PASSWORD=hunter2'")
    assert "hunter2" not in flood.records.refused(Attempt("a"), error).evidence


async def test_a_flood_is_folded_and_none_is_lost(flood: Flood):
    await flood.refuse(1000)
    await flood.refuse(3, client="b")
    await flood.refuse(2, code=Code.TOKEN_SPENT)
    assert len(flood.log.records) == module.BURST + 5
    await flood.refusals.flush()
    (folded,) = flood.log.records[module.BURST + 5 :]
    assert (folded.client, folded.reason) == ("a", Code.TOKEN_EXPIRED)
    assert json.loads(folded.evidence)["folded"] == 1000 - module.BURST
    assert flood.told() == 1005


async def test_the_next_interval_begins_anew_and_writes_the_count_of_the_last(flood: Flood):
    await flood.refuse(module.BURST + 1)
    await flood.refusals.flush(only_if_due=True)
    assert flood.told() == module.BURST
    flood.seconds = module.INTERVAL
    await flood.refuse(1)
    assert flood.told() == module.BURST + 2
    assert len(flood.log.records) == module.BURST + 2


async def test_even_distinct_reasons_and_clients_are_bounded(flood: Flood):
    for number in range(module.PAIRS + 50):
        await flood.refuse(1, client=f"client-{number}")
    assert len(flood.log.records) == module.PAIRS
    await flood.refusals.flush()
    assert len(flood.log.records) == module.PAIRS + 1
    assert (flood.log.records[-1].client, flood.log.records[-1].reason) == ("", "MANY")
    assert flood.told() == module.PAIRS + 50


async def test_a_log_that_is_down_does_not_turn_a_refusal_into_something_else(
    flood: Flood, capsys: pytest.CaptureFixture[str]
):
    flood.log.down = True
    await flood.refuse(1)
    assert "could not be recorded" in capsys.readouterr().out
    flood.log.down = False
    await flood.refuse(1)
    assert flood.told() == 1
