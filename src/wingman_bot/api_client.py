"""The REST API as the bot uses it: one method an endpoint, what it reads of the answers, problems as errors.

Guarantees: what reads, and what carries an idempotency key, is repeated while the API is away or busy, for a
bounded time; ``Unavailable`` means that nobody answered, any other error is the API's word.
Does not: repeat a change of the consumer, whose answer may have got lost (``ledger`` does).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final, Literal, TypeVar

import httpx
from pydantic import BaseModel, Field, ValidationError

from wingman_bot.backoff import delays
from wingman_bot.views import (
    Checkpoint,
    Consumer,
    Execution,
    Health,
    Note,
    Notes,
    Page,
    Pending,
    Request,
    View,
    WhoAmI,
)
from wingman_core.errors import Code, Unavailable, WingmanError
from wingman_core.event_stream import Event, EventReader

TIMEOUT: Final = 10.0
SILENCE: Final = 35.0
"""Seconds without a byte after which a stream counts as cut; the API sends a comment every 15."""
PATIENCE: Final = 8.0
"""Seconds for one call with its repetitions: somebody looks at a button meanwhile."""
BUSY: Final = frozenset({429, 500, 502, 503, 504})
PAGES: Final = 60
RESERVED: Final = frozenset({"code", "message", "hint", "self"})

Answer = TypeVar("Answer", bound=BaseModel)


class Problem(View):
    """An RFC 9457 problem of the API."""

    code: str
    detail: str
    hint: str = ""
    details: dict[str, Any] = Field(default_factory=dict)


class ApiClient:
    """One API, as the holder of one key; close it with ``close``."""

    def __init__(self, http: httpx.AsyncClient, *, patience: float = PATIENCE) -> None:
        """Take a connection that ``open_http`` made; ``patience`` is seconds for one call."""
        self._http = http
        self._patience = patience

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def request(self, request_id: str) -> Request:
        """Return a request with its history; raise ``WingmanError`` (APPROVAL_UNKNOWN)."""
        return await self._call(Request, "GET", f"/approvals/{request_id}")

    async def pending(self, limit: int) -> Pending:
        """Return the oldest requests that wait for people, and how many wait in all."""
        return await self._call(Pending, "GET", "/approvals/pending", params={"limit": str(limit)})

    async def every_pending(self) -> tuple[Request, ...]:
        """Return all requests that wait for people, oldest first."""
        found: list[Request] = []
        query = {"status": "PENDING", "limit": "100"}
        for _ in range(PAGES):
            page = await self._call(Page, "GET", "/approvals", params=query)
            found += page.approvals
            if page.next_cursor is None:
                break
            query["cursor"] = page.next_cursor
        return tuple(reversed(found))

    async def newest(self) -> tuple[Request, ...]:
        """Return the newest hundred requests, wherever they stand."""
        return (await self._call(Page, "GET", "/approvals", params={"limit": "100"})).approvals

    async def decide(
        self, request_id: str, verb: Literal["approve", "reject"], *, person: str, note: str, once: str
    ) -> Request:
        """Record a person's word and return the request; ``once`` is the idempotency key of this very wish."""
        body = {"decided_by": person, "note": note}
        path = f"/approvals/{request_id}/{verb}"
        return await self._call(Request, "POST", path, json=body, headers={"Idempotency-Key": once})

    async def execution(self, execution_id: str) -> Execution:
        """Return an execution."""
        return await self._call(Execution, "GET", f"/executions/{execution_id}")

    async def checkpoint(self) -> Checkpoint:
        """Return the audit log's head."""
        return await self._call(Checkpoint, "GET", "/audit/checkpoint")

    async def health(self) -> Health:
        """Return what the API says of itself, also where it is not well."""
        response = await self._once("GET", "/health")
        return _understood(Health, response)

    async def whoami(self) -> WhoAmI:
        """Return who the API takes the bot for."""
        return await self._call(WhoAmI, "GET", "/whoami")

    async def consumer(self, name: str) -> Consumer:
        """Return where a consumer stands; raise ``WingmanError`` (CONSUMER_UNKNOWN)."""
        return await self._call(Consumer, "GET", f"/events/consumers/{name}")

    async def notes(self, name: str) -> tuple[Note, ...]:
        """Return all notes of a consumer."""
        found: list[Note] = []
        query: dict[str, str] = {}
        for _ in range(PAGES):
            page = await self._call(Notes, "GET", f"/events/consumers/{name}/notes", params=query)
            found += page.notes
            if page.next_after is None:
                break
            query = {"after": page.next_after}
        return tuple(found)

    async def note(self, name: str, key: str) -> Note | None:
        """Return one note, or None."""
        try:
            return await self._call(Note, "GET", f"/events/consumers/{name}/notes/{key}")
        except WingmanError as error:
            if error.code is Code.NOT_FOUND:
                return None
            raise

    async def put_consumer(self, name: str, revision: int, cursor: int, notes: Mapping[str, Any]) -> Consumer:
        """Move the cursor and change notes, once: ``Unavailable`` leaves open whether it happened."""
        body = {"revision": revision, "cursor": cursor, "notes": dict(notes)}
        response = await self._once("PUT", f"/events/consumers/{name}", json=body)
        _require_success(response)
        return _understood(Consumer, response)

    async def events(self, after: int | None) -> AsyncIterator[Event | None]:
        """Yield the feed's items after a place (None: from now on), and None for each sign of life in between.

        Ends where the API ends it. Raises ``Unavailable`` where it is cut, ``WingmanError`` (EVENTS_LOST).
        """
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        timeout = httpx.Timeout(TIMEOUT, read=SILENCE)
        reader = EventReader()
        try:
            async with self._http.stream("GET", "/events", headers=headers, timeout=timeout) as response:
                if response.is_error:
                    await response.aread()
                    _require_success(response)
                async for line in response.aiter_lines():
                    yield reader.line(line)
        except httpx.HTTPError as error:
            raise _no_answer(error) from error

    async def _call(self, answer: type[Answer], method: str, path: str, **arguments: Any) -> Answer:  # noqa: ANN401
        """Call, and again while nobody answers, until the patience is over."""
        deadline = time.monotonic() + self._patience
        waits = delays(0.1, 2.0)
        while True:
            response: httpx.Response | None = None
            try:
                response = await self._once(method, path, **arguments)
                _require_success(response)
                return _understood(answer, response)
            except WingmanError as error:
                wait = max(next(waits), _retry_after(response))
                again = isinstance(error, Unavailable) or error.code is Code.IDEMPOTENCY_RUNNING
                if not again or time.monotonic() + wait > deadline:
                    raise
            await asyncio.sleep(wait)

    async def _once(self, method: str, path: str, **arguments: Any) -> httpx.Response:  # noqa: ANN401
        try:
            return await self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise _no_answer(error) from error


def open_http(address: str, key: str) -> httpx.AsyncClient:
    """Return a connection to the API at ``address``, as the holder of ``key``."""
    return httpx.AsyncClient(
        base_url=address,
        headers={"Authorization": f"Bearer {key}"},
        timeout=TIMEOUT,
        limits=httpx.Limits(max_connections=20, max_keepalive_connections=10, keepalive_expiry=10),
    )


def _require_success(response: httpx.Response) -> None:
    """Raise the error that a response which is no success stands for."""
    if response.is_success:
        return
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        problem = Problem(code=Code.INTERNAL, detail=f"HTTP {response.status_code}, and not in the API's words")
    details = {name: str(value) for name, value in problem.details.items() if name not in RESERVED}
    code = Code.INTERNAL
    with suppress(ValueError):
        code = Code(problem.code)
    kind = Unavailable if response.status_code in BUSY else WingmanError
    raise kind(code, problem.detail, hint=problem.hint, **details)


def _understood(answer: type[Answer], response: httpx.Response) -> Answer:
    try:
        return answer.model_validate_json(response.content)
    except ValidationError as error:
        raise WingmanError(
            Code.INTERNAL,
            f"the API's answer is not one that this version knows ({error.error_count()} differences)",
            hint="use the same version of the bot and the API",
        ) from error


def _no_answer(error: Exception) -> Unavailable:
    return Unavailable(
        Code.GATEWAY_UNAVAILABLE,
        f"Wingman's API does not answer ({type(error).__name__})",
        hint="see whether it runs; WINGMAN_API_URL says where the bot looks",
    )


def _retry_after(response: httpx.Response | None) -> float:
    """Return the seconds that an answer asks to wait."""
    if response is None:
        return 0.0
    try:
        return min(60.0, float(response.headers.get("Retry-After", "0")))
    except ValueError:
        return 0.0
