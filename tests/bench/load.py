"""Load for an HTTP server on loopback: keep-alive connections in turns, as little work a request as can be.

A client library would cost more than the server that is measured; this reads the answer's length and nothing else.
"""

import asyncio
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import psutil

OK = b"HTTP/1.1 200"


@dataclass(frozen=True)
class Figures:
    """What a round gave: answers, requests per second, latencies and the server's own CPU a request in ms."""

    answers: list[bytes]
    rate: float
    median: float
    p99: float
    cpu: float


@dataclass(frozen=True)
class Server:
    """A process that serves on a port of loopback."""

    port: int
    pid: int

    def cpu(self) -> float:
        """The seconds of CPU that the process has used, all its threads together."""
        used = psutil.Process(self.pid).cpu_times()
        return float(used.user + used.system)


def post(path: str, body: bytes, key: str = "") -> bytes:
    """The bytes of one POST of a JSON body."""
    authorization = f"Authorization: Bearer {key}\r\n" if key else ""
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\n{authorization}Content-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def load(server: Server, requests: Iterable[bytes], *, connections: int) -> Figures:
    """Send every request over so many connections; fail on the first answer that is not 200."""
    left = iter(requests)
    answers: list[bytes] = []
    seconds: list[float] = []
    began, used = time.perf_counter(), server.cpu()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_connection(server.port, left, answers, seconds))
    rate = len(answers) / (time.perf_counter() - began)
    cuts = statistics.quantiles(seconds, n=100)
    cpu = (server.cpu() - used) / len(answers)
    return Figures(answers, rate, cuts[49] * 1000, cuts[98] * 1000, cpu * 1000)


async def _connection(port: int, left: Iterator[bytes], answers: list[bytes], seconds: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for request in left:
            began = time.perf_counter()
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            _, _, rest = head.partition(b"content-length: ")
            body = await reader.readexactly(int(rest.partition(b"\r\n")[0]))
            assert head.startswith(OK.lower()), (head, body)
            seconds.append(time.perf_counter() - began)
            answers.append(body)
    finally:
        writer.close()
        await writer.wait_closed()
