"""``docker run``: create, attach, start, and unless detached stream the output until the container ends."""

import json
from collections.abc import AsyncGenerator, Sequence
from http import HTTPStatus
from typing import Final

from wingman_core.command import RunOperation
from wingman_core.target import Target
from wingman_gateway.engine.act import refusal
from wingman_gateway.engine.connection import STDERR, Connection, EngineRefused, frames
from wingman_gateway.engine.create import EXECUTION_LABEL, create_body
from wingman_gateway.engine.events import Event, Exit, Output

REFUSED: Final = 125
NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127


async def run(
    connection: Connection, op: RunOperation, targets: Sequence[Target], execution_id: str
) -> AsyncGenerator[Event]:
    """Run it; the exit code is the container's, or 125 to 127 where it could not be created or started."""
    params = {**({"name": op.name} if op.name else {}), **({"platform": op.platform} if op.platform else {})}
    body = create_body(op, targets, execution_id, await connection.version())
    try:
        created = await connection.ask("POST", "containers/create", params=params, body=body, limit=None)
    except EngineRefused as error:
        yield refusal(error)
        yield Exit(REFUSED)
        return
    for warning in created.get("Warnings") or ():
        yield Output("stderr", f"WARNING: {warning}\n".encode())
    container_id = created["Id"]
    try:
        if op.detach:
            await connection.ask("POST", f"containers/{container_id}/start", limit=None)
            yield Output("stdout", f"{container_id}\n".encode())
            yield Exit(0)
            return
        async for event in _attached(connection, op, container_id):
            yield event
    except EngineRefused as error:
        yield refusal(error)
        yield Exit(_start_code(error.answer))


async def kill_what_ran(connection: Connection, execution_id: str) -> tuple[str, ...]:
    """Kill what an attached ``run`` left running when its time was over; return the ids."""
    filters = json.dumps({"label": [f"{EXECUTION_LABEL}={execution_id}"]})
    found = await connection.ask("GET", "containers/json", params={"filters": filters})
    return tuple([container["Id"] for container in found if await _killed(connection, container["Id"])])


async def _killed(connection: Connection, container_id: str) -> bool:
    try:
        await connection.ask("POST", f"containers/{container_id}/kill")
    except EngineRefused as error:
        if error.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
            raise
        return False  # it ended by itself
    return True


async def _attached(connection: Connection, op: RunOperation, container_id: str) -> AsyncGenerator[Event]:
    path = f"containers/{container_id}"
    streams = {name: str(int(name in (op.attach or ("stdout", "stderr")))) for name in ("stdout", "stderr")}
    ends = {"condition": "removed" if op.rm else "next-exit"}
    async with (
        connection.stream("POST", f"{path}/attach", params={"stream": "1", **streams}) as output,
        connection.stream("POST", f"{path}/wait", params=ends) as end,
    ):
        await connection.ask("POST", f"{path}/start", limit=None)
        async for number, data in frames(output, tty=False):
            yield Output("stderr" if number == STDERR else "stdout", data)
        code = json.loads(await end.read())["StatusCode"]
    yield Exit(code)


def _start_code(answer: str) -> int:
    """Return 127 where the program does not exist, 126 where it may not be run, else 125 (docker/cli run.go)."""
    text = answer.lower()
    if any(sign in text for sign in ("executable file not found", "no such file or directory", "system cannot find")):
        return NOT_FOUND
    if "permission denied" in text or "is a directory" in text or "not a directory" in text:
        return NOT_EXECUTABLE
    return REFUSED
