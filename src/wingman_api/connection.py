"""One connection of a client: uvicorn's, and an end to the patience with a peer that takes nothing or sends nothing.

Guarantees: whatever waits for a socket to drain (a stream to a reader that stopped reading, an answer that nobody
fetches) waits for a bounded time; then the connection is cut off, with what was buffered for it. A request has the
same time for its line and headers, however they drip. Does not: wait for its body (``edge`` does).
"""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.h11_impl import H11Protocol


def connection_class(stall: float) -> type[H11Protocol]:
    """Return the protocol for ``uvicorn.Config.http``; ``stall`` is seconds for a peer to take or send."""

    class Connection(H11Protocol):
        """A connection that cuts itself off."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as its parent has it
            """Give the peer a while to send a request."""
            super().connection_made(transport)
            self._taking = Patience(self.loop, stall, transport.abort)
            self._sending = Patience(self.loop, stall, transport.close)
            self._sending.begin()

        def data_received(self, data: bytes) -> None:
            """Take what came; what is no whole request yet has a while to become one."""
            super().data_received(data)
            if self.cycle is None or self.cycle.response_complete:
                self._sending.begin()
            else:
                self._sending.end()

        def pause_writing(self) -> None:
            """Give the peer a while to take some of what is buffered."""
            super().pause_writing()
            self._taking.begin()

        def resume_writing(self) -> None:
            """Be patient again: the peer took some."""
            super().resume_writing()
            self._taking.end()

        def connection_lost(self, exc: Exception | None) -> None:
            """Wait for nothing any more."""
            super().connection_lost(exc)
            self._taking.end()
            self._sending.end()

    return Connection


class Patience:
    """Waits for one thing, and does ``over`` once that has taken ``seconds``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, over: Callable[[], object]) -> None:
        """Wait for nothing yet."""
        self._loop = loop
        self._seconds = seconds
        self._over = over
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Wait, from now on or since it began."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._over)

    def end(self) -> None:
        """Wait no more: it happened."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
