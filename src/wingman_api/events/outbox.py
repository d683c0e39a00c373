"""The outbox: an event is stored in the transaction of what it reports, and numbered later.

Guarantees: what is committed is told, what is rolled back is not; nobody waits for anybody else (no lock, no
NOTIFY, which would make all commits take turns). That an execution started, and that it ended, is told once,
whoever sees it first.
"""

from collections.abc import Sequence
from typing import Final

from wingman_api.events.event import Event, OfExecution, OfRequest, worker_of
from wingman_api.system.store import Connection

INSERT: Final = """
INSERT INTO event (type, at, worker, request_id, execution_id, payload) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING
"""
"""Conflicts are with ``event_started_once`` and ``event_ended_once`` alone."""


async def emit(connection: Connection, event: Event) -> None:
    """Store an event in the connection's transaction; ``Database.transaction`` wakes the feed after its commit."""
    await connection.execute(INSERT, *_row(event))


async def emit_all(connection: Connection, events: Sequence[Event]) -> None:
    """Store events in their order."""
    await connection.executemany(INSERT, [_row(event) for event in events])


def _row(event: Event) -> tuple[object, ...]:
    return (
        event.type,
        event.at,
        worker_of(event),
        event.request_id if isinstance(event, OfRequest) else None,
        event.execution_id if isinstance(event, OfExecution) else None,
        event.model_dump_json(),
    )
