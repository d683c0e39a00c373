"""What waits for a slow caller is bounded, in order, and whole."""

from wingman_gateway.engine.events import Output, Progress
from wingman_gateway.stream import JOINED_BYTES, Accepted, Execution


async def _told(execution: Execution) -> list[object]:
    """Everything that was told before the error that ends it."""
    execution.tell(ConnectionError())
    events, told = execution.events(), list[object]()
    while True:
        try:
            told.append(await anext(events))
        except ConnectionError:
            return told


async def test_pieces_of_a_few_bytes_travel_together_and_whole():
    execution = Execution("exe_1")
    for number in range(100_000):
        execution.tell(Output("stdout", b"%d " % (number % 10)))
    told = await _told(execution)
    assert b"".join(event.data for event in told if isinstance(event, Output)) == b"0 1 2 3 4 5 6 7 8 9 " * 10_000
    assert len(told) == -(-200_000 // JOINED_BYTES)


async def test_streams_stay_apart_and_in_order():
    execution = Execution("exe_1")
    said = [
        Accepted("exe_1", 0),
        Output("stdout", b"a"),
        Output("stderr", b"b"),
        Progress("c"),
        Output("stderr", b"d"),
        Output("stdout", b"e"),
    ]
    for event in said:
        execution.tell(event)
    assert await _told(execution) == said


async def test_nothing_is_kept_for_a_caller_that_left():
    execution = Execution("exe_1")
    execution.leave()
    execution.tell(Output("stdout", b"a"))
    assert not execution._events
