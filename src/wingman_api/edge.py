"""The outermost layer of the API: a correlation id and a log line a request, the body's limit, the last resort.

Guarantees: no body over the limit is read, whether or not it says its length, nor waited for longer than
``patience``, and its refusal is a problem like every other (the framework's own limit answers in plain text, which is
why it is not used; nor is the server's on concurrency: connections are bounded in time, callers in rate); an unforeseen
exception is logged with its traceback and answered without it.
"""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from wingman_api import problems
from wingman_api.metrics import Metrics
from wingman_api.telemetry import CORRELATION
from wingman_core.errors import WingmanError

MAX_BODY: Final = 256 * 1024
HEADER: Final = "X-Correlation-ID"
STREAM: Final = b"text/event-stream"
ALWAYS: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
"""Of every answer that does not say otherwise."""
FIELDS: Final = "fields"
PATIENCE: Final = 30.0


class Edge:
    """ASGI middleware; ``new_id`` makes correlation ids, ``clock`` counts seconds, a body has ``patience`` of them."""

    def __init__(  # noqa: PLR0913 - collaborators, by name
        self,
        app: ASGIApp,
        *,
        log: FilteringBoundLogger,
        metrics: Metrics,
        new_id: Callable[[], str],
        clock: Callable[[], float],
        patience: float = PATIENCE,
    ) -> None:
        """Wrap ``app``."""
        self._app = app
        self._log = log
        self._metrics = metrics
        self._new_id = new_id
        self._clock = clock
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; lifespan events pass untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        correlation_id = self._new_id()
        scope.setdefault("state", {})["correlation_id"] = correlation_id
        structlog.contextvars.bind_contextvars(**{CORRELATION: correlation_id})
        begun, status, streamed = self._clock(), 0, False

        async def answer(message: Message) -> None:
            nonlocal status, streamed
            if message["type"] == "http.response.start":
                status = message["status"]
                given = dict(message["headers"])
                streamed = given.get(b"content-type", b"").startswith(STREAM)
                fields = {HEADER: correlation_id, **scope["state"].get(FIELDS, {})}
                message["headers"] = [
                    *message["headers"],
                    *((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()),
                    *(each for each in ALWAYS if each[0] not in given),
                ]
            await send(message)

        try:
            if _announced(scope) > MAX_BODY:
                await problems.too_large(correlation_id)(scope, receive, answer)
                return
            await self._app(scope, _limited(receive, self._patience), answer)
        except Exception:
            self._log.exception("request.failed", correlation_id=correlation_id, method=scope["method"])
            if status:
                raise  # the answer has begun: only cutting it off tells the caller
            await problems.internal(correlation_id)(scope, receive, answer)
        finally:
            seconds, route = self._clock() - begun, _route(scope)
            self._log.info(
                "request",
                correlation_id=correlation_id,
                method=scope["method"],
                route=route,
                status=status,
                milliseconds=round(seconds * 1000),
                **_refusal(scope),
            )
            self._metrics.request(scope["method"], route, status, None if streamed else seconds)


def fields_of(request: Request) -> MutableMapping[str, str]:
    """Return header fields to fill in, which this request's answer carries whatever it becomes."""
    fields: MutableMapping[str, str] = request.scope["state"].setdefault(FIELDS, {})
    return fields


def _route(scope: Scope) -> str:
    """Return the matched route's template, never the path, which may hold what a caller made up."""
    return str(getattr(scope.get("route"), "path", ""))


def _refusal(scope: Scope) -> dict[str, str]:
    """Return the code of a refusal, and its message where the caller is not shown it."""
    error = scope["state"].get("refusal")
    if not isinstance(error, WingmanError):
        return {}
    hidden = problems.STATUS.get(error.code, problems.UNEXPECTED) == problems.UNEXPECTED
    return {"code": error.code.value, **({"reason": error.message} if hidden else {})}


def _announced(scope: Scope) -> int:
    """Return the length the caller announced; 0 where it did not."""
    length = Headers(scope=scope).get("content-length", "")
    return int(length[:12]) if length.isascii() and length.isdigit() else 0


def _limited(receive: Receive, seconds: float) -> Receive:
    """Return ``receive`` with the limits for a body: its length where it was not announced, and its time."""
    seen, whole = 0, False
    deadline = asyncio.get_running_loop().time() + seconds

    async def limited() -> Message:
        nonlocal seen, whole
        if whole:
            return await receive()  # that the caller is gone: no body any more
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise HTTPException(problems.TOO_SLOW) from None
        whole = not message.get("more_body", False)
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > MAX_BODY:
                raise HTTPException(problems.TOO_LARGE)
        return message

    return limited
