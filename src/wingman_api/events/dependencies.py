"""How routes hold a place among the open streams: ``held``, for as long as the answer lasts."""

from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import Depends, Request

from wingman_api.events.streams import Place, Streams
from wingman_api.identity.caller import Caller
from wingman_api.identity.dependencies import address_of, authenticated


async def held(request: Request, caller: Annotated[Caller, Depends(authenticated)]) -> AsyncIterator[Place]:
    """Yield the caller's place; raise ``LimitExceeded`` where there is none."""
    streams = cast("Streams", request.app.state.streams)
    lent = streams.place_without_key(address_of(request)) if caller.key_id is None else streams.place(caller.key_id)
    with lent as place:
        yield place
