"""Whose card is next."""

import asyncio
from datetime import UTC, datetime

import pytest

from wingman_bot.card_queue import FIELDS, REMEMBERED, CardQueue, Place, noted, place_of


def place(worker: str = "w", *, asker: str = "", expires: int = 0, high: bool = False) -> Place:
    return Place(high, expires, asker or worker, worker)


def taken(queue: CardQueue, most: int = 1000) -> list[str]:
    return [queue.take() for _ in range(min(most, len(queue)))]


def test_one_workers_go_by_the_time_that_is_left():
    queue = CardQueue()
    for name, expires in (("late", 30), ("soon", 10), ("then", 20)):
        queue.put(name, place(expires=expires))
    assert taken(queue) == ["soon", "then", "late"]


def test_high_risk_goes_first_but_never_alone():
    queue = CardQueue()
    for number in range(6):
        queue.put(f"high {number}", place(expires=number, high=True))
        queue.put(f"low {number}", place("other", expires=number))
    assert taken(queue, 8) == ["high 0", "high 1", "high 2", "low 0", "high 3", "high 4", "high 5", "low 1"]


def test_a_flood_of_one_worker_leaves_room_for_the_others():
    queue = CardQueue()
    for number in range(100):
        queue.put(f"flood {number:03}", place("flood", expires=number))
    assert taken(queue, 3) == ["flood 000", "flood 001", "flood 002"]
    queue.put("other", place("other", expires=999))
    queue.put("another", place("another", expires=998))
    assert taken(queue, 5) == ["another", "other", "flood 003", "flood 004", "flood 005"]
    queue.put("other again", place("other", expires=0))
    assert taken(queue, 2) == ["other again", "flood 006"], "each in turn, however often one comes back"


def test_names_that_nobody_proves_get_no_more_than_one_share():
    queue = CardQueue()
    for number in range(50):
        queue.put(f"anonymous {number:02}", place(f"name {number}", asker="anonymous", expires=number))
    queue.put("keyed 0", place("agent", expires=100))
    queue.put("keyed 1", place("agent", expires=101))
    assert taken(queue, 4) == ["anonymous 00", "keyed 0", "anonymous 01", "keyed 1"]


async def test_it_is_filled_while_something_waits():
    queue = CardQueue()
    queue.put("a", place())
    queue.put("a", place(expires=5))
    await queue.filled()
    assert len(queue) == 1
    assert queue.take() == "a"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await queue.filled()
    with pytest.raises(ValueError, match="empty"):
        queue.take()


def test_askers_of_long_ago_are_forgotten():
    queue = CardQueue()
    for number in range(2 * REMEMBERED):
        queue.put("x", place(f"worker {number}"))
        queue.take()
    assert len(queue._served) == REMEMBERED


def test_a_note_says_whose_turn_it_is():
    at = datetime(2026, 3, 1, tzinfo=UTC)
    note = noted(is_high=True, expires_at=at, asker="a" * 100, worker="w")
    assert set(note) == set(FIELDS)
    assert place_of({"e": 1, **note}) == Place(True, int(at.timestamp()), "a" * 64, "w")
    assert place_of({"e": 1}) == Place(False, 0, "", "")
    assert noted(is_high=False, expires_at=None, asker="a", worker="w")["x"] == 0
