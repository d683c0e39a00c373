"""``/events``: follow what happens; ``/events/consumers``: a durable place in it, with notes."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, cast

from fastapi import Depends, Header, Path, Query, Request
from fastapi.responses import StreamingResponse

from wingman_api.events.consumers import Consumers
from wingman_api.events.dependencies import held
from wingman_api.events.event import EventType, StreamItem
from wingman_api.events.feed import Feed, Wanted, events_lost
from wingman_api.events.schemas import (
    MAX_PAGE,
    MAX_POSITION,
    ConsumerChange,
    ConsumerName,
    ConsumersAnswer,
    ConsumerView,
    NoteKey,
    NotesAnswer,
    NoteView,
)
from wingman_api.events.streams import Place, Streams
from wingman_api.identity.caller import Caller, Permission
from wingman_api.identity.dependencies import closed, permitted
from wingman_api.problems import declared
from wingman_core.errors import CallerRefused, Code

KEY: Final = (Code.KEY_MISSING, Code.KEY_INVALID, Code.ROLE_MISSING)
CONSUMER: Final = (*KEY, Code.CONSUMER_UNKNOWN, Code.PERSON_MISMATCH)
STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": StreamItem, "description": "Server-sent events: `id` is the position, `data` is one of these."}
}

router = closed(prefix="/events", tags=["events"])


@dataclass(frozen=True, slots=True)
class Span:
    """After which position a stream begins, and what is the newest one by then."""

    after: int
    newest: int


class EventStream(StreamingResponse):
    """A stream of server-sent events, encoded already."""

    media_type = "text/event-stream"


def _feed(request: Request) -> Feed:
    return cast("Feed", request.app.state.feed)


def _consumers(request: Request) -> Consumers:
    return cast("Consumers", request.app.state.consumers)


def _streams(request: Request) -> Streams:
    return cast("Streams", request.app.state.streams)


async def _keyed(caller: Annotated[Caller, Depends(permitted(Permission.READ))]) -> Caller:
    """Return a caller with a key: a stream is long, and somebody has to answer for it."""
    if caller.key_id is None:
        raise CallerRefused(Code.KEY_MISSING, "to follow needs an API key", hint="send Authorization: Bearer wm_...")
    return caller


TheFeed = Annotated[Feed, Depends(_feed)]
Service = Annotated[Consumers, Depends(_consumers)]
TheStreams = Annotated[Streams, Depends(_streams)]
Reader = Annotated[Caller, Depends(_keyed)]
Keeper = Annotated[Caller, Depends(permitted(Permission.CONSUME))]
Named = Annotated[ConsumerName, Path(description="The consumer's name.")]


async def _span(
    feed: TheFeed,
    service: Service,
    caller: Reader,
    last_event_id: Annotated[
        int | None, Header(ge=0, le=MAX_POSITION, description="Continue after this event.")
    ] = None,
    consumer: Annotated[
        ConsumerName | None, Query(description="Without `Last-Event-ID`: continue after this consumer's cursor.")
    ] = None,
) -> Span:
    """Return what is to be told, once it is known that all of it can be."""
    if last_event_id is None and consumer is not None:
        caller.require(Permission.CONSUME)
        last_event_id = (await service.get(consumer, caller)).cursor
    bounds = await feed.bounds()
    if last_event_id is None:
        return Span(bounds.newest, bounds.newest)
    if not bounds.reach(last_event_id):
        raise events_lost(last_event_id, bounds)
    return Span(last_event_id, bounds.newest)


@router.get(
    "",
    operation_id="followEvents",
    response_class=EventStream,
    responses={**STREAM, **declared(*CONSUMER, Code.EVENTS_LOST, Code.LIMIT_EXCEEDED)},
)
async def follow_events(  # noqa: PLR0913 - query parameters
    streams: TheStreams,
    caller: Reader,
    span: Annotated[Span, Depends(_span)],
    place: Annotated[Place, Depends(held)],
    *,
    types: Annotated[list[EventType] | None, Query(max_length=20, description="Only these; repeat it.")] = None,
    follow: Annotated[bool, Query(description="False: end after what there is, instead of waiting for more.")] = True,
) -> EventStream:
    """Stream what happens, from now on, after `Last-Event-ID`, or after a consumer's cursor.

    Each event comes at least once and in the order of its id. The first item is a `feed.mark` with the place where
    the stream stands, to resume from; another one comes whenever that moved and nothing was sent. A comment comes
    every 15 seconds. A worker's key sees its own events. Whoever does not keep up is cut off, and may resume.
    """
    wanted = Wanted(None if types is None else frozenset(types), caller.only_worker)
    stream = streams.follow(place, span.after, wanted, until=None if follow else span.newest)
    return EventStream(stream, headers={"X-Accel-Buffering": "no"})  # no proxy should gather events


@router.get("/consumers", operation_id="listEventConsumers", responses=declared(*KEY))
async def list_consumers(service: Service, caller: Keeper) -> ConsumersAnswer:
    """Return the caller's consumers; an operator sees everybody's."""
    return ConsumersAnswer(consumers=tuple(ConsumerView.of(each) for each in await service.list(caller)))


@router.get("/consumers/{name}", operation_id="getEventConsumer", responses=declared(*CONSUMER))
async def get_consumer(name: Named, service: Service, caller: Keeper) -> ConsumerView:
    """Return where a consumer stands."""
    return ConsumerView.of(await service.get(name, caller))


@router.put(
    "/consumers/{name}",
    operation_id="putEventConsumer",
    responses=declared(*CONSUMER, Code.REQUEST_TOO_LARGE, Code.CONSUMER_CHANGED, Code.LIMIT_EXCEEDED),
)
async def put_consumer(name: Named, wanted: ConsumerChange, service: Service, caller: Keeper) -> ConsumerView:
    """Make a consumer, move its cursor and change its notes, in one transaction."""
    return ConsumerView.of(await service.change(name, wanted.change(), caller))


@router.delete("/consumers/{name}", operation_id="deleteEventConsumer", status_code=204, responses=declared(*CONSUMER))
async def delete_consumer(name: Named, service: Service, caller: Keeper) -> None:
    """Delete a consumer and its notes."""
    await service.remove(name, caller)


@router.get("/consumers/{name}/notes", operation_id="listEventConsumerNotes", responses=declared(*CONSUMER))
async def list_notes(
    name: Named,
    service: Service,
    caller: Keeper,
    after: Annotated[NoteKey | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = MAX_PAGE,
) -> NotesAnswer:
    """Return a page of a consumer's notes, by key."""
    found = await service.notes(name, after or "", limit + 1, caller)
    shown = found[:limit]
    return NotesAnswer(
        notes=tuple(NoteView.of(note) for note in shown), next_after=shown[-1].key if len(found) > limit else None
    )


@router.get(
    "/consumers/{name}/notes/{key}", operation_id="getEventConsumerNote", responses=declared(*CONSUMER, Code.NOT_FOUND)
)
async def get_note(
    name: Named, key: Annotated[NoteKey, Path(description="The note's key.")], service: Service, caller: Keeper
) -> NoteView:
    """Return one note."""
    return NoteView.of(await service.note(name, key, caller))
