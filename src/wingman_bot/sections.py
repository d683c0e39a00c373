"""The parts of a card, each a piece of text with its entities, in the order in which people need them.

Guarantees: what workers, containers and other people wrote stands quoted (``wording``). Where a part is cut, it says
how much is missing; nothing is left out in silence.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiogram.utils.formatting import Bold, Code, Pre, Text

from wingman_bot.buttons import short_digest
from wingman_bot.lookalikes import lookalikes
from wingman_bot.views import Command, Decision, Execution, Request, Target
from wingman_bot.wording import block, clock, cut, date, heading, line, people, quoted, seconds
from wingman_core.approval import person_key

LIGHTS: Final = {"LOW": "🟢", "MEDIUM": "🟡", "HIGH": "🔴"}
ASKERS_WITHOUT_KEY: Final = "anonymous"
RISEN: Final = 2


@dataclass(frozen=True, slots=True)
class Room:
    """How much of each thing there is room for; None is all of it."""

    units: int | None = None
    """UTF-16 units of one text."""
    rows: int | None = None
    """Of one list."""

    def text(self, text: str) -> str:
        """Return as much of a text as there is room for, and what is missing."""
        if self.units is None:
            return text
        kept, missing = cut(text, self.units)
        return f"{kept} … {missing} more characters" if missing else text

    def of(self, items: Sequence[str]) -> str:
        """Return a list in one line."""
        shown = items if self.rows is None else items[: self.rows]
        missing = len(items) - len(shown)
        return self.text(", ".join(line(item) for item in shown)) + (f" … {missing} more" if missing else "")


ALL: Final = Room()


def headline(request: Request) -> Text:
    """Return who asks, for what, and how risky it is."""
    light = LIGHTS.get(request.risk.level, "🔴")
    environment = request.environment.upper()
    return Text(
        *(light, " ", Bold(f"{line(request.risk.level)} risk in {line(environment)}"), ": "),
        *(quoted(request.worker_id), " asks for ", quoted(request.task_name)),
    )


def standing(request: Request) -> Text:
    """Return where the request stands."""
    match request.status:
        case "PENDING":
            missing = max(1, request.people_needed - request.people_approved)
            so_far = (
                f" ({request.people_approved} of {request.people_needed} so far)" if request.people_approved else ""
            )
            said = f"⏳ Waits for {people(missing)}{so_far}, until {date(request.expires_at)}"
        case "APPROVED":
            said = "✅ Approved"
        case "AUTO_APPROVED":
            said = "✅ Approved by the policy: nobody needs to be asked"
        case "REJECTED":
            said = "⛔ Rejected: nothing will run"
        case "EXPIRED":
            said = f"⌛ Expired at {date(request.expires_at)}: nothing will run"
        case "CANCELLED":
            said = "↩️ Withdrawn: nothing will run"
        case other:
            said = f"In a state that this bot does not know: {line(other)}"
    return heading(said)


def decisions(found: Iterable[Decision], room: Room) -> Iterator[Text]:
    """Yield a line for each person's word."""
    for each in found:
        verb = "approved" if each.decision == "approve" else "rejected"
        said = f" {verb} at {clock(each.decided_at)} (through {line(each.channel)})"
        note = (": ", quoted(room.text(each.note))) if each.note else ()
        yield Text(quoted(each.person), said, *note)


def outcomes(request: Request, executions: Mapping[str, Execution]) -> Iterator[Text]:
    """Yield a line for each command that runs or ran."""
    several = len(request.commands) > 1
    for number, command in enumerate(request.commands, 1):
        execution = executions.get(command.execution_id or "")
        if execution is not None:
            yield Text(f"Command {number}: " if several else "", heading(outcome(execution)))


def outcome(execution: Execution) -> str:
    """Return how an execution stands, in a few words."""
    took = "" if execution.duration_ms is None else f" in {seconds(execution.duration_ms)}"
    code = "" if execution.exit_code is None else f" with exit code {execution.exit_code}"
    match execution.state:
        case "RUNNING":
            return f"▶️ Running since {clock(execution.started_at)}"
        case "SUCCEEDED":
            return f"🏁 Finished{code}{took}"
        case "FAILED":
            return f"❌ Failed{code}{took}"
        case "TIMED_OUT":
            return f"⏱ Timed out{took}"
        case _:
            return "❓ Outcome unknown: nobody saw how it ended; a person has to look"


def warnings(request: Request, operators: Iterable[str]) -> Iterator[Text]:
    """Yield what people should be wary of."""
    names = {person_key(person) for person in operators}
    for role, name in (("worker", request.worker_id), ("asker", request.requested_by)):
        if person_key(name) in names:
            yield Text(f"⚠️ The {role} bears an operator's name, ", quoted(name), ". This is the request's, not theirs.")
            break
    if request.requested_by == ASKERS_WITHOUT_KEY:
        yield Text("⚠️ Asked without a key: nothing proves who the worker is.")
    if words := lookalikes(_named(request), (request.task_name, request.instruction)):
        yield Text("⚠️ Words that may pass for others: ", Code(", ".join(map(line, words))))


def _named(request: Request) -> Iterator[str]:
    """Yield what names something: who asks, what would run, and on what."""
    yield from (request.worker_id, request.requested_by)
    for each in request.commands:
        yield each.command
        for found in each.preview.targets:
            yield from (found.reference, found.name, found.image, found.project)


def command(number: int, found: Command, room: Room, *, several: bool) -> Iterator[Text]:
    """Yield what would run, on what, and what it does."""
    preview, radius = found.preview, found.preview.blast_radius
    yield heading(f"Command {number}" if several else "Command")
    yield Pre(room.text(line(found.command)))
    targets = preview.targets if room.rows is None else preview.targets[: room.rows]
    for each in targets:
        yield Text(f"{line(each.kind)} ", quoted(room.text(target(each))))
    if missing := len(preview.targets) - len(targets):
        yield Text(f"… {missing} more targets")
    undo = "can be undone" if radius.reversible else "cannot be undone"
    summary = f"{line(radius.summary)} " if radius.summary else ""
    yield Text("Effect: ", Code(room.text(f"{summary}({line(preview.facts.effect)}, {undo})")))
    if radius.expected_time:
        yield Text("Expected time: ", Code(room.text(line(radius.expected_time))))
    for name, items in (
        ("Stops", radius.stops),
        ("Ports drop", radius.ports_dropped),
        ("Depend on it", radius.dependents),
        ("Data lost", radius.data_lost),
        ("Privileges", (*preview.facts.privileges, *(held for each in preview.targets for held in each.privileges))),
        ("Runs a shell", preview.facts.shell),
        ("Mounts", preview.facts.mounts),
    ):
        if items:
            yield Text(f"{name}: ", Code(room.of(items)))
    verdict = preview.verdict
    reason = f"{line(verdict.reason)} [{', '.join(map(line, verdict.policies)) or 'no policy'}]"
    yield Text(f"Policy: {people(verdict.people)}, ", Code(room.text(reason)))


def target(found: Target) -> str:
    """Return which object it is, by its full id and its image's full digest."""
    name = line(found.reference if found.name in {"", found.reference} else f"{found.reference} = {found.name}")
    parts = [name, f"id {line(found.id)}"] if found.id else [f"{name} ({line(found.role)}: does not exist yet)"]
    if found.image:
        parts.append(f"image {line(found.image)}")
    if found.image_digest:
        parts.append(f"digest {line(found.image_digest)}")
    if found.project:
        parts.append(f"project {line(found.project)}")
    if found.state:
        parts.append(line(found.state))
    return ", ".join(parts)


def risk(request: Request, room: Room) -> Iterator[Text]:
    """Yield every vote with its reason, and who saw it otherwise or was absent."""
    found = request.risk
    dissent = {vote.source for vote in found.dissent}
    yield heading(f"Risk {line(found.level)}")
    votes = found.votes if room.rows is None else found.votes[: max(room.rows, RISEN)]
    for vote in votes:
        mark = " (dissents)" if vote.source in dissent else ""
        yield Text(f"{line(vote.source)}: {line(vote.level)}{mark}, ", quoted(room.text(vote.reason)))
    if missing := len(found.votes) - len(votes):
        yield Text(f"… {missing} more votes")
    for absence in found.absent:
        yield Text(f"{line(absence.source)}: absent, ", quoted(room.text(absence.reason)))


def instruction(request: Request, room: Room) -> Iterator[Text]:
    """Yield the instruction as the worker wrote it."""
    yield heading("Instruction, as the worker wrote it")
    yield block(room.text(request.instruction))


def names(request: Request) -> Text:
    """Return the ids that people and scripts use."""
    by = Text(", asked by ", quoted(request.requested_by)) if request.requested_by != request.worker_id else Text()
    return Text("Request ", Code(request.id), by, "\nDigest ", Code(short_digest(request)))
