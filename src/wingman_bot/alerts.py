"""Alerts: what people should hear of though nobody asked, in their own messages.

Guarantees: an alert is kept before it is sent and forgotten afterwards, so that none is lost; after a crash in between
it may come twice. Many at once come as one message. One that Telegram refuses for what it says is told in short, and
holds up no other; where Telegram refuses that, too, the chat is what is wrong, and all alerts wait.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from aiogram.utils.formatting import Bold, Pre, Text, as_list
from structlog.typing import FilteringBoundLogger

from wingman_bot.api_client import ApiClient
from wingman_bot.cards import Piece
from wingman_bot.ledger import Ledger
from wingman_bot.metrics import Metrics
from wingman_bot.pace import Urgency
from wingman_bot.telegram import Refused, Telegram, Unreachable
from wingman_bot.views import Happened
from wingman_bot.wording import cut, line, lines
from wingman_core.errors import WingmanError

KEY: Final = "alert:"
BACKLOG: Final = "backlog"
"""The note that says that people were told how many requests wait."""
BODY: Final = 1100
"""Bytes, as JSON, of what an alert quotes; a note holds 2 KiB."""
MOST: Final = 10
"""Alerts in one message."""
TROUBLE: Final = 30.0
LOOK: Final = 5.0
"""Seconds between two looks at how many requests wait."""
HEALTH: Final = {"healthy": "🟢", "degraded": "🟡"}


def alert_of(event: Happened) -> tuple[str, str] | None:
    """Return what to alert people of: our words, and what others said; None for an event that is no alert.

    What others chose, names included, is quoted: in a heading Telegram would make a link of a worker ``evil.example``.
    """
    match event.type:
        case "claim.false":
            found = "\n".join(event.contradicted)
            heading = f"❗ A worker claims what is not so (verification {line(event.verification_id)})"
            return heading, f"worker: {event.worker_id}\nclaimed: {event.claim}\nfound: {found}"
        case "boundary.violated":
            return f"🚨 The privilege boundary is violated (audit position {event.audit_position})", event.reason
        case "execution.unknown":
            about = f"{line(event.execution_id)} of {line(event.approval_id)}"
            return f"❓ Nobody saw how {about} ended: a person has to look", f"asked by {event.worker_id}"
        case "health.changed":
            light = HEALTH.get(event.status, "🔴")
            parts = ", ".join(f"{name} {status}" for name, status in sorted(event.components.items()))
            return f"{light} Wingman is {line(event.status)}, it was {line(event.was)}", parts
        case "audit.checkpoint" if event.daily:
            return f"🧾 The day's checkpoint of the audit log: {event.size} records. Keep it.", event.note
        case _:
            return None


class Alerts:
    """Sends what the ledger holds of alerts."""

    def __init__(  # noqa: PLR0913 - collaborators, by name
        self,
        api: ApiClient,
        telegram: Telegram,
        ledger: Ledger,
        *,
        chat: int,
        most_pending: int,
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        """Take the collaborators; alerts go to ``chat``."""
        self._api = api
        self._telegram = telegram
        self._ledger = ledger
        self._chat = chat
        self._most_pending = most_pending
        self._metrics = metrics
        self._log = log
        self._bell = asyncio.Event()
        self._asked = asyncio.Event()

    def note_of(self, event: Happened, position: int) -> dict[str, dict[str, Any] | None]:
        """Return the note that an event makes, if it is an alert."""
        found = alert_of(event)
        return {} if found is None else {f"{KEY}{position}": _note(position, *found)}

    def ring(self) -> None:
        """Say that there is a new alert."""
        self._bell.set()

    def count(self) -> None:
        """Say that there is a new request, or one less."""
        self._asked.set()

    async def run(self) -> None:
        """Send alerts for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send(), name="alerts")
            group.create_task(self._watch_backlog(), name="backlog")

    async def _send(self) -> None:
        while True:
            due = sorted(
                ((note["e"], key, note) for key, note in self._ledger.notes.items() if key.startswith(KEY)),
                key=lambda each: (each[0], each[1]),
            )[:MOST]
            if not due:
                self._bell.clear()
                await self._bell.wait()
                continue
            try:
                sent = await self._told([(key, note) for _, key, note in due])
            except Refused as refused:
                self._log.error("alerts.refused", chat=self._chat, error=str(refused))
                await asyncio.sleep(TROUBLE)
                continue
            except Unreachable as lost:
                self._log.warning("alerts.waits", error=str(lost))
                await asyncio.sleep(TROUBLE)
                continue
            await self._ledger.kept({key: None for _, key, _ in due[:sent]})
            for _ in range(sent):
                self._metrics.alert()

    async def _told(self, due: Sequence[tuple[str, dict[str, Any]]]) -> int:
        """Tell people of the first of these alerts, and return of how many; raise ``Refused`` for the chat."""
        some = len(due)
        while True:
            sent, piece = _message(note for _, note in due[:some])
            try:
                await self._telegram.send(self._chat, piece, Urgency.ALERT)
            except Refused as refused:
                if sent > 1:
                    some = sent // 2
                    continue
                key, note = due[0]
                await self._telegram.send(self._chat, _in_short(key), Urgency.ALERT)
                self._metrics.alert_in_short()
                self._log.error(
                    "alerts.told_in_short", alert=key, heading=note["h"], text=note["t"], error=str(refused)
                )
            return sent

    async def _watch_backlog(self) -> None:
        """Tell people once when more requests wait than should, and again after it was less than half of that."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                count = (await self._api.pending(1)).count
            except WingmanError as error:
                self._log.warning("alerts.backlog_unknown", error=str(error))
                self._asked.set()
            else:
                self._tell_backlog(count)
            await asyncio.sleep(LOOK)

    def _tell_backlog(self, count: int) -> None:
        told = BACKLOG in self._ledger.notes
        if count > self._most_pending and not told:
            heading = f"📥 {count} requests wait for people"
            note = _note(self._ledger.cursor, heading, "/pending lists them")
            self._ledger.keep({BACKLOG: {"n": count}, f"{KEY}{BACKLOG}": note}).add_done_callback(_ringing(self.ring))
        elif told and count * 2 <= self._most_pending:
            self._ledger.keep({BACKLOG: None})


def _ringing(ring: Callable[[], None]) -> Callable[["asyncio.Future[bool]"], None]:
    return lambda _: ring()


def _note(position: int, heading: str, body: str) -> dict[str, Any]:
    """Return an alert as a note, small enough to be kept."""
    quoted = lines(body)
    kept = quoted[:BODY]
    while len(json.dumps(kept, ensure_ascii=False).encode()) > BODY:  # as the API measures it: escapes count
        kept = kept[: len(kept) * 9 // 10]
    return {"e": position, "h": cut(heading, 200)[0], "t": kept if kept == quoted else f"{kept} …"}


def _in_short(key: str) -> Piece:
    """Return which alert it is in words of ours alone, without formatting: nothing that could be refused."""
    which = key.removeprefix(KEY)
    what = "/pending lists what it is about" if which == BACKLOG else f"event {which} of the feed"
    return Piece(f"⚠️ Telegram does not take an alert as it is: {what}. The bot's log has all of it.")


def _message(notes: Iterable[dict[str, Any]]) -> tuple[int, Piece]:
    """Return as many alerts as one message takes, and the message."""
    shown: list[Text] = []
    piece = Piece("")
    for note in notes:
        longer = Piece.of(as_list(*shown, Text(Bold(note["h"]), "\n", Pre(note["t"])), sep="\n\n"))
        if shown and not longer.fits:
            break
        shown.append(Text(Bold(note["h"]), "\n", Pre(note["t"])))
        piece = longer
    return len(shown), piece
