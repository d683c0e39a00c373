"""How a command has a running ``wingman up`` start some of its processes anew, with what they are to be given now.

Two files in ``run/``: a request, and the answer to it. Guarantees: one request is served once, and its answer says
whether the processes were ready again; a request that an ``up`` which ended did not serve is not served later.
"""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wingman_cli.instance import Instance
from wingman_cli.pki import write_private
from wingman_core.errors import Code, Unavailable, WingmanError

POLL: Final = 0.2
LIMIT: Final = 300.0
"""Seconds for each process to end what it does and be ready again."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to start anew, in this order."""

    id: str
    names: tuple[str, ...]


async def ask(instance: Instance, names: Sequence[str]) -> bool:
    """Have the running ``up`` start processes anew; return once they are ready, or False where none runs.

    Raises ``Unavailable`` where they are not ready in time, or the ``up`` says why it could not.
    """
    if instance.running() is None:
        return False
    number = secrets.token_hex(8)
    write_private(_asked(instance), json.dumps({"id": number, "names": [*names]}).encode("ascii"))
    deadline = asyncio.get_running_loop().time() + LIMIT * len(names)
    while asyncio.get_running_loop().time() < deadline:
        answer = _read(_answered(instance))
        if answer.get("id") == number:
            if answer.get("error"):
                raise Unavailable(Code.GATEWAY_UNAVAILABLE, str(answer["error"]), hint=f"read {instance.logs}")
            return True
        if instance.running() is None:
            return False
        await asyncio.sleep(POLL)
    raise Unavailable(
        Code.DEADLINE_EXCEEDED, f"{', '.join(names)} did not start anew in time", hint=f"read {instance.logs}"
    )


async def serve(instance: Instance, renew: Callable[[Sequence[str]], Awaitable[None]]) -> None:
    """Serve requests with ``renew`` until cancelled; those of before are forgotten."""
    _asked(instance).unlink(missing_ok=True)
    while True:
        await asyncio.sleep(POLL)
        request = _request(_asked(instance))
        if request is None:
            continue
        error = ""
        try:
            await renew(request.names)
        except WingmanError as failed:
            error = str(failed)
        answer = json.dumps({"id": request.id, "error": error})
        _asked(instance).unlink(missing_ok=True)
        write_private(_answered(instance), answer.encode("utf-8"))


def _asked(instance: Instance) -> Path:
    return instance.directory / "run" / "renewal.json"


def _answered(instance: Instance) -> Path:
    return instance.directory / "run" / "renewed.json"


def _request(path: Path) -> Request | None:
    said = _read(path)
    with suppress(KeyError, TypeError):
        return Request(str(said["id"]), tuple(map(str, said["names"])))  # type: ignore[call-overload]
    return None


def _read(path: Path) -> dict[str, object]:
    with suppress(OSError, ValueError):
        said = json.loads(path.read_text("utf-8"))
        return said if isinstance(said, dict) else {}
    return {}
