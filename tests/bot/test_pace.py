"""Telegram's limits as the bot keeps them, in a time of the tests' own."""

import asyncio
import heapq
from collections.abc import Callable, Iterable
from itertools import count, pairwise

import pytest

from wingman_bot.pace import MOST_CHATS, TAPS, Limits, Pace, Scope, Urgency

GROUP, PERSON = -100, 7


class Timer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Time:
    """Time that passes when everybody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self._numbers = count()
        self._timers: list[tuple[float, int, Timer]] = []

    def clock(self) -> float:
        return self.now

    def later(self, delay: float, callback: Callable[[], None], /) -> Timer:
        timer = Timer(callback)
        heapq.heappush(self._timers, (self.now + delay, next(self._numbers), timer))
        return timer

    async def passes(self, until: float) -> None:
        """Let time pass, a timer at a time."""
        await settled()
        while self._timers and self._timers[0][0] <= until:
            at, _, timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                self.now = max(self.now, at)
                timer.callback()
                await settled()
        self.now = until


async def settled() -> None:
    """Let every task go on as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


class Line:
    """Calls that wait, and when each had its turn."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.time = Time()
        self.pace = Pace(limits or Limits(), self.time.clock, self.time.later)
        self.turns: list[tuple[str, float]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def waits(self, name: str, urgency: Urgency, scope: Scope, *, is_message: bool = True) -> "asyncio.Task[None]":
        async def turn() -> None:
            await self.pace.turn(urgency, scope, is_message=is_message)
            self.turns.append((name, self.time.now))

        task = asyncio.create_task(turn())
        self.tasks.append(task)
        return task

    def times(self, names: Iterable[str] | None = None) -> list[float]:
        return [at for name, at in self.turns if names is None or name in names]


async def test_one_message_a_second_in_a_chat():
    line = Line()
    for number in range(5):
        line.waits(str(number), Urgency.CARD, PERSON)
    await line.time.passes(100)
    assert [name for name, _ in line.turns] == list("01234")
    assert all(later - earlier >= 1 for earlier, later in pairwise(line.times()))
    assert line.times()[-1] < 4.5, "and not slower than it has to be"


async def test_twenty_messages_a_minute_in_a_group():
    line = Line()
    for number in range(60):
        line.waits(str(number), Urgency.ALERT, GROUP)
    await line.time.passes(1000)
    times = line.times()
    assert len(times) == 60
    assert all(times[place + 20] - times[place] >= 60 for place in range(40))
    assert times[-1] < 150


async def test_thirty_calls_a_second_over_all():
    line = Line()
    for chat in range(1, 91):
        line.waits(str(chat), Urgency.CARD, chat)
    await line.time.passes(100)
    times = line.times()
    assert all(times[place + 30] - times[place] >= 1 for place in range(60))
    assert times[-1] < 2.5


async def test_what_is_urgent_goes_first_and_edits_wait_for_no_message():
    line = Line()
    for number in range(3):
        line.waits(f"card {number}", Urgency.CARD, GROUP)
    await settled()
    line.waits("alert", Urgency.ALERT, GROUP)
    line.waits("answer", Urgency.ANSWER, GROUP)
    line.waits("edit", Urgency.EDIT, GROUP, is_message=False)
    line.waits("tap", Urgency.ANSWER, TAPS, is_message=False)
    await line.time.passes(100)
    assert [name for name, _ in line.turns] == ["card 0", "edit", "tap", "answer", "alert", "card 1", "card 2"]
    assert line.times({"edit", "tap"}) == [0.0, 0.0]


async def test_a_chat_that_said_429_is_left_alone_and_the_others_are_not():
    line = Line()
    line.pace.pause(GROUP, 30)
    line.waits("there", Urgency.ANSWER, GROUP, is_message=False)
    line.waits("elsewhere", Urgency.CARD, PERSON)
    await line.time.passes(100)
    assert line.turns == [("elsewhere", 0.0), ("there", 30.0)]


async def test_answers_to_taps_that_earned_a_429_hold_back_themselves_alone():
    line = Line()
    line.pace.pause(TAPS, 5)
    line.waits("tap", Urgency.ANSWER, TAPS, is_message=False)
    line.waits("card", Urgency.CARD, GROUP)
    line.waits("edit", Urgency.EDIT, GROUP, is_message=False)
    await line.time.passes(100)
    assert line.turns == [("card", 0.0), ("edit", 0.0), ("tap", 5.0)]


async def test_cards_leave_room_for_answers():
    line = Line()
    for number in range(40):
        line.waits(f"card {number}", Urgency.CARD, GROUP)
    await line.time.passes(30)
    kept = Limits().kept
    assert len(line.turns) == 20 - kept
    for number in range(kept):
        line.waits(f"answer {number}", Urgency.ANSWER, GROUP)
    await line.time.passes(30 + kept * 1.1)
    assert len(line.times({f"answer {number}" for number in range(kept)})) == kept
    await line.time.passes(1000)
    times = line.times()
    assert all(times[place + 20] - times[place] >= 60 for place in range(len(times) - 20))


async def test_who_only_looks_takes_no_place():
    line = Line()
    looks = [asyncio.create_task(line.pace.turn(Urgency.CARD, GROUP, is_message=True, takes=False)) for _ in range(3)]
    await asyncio.gather(*looks)
    line.waits("card", Urgency.CARD, GROUP)
    await line.time.passes(1)
    assert line.turns == [("card", 0.0)]
    looks = [asyncio.create_task(line.pace.turn(Urgency.CARD, GROUP, is_message=True, takes=False))]
    await settled()
    assert not looks[0].done()
    await line.time.passes(2)
    await looks[0]


async def test_who_gives_up_is_forgotten():
    line = Line()
    line.waits("first", Urgency.CARD, PERSON)
    second = line.waits("second", Urgency.CARD, PERSON)
    line.waits("third", Urgency.CARD, PERSON)
    await settled()
    assert line.pace.waiting == 2
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await line.time.passes(100)
    assert [name for name, _ in line.turns] == ["first", "third"]
    assert line.times()[-1] < 1.5, "the place of who gave up is taken"


async def test_chats_of_long_ago_are_forgotten():
    line = Line()
    for chat in range(1, 3 * MOST_CHATS):
        line.waits(str(chat), Urgency.CARD, chat)
        line.pace.pause(chat, 0.1)
    await line.time.passes(10_000)
    assert len(line.turns) == 3 * MOST_CHATS - 1
    assert len(line.pace._chats) <= MOST_CHATS
    assert len(line.pace._paused) <= MOST_CHATS + 1
