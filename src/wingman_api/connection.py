"""One connection of a client: uvicorn's, and an end to the patience with a peer that takes nothing.

Guarantees: whatever waits for a socket to drain (a stream to a reader that stopped reading, an answer that nobody
fetches) waits for a bounded time; then the connection is cut off, with what was buffered for it.
"""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


def connection_class(stall: float) -> type[H11Protocol]:
    """Return the protocol for ``uvicorn.Config.http``; ``stall`` is seconds a full buffer may stay full."""

    class Connection(H11Protocol):
        """A connection that cuts itself off."""

        _stalled: asyncio.TimerHandle | None = None

        def pause_writing(self) -> None:
            """Give the peer a while to take some of what is buffered."""
            super().pause_writing()
            self._stalled = self.loop.call_later(stall, self.transport.abort)

        def resume_writing(self) -> None:
            """Be patient again: the peer took some."""
            super().resume_writing()
            self._forgive()

        def connection_lost(self, exc: Exception | None) -> None:
            """Wait for nothing any more."""
            super().connection_lost(exc)
            self._forgive()

        def _forgive(self) -> None:
            if self._stalled is not None:
                self._stalled.cancel()
                self._stalled = None

    return Connection
