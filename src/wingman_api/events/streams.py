"""Open streams of events: who has how many, what each sends, and when it ends.

Guarantees: a key has at most so many streams in this process; a stream says where it stands before anything
else, and at least every ``beat`` seconds that it lives; it ends when the process closes, and within seconds of
its key's revocation. A reader that does not keep up costs its connection alone (``connection``), and can resume.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from structlog.typing import FilteringBoundLogger

from wingman_api.events.event import Mark
from wingman_api.events.feed import Feed, Wanted
from wingman_api.rounds import rounds
from wingman_core.errors import CallerRefused, Code, LimitExceeded, WingmanError

MAX_STREAMS: Final = 2000
"""Open at once in one process, whosever they are."""
BEAT: Final = 15.0
GUARD: Final = 5.0
"""Seconds between two looks at whether the keys of open streams are still good."""
RETRY: Final = b"retry: 2000\n"
"""Milliseconds after which a browser comes again."""
HEARTBEAT: Final = b": heartbeat\n\n"
MARK: Final = Mark().model_dump_json()

Require = Callable[[str], Awaitable[object]]


@dataclass(eq=False, slots=True)
class Place:
    """One open stream's place among the others of its key."""

    revoked: bool = False


class Streams:
    """The open streams of one process."""

    def __init__(  # noqa: PLR0913 - collaborators, by name
        self,
        feed: Feed,
        *,
        per_key: int,
        require: Require,
        clock: Callable[[], float],
        log: FilteringBoundLogger,
        beat: float = BEAT,
    ) -> None:
        """Allow ``per_key`` streams; ``require`` raises ``CallerRefused`` for a key's id that is good no longer."""
        self._feed = feed
        self._per_key = per_key
        self._require = require
        self._clock = clock
        self._log = log
        self._beat = beat
        self._open: dict[str, set[Place]] = {}

    @contextmanager
    def place(self, key_id: str) -> Iterator[Place]:
        """Lend a place for one stream of the key; raise ``LimitExceeded`` where it has enough."""
        mine = self._open.get(key_id, set())
        if len(mine) >= self._per_key or sum(map(len, self._open.values())) >= MAX_STREAMS:
            raise LimitExceeded(
                Code.LIMIT_EXCEEDED, f"the key has {len(mine)} streams open", hint="close one, or follow with one alone"
            )
        place = Place()
        self._open.setdefault(key_id, mine).add(place)
        try:
            yield place
        finally:
            mine.discard(place)
            if not mine:
                self._open.pop(key_id, None)

    async def guard(self) -> None:
        """End the streams of keys that are no longer good, for ever."""
        await rounds(self.check, every=GUARD, name="streams", log=self._log)

    async def check(self) -> None:
        """Look once at each key that has streams open."""
        for key_id, places in list(self._open.items()):
            try:
                await self._require(key_id)
            except CallerRefused:
                for each in places:
                    each.revoked = True
                self._feed.stir()
            except WingmanError as error:  # nobody can say now; the next look will
                self._log.warning("streams.unchecked", error=str(error))

    async def follow(
        self, place: Place, position: int, wanted: Wanted, *, until: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the stream after ``position``; it ends once it has told up to ``until``, if that is given."""
        epoch, said, due = self._feed.epoch, position, self._clock() + self._beat
        yield RETRY + mark(position)
        while not (self._feed.closed or place.revoked or self._feed.epoch != epoch):
            if until is not None and position >= until:
                return
            try:
                batch = await self._feed.after(position, wanted)
            except WingmanError as error:  # lost, or no database: whoever comes again is told
                self._log.info("stream.ended", code=error.code.value, position=position)
                return
            moved, position = batch.position > position, batch.position
            if batch.data:
                said, due = position, self._clock() + self._beat
                yield batch.data
            elif self._clock() >= due:
                yield HEARTBEAT if said == position else mark(position)
                said, due = position, self._clock() + self._beat
            if not moved:
                await self._feed.moved(position, max(0.0, due - self._clock()))


def mark(position: int) -> bytes:
    """Return the item that tells a reader where it stands."""
    return f"event: feed.mark\nid: {position}\ndata: {MARK}\n\n".encode()
