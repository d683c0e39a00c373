"""One connection pool to a Docker engine: negotiated version, bounded waits, one error family.

aiodocker opens the transport (unix, tcp, TLS). Requests are made on its session rather than through its
high-level methods, because those decode output as text, take a stream that broke for one that ended, and hide
the status. Guarantees: nothing waits without a limit unless the caller holds one; an engine that does not
answer is ``Unavailable``, one that answers no is ``EngineRefused``; only a GET is ever sent twice.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from aiodocker import Docker, DockerError
from yarl import URL

from wingman_core.errors import Code, SettingInvalid, Unavailable, WingmanError

JSON = dict[str, Any]

QUICK_SECONDS: Final = 10.0
"""For requests that the engine answers at once."""
CONNECT_SECONDS: Final = 5.0
OLDEST_API: Final = (1, 41)
NEWEST_API: Final = (1, 51)
"""Shapes of newer versions are not known here; engines keep serving this one."""
FRAME_HEADER: Final = 8
CHUNK: Final = 32 * 1024
STDERR: Final = 2
Span = Callable[[str], AbstractContextManager[object]]
"""Opens a span of that name; ends it with the context."""


def no_span(_name: str) -> AbstractContextManager[object]:
    """Open nothing."""
    return nullcontext()


class EngineRefused(WingmanError):
    """The engine answered no; ``status`` is its HTTP status, ``answer`` its own words."""

    def __init__(self, status: int, answer: str) -> None:
        super().__init__(Code.ENGINE_REFUSED, f"the engine refused: {answer[:300]!a}", status=str(status))
        self.status: Final = status
        self.answer: Final = answer

    @property
    def not_found(self) -> bool:
        """Whether there is no such object."""
        return self.status == HTTPStatus.NOT_FOUND


class Connection:
    """Requests to one engine."""

    def __init__(self, docker: Docker, span: Span) -> None:
        self._docker = docker
        self._span = span
        self._version: tuple[int, int] | None = None

    @classmethod
    def open(cls, url: str, span: Span = no_span) -> "Connection":
        """Prepare a connection to ``unix://``, ``tcp://`` or ``https://``; nothing is sent yet.

        Each request is a ``span`` by its method and the kind of object, until its answer is read.
        """
        try:
            return cls(Docker(url, timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS)), span)
        except (ValueError, DockerError) as error:
            raise SettingInvalid(
                Code.SETTING_INVALID,
                f"the engine's address {url!a} cannot be used: {error}",
                hint="set WINGMAN_DOCKER_HOST to something like unix:///var/run/docker.sock",
            ) from error

    async def close(self) -> None:
        """Close every connection of the pool."""
        await self._docker.close()

    async def version(self) -> tuple[int, int]:
        """Return the API version in use, such as ``(1, 41)``; negotiate it if that has not happened."""
        return self._version or await self.negotiate()

    async def negotiate(self) -> tuple[int, int]:
        """Ask the engine which API it speaks, and use the newest that both know."""
        async with _answering(), asyncio.timeout(QUICK_SECONDS), self._send("GET", "version") as response:
            answer = json.loads(await response.read())
            if not isinstance(answer, dict):
                raise ValueError(type(answer).__name__)  # noqa: TRY004 - one family: an answer that is not the API's
        version = min(_version(answer.get("ApiVersion", "")), NEWEST_API)
        if version < OLDEST_API or _version(answer.get("MinAPIVersion") or "1.0") > version:
            raise Unavailable(
                Code.ENGINE_UNAVAILABLE,
                f"the engine speaks API {answer.get('ApiVersion')!a} only",
                hint="Docker 20.10 or newer is needed",
            )
        self._version = version
        return version

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: object = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request whose answer is read in pieces; the caller holds the time limit."""
        major, minor = await self.version()
        with _translated():
            async with self._send(method, f"v{major}.{minor}/{path}", params, body) as response:
                yield response

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        limit: float | None = QUICK_SECONDS,
    ) -> Any:  # noqa: ANN401 - whatever JSON the engine answers; None for an empty answer
        """Send a request and return the decoded answer; ``limit`` in seconds, None where the caller holds one."""
        async with self.reading(method, path, params=params, body=body, limit=limit) as response:
            raw = await response.read()
            return json.loads(raw) if raw else None

    @asynccontextmanager
    async def reading(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        limit: float | None = QUICK_SECONDS,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and lend its answer, to be read to its end within ``limit`` seconds.

        What is no JSON (a ``ValueError`` of the reader's) is an engine that does not answer, as a limit that passed is.
        """
        async with _answering(), asyncio.timeout(limit), self.stream(method, path, params=params, body=body) as lent:
            yield lent

    @asynccontextmanager
    async def _send(
        self, method: str, path: str, params: Mapping[str, str] | None = None, body: object = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = URL(f"{self._docker.docker_host}/{path}", encoded=True)
        kind = path.split("/", 2)[1 if path.startswith("v1.") else 0]  # such as containers, behind the version
        with self._span(f"docker {method} {kind}"):
            async with self._answer(method, url.with_query(params) if params else url, body) as response:
                yield response

    @asynccontextmanager
    async def _answer(self, method: str, url: URL, body: object) -> AsyncIterator[aiohttp.ClientResponse]:
        response = await self._docker.session.request(
            method,
            url,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            allow_redirects=False,
            middlewares=() if method == "GET" else (_once,),
        )
        try:
            if response.status >= HTTPStatus.MULTIPLE_CHOICES and response.status != HTTPStatus.NOT_MODIFIED:
                raise EngineRefused(response.status, _message(await response.read()))
            yield response
        finally:
            response.close()


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a DELETE again by itself when the connection breaks: it may have been done (I13)."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:  # nothing was sent
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _gone(f"{type(error).__name__}: {error}") from error


async def frames(response: aiohttp.ClientResponse, *, tty: bool) -> AsyncIterator[tuple[int, bytes]]:
    """Yield (stream number, bytes) of Docker's multiplexed output (API 1.41, ContainerAttach, "Stream format").

    With a terminal everything is one raw stream. A stream that breaks inside a frame is ``Unavailable``.
    """
    if tty:
        async for data in response.content.iter_chunked(CHUNK):
            yield 1, data
        return
    while header := await _exactly(response, FRAME_HEADER):
        left = int.from_bytes(header[4:])
        while left:
            data = await response.content.read(min(left, CHUNK))
            if not data:
                raise _gone("its output broke off inside a frame")
            left -= len(data)
            yield header[0], data


def segment(value: str) -> str:
    """Quote one value for a path; image references keep their slashes."""
    return quote(value, safe="/:@")


async def _exactly(response: aiohttp.ClientResponse, size: int) -> bytes:
    try:
        return await response.content.readexactly(size)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise _gone("its output broke off inside a frame header") from error
        return b""


@asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    """Turn a limit that passed, and an answer that is no JSON, into ``Unavailable``."""
    try:
        with _translated():
            yield
    except TimeoutError as error:
        raise _gone("it did not answer in time") from error
    except ValueError as error:
        raise _gone("its answer is no JSON") from error


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except aiohttp.ClientError as error:  # also aiohttp's own connect timeout
        raise _gone(f"{type(error).__name__}: {error}") from error
    except TimeoutError:  # a limit's: its holder says what it means
        raise
    except OSError as error:
        raise _gone(f"{type(error).__name__}: {error}") from error


def _gone(why: str) -> Unavailable:
    return Unavailable(
        Code.ENGINE_UNAVAILABLE,
        f"the Docker engine does not answer ({why[:200]!a})",
        hint="check that it runs and that WINGMAN_DOCKER_HOST names its socket",
    )


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else (0, 0)


def _message(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace").strip()
    try:
        answer = json.loads(text)
    except ValueError:
        return text
    return str(answer.get("message", text)) if isinstance(answer, dict) else text
