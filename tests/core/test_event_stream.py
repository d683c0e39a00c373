"""Server-sent events as the standard reads them."""

import pytest

from wingman_core.event_stream import Event, events_of


@pytest.mark.parametrize(
    ("lines", "events"),
    [
        (["event: stdout", "id: 3", 'data: {"a": 1}', ""], [Event("stdout", '{"a": 1}', "3")]),
        (["data: a", "data: b", ""], [Event("message", "a\nb", "")]),
        (["data:no space", ""], [Event("message", "no space", "")]),
        (["id: 7", "data: x", "", "data: y", ""], [Event("message", "x", "7"), Event("message", "y", "7")]),
        ([": ping", "", "retry: 5", ""], []),
        (["event: lonely", "", "data: x", ""], [Event("message", "x", "")]),
        (["data: cut off"], []),
        (["data", ""], [Event("message", "", "")]),
        ([], []),
    ],
)
def test_lines_become_events(lines: list[str], events: list[Event]):
    assert list(events_of(lines)) == events
