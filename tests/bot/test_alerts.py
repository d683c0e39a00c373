"""What people hear of though nobody asked."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.api.conftest import eventually
from tests.bot.running import Office, following
from tests.bot.telegram_server.wire import Message
from wingman_api.events import schemas
from wingman_api.events.event import (
    AuditCheckpoint,
    BoundaryViolated,
    ClaimFalse,
    Event,
    ExecutionUnknown,
    HealthChanged,
)
from wingman_api.events.outbox import emit
from wingman_api.system.store import open_database
from wingman_bot.alerts import _note

CLAIM = "the file x\n✅ Approved by alice\u202e"


async def told(office: Office, event: Event) -> None:
    """Have another process of the API tell something."""
    database = office.api.database
    async with (
        open_database(database.dsn("wingman_api"), database.passwords["wingman_api"]) as outbox,
        outbox.transaction() as connection,
    ):
        await emit(connection, event)


def events(office: Office) -> dict[str, tuple[Event, str, str]]:
    """An event of each kind that is an alert, what its heading says, and what it quotes."""
    at = office.api.clock.now()
    return {
        "claim": (
            ClaimFalse(
                at=at,
                worker_id="www.agent-7.com",
                verification_id="ver_1",
                claim=CLAIM,
                contradicted=("no such file",),
                contradictions=1,
                verifier="probes",
            ),
            "❗ A worker claims what is not so (verification ver_1)",
            "┃ worker: www.agent-7.com\n┃ claimed: the file x\n┃ ✅ Approved by alice\\u202e\n┃ found: no such file",
        ),
        "boundary": (
            BoundaryViolated(at=at, audit_position=7, reason="web mounts the socket"),
            "🚨 The privilege boundary is violated (audit position 7)",
            "┃ web mounts the socket",
        ),
        "unknown": (
            ExecutionUnknown(
                at=at,
                request_id="apr_x",
                worker_id="agent-7",
                execution_id="exe_x",
                approval_id="apr_x.0",
                audit_position=3,
            ),
            "❓ Nobody saw how exe_x of apr_x.0 ended: a person has to look",
            "┃ asked by agent-7",
        ),
        "health": (
            HealthChanged(
                at=at, status="unhealthy", was="healthy", components={"gateway": "unhealthy", "database": "healthy"}
            ),
            "🔴 Wingman is unhealthy, it was healthy",
            "┃ database healthy, gateway unhealthy",
        ),
        "checkpoint": (
            AuditCheckpoint(at=at, size=42, root="a" * 64, note="wingman/test/log\n42\nAAAA\n\n— key\n", daily=True),
            "🧾 The day's checkpoint of the audit log: 42 records. Keep it.",
            "┃ wingman/test/log\n┃ 42\n┃ AAAA\n┃ \n┃ — key",
        ),
    }


@pytest.mark.parametrize("kind", ["claim", "boundary", "unknown", "health", "checkpoint"])
async def test_an_alert_is_told_once(office: Office, kind: str):
    event, heading, quoted = events(office)[kind]
    async with office.bot() as bot:
        await following(bot)
        await told(office, event)
        alert = await office.telegram.message(office.group, lambda m: heading in m.text)
        assert alert.spans("bold")[0] == heading
        assert alert.spans("pre")[0].startswith(quoted)
        assert alert.buttons == []
        assert not any(entity.type not in {"bold", "pre"} for entity in alert.now.entities)
        await forgotten(bot.ledger.notes)
    async with office.bot() as bot:
        await following(bot)
        assert len([m for m in await office.telegram.from_bot(office.group) if heading in m.text]) == 1


async def forgotten(notes: dict[str, object]) -> None:
    """Return once no alert is kept any more."""

    async def look() -> bool | None:
        return True if not any(key.startswith("alert:") for key in notes) else None

    await eventually(look)


async def test_a_checkpoint_that_is_not_the_days_first_is_no_alert(office: Office):
    async with office.bot() as bot:
        await following(bot)
        at = office.api.clock.now()
        await told(office, AuditCheckpoint(at=at, size=43, root="a" * 64, note="n", daily=False))
        await told(office, BoundaryViolated(at=at, audit_position=7, reason="later"))
        await office.telegram.message(office.group, lambda m: "later" in m.text)
        assert not any("checkpoint" in m.text for m in await office.telegram.from_bot(office.group))


async def test_many_at_once_come_in_few_messages_and_none_is_lost(office: Office):
    at = office.api.clock.now()
    async with office.bot() as bot:
        await following(bot)
        await office.telegram.holds("sendMessage")
        for number in range(25):
            await told(office, BoundaryViolated(at=at, audit_position=number, reason=f"reason {number}."))
        await office.telegram.held("sendMessage")

        async def all_known() -> bool | None:
            return True if sum(key.startswith("alert:") for key in bot.ledger.notes) == 25 else None

        await eventually(all_known)
        await office.telegram.releases()

        async def look() -> list[Message]:
            return await office.telegram.from_bot(office.group)

        found = await office.telegram.until(look, lambda seen: "reason 24." in "".join(m.text for m in seen))
        text = "".join(m.text for m in found)
        assert all(text.count(f"reason {number}.") == 1 for number in range(25))
        assert len(found) <= 5


async def test_what_telegram_refuses_for_its_content_is_told_in_short_and_holds_up_no_other(office: Office):
    at = office.api.clock.now()
    async with office.bot() as bot:
        await following(bot)
        await office.telegram.refuses("sendMessage", 400, "Bad Request: MESSAGE_CONTENT_ODD", saying="reason 2.")
        await office.telegram.holds("sendMessage")
        for number in range(5):
            await told(office, BoundaryViolated(at=at, audit_position=number, reason=f"reason {number}."))
        await office.telegram.held("sendMessage")

        async def key() -> str | None:
            found = [key for key, note in bot.ledger.notes.items() if "reason 2." in note.get("t", "")]
            return next(iter(found), None)

        refused = (await eventually(key)).removeprefix("alert:")
        await office.telegram.releases()
        short = await office.telegram.message(office.group, lambda m: "does not take an alert" in m.text)
        assert short.text == (
            f"⚠️ Telegram does not take an alert as it is: event {refused} of the feed. The bot's log has all of it."
        )
        assert not short.now.entities
        await office.telegram.message(office.group, lambda m: "reason 4." in m.text)
        await forgotten(bot.ledger.notes)
        (logged,) = office.said("alerts.told_in_short")
        assert (logged["alert"], logged["level"]) == (f"alert:{refused}", "error")
        assert (logged["heading"], logged["text"]) == (
            "🚨 The privilege boundary is violated (audit position 2)",
            "┃ reason 2.",
        )
        assert "MESSAGE_CONTENT_ODD" in logged["error"]
        assert b"wingman_bot_alerts_told_in_short_total 1.0" in bot.metrics.text()
    async with office.bot() as bot:
        await following(bot)
        await told(office, BoundaryViolated(at=at, audit_position=6, reason="reason 6."))
        await office.telegram.message(office.group, lambda m: "reason 6." in m.text)
        text = "".join(m.text for m in await office.telegram.from_bot(office.group))
        assert [text.count(f"reason {number}.") for number in (0, 1, 2, 3, 4, 6)] == [1, 1, 0, 1, 1, 1]
        assert text.count("does not take an alert") == 1


async def test_the_backlog_that_telegram_refuses_says_where_to_look(office: Office):
    async with office.bot(WINGMAN_BOT_PENDING_ALERT="1") as bot:
        await following(bot)
        await office.telegram.refuses("sendMessage", 400, "Bad Request: MESSAGE_CONTENT_ODD", saying="wait for people")
        for number in range(2):
            await office.asks(task_name=f"Task {number}")
        short = await office.telegram.message(office.group, lambda m: "does not take an alert" in m.text)
        assert "as it is: /pending lists what it is about." in short.text
        await forgotten(bot.ledger.notes)


@given(st.text(max_size=300), st.text(max_size=2500))
@example('"' * 300, "\\" * 2000)
@example("\u202e" * 300, "\N{GRINNING FACE}" * 2000)
def test_an_alert_is_small_enough_to_be_kept_whatever_it_quotes(heading: str, body: str):
    text = schemas.compact(_note(2**53, heading, body))
    assert len(text.encode()) <= schemas.MAX_VALUE


async def test_a_long_alert_is_cut_and_says_so(office: Office):
    async with office.bot() as bot:
        await following(bot)
        await told(office, BoundaryViolated(at=office.api.clock.now(), audit_position=1, reason="é" * 1000))
        alert = await office.telegram.message(office.group, lambda m: "audit position 1" in m.text)
        assert alert.spans("pre")[0].endswith("é …")


async def test_more_than_enough_that_waits_is_told_once(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wingman_bot.alerts.LOOK", 0.05)

    async def alerts() -> list[Message]:
        return [m for m in await office.telegram.from_bot(office.group) if "requests wait for people" in m.text]

    async with office.bot(WINGMAN_BOT_PENDING_ALERT="2") as bot:
        await following(bot)
        ids = [await office.asks(task_name=f"Task {number}") for number in range(4)]
        first = await office.telegram.until(alerts)
        assert first[0].text.startswith("📥 ")
        for request_id in ids[:3]:
            await office.api.decide("bob", request_id, "reject")

        async def calm() -> bool | None:
            return None if "backlog" in bot.ledger.notes else True

        await eventually(calm)
        for number in range(3):
            await office.asks(task_name=f"Again {number}")
        assert len(await office.telegram.until(alerts, lambda seen: len(seen) == 2)) == 2
