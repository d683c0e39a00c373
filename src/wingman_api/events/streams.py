"""Open streams: who has how many, what each stream of events sends, and when it ends.

Guarantees: a key has at most so many streams in this process, of events and of output together, and so has an address
that sends none; a stream of events says where it stands before anything else, and at least every ``beat`` seconds
that it lives; it ends when the process closes, and any stream within seconds of its key's revocation. A reader that
does not keep up costs its connection alone (``connection``), and can resume.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

from structlog.typing import FilteringBoundLogger

from wingman_api.events.event import Mark
from wingman_api.events.feed import Feed, Wanted
from wingman_api.rounds import rounds
from wingman_core.errors import CallerRefused, Code, LimitExceeded, WingmanError

MAX_STREAMS: Final = 2000
"""Open at once in one process, whosever they are."""
WITHOUT_KEY: Final = 4
"""Open at once for one address that sends no key."""
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
    """One open stream's place among the others of its key, or of its address."""

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
        self._without_key: dict[str, set[Place]] = {}

    def place(self, key_id: str) -> AbstractContextManager[Place]:
        """Lend a place for one stream of the key; raise ``LimitExceeded`` where it, or the process, has enough."""
        return self._lent(self._open, key_id, self._per_key, "the key", "close one, or follow with one alone")

    def place_without_key(self, address: str) -> AbstractContextManager[Place]:
        """Lend a place for one stream from ``address`` (as ``subject_of`` has it) without a key; raise as ``place``."""
        return self._lent(self._without_key, address, WITHOUT_KEY, "the address", "close one, or send an API key")

    @contextmanager
    def _lent(self, lent: dict[str, set[Place]], whose: str, most: int, who: str, hint: str) -> Iterator[Place]:
        mine = lent.get(whose, set())
        if len(mine) >= most:
            raise LimitExceeded(Code.LIMIT_EXCEEDED, f"{who} has {len(mine)} streams open", hint=hint)
        if sum(len(places) for each in (self._open, self._without_key) for places in each.values()) >= MAX_STREAMS:
            raise LimitExceeded(
                Code.LIMIT_EXCEEDED,
                f"this process has {MAX_STREAMS} streams open, whosever they are",
                hint="try again in a moment",
            )
        place = Place()
        lent.setdefault(whose, mine).add(place)
        try:
            yield place
        finally:
            mine.discard(place)
            if not mine:
                lent.pop(whose, None)

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
