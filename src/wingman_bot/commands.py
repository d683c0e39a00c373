"""What people type: /pending /show /approve /reject /status /checkpoint /help, and what they mistype.

Guarantees: a command that decides is done as the person who typed it, once however often it is delivered, and not at
all where it comes minutes late. HIGH risk asks that it be typed again with the digest's beginning, and a first message
that has it already is still the first. The answer names the commands that were decided on.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Final

from aiogram import Router
from aiogram.filters import Command, CommandObject, CommandStart
from aiogram.types import Message
from aiogram.utils.formatting import Bold, Code, Pre, Text, as_list
from structlog.typing import FilteringBoundLogger

from wingman_bot import sections
from wingman_bot.api_client import ApiClient
from wingman_bot.buttons import short_digest
from wingman_bot.cards import Piece, card, document
from wingman_bot.decisions import Decisions, Verb, settled
from wingman_bot.desk import Desk
from wingman_bot.finding import LEAST, PREFIX, beginnings, find
from wingman_bot.help_texts import COMMANDS, DEFAULT, help_text
from wingman_bot.pace import Urgency
from wingman_bot.telegram import Refused, Telegram, Unreachable
from wingman_bot.views import Request
from wingman_bot.wording import clock, line, quoted
from wingman_core.characters import written_out
from wingman_core.errors import Unavailable, WingmanError

PATIENCE: Final = 20.0
"""Seconds until a reply is given up: the next command of the same person waits so long. ``pace`` keeps room for it."""
LATE: Final = timedelta(minutes=5)
"""Age from which on a command decides nothing: who typed it may have thought better of it."""
LISTED: Final = 15
LONGEST_NOTE: Final = 2000
WELL_FORMED: Final = re.compile(r"[A-Za-z0-9_]{1,32}$")
"""A command's name, as https://core.telegram.org/bots/features#commands has it; people write of paths, too."""
ALIKE: Final = 0.7
"""From which likeness on a known command is what was meant (``difflib``'s ratio)."""
COMMAND_ROOM: Final = sections.Room(120, 3)


class Commands:
    """Handles commands; its ``router`` goes into the dispatcher. ``now`` returns aware times."""

    def __init__(  # noqa: PLR0913 - collaborators, by name
        self,
        api: ApiClient,
        telegram: Telegram,
        desk: Desk,
        decisions: Decisions,
        *,
        operators: Iterable[str],
        state: Callable[[], list[str]],
        now: Callable[[], datetime],
        log: FilteringBoundLogger,
    ) -> None:
        """Take the collaborators; ``state`` returns lines on how the bot itself is."""
        self._api = api
        self._telegram = telegram
        self._desk = desk
        self._decisions = decisions
        self._operators = tuple(operators)
        self._state = state
        self._now = now
        self._log = log
        self.router: Final = Router(name="commands")
        message = self.router.message
        message.register(self._help, CommandStart())
        message.register(self._help, Command("help"))
        message.register(self._pending, Command("pending"))
        message.register(self._show, Command("show"))
        message.register(self._approve, Command("approve"))
        message.register(self._reject, Command("reject"))
        message.register(self._status, Command("status"))
        message.register(self._checkpoint, Command("checkpoint"))
        message.register(self._unknown, Command(WELL_FORMED))

    async def _help(self, message: Message) -> None:
        language = message.from_user.language_code if message.from_user else None
        await self._reply(message, Piece(help_text(language)))

    async def _unknown(self, message: Message, command: CommandObject) -> None:
        meant = get_close_matches(command.command.lower(), COMMANDS[DEFAULT], n=1, cutoff=ALIKE)
        guess = f" Did you mean /{meant[0]}?" if meant else ""
        await self._reply(
            message, Piece.of(Text("I do not know ", quoted(f"/{command.command}"), f".{guess} See /help."))
        )

    async def _pending(self, message: Message) -> None:
        async def made() -> Piece:
            pending = await self._api.every_pending()
            if not pending:
                return Piece("Nothing waits.")
            return _listed(f"{len(pending)} waiting, oldest first", pending)

        await self._answered(message, made)

    async def _status(self, message: Message) -> None:
        async def made() -> Piece:
            try:
                health = await self._api.health()
                waiting = (await self._api.pending(1)).count
            except Unavailable:
                return Piece.of(as_list(Bold("Wingman does not answer"), *self._state()))
            parts = [f"{line(name)}: {line(status)}" for name, status in sorted(health.components.items())]
            own = [*self._state(), f"waiting for people: {waiting}"]
            return Piece.of(as_list(Bold(f"Wingman is {line(health.status)}"), *parts, *own))

        await self._answered(message, made)

    async def _checkpoint(self, message: Message) -> None:
        async def made() -> Piece:
            head = await self._api.checkpoint()
            heading = Bold(f"The audit log holds {head.size} records. Keep this:")
            return Piece.of(Text(heading, "\n", Pre(written_out(head.note.strip(), keep="\n"))))

        await self._answered(message, made)

    async def _show(self, message: Message, command: CommandObject) -> None:
        async def made() -> Piece | None:
            found = await self._found(command, "show")
            if isinstance(found, Piece):
                return found
            ran = [each.execution_id for each in found.commands if each.execution_id]
            executions = {each: await self._api.execution(each) for each in ran}
            shown = card(found, executions, self._operators)
            if shown.is_cut:
                file = document(found, executions, self._operators)
                await self._telegram.send_document(message.chat.id, file, Urgency.ANSWER, patience=PATIENCE)
                return Piece.of(Text("That is all of ", Code(found.id), "."))
            return shown.body

        await self._answered(message, made)

    async def _approve(self, message: Message, command: CommandObject, person: str) -> None:
        await self._decided(message, command, person, "approve")

    async def _reject(self, message: Message, command: CommandObject, person: str) -> None:
        await self._decided(message, command, person, "reject")

    async def _decided(self, message: Message, command: CommandObject, person: str, verb: Verb) -> None:
        async def made() -> Piece:
            if self._now() - message.date > LATE:
                sent = clock(message.date)
                late = f"You sent this at {sent}, and I only have it now, so nothing was decided."
                return Piece(f"{late} Send it again if you still mean it.")
            found = await self._found(command, verb)
            if isinstance(found, Piece):
                return found
            if found.status != "PENDING":
                return _about(found, settled(found, verb, person))
            note, repeats = " ".join((command.args or "").split()[1:]), False
            if verb == "approve" and found.is_high:
                first, _, rest = note.partition(" ")
                repeats = first.lower() == short_digest(found)
                note = rest if repeats else note
            if len(note) > LONGEST_NOTE:
                return Piece(f"A note has at most {LONGEST_NOTE} characters. Nothing was decided.")
            if verb == "approve" and self._decisions.is_first_step(person, found, repeats=repeats):
                self._decisions.arm(person, found)
                return _ask_again(found, note)
            once = f"telegram-message-{message.chat.id}-{message.message_id}-{verb}"
            said = await self._decisions.decide(found, verb, person=person, note=note, once=once)
            self._desk.wake(found.id, urgent=True)
            return _about(found, said.text)

        await self._answered(message, made)

    async def _found(self, command: CommandObject, verb: str) -> Request | Piece:
        """Return the request that a command names, or what to say instead."""
        words = (command.args or "").split()
        if not words:
            return Piece(f"Which one? /{verb} <id>; /pending lists them.")
        beginning = words[0].lower().removesuffix("…").removeprefix(PREFIX)
        if len(beginning) < LEAST:
            return Piece(f"At least {LEAST} characters of the id, please; /pending lists them.")
        found = await find(self._api, words[0])
        if isinstance(found, Request):
            return found
        if not found.candidates:
            return Piece.of(Text("No pending request begins with ", quoted(words[0][:64]), ". /pending lists them."))
        return _listed("Several begin like this:", found.candidates)

    async def _answered(self, message: Message, made: Callable[[], Awaitable[Piece | None]]) -> None:
        """Reply with what ``made`` returns, or with what went wrong."""
        try:
            piece = await made()
        except Unavailable:
            piece = Piece("Wingman does not answer, so nothing was done. Try again in a moment.")
        except WingmanError as error:
            piece = Piece(f"{line(error.message)} ({line(error.hint)})" if error.hint else line(error.message))
        except (Refused, Unreachable) as error:
            self._log.warning("reply.untold", chat=message.chat.id, error=str(error))
            return
        if piece is not None:
            await self._reply(message, piece)

    async def _reply(self, message: Message, piece: Piece) -> None:
        try:
            await self._telegram.send(message.chat.id, piece, Urgency.ANSWER, patience=PATIENCE)
        except (Refused, Unreachable) as error:
            self._log.warning("reply.untold", chat=message.chat.id, error=str(error))


def _about(request: Request, said: str) -> Piece:
    """Return what is said of a request, with its id and what it would run."""
    return Piece.of(as_list(Text(said, " ", Code(request.id)), *_commands(request)))


def _ask_again(request: Request, note: str) -> Piece:
    """Return what to send for the second step, the note with it where there is room."""
    again = f"/approve {request.id} {short_digest(request)}"
    heading = "HIGH risk. Look at the card; to approve exactly that, send within two minutes:"
    shown = [*_commands(request), Bold(heading)]
    piece = Piece.of(as_list(*shown, Code(f"{again} {note}" if note else again)))
    if piece.fits:
        return piece
    return Piece.of(as_list(*shown, Code(again), "Your note is too long to be repeated here: add it to that line."))


def _commands(request: Request) -> Iterator[Text]:
    """Yield the commands of a request, in short."""
    for each in request.commands[: COMMAND_ROOM.rows]:
        yield Pre(COMMAND_ROOM.text(line(each.command)))
    if missing := len(request.commands[COMMAND_ROOM.rows :]):
        yield Text(f"… {missing} more")


def _row(request: Request, short: str) -> Text:
    """Return a request in two lines of a list."""
    light = sections.LIGHTS.get(request.risk.level, "🔴")
    first = request.commands[0].command if request.commands else request.task_name
    more = f" and {len(request.commands) - 1} more" if len(request.commands) > 1 else ""
    people = f"{request.people_approved}/{request.people_needed}"
    head = Text(
        light, " ", Code(short), " ", quoted(request.worker_id), f" {people}, until {clock(request.expires_at)}\n"
    )
    return Text(head, Code(COMMAND_ROOM.text(line(first))), more)


def _listed(heading: str, requests: tuple[Request, ...]) -> Piece:
    """Return as many requests as one message takes, at most ``LISTED``, by their shortest beginnings."""
    short = beginnings(requests)
    rows = [_row(each, short[each.id]) for each in requests[:LISTED]]
    while True:
        missing = len(requests) - len(rows)
        more = [Text(f"… {missing} more")] if missing else []
        piece = Piece.of(as_list(Bold(heading), *rows, *more))
        if piece.fits or not rows:
            return piece
        rows.pop()
