"""Claims about HTTP: one request to the address that was checked, and little told of its answer."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

import httpx
import pytest

from wingman_api.claims.probes import answers as module
from wingman_api.claims.probes.answers import MOST_BYTES, NOT_ALLOWED, Answers, open_answers, resolve
from wingman_api.claims.probes.hosts import Address, Host, Hosts
from wingman_api.claims.probes.seen import Seen
from wingman_cli.pki import Authority
from wingman_core.assertions import HttpAnswer

LOOPBACK = "127.0.0.1"


@dataclass
class Server:
    """Answers every request with the same bytes, and keeps what it was asked."""

    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    port: int = 0
    requests: list[str] = field(default_factory=list)
    hold: asyncio.Event | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(self.answer)
            await writer.drain()
            if self.hold:
                await self.hold.wait()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def _serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.serve, LOOPBACK, 0, ssl=tls)
    made.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield made


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with _serving() as made:
        yield made


async def _look(allowed: list[Host], url: str, **claim: object) -> Seen:
    async with open_answers(tuple(allowed)) as answers:
        return await answers.look(HttpAnswer(url=url, **claim))  # type: ignore[arg-type]


async def _ask(server: Server, path: str = "/", **claim: object) -> Seen:
    return await _look([Host(LOOPBACK, server.port)], f"http://{LOOPBACK}:{server.port}{path}", **claim)


PACKED = gzip.compress(b"needle", mtime=0)


def _answer(status: str = "200 OK", body: bytes = b"", *headers: str) -> bytes:
    lines = "".join(f"{line}\r\n" for line in (*headers, f"Content-Length: {len(body)}"))
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


@pytest.mark.parametrize(
    ("answer", "claim", "outcome"),
    [
        (_answer(), {}, "confirmed"),
        (_answer("204 No Content"), {}, "confirmed"),
        (_answer("500 Oh"), {}, "contradicted"),
        (_answer("500 Oh"), {"status": 500}, "confirmed"),
        (_answer("200 OK"), {"status": 201}, "contradicted"),
        (_answer("302 Found", b"", "Location: http://169.254.169.254/"), {}, "contradicted"),
        (_answer("302 Found", b"", "Location: http://169.254.169.254/"), {"status": 302}, "confirmed"),
        (_answer(body=b"it works"), {"contains": "works"}, "confirmed"),
        (_answer(body="es läuft".encode()), {"contains": "läuft"}, "confirmed"),
        (_answer(body=b"it works"), {"contains": "broke"}, "contradicted"),
        (_answer("404 No", body=b"it works"), {"contains": "works"}, "contradicted"),
        (_answer("404 No", body=b"it works"), {"contains": "works", "status": 404}, "confirmed"),
        (_answer(body=b"." * (MOST_BYTES - 6) + b"needle"), {"contains": "needle"}, "confirmed"),
        (_answer(body=b"." * MOST_BYTES + b"needle"), {"contains": "needle"}, "unknown"),
        (_answer(body=b"." * (MOST_BYTES - 3) + b"needle"), {"contains": "needle"}, "unknown"),
        (_answer("200 OK", PACKED, "Content-Encoding: gzip"), {"contains": "needle"}, "unknown"),
        (_answer("200 OK", b"needle", "Content-Encoding: identity"), {"contains": "needle"}, "confirmed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", {"contains": "needle"}, "unknown"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", {"contains": "the end"}, "confirmed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", {}, "unknown"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, {}, "unknown"),
        (b"", {}, "unknown"),
    ],
)
async def test_answers(server: Server, answer: bytes, claim: dict[str, object], outcome: str):
    server.answer = answer
    seen = await _ask(server, **claim)
    assert seen.outcome == outcome
    assert len(server.requests) == 1


async def test_evidence_tells_the_status_and_nothing_of_the_answer(server: Server):
    server.answer = _answer("302 Found", b"hunter2", "Location: http://secret.example/", "Set-Cookie: a=hunter2")
    seen = await _ask(server)
    assert seen.words == "It answered with 302 (redirects are not followed)."
    server.answer = _answer(body=b"hunter2")
    assert (await _ask(server, contains="2")).words == "It answered with 200, and the text is there."


async def test_the_request_is_bare(server: Server, monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await _ask(server, "/a%20b?c=d#fragment")).outcome == "confirmed"
    (request,) = server.requests
    assert request.startswith("GET /a%20b?c=d HTTP/1.1\r\n")
    assert f"host: {LOOPBACK}:{server.port}\r\n" in request.lower()
    headers = {line.partition(":")[0].lower() for line in request.split("\r\n")[1:] if line}
    assert headers == {"host", "user-agent", "accept", "accept-encoding", "connection"}


@pytest.mark.parametrize(
    "url",
    [
        "http://{name}:{port}/",
        "http://LOCALHOST:{port}/",
        "http://localhost.:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://[::127.0.0.1]:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f000001:{port}/",
        "http://0x7f.1:{port}/",
        "http://0177.0.0.1:{port}/",
        "http://017700000001:{port}/",
        "http://127.1:{port}/",
        "http://127.0.0.1.:{port}/",
        "http://127.000.000.001:{port}/",
        "http://0:{port}/",
        "http://user@127.0.0.1:{port}/",
        "http://user:secret@127.0.0.1:{port}/",
        "http://127.0.0.1:{port}@other.example/",
        "http://other.example\\@127.0.0.1:{port}/",
        "http://127.0.0.1/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:99999999/",
        "http://127.0.0.2:{port}/",
        "http://exa%6dple:{port}/",
        "http://:{port}/",
        "http:///x",
        "http://[::1",
        "http://169.254.169.254/latest/meta-data/",
        "http://metadata.google.internal/",
    ],
)
async def test_every_other_spelling_and_place_is_the_same_unknown(server: Server, url: str):
    claim = url.format(port=server.port, name="localhost")
    assert await _look([Host(LOOPBACK, server.port)], claim) == Seen("unknown", NOT_ALLOWED)
    assert server.requests == []


async def test_without_hosts_nothing_is_asked(server: Server):
    assert await _look([], f"http://{LOOPBACK}:{server.port}/") == Seen("unknown", NOT_ALLOWED)
    assert server.requests == []


@pytest.mark.parametrize("address", ["169.254.169.254", "[fd00:ec2::254]", "100.100.100.200"])
async def test_metadata_is_out_of_reach_even_where_it_is_listed(address: str):
    assert await _look([Host.read(address)], f"http://{address}/") == Seen("unknown", NOT_ALLOWED)


class Resolver:
    """Answers each time with the next list."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, name: str, _port: int) -> list[Address]:
        self.asked.append(name)
        return [ip_address(each) for each in self.answers.pop(0)]


async def _resolved(allowed: list[Host], url: str, resolver: Callable[[str, int], Awaitable[list[Address]]]) -> Seen:
    async with httpx.AsyncClient(trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) as client:
        return await Answers(client, Hosts(allowed), resolver).look(HttpAnswer(url=url))


async def test_the_next_address_is_tried_where_nothing_listens_at_the_first(server: Server):
    url = f"http://web:{server.port}/"
    seen = await _resolved([Host("web", server.port)], url, Resolver(["127.0.0.2", LOOPBACK]))
    assert seen.outcome == "confirmed"
    assert len(server.requests) == 1


async def test_a_name_is_resolved_once_and_that_address_is_asked(server: Server):
    # A second answer would lead elsewhere; there is no second question.
    resolver = Resolver([LOOPBACK], ["169.254.169.254"])
    seen = await _resolved([Host("web", server.port)], f"http://WEB.:{server.port}/", resolver)
    assert seen.outcome == "confirmed"
    assert resolver.asked == ["web"]
    assert f"host: web:{server.port}\r\n" in server.requests[0].lower()


@pytest.mark.parametrize(
    "answer",
    [[LOOPBACK], ["93.184.216.34", LOOPBACK], ["10.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["169.254.169.254"]],
)
async def test_a_public_name_that_points_inside_is_not_followed(server: Server, answer: list[str]):
    url = f"http://a.example:{server.port}/"
    assert await _resolved([Host("a.example", server.port)], url, Resolver(answer)) == Seen("unknown", NOT_ALLOWED)
    assert server.requests == []


async def test_a_listed_name_that_does_not_resolve_decides_nothing():
    assert await _resolved([Host("web", None)], "http://web/", Resolver([])) == Seen("unknown", module.NO_ANSWER)


async def test_a_public_name_may_point_inside_where_the_address_is_listed_too(server: Server):
    listed = [Host("a.example", server.port), Host(LOOPBACK, server.port)]
    assert (await _resolved(listed, f"http://a.example:{server.port}/", Resolver([LOOPBACK]))).outcome == "confirmed"


async def test_the_systems_resolver():
    assert ip_address(LOOPBACK) in await resolve("localhost", 80)
    assert await resolve("no-such-name.invalid", 80) == []


async def test_a_port_where_nothing_listens_contradicts(server: Server):
    gone = await asyncio.start_server(server.serve, LOOPBACK, 0)
    port = gone.sockets[0].getsockname()[1]
    gone.close()
    await gone.wait_closed()
    seen = await _look([Host("localhost", port)], f"http://localhost:{port}/")
    assert seen == Seen("contradicted", "Nothing answers there: the connection was refused.")


async def test_one_that_never_answers_is_unknown(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.1)
    server.answer, server.hold = b"HTTP/1.1 200 OK\r\n", asyncio.Event()
    assert (await _ask(server)).outcome == "unknown"
    server.hold.set()


async def test_an_endless_body_is_read_up_to_the_cap(server: Server):
    server.answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"." * (4 * MOST_BYTES)
    server.hold = asyncio.Event()
    seen = await _ask(server, contains="needle")
    server.hold.set()
    assert seen.words == module.PARTLY_READ


async def test_tls_is_verified_for_the_name_that_was_asked(pki: Authority, monkeypatch: pytest.MonkeyPatch):
    leaf = pki.leaf("gateway")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf.certificate, leaf.key)
    async with _serving(context) as served:
        listed = [Host("localhost", served.port), Host("elsewhere", served.port)]
        url = f"https://localhost:{served.port}/"
        assert (await _look(listed, url)).outcome == "unknown"  # nobody trusts that authority
        monkeypatch.setenv("SSL_CERT_FILE", str(pki.certificate))
        assert (await _look(listed, url)).outcome == "confirmed"
        monkeypatch.setattr(module, "resolve", Resolver([LOOPBACK]))
        assert (await _look(listed, f"https://elsewhere:{served.port}/")).outcome == "unknown"
    assert len(served.requests) == 1
