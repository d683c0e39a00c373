"""What a card leaves to those who want to know exactly: digests, labels, and all that happened."""

from collections.abc import Iterator

from aiogram.utils.formatting import Bold, Code, Pre, Text, as_list

from wingman_bot.buttons import content_digest
from wingman_bot.cards import Piece
from wingman_bot.views import Command, Request, Target
from wingman_bot.wording import date, line, quoted


def details(request: Request) -> Piece:
    """Return everything exact about a request."""
    parts = [
        Text(Bold("Details of "), Code(request.id)),
        Text("Digest of all that a decision is about: ", Code(content_digest(request))),
        *(as_list(*_command(number, each)) for number, each in enumerate(request.commands, 1)),
        as_list(Bold("What happened"), *_history(request)),
    ]
    return Piece.of(as_list(*parts, sep="\n\n"))


def _command(number: int, command: Command) -> Iterator[Text]:
    yield Bold(f"Command {number}")
    yield Pre(line(command.command))
    yield Text("Approval ", Code(line(command.approval_id)))
    yield Text("Operation ", Code(line(command.operation_digest)))
    yield Text("Target ", Code(line(command.target_digest)))
    if command.execution_id:
        yield Text("Execution ", Code(line(command.execution_id)))
    for target in command.preview.targets:
        yield Pre("\n".join(_target(target)))


def _target(target: Target) -> Iterator[str]:
    yield f"{line(target.kind)} {line(target.reference)} ({line(target.role)})"
    for name, value in (
        ("id", target.id),
        ("name", target.name),
        ("image", target.image),
        ("image digest", target.image_digest),
        ("project", target.project),
        ("state", target.state),
    ):
        if value:
            yield f"  {name}: {line(value)}"
    for name, value in sorted(target.labels.items()):
        yield f"  label {line(name)}={line(value)}"


def _history(request: Request) -> Iterator[Text]:
    for entry in request.history:
        note = (": ", quoted(entry.note)) if entry.note else ()
        yield Text(f"{date(entry.at)} {line(entry.event)} by ", quoted(entry.actor), *note)
