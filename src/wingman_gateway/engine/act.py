"""The verbs that change something, each on the full ids it is given, in the command's order (I10).

Guarantees: an exec is noted before it starts, so that it can be asked about whatever happens; what ``run`` makes
carries the execution's id in a label; a pull fetches the digest that was resolved, not what the tag says by now.
What the engine refuses for one of several containers does not stop the others, as with the docker binary.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Final, assert_never

from wingman_core.command import (
    ExecOperation,
    KillOperation,
    PauseOperation,
    PullOperation,
    RestartOperation,
    RmOperation,
    StartOperation,
    StopOperation,
    UnpauseOperation,
)
from wingman_core.target import Target
from wingman_gateway.engine.connection import JSON, STDERR, Connection, EngineRefused, frames, segment
from wingman_gateway.engine.events import Event, Exit, Note, Output, Progress
from wingman_gateway.engine.image_names import repository_and_tag

ContainersOperation = (
    StartOperation | StopOperation | RestartOperation | KillOperation | PauseOperation | UnpauseOperation | RmOperation
)
EXEC_NOTE: Final = "exec_id"
FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 1.0
"""Seconds between two looks at a program whose output has ended."""
LAST_LINES: Final = re.compile(r"(?:Digest|Status): ")


async def act_on_containers(
    connection: Connection, op: ContainersOperation, targets: Sequence[Target]
) -> AsyncGenerator[Event]:
    """Do it to one container after the other; print each name done, as the docker binary does."""
    code = 0
    for target in targets:
        method, path, params = _request(op, target.id)
        try:
            await connection.ask(method, path, params=params, limit=None)
        except EngineRefused as error:
            code = 1
            yield refusal(error)
        else:
            yield Output("stdout", f"{target.reference.name}\n".encode())
    yield Exit(code)


async def execute_in(connection: Connection, op: ExecOperation, target: Target, note: Note) -> AsyncGenerator[Event]:
    """Create the exec, note it, start it, stream its output, and end with its exit code."""
    body = {
        "AttachStdout": not op.detach,
        "AttachStderr": not op.detach,
        "Cmd": list(op.command),
        "Env": [f"{name}={value}" for name, value in op.env],
        "Privileged": op.privileged,
        "User": op.user,
        "WorkingDir": op.workdir,
    }
    exec_id = (await connection.ask("POST", f"containers/{target.id}/exec", body=body))["Id"]
    await note(EXEC_NOTE, exec_id)
    start = {"Detach": op.detach, "Tty": False}
    async with connection.stream("POST", f"exec/{exec_id}/start", body=start) as response:
        async for number, data in frames(response, tty=False):
            yield Output("stderr" if number == STDERR else "stdout", data)
    if op.detach:
        yield Exit(0)
        return
    yield Exit(await _exit_code(connection, exec_id))


async def _exit_code(connection: Connection, exec_id: str) -> int:
    """Return the exit code once there is one: a program may close its output and go on, and no request waits for it."""
    pause = FIRST_PAUSE
    while (found := await connection.ask("GET", f"exec/{exec_id}/json"))["Running"]:
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
    return int(found["ExitCode"])


async def pull(connection: Connection, op: PullOperation, target: Target) -> AsyncGenerator[Event]:
    """Pull the resolved digest and give it the tag; without a digest, pull what the registry has now."""
    repository, tag = repository_and_tag(op.image)
    by_digest = bool(target.image_digest) and not op.all_tags
    params = {"fromImage": repository, **({"platform": op.platform} if op.platform else {})}
    if by_digest:
        params["tag"] = target.image_digest
    elif not op.all_tags:
        params["tag"] = tag
    async for line in _progress(connection, params):
        if "error" in line:
            yield Output("stderr", f"{line['error']}\n".encode())
            yield Exit(1)
            return
        yield _shown(line, quiet=op.quiet)
    if by_digest and not tag.startswith("sha256:"):
        await connection.ask(
            "POST",
            f"images/{segment(f'{repository}@{target.image_digest}')}/tag",
            params={"repo": repository, "tag": tag},
        )
    if op.quiet:
        yield Output("stdout", f"{op.image}\n".encode())
    yield Exit(0)


def refusal(error: EngineRefused) -> Output:
    """Return what the docker binary prints on stderr."""
    return Output("stderr", f"Error response from daemon: {error.answer}\n".encode())


def _request(op: ContainersOperation, container_id: str) -> tuple[str, str, dict[str, str]]:
    path = f"containers/{container_id}"
    match op:
        case StopOperation() | RestartOperation():
            params = {
                **({} if op.time is None else {"t": str(op.time)}),
                **({"signal": op.signal} if op.signal else {}),
            }
            return "POST", f"{path}/{op.verb}", params
        case KillOperation():
            return "POST", f"{path}/kill", {"signal": op.signal}
        case StartOperation() | PauseOperation() | UnpauseOperation():
            return "POST", f"{path}/{op.verb}", {}
        case RmOperation():
            return "DELETE", path, {"force": str(int(op.force)), "v": str(int(op.volumes))}
    assert_never(op)


async def _progress(connection: Connection, params: dict[str, str]) -> AsyncIterator[JSON]:
    async with connection.stream("POST", "images/create", params=params) as response:
        async for line in response.content:
            if line.strip():
                yield json.loads(line)


def _shown(line: JSON, *, quiet: bool) -> Event:
    text = " ".join(str(line[key]) for key in ("status", "progress") if line.get(key))
    text = f"{line['id']}: {text}" if line.get("id") else text
    return Output("stdout", f"{text}\n".encode()) if LAST_LINES.match(text) and not quiet else Progress(text)
