"""What must not be forgotten, over lost answers, other bots, and many changes at once."""

# ruff: noqa: ARG002 - notes hold anything; the signatures are those of the API's client

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal

import pytest
import structlog

from wingman_bot.ledger import BATCH, FULL, MARK, REFUSALS, Ledger, Superseded
from wingman_bot.views import Consumer, Note
from wingman_core.errors import Code, Unavailable, WingmanError

AWAY = Unavailable(Code.GATEWAY_UNAVAILABLE, "away")
Trouble = Literal["before", "after"]


class Shelf:
    """One consumer as the API keeps it, with troubles to come."""

    def __init__(self) -> None:
        self.revision = self.cursor = 0
        self.notes_: dict[str, Any] = {}
        self.troubles: list[Trouble] = []
        self.puts: list[tuple[int, list[str]]] = []
        self.away_for_reading = 0

    async def consumer(self, name: str) -> Consumer:
        self._read()
        if not self.revision:
            raise WingmanError(Code.CONSUMER_UNKNOWN, "no consumer")
        return Consumer(cursor=self.cursor, revision=self.revision, notes=len(self.notes_), behind=0)

    async def notes(self, name: str) -> tuple[Note, ...]:
        self._read()
        return tuple(Note(key=key, value=value) for key, value in self.notes_.items())

    async def note(self, name: str, key: str) -> Note | None:
        self._read()
        return Note(key=key, value=self.notes_[key]) if key in self.notes_ else None

    async def put_consumer(self, name: str, revision: int, cursor: int, notes: Mapping[str, Any]) -> Consumer:
        trouble = self.troubles.pop(0) if self.troubles else None
        if trouble == "before":
            raise AWAY
        assert len(notes) <= 100
        assert cursor >= self.cursor
        if revision != self.revision:
            raise WingmanError(Code.CONSUMER_CHANGED, "somebody else")
        self.revision, self.cursor = self.revision + 1, cursor
        for key, value in notes.items():
            if value is None:
                self.notes_.pop(key, None)
            else:
                self.notes_[key] = value
        self.puts.append((cursor, sorted(set(notes) - {MARK})))
        if trouble == "after":
            raise AWAY
        return await self.consumer(name)

    def _read(self) -> None:
        if self.away_for_reading:
            self.away_for_reading -= 1
            raise AWAY


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for between two tries."""
    monkeypatch.setattr("wingman_bot.ledger.delays", lambda: iter([0.0] * 100))


@asynccontextmanager
async def open_ledger(shelf: Shelf, writer: str = "one") -> AsyncIterator[Ledger]:
    """A ledger that writes."""
    ledger = Ledger(shelf, "telegram", writer=writer, log=structlog.get_logger())
    await ledger.load()
    running = asyncio.create_task(ledger.run())
    try:
        yield ledger
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError, Superseded, WingmanError):
            await running


async def test_what_is_kept_is_found_again():
    shelf = Shelf()
    async with open_ledger(shelf) as ledger:
        assert (ledger.ready, ledger.cursor, ledger.notes) == (False, 0, {})
        ledger.ready = True
        await ledger.kept({"apr_a": {"e": 1}, "apr_b": {"e": 2}}, cursor=2)
        await ledger.kept({"apr_a": None}, cursor=3)
    async with open_ledger(shelf, "two") as again:
        assert (again.ready, again.cursor, again.notes) == (True, 3, {"apr_b": {"e": 2}})


async def test_many_changes_become_few_calls_in_their_order():
    shelf = Shelf()
    async with open_ledger(shelf) as ledger:
        shelf.puts.clear()
        changes = [ledger.keep({f"apr_{n}": {"e": n}}, cursor=n) for n in range(1, 501)]
        await asyncio.gather(*changes)
    assert len(shelf.puts) == -(-500 // BATCH)
    assert [cursor for cursor, _ in shelf.puts] == sorted(cursor for cursor, _ in shelf.puts)
    for cursor, keys in shelf.puts:
        assert f"apr_{cursor}" in keys, "a cursor never runs ahead of its notes"
    assert (shelf.cursor, len(shelf.notes_)) == (500, 501)


@pytest.mark.parametrize("troubles", [["before"], ["after"], ["before", "after"], ["after", "before"]])
async def test_a_lost_answer_is_recognised(troubles: list[Trouble]):
    shelf = Shelf()
    async with open_ledger(shelf) as ledger:
        shelf.troubles = troubles
        shelf.away_for_reading = 1
        before = shelf.revision
        await ledger.kept({"apr_a": {"e": 1}}, cursor=1)
        await ledger.kept({"apr_b": {"e": 2}}, cursor=2)
    assert shelf.revision == before + 2, "each change is made once"


async def test_of_two_bots_the_later_one_goes_on():
    shelf = Shelf()
    earlier = Ledger(shelf, "telegram", writer="one", log=structlog.get_logger())
    await earlier.load()
    async with open_ledger(shelf, "two") as later:
        change = earlier.keep({"apr_a": {"e": 1}})
        with pytest.raises(Superseded):
            await earlier.run()
        assert not change.done()
        await later.kept({"apr_b": {"e": 2}})
    assert set(shelf.notes_) == {MARK, "apr_b"}


async def test_a_bot_that_never_gets_a_word_in_says_so():
    shelf = Shelf()

    class Busy(Shelf):
        async def put_consumer(self, name: str, revision: int, cursor: int, notes: Mapping[str, Any]) -> Consumer:
            shelf.revision += 1
            return await shelf.put_consumer(name, revision, cursor, notes)

        async def consumer(self, name: str) -> Consumer:
            return await shelf.consumer(name)

    with pytest.raises(Superseded):
        await Ledger(Busy(), "telegram", writer="one", log=structlog.get_logger()).load()


class Strict(Shelf):
    """One that does not take a note."""

    def __init__(self, code: Code) -> None:
        super().__init__()
        self.code = code

    async def put_consumer(self, name: str, revision: int, cursor: int, notes: Mapping[str, Any]) -> Consumer:
        if "apr_x" in notes:
            raise WingmanError(self.code, "no")
        return await super().put_consumer(name, revision, cursor, notes)


@pytest.mark.parametrize("code", sorted(REFUSALS))
async def test_a_note_that_is_refused_is_left_and_holds_back_no_other(code: Code):
    shelf = Strict(code)
    async with open_ledger(shelf) as ledger:
        changes = [
            ledger.keep({"apr_a": {"e": 1}}, cursor=1),
            ledger.keep({"apr_x": {"e": 2}, "alert:2": {"e": 2}}, cursor=2),
            ledger.keep({"apr_b": {"e": 3}}, cursor=3),
        ]
        assert await asyncio.gather(*changes) == [True, False, True]
        assert await ledger.kept({"apr_x": None}) is False
        assert await ledger.kept({"apr_b": None}, cursor=4) is True
        assert (ledger.refused, ledger.unstored) == (2, 0)
    assert set(shelf.notes_) == {MARK, "apr_a", "alert:2"}
    assert shelf.cursor == 4


async def test_a_refusal_of_the_bot_itself_ends_the_writing():
    ledger = Ledger(Strict(Code.ROLE_MISSING), "telegram", writer="one", log=structlog.get_logger())
    await ledger.load()
    ledger.keep({"apr_x": {"e": 1}})
    with pytest.raises(WingmanError, match="ROLE_MISSING"):
        await ledger.run()


async def test_a_refusal_of_the_bot_amid_single_notes_ends_the_writing():
    class Closing(Strict):
        async def put_consumer(self, name: str, revision: int, cursor: int, notes: Mapping[str, Any]) -> Consumer:
            try:
                return await super().put_consumer(name, revision, cursor, notes)
            except WingmanError:
                self.code = Code.KEY_INVALID
                raise

    ledger = Ledger(Closing(Code.REQUEST_INVALID), "telegram", writer="one", log=structlog.get_logger())
    await ledger.load()
    ledger.keep({"apr_x": {"e": 1}})
    with pytest.raises(WingmanError, match="KEY_INVALID"):
        await ledger.run()


async def test_there_is_no_room_without_end():
    shelf = Shelf()
    async with open_ledger(shelf) as ledger:
        for n in range(FULL):
            ledger.keep({f"apr_{n}": {"e": n}})
        waiting = asyncio.create_task(ledger.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        ledger.keep({"apr_7": None})
        await asyncio.wait_for(waiting, 5)


async def test_what_waits_is_stored_at_the_end():
    shelf = Shelf()
    ledger = Ledger(shelf, "telegram", writer="one", log=structlog.get_logger())
    await ledger.load()
    ledger.keep({"apr_a": {"e": 1}}, cursor=1)
    assert ledger.unstored == 1
    await ledger.flush()
    assert (shelf.cursor, ledger.unstored) == (1, 0)
