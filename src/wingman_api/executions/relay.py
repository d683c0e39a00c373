"""Carries an execution's events from the gateway into the database, whoever is still listening.

Guarantees: a caller that goes away stops nothing; what the gateway accepted counts as run, also while the database
cannot take our record of it; output is stored in the order it came, a character of UTF-8 never split between two
pieces; when the stream breaks, that is stored, and the audit log tells the rest.
Does not: run anything again, or hold more than ``AHEAD`` events in memory.
"""

import asyncio
import codecs
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never

from structlog.typing import FilteringBoundLogger

from wingman_api.executions.record import OutputRow, Started
from wingman_api.executions.store import ExecutionStore
from wingman_api.gateway import Accepted, Chunk, Event, Finished, Stream
from wingman_api.idempotency.once import Once
from wingman_core.errors import Code, Unavailable, WingmanError

AHEAD: Final = 64
"""Events that may wait while others are stored; past that the gateway waits."""
PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 20.0)
"""Seconds between two tries to store that an execution began."""


@dataclass(frozen=True, slots=True)
class Errand:
    """For whom, and for which command of which request, something runs."""

    request_id: str
    n: int
    worker: str
    started_by: str
    key_id: str
    once: Once[Started] | None = None


class Relay:
    """Runs one task an execution; ``close`` gives them a last while."""

    def __init__(
        self, store: ExecutionStore, *, now: Callable[[], datetime], log: FilteringBoundLogger, patience: float
    ) -> None:
        """Store into ``store``; ``now`` returns aware times, ``patience`` is seconds for the gateway to accept."""
        self._store = store
        self._patience = patience
        self._now = now
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, events: AsyncGenerator[Event, None], errand: Errand) -> Accepted:
        """Begin to carry ``events``; return once the gateway accepted, or raise its refusal."""
        accepted: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        accepted.add_done_callback(lambda future: future.cancelled() or future.exception())  # seen, if nobody asks
        task = asyncio.create_task(self._carry(events, errand, accepted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.shield(accepted)
        except TimeoutError as error:
            raise WingmanError(
                Code.DEADLINE_EXCEEDED,
                "the gateway has not said yet whether it took the command on",
                hint="GET /approvals/{id} will name the execution if it did",
            ) from error

    async def close(self, seconds: float) -> None:
        """Let what runs here finish for a while, then leave it to the audit log."""
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*self._tasks)
        except TimeoutError:  # ``gather`` has cancelled what was left
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry(
        self, events: AsyncGenerator[Event, None], errand: Errand, accepted: asyncio.Future[Accepted]
    ) -> None:
        """Carry everything; what goes wrong before ``accepted`` goes to the caller, afterwards to the log."""
        try:
            async with aclosing(events):
                first = await anext(events, None)
                if not isinstance(first, Accepted):
                    raise WingmanError(Code.INTERNAL, "the gateway did not begin with accepted")  # noqa: TRY301
                await self._begin(first, errand, accepted)
                await self._carry_output(events, first.execution_id, errand)
        except Exception as error:  # noqa: BLE001 - the caller, or the log, gets whatever it was
            if accepted.done():
                self._log.warning("relay.lost", error=str(error))
            else:
                accepted.set_exception(error)
        finally:
            accepted.cancel()  # only where the process closes before the gateway answered

    async def _begin(self, first: Accepted, errand: Errand, accepted: asyncio.Future[Accepted]) -> None:
        """Store that it began and tell the caller; raise what the database says once waiting for it was in vain."""
        at = self._now()
        try:
            await self._started(first, errand, at)
        except Exception as error:
            self._log.warning("relay.unstored", execution_id=first.execution_id, error=str(error))
            accepted.set_result(first)
            if not isinstance(error, Unavailable):
                raise
            await self._begin_late(first, errand, at)
        else:
            accepted.set_result(first)

    async def _begin_late(self, first: Accepted, errand: Errand, at: datetime) -> None:
        """Try again until the database answers; raise ``Unavailable`` where it did not for too long."""
        for pause in PAUSES[:-1]:
            await asyncio.sleep(pause)
            with suppress(Unavailable):
                await self._started(first, errand, at)
                return
        await asyncio.sleep(PAUSES[-1])
        await self._started(first, errand, at)

    async def _started(self, first: Accepted, errand: Errand, at: datetime) -> None:
        await self._store.started(
            first,
            request_id=errand.request_id,
            n=errand.n,
            worker=errand.worker,
            started_by=errand.started_by,
            key_id=errand.key_id,
            at=at,
            once=errand.once,
        )

    async def _carry_output(self, events: AsyncIterator[Event], execution_id: str, errand: Errand) -> None:
        """Store what comes until it is finished; where that fails, store that."""
        ahead: asyncio.Queue[Chunk | Finished | Exception] = asyncio.Queue(AHEAD)
        pump = asyncio.create_task(_pump(events, ahead))
        try:
            await self._store_all(ahead, execution_id, errand)
        except BaseException:
            await asyncio.shield(self._lost(execution_id))
            raise
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)

    async def _store_all(
        self, ahead: asyncio.Queue[Chunk | Finished | Exception], execution_id: str, errand: Errand
    ) -> None:
        """Store what waits, together, until the end; raise what ended it too early."""
        seams = _Seams()
        ending: Finished | Exception | None = None
        while ending is None:
            chunks, ending = await _waiting(ahead)
            rows = [row for chunk in chunks if (row := seams.sew(chunk.stream, chunk.data))]
            if ending is not None:
                rows += seams.rest()
            if rows:
                await self._store.append(execution_id, rows, self._now())
        if isinstance(ending, Exception):
            raise ending
        await self._store.finished(
            execution_id, ending, request_id=errand.request_id, n=errand.n, worker=errand.worker, at=self._now()
        )

    async def _lost(self, execution_id: str) -> None:
        try:
            await self._store.lost(execution_id)
        except WingmanError as error:
            self._log.warning("relay.lost.unsaid", execution_id=execution_id, error=str(error))


async def _pump(events: AsyncIterator[Event], ahead: asyncio.Queue[Chunk | Finished | Exception]) -> None:
    """Put what comes into ``ahead``, and last of all how it ended."""
    try:
        async for event in events:
            match event:
                case Chunk():
                    await ahead.put(event)
                case Finished():
                    await ahead.put(event)
                    return
                case Accepted():
                    break
                case _:
                    assert_never(event)
    except Exception as error:  # noqa: BLE001 - whoever stores the rest raises it
        await ahead.put(error)
    else:
        await ahead.put(WingmanError(Code.INTERNAL, "the gateway's stream did not end with finished"))


async def _waiting(
    ahead: asyncio.Queue[Chunk | Finished | Exception],
) -> tuple[list[Chunk], Finished | Exception | None]:
    """Return the chunks that wait, at least one or an ending, and the ending where it is among them."""
    chunks: list[Chunk] = []
    item = await ahead.get()
    while isinstance(item, Chunk):
        chunks.append(item)
        if ahead.empty():
            return chunks, None
        item = ahead.get_nowait()
    return chunks, item


class _Seams:
    """Numbers pieces of output, and moves the beginning of a character to the piece with its end."""

    def __init__(self) -> None:
        self._next = 0
        self._held: dict[Stream, bytes] = {}

    def sew(self, stream: Stream, data: bytes) -> OutputRow | None:
        """Return the piece to store; None where all of it waits for more."""
        data = self._held.pop(stream, b"") + data
        _, cut = codecs.utf_8_decode(data, "replace", False)  # how much of it is whole characters, or none at all
        if cut < len(data):
            self._held[stream] = data[cut:]
        return self._row(stream, data[:cut]) if cut else None

    def rest(self) -> list[OutputRow]:
        """Return what no further piece will complete."""
        held, self._held = self._held, {}
        return [self._row(stream, data) for stream, data in held.items()]

    def _row(self, stream: Stream, data: bytes) -> OutputRow:
        self._next += 1
        return OutputRow(self._next - 1, stream, data)
