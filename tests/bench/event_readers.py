"""`python -m tests.bench.event_readers`: how soon many readers of one API process hear of what was committed.

Requests come in over HTTP at a steady rate; each reader is a socket of its own in this process. A delay is from the
time that the event says (taken before its transaction) to the moment its bytes arrive here: storing, committing,
numbering, reading and sending are in it. What the askers themselves waited for their answers is the baseline.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
from rich.console import Console

from wingman_api.identity.caller import Role
from wingman_api.identity.store import open_key_store
from wingman_cli.embedded_db import OWNER, ROLES, EmbeddedPostgres, migrate
from wingman_cli.pki import Authority, create_token_key

AT = re.compile(rb'"at":"([0-9T:.-]+)Z"')
WARM_UP = 100
CONSOLE = Console()
STARTED = re.compile(r'"port": ([0-9]+)')


class Reader(asyncio.Protocol):
    """Notes the delay of each event."""

    def __init__(self, request: bytes, delays: list[float]) -> None:
        self._request = request
        self._delays = delays
        self.head = b""
        self.counting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.counting:
            return
        now = time.time()
        for found in AT.finditer(data):
            self._delays.append(now - datetime.fromisoformat(found[1].decode()).replace(tzinfo=UTC).timestamp())


@contextlib.asynccontextmanager
async def serving(place: Path, environ: dict[str, str]) -> AsyncIterator[tuple[str, int]]:
    """Run one API process; yield its address and process id."""
    log = (place / "api.log").open("w+")
    process = subprocess.Popen([sys.executable, "-m", "wingman_api"], env=environ, stdout=log, stderr=log)
    try:
        while (started := STARTED.search((place / "api.log").read_text())) is None:
            assert process.poll() is None, (place / "api.log").read_text()
            await asyncio.sleep(0.05)
        yield f"127.0.0.1:{started[1]}", process.pid
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def measure(readers: int, rate: float, seconds: float) -> None:
    """Measure once, and print."""
    with tempfile.TemporaryDirectory(prefix="wm-bench-") as scratch:
        place = Path(scratch)
        passwords = {role: secrets.token_urlsafe(12) for role in ROLES}
        authority = Authority(place / "pki", "test", now=datetime.now(UTC))
        authority.issue("api")
        leaf = authority.leaf("api")
        kid = create_token_key(place / "token.pem", place / "public")
        with EmbeddedPostgres(place / "pg", passwords=passwords) as server:
            await server.prepare()
            await migrate(server.connection(OWNER))
            access = server.connection("wingman_api")
            environ = {
                "PATH": os.environ["PATH"],
                "WINGMAN_ENVIRONMENT": "test",
                "WINGMAN_API_LISTEN": "127.0.0.1:0",
                "WINGMAN_DATABASE_URL": access.url,
                "DB_PASSWORD": access.password,
                "WINGMAN_GATEWAY_ADDRESS": "127.0.0.1:1",
                "WINGMAN_TLS_CERT": str(leaf.certificate),
                "WINGMAN_TLS_KEY": str(leaf.key),
                "WINGMAN_TLS_CA": str(authority.certificate),
                "WINGMAN_TOKEN_KEY": str(place / "token.pem"),
                "WINGMAN_TOKEN_KID": kid,
                "WINGMAN_EVENT_STREAMS": str(max(32, readers)),
                "WINGMAN_CLAIMS_LEDGER": str(place / "claims_audit.jsonl"),
                **{f"WINGMAN_RATE_LIMIT_{what}": "1000000/60" for what in ("READS", "WRITES", "ANONYMOUS", "FAILURES")},
            }
            async with open_key_store(
                access.url, access.password, now=lambda: datetime.now(UTC), random_bytes=secrets.token_bytes
            ) as keys:
                auditor = (await keys.create("auditor", Role.AUDITOR)).text
                worker = (await keys.create("agent-7", Role.WORKER)).text
            async with serving(place, environ) as (address, pid):
                idle = resident_mb(pid)
                await run(address, pid, auditor, worker, readers=readers, rate=rate, seconds=seconds)
                CONSOLE.print(f"memory of the process: {idle:.0f} MB before, {resident_mb(pid):.0f} MB after")


async def run(address: str, pid: int, auditor: str, worker: str, *, readers: int, rate: float, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    host, _, port = address.rpartition(":")
    delays: list[float] = []
    lines = ["GET /events?types=approval.requested HTTP/1.1", f"Host: {address}", f"Authorization: Bearer {auditor}"]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    answers: list[float] = []
    streams: list[Reader] = []
    for _ in range(readers):
        _, reader = await loop.create_connection(lambda: Reader(request, delays), host, int(port))
        streams.append(reader)
        await asyncio.sleep(0.002)
    headers = {"Authorization": f"Bearer {worker}"}
    async with httpx.AsyncClient(base_url=f"http://{address}", headers=headers, timeout=30, trust_env=False) as client:

        async def ask(number: int) -> None:
            begun = time.time()
            body = {"worker_id": "agent-7", "task_name": f"t{number}", "instruction": "x", "commands": []}
            response = await client.post("/approvals/request", json=body)
            assert response.status_code == 200, response.text
            answers.append(time.time() - begun)

        for number in range(WARM_UP):  # keys are hashed, connections opened, statements prepared
            await ask(-1 - number)
        await asyncio.sleep(1)
        for reader in streams:
            reader.counting = True
        sent = 0
        began, spent = time.time(), cpu_seconds(pid)
        answers.clear()
        asking: set[asyncio.Task[None]] = set()
        while time.time() < began + seconds:
            asking.add(asyncio.create_task(ask(sent)))
            sent += 1
            await asyncio.sleep(max(0.0, began + sent / rate - time.time()))
        await asyncio.gather(*asking)
        took = time.time() - began
        spent = cpu_seconds(pid) - spent
        await asyncio.sleep(2)
    CONSOLE.print_json(
        json.dumps(
            {
                "readers": readers,
                "events_per_second": round(sent / took, 1),
                "expected": sent * readers,
                "received": len(delays),
                "event_ms": spread(delays),
                "answer_ms": spread(answers),
                "cores_of_the_process": round(spent / took, 2),
            }
        )
    )


def spread(seconds: list[float]) -> dict[str, int]:
    """Return median, 99th percentile and worst, in ms."""
    ordered = sorted(seconds)
    places = {"median": len(ordered) // 2, "p99": int(len(ordered) * 0.99), "worst": len(ordered) - 1}
    return {name: round(1000 * ordered[place]) for name, place in places.items()}


def main() -> None:
    """Measure as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=500)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.readers, arguments.rate, arguments.seconds))


if __name__ == "__main__":
    main()
