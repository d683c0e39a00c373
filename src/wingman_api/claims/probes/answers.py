"""Claims about HTTP: one GET, of an allowed host, at the address that was checked.

Guarantees: the name is resolved once and the connection goes to that very address, under the name's certificate and
``Host``, so that no second resolution can lead elsewhere; no redirect, proxy, cookie or credential is used; at most
``MOST_BYTES`` of the body are read, as they are, undecoded. Evidence says the status and whether the text was there.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

import httpx

from wingman_api.claims.probes.hosts import DEFAULT_PORTS, Address, Host, Hosts, plain_host
from wingman_api.claims.probes.seen import Seen, contradicted, judged, unknown
from wingman_core.assertions import HttpAnswer

MOST_BYTES: Final = 64 * 1024
WAIT_SECONDS: Final = 3.0
"""For connecting, and for each piece of the answer."""
HEADERS: Final = {"User-Agent": "wingman-probe", "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
NOT_ALLOWED: Final = "The host is not one where claims may be looked at."
MOST_ADDRESSES: Final = 4
"""Of one name, tried one after the other while nothing listens."""
REFUSED: Final = "Nothing answers there: the connection was refused."
NO_ANSWER: Final = "It did not answer in a way that decides."
PARTLY_READ: Final = f"The text is not in the first {MOST_BYTES >> 10} KiB; the rest is not read."

Resolve = Callable[[str, int], Awaitable[list[Address]]]


@dataclass(frozen=True, slots=True)
class _Place:
    """An allowed URL, and the addresses that answer for it, the preferred first."""

    url: httpx.URL
    name: str
    port: int
    addresses: tuple[Address, ...]


class Answers:
    """Looks at what allowed hosts answer."""

    def __init__(self, client: httpx.AsyncClient, hosts: Hosts, resolve: Resolve) -> None:
        self._client = client
        self._hosts = hosts
        self._resolve = resolve

    async def look(self, assertion: HttpAnswer) -> Seen:
        """Ask once; the caller holds the limit for the whole."""
        place = await self._place(assertion.url)
        if place is None:
            return unknown(NOT_ALLOWED)
        refused = bool(place.addresses)
        for address in place.addresses:
            try:
                return await self._ask(place, address, assertion)
            except httpx.ConnectError as error:
                refused = refused and _was_refused(error)
            except (httpx.HTTPError, httpx.InvalidURL):
                return unknown(NO_ANSWER)
        return contradicted(REFUSED) if refused else unknown(NO_ANSWER)

    async def _place(self, text: str) -> _Place | None:
        """Return where to ask; None for every reason not to, so that none can be told from another."""
        try:
            url = httpx.URL(text)
        except httpx.InvalidURL:
            return None
        name = plain_host(_bracketed(url.raw_host.decode("ascii")))
        if url.userinfo or name is None or url.scheme not in DEFAULT_PORTS:
            return None
        port = DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        if not self._hosts.allow(url.scheme, name, port):
            return None
        try:
            addresses = [ip_address(name)]
        except ValueError:
            addresses = await self._resolve(name, port)
        # All of them, or none: a name with one foot elsewhere is not chosen from.
        if not all(self._hosts.reach(url.scheme, name, port, each) for each in addresses):
            return None
        return _Place(url, name, port, tuple(addresses[:MOST_ADDRESSES]))

    async def _ask(self, place: _Place, address: Address, assertion: HttpAnswer) -> Seen:
        default = place.port == DEFAULT_PORTS[place.url.scheme]
        spelled = _bracketed(place.name)
        request = self._client.build_request(
            "GET",
            place.url.copy_with(host=str(address), fragment=None),
            headers={"Host": spelled if default else f"{spelled}:{place.port}"},
            extensions={"sni_hostname": place.name},
        )
        response = await self._client.send(request, stream=True)
        try:
            expected = _is_expected(response.status_code, assertion.status)
            words = f"It answered with {response.status_code}" + (
                " (redirects are not followed)." if response.is_redirect else "."
            )
            if assertion.contains is None or not expected:
                return judged(holds=expected, words=words)
            return await _body(response, assertion.contains, words)
        finally:
            await response.aclose()


async def _body(response: httpx.Response, text: str, words: str) -> Seen:
    body = b""
    async for piece in response.aiter_raw():
        body += piece[: MOST_BYTES - len(body)]
        if len(body) >= MOST_BYTES:
            break
    plain = response.headers.get("Content-Encoding", "identity").strip().lower() in {"identity", ""}
    if not plain:
        return unknown("It answered with an encoded body, which is not decoded.")
    if text.encode() in body:
        return judged(holds=True, words=f"{words[:-1]}, and the text is there.")
    if len(body) >= MOST_BYTES:
        return unknown(PARTLY_READ)
    return contradicted(f"{words[:-1]}, and the text is not there.")


def _is_expected(status: int, wanted: int | None) -> bool:
    return httpx.codes.is_success(status) if wanted is None else status == wanted


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _was_refused(error: BaseException | None) -> bool:
    """Tell a refused connection from the other ways not to get one."""
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__ or error.__context__
    return False


async def resolve(name: str, port: int) -> list[Address]:
    """Return the addresses of a name, the preferred first; none where there are none."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except OSError:
        return []
    return [ip_address(str(each[4][0]).partition("%")[0]) for each in found]


@asynccontextmanager
async def open_answers(allowed: tuple[Host, ...]) -> AsyncIterator[Answers]:
    """Yield the probe, with no connection kept between two looks."""
    # Reading the machine's CAs is slow, and for nothing where nothing is allowed.
    trust = ssl.create_default_context() if allowed else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(
        verify=trust, headers=HEADERS, timeout=WAIT_SECONDS, limits=limits, trust_env=False, follow_redirects=False
    ) as client:
        yield Answers(client, Hosts(allowed), resolve)
