"""How routes become repeatable: ``once`` for a route, ``REPEATABLE`` for what it declares."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypeVar

from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import Response
from pydantic import BaseModel

from wingman_api.idempotency.once import Once, Replayed
from wingman_api.identity.caller import Caller
from wingman_api.identity.dependencies import address_of, authenticated
from wingman_core.canonical import digest
from wingman_core.errors import Code
from wingman_core.idempotency import PATTERN, key_of

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
DOMAIN: Final = "wingman/idempotency/v1"
REPEATABLE: Final = (Code.IDEMPOTENCY_MISMATCH, Code.IDEMPOTENCY_RUNNING)

T = TypeVar("T")


def once(operation: str, view: Callable[[T], BaseModel], status: int = 200) -> Callable[..., Awaitable[Once[T] | None]]:
    """Return a dependency that yields the ``Once`` of a request with an Idempotency-Key, and None without.

    ``view`` and ``status`` are how the route answers a result; ``operation`` is its operation id.
    """

    async def wanted(
        request: Request,
        caller: Annotated[Caller, Depends(authenticated)],
        idempotency_key: Annotated[  # noqa: ARG001 - for the document; FastAPI shows one of several
            str | None,
            Header(
                alias=HEADER,
                pattern=PATTERN,
                description="A new one for each thing you want done. A request that is sent again with its key, "
                "within a day, has no second effect and gets the first answer.",
                examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
            ),
        ] = None,
    ) -> Once[T] | None:
        values = request.headers.getlist(HEADER)
        if not values:
            return None
        return Once(
            subject=_subject(caller, request),
            key=key_of(values),
            operation=operation,
            request_digest=await _digest(request),
            status=status,
            view=view,
        )

    return wanted


def install(app: FastAPI) -> None:
    """Have ``app`` send remembered answers."""
    app.add_exception_handler(Replayed, _replayed)


async def _replayed(_request: Request, replayed: Exception) -> Response:
    if not isinstance(replayed, Replayed):
        raise TypeError("registered for Replayed alone") from replayed
    answer = replayed.answer
    return Response(answer.body, answer.status, {REPLAYED: "true"}, "application/json")


def _subject(caller: Caller, request: Request) -> str:
    """Return whose keys they are: a person's in a role, so that they outlive a rotation; else an address's."""
    return f"anonymous:{address_of(request)}" if caller.key_id is None else f"{caller.role}:{caller.person}"


async def _digest(request: Request) -> str:
    """Return 64 hex digits over everything that makes the request this one."""
    body = hashlib.sha256(await request.body()).hexdigest()
    return digest(DOMAIN, [request.method, request.url.path, request.url.query, body])
