"""One caller's flood is its own problem, and one target has one mutation at a time."""

import asyncio

import pytest

from wingman_core.errors import LimitExceeded
from wingman_gateway import limits
from wingman_gateway.limits import Limits, Turns


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_calls_in_flight_are_bounded_for_each_caller():
    admission = Limits(concurrency=2, rate=1000, clock=Clock())
    with admission.admit("a"), admission.admit("a"):
        with pytest.raises(LimitExceeded, match="2 calls are in flight") as refused, admission.admit("a"):
            pass
        with admission.admit("b"):
            pass
    assert refused.value.details == {"limit": "concurrency"}
    with admission.admit("a"):
        pass


def test_a_place_is_given_back_when_the_call_fails():
    admission = Limits(concurrency=1, rate=1000, clock=Clock())
    with pytest.raises(ValueError, match="broke"), admission.admit("a"):
        raise ValueError("broke")
    with admission.admit("a"):
        pass


def test_the_rate_refills_with_time_and_is_each_callers_own():
    clock = Clock()
    admission = Limits(concurrency=9, rate=0.5, clock=clock)
    for _ in range(2):
        with admission.admit("a"):
            pass
    with pytest.raises(LimitExceeded, match=r"more than 0\.5 calls in a second"), admission.admit("a"):
        pass
    with admission.admit("b"):
        pass
    clock.seconds += 2
    with admission.admit("a"):
        pass
    with pytest.raises(LimitExceeded), admission.admit("a"):
        pass


def test_the_burst_is_bounded_however_long_nobody_called():
    clock = Clock()
    admission = Limits(concurrency=9, rate=0.5, clock=clock)
    with admission.admit("a"):
        pass
    clock.seconds += 1_000_000
    for _ in range(2):
        with admission.admit("a"):
            pass
    with pytest.raises(LimitExceeded), admission.admit("a"):
        pass


def test_the_memory_of_callers_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "CALLERS", 2)
    admission = Limits(concurrency=9, rate=0.25, clock=Clock())
    for caller in ("a", "b", "c", "a"):
        with admission.admit(caller):
            pass
    with pytest.raises(LimitExceeded), admission.admit("c"):
        pass


async def test_turns_of_one_key_exclude_each_other_and_say_who_waited():
    turns = Turns(wait=30, queue=16)
    inside: list[str] = []
    seen: list[tuple[str, bool]] = []

    async def use(name: str) -> None:
        async with turns.take(["x", name]) as waited:
            inside.append(name)
            assert len(inside) == 1
            await asyncio.sleep(0)
            inside.remove(name)
            seen.append((name, waited))

    await asyncio.gather(*(use(name) for name in "abc"))
    assert seen == [("a", False), ("b", True), ("c", True)]


async def test_who_comes_between_a_holder_and_a_waiter_has_waited_too():
    turns = Turns(wait=30, queue=16)
    order: list[tuple[str, bool]] = []

    async def wait_behind() -> None:
        async with turns.take(["x"]) as waited:
            order.append(("waiter", waited))
            await asyncio.sleep(0)

    async with turns.take(["x"]):
        waiter = asyncio.create_task(wait_behind())
        await asyncio.sleep(0)
    # The lock is free in this moment, and the waiter is the one to have it.
    async with turns.take(["x"]) as waited:
        order.append(("newcomer", waited))
    await waiter
    assert sorted(order) == [("newcomer", True), ("waiter", True)]


async def test_turns_of_different_keys_do_not_wait():
    turns = Turns(wait=30, queue=16)
    async with turns.take(["x"]) as first, turns.take(["y"]) as second, turns.take([]) as third:
        assert (first, second, third) == (False, False, False)


async def test_opposite_orders_do_not_deadlock():
    turns = Turns(wait=30, queue=16)

    async def use(*keys: str) -> None:
        for _ in range(20):
            async with turns.take(keys):
                await asyncio.sleep(0)

    async with asyncio.timeout(20):
        await asyncio.gather(use("x", "y"), use("y", "x"), use("y", "y"))


async def test_a_wait_that_is_too_long_is_refused_and_leaves_nothing_locked():
    turns = Turns(wait=0.01, queue=16)
    async with turns.take(["y"]):
        with pytest.raises(LimitExceeded, match="another execution has held the same target"):
            async with turns.take(["x", "y"]):
                pytest.fail("y is taken")
        async with turns.take(["x"]) as waited:
            assert not waited
    async with turns.take(["y"]) as waited:
        assert not waited


async def test_too_many_that_wait_for_one_target_are_refused_at_once_and_others_are_not():
    turns = Turns(wait=30, queue=2)
    go_on, held = asyncio.Event(), asyncio.Event()

    async def take() -> None:
        async with turns.take(["a"]):
            held.set()
            await go_on.wait()

    tasks = [asyncio.create_task(take()) for _ in range(3)]
    await held.wait()
    with pytest.raises(LimitExceeded, match="wait for the same target already") as refused:
        async with turns.take(["b", "a"]):
            pass
    assert refused.value.details == {"limit": "target"}
    async with turns.take(["b"]) as waited:
        assert not waited
    go_on.set()
    await asyncio.gather(*tasks)
    async with turns.take(["a"]) as waited:
        assert not waited
