"""One connection of a client: uvicorn's, and an end to the patience with a peer that takes nothing or sends nothing.

Guarantees: whatever waits for a socket to drain (a stream to a reader that stopped reading, an answer that nobody
fetches) waits for a bounded time; then the connection is cut off, with what was buffered for it. A request has the
same time for its line and headers, however they drip. The head and the body of an answer leave together, with one call
of the system: of what a short answer costs, that is the largest part. Does not: wait for its body (``edge`` does).
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

GATHERED: Final = 64 * 1024
"""Bytes that are gathered before they are sent at once."""


def connection_class(stall: float) -> type[H11Protocol]:
    """Return the protocol for ``uvicorn.Config.http``; ``stall`` is seconds for a peer to take or send."""

    class Connection(H11Protocol):
        """A connection that cuts itself off."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as its parent has it
            """Give the peer a while to send a request."""
            super().connection_made(Gathering(transport, self.loop))  # type: ignore[arg-type] # it passes for one
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


class Gathering:
    """A transport that sends together what is written in one turn of the loop; all else is the transport's own."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """Begin with nothing to send."""
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a transport has
        """Return what the transport has."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send ``data`` at the end of the turn, or at once where it is much."""
        if not self._parts:
            self._loop.call_soon(self._send)
        self._parts.append(data)
        self._size += len(data)
        if self._size >= GATHERED:
            self._send()

    def close(self) -> None:
        """Send what was written, then close."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._parts:
            parts, self._parts, self._size = self._parts, [], 0
            self._transport.write(b"".join(parts))


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
