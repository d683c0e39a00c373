"""``wingman request | pending | show | approve | reject | cancel | run``: a command's way to Docker."""

import shlex
from collections.abc import Sequence
from typing import Annotated, Literal, assert_never

import typer

from wingman_cli.exits import Exit
from wingman_cli.options import Json, Note, RequestId, Words, Worker
from wingman_cli.screen import Screen, emit
from wingman_cli.session import OPERATOR, WORKER, Session
from wingman_core.approval import Status
from wingman_core.errors import Code, WingmanError

EXECUTION_PREFIX = "exe_"


def request(  # noqa: PLR0913 - options of a command line
    context: typer.Context,
    words: Words,
    *,
    worker: Worker = "",
    task: Annotated[str, typer.Option("--task", "-t", help="A short title (default: the command).")] = "",
    instruction: Annotated[
        str, typer.Option("--instruction", "-i", help="Why and what for; - reads standard input.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Ask for docker commands: shows what each would do; people decide unless the policy needs none."""
    session: Session = context.obj
    commands = commands_of(words)
    text = typer.get_text_stream("stdin").read() if instruction == "-" else instruction
    with session.client(WORKER) as client:
        answer = client.request(
            {
                "worker_id": worker or session.person(WORKER),
                "task_name": task or commands[0][:200],
                "instruction": text or "\n".join(commands),
                "commands": commands,
            }
        )
    from wingman_cli.cards import request_card

    screen = Screen(as_json=as_json)
    screen.show(answer, request_card(answer.request))
    if answer.deduped:
        screen.say("The same request was pending already: nothing new was made.")
    screen.say(next_line(answer.status, answer.request.id))


def pending(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=100)] = 50,
    as_json: Json = False,
) -> None:
    """List the requests that wait for people, oldest first."""
    session: Session = context.obj
    with session.client(OPERATOR) as client:
        answer = client.pending(limit)
    from wingman_cli.cards import pending_list

    screen = Screen(as_json=as_json)
    screen.show(answer, pending_list(answer.pending) if answer.pending else "Nothing is pending.")


def show(
    context: typer.Context,
    identifier: Annotated[str, typer.Argument(help="A request (apr_...) or an execution (exe_...).")],
    *,
    as_json: Json = False,
) -> None:
    """Show a request with its preview, risk, decisions and history, or an execution."""
    session: Session = context.obj
    screen = Screen(as_json=as_json)
    from wingman_cli.cards import execution_card, request_card

    with session.client(OPERATOR) as client:
        if identifier.startswith(EXECUTION_PREFIX):
            execution = client.execution(identifier)
            screen.show(execution, execution_card(execution))
        else:
            detail = client.approval(identifier.partition(".")[0])
            screen.show(detail, request_card(detail, detail.history))


def approve(context: typer.Context, request_id: RequestId, *, note: Note = "", as_json: Json = False) -> None:
    """Approve a request, as the key's person."""
    _decide(context, request_id, "approve", note=note, as_json=as_json)


def reject(context: typer.Context, request_id: RequestId, *, note: Note = "", as_json: Json = False) -> None:
    """Reject a request; one person is enough."""
    _decide(context, request_id, "reject", note=note, as_json=as_json)


def cancel(context: typer.Context, request_id: RequestId, *, note: Note = "", as_json: Json = False) -> None:
    """Withdraw a request of one's own."""
    _decide(context, request_id, "cancel", note=note, as_json=as_json, identity=WORKER)


def run(
    context: typer.Context,
    approval_id: Annotated[str, typer.Argument(help="A request's id, or one command of it: apr_... or apr_....0")],
    *,
    as_json: Json = False,
) -> None:
    """Run an approved command, once, and follow its output to the end."""
    session: Session = context.obj
    screen = Screen(as_json=as_json)
    kept = {"stdout": "", "stderr": "", "progress": ""}
    with session.client(OPERATOR) as client:
        started = client.execute(approval_id)
        for chunk in client.output(started.execution_id):
            if as_json:
                kept[chunk.stream] += chunk.text
            else:
                emit("stdout" if chunk.stream == "stdout" else "stderr", chunk.text)
        execution = client.execution(started.execution_id)
    if as_json:
        screen.document({"execution": execution.model_dump(mode="json"), **kept})
    else:
        screen.err.print(ending_line(execution.state, execution.exit_code, execution.execution_id), markup=False)
    if execution.state != "SUCCEEDED":
        raise typer.Exit(Exit.FAILED)


def next_line(status: Status, request_id: str) -> str:
    """Return one line that tells what can be done with a request that was asked for."""
    match status:
        case Status.PENDING:
            return f"Next: wingman approve {request_id}"
        case Status.AUTO_APPROVED:
            return f"No approval needed. Next: wingman run {request_id}"
        case Status.APPROVED:
            return f"Approved already. Next: wingman run {request_id}"
        case Status.REJECTED | Status.EXPIRED | Status.CANCELLED:
            return f"It is {status}: nothing can be run. Ask again."
        case _:
            assert_never(status)


def ending_line(state: str, exit_code: int | None, execution_id: str) -> str:
    """Return one line that tells how an execution ended."""
    code = "" if exit_code is None else f", exit code {exit_code}"
    return f"{state}{code}  (wingman show {execution_id})"


def commands_of(words: Sequence[str]) -> list[str]:
    """Return the commands that a command line's words stand for.

    ``docker restart web`` as words of its own is one command; words with whole commands in quotes are one each.
    """
    if words[0] == "docker":
        return [shlex.join(words)]
    if any(word.startswith("-") for word in words):
        raise WingmanError(
            Code.REQUEST_INVALID, "an option stands behind the command", hint="put wingman's options first"
        )
    return list(words)


def _decide(  # noqa: PLR0913 - what three commands share
    context: typer.Context,
    request_id: str,
    verb: Literal["approve", "reject", "cancel"],
    *,
    note: str,
    as_json: bool,
    identity: str = OPERATOR,
) -> None:
    session: Session = context.obj
    with session.client(identity) as client:
        view = client.decide(request_id, verb, note)
    screen = Screen(as_json=as_json)
    from wingman_cli.cards import word

    screen.show(view, word(view.status.value))
    if view.status == "APPROVED" and view.commands:
        screen.say(f"Next: wingman run {view.id}")
    elif view.status == "PENDING":
        screen.say(f"{view.people_needed - view.people_approved} more people are needed.")
