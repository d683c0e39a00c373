"""`make bench`: what costs what, each figure beside a baseline measured in the same run; writes docs/performance.md.

Ends with 1 where a bound is missed. The database is an embedded Postgres that fsyncs, since durable commits are what
an append costs. ``--rows`` makes a shorter log, for a quick look that writes nothing.
"""

import argparse
import asyncio
import base64
import hashlib
import secrets
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from operator import add
from pathlib import Path

import asyncpg
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from tests.bench.big_log import write_log
from tests.bench.figures import Figure, write_page
from tests.bench.gateway_site import ORIGIN, Site, measured_site
from wingman_cli.embedded_db import OWNER, SUPERUSER, EmbeddedPostgres, create_database, migrate
from wingman_cli.pki import create_token_key
from wingman_core.audit_record import AuditRecord, RecordKind
from wingman_core.canonical import rfc3339
from wingman_core.capability import audience_of, issuer_of, mint, verify
from wingman_core.claims import Claims, Decider
from wingman_core.command import operation_digest, parse, render
from wingman_gateway.audit_store import AuditStore, open_pool

COMMANDS = (
    "docker restart --time 10 web",
    "docker ps --all --filter status=running",
    "docker exec -w /srv web ls -la /srv",
    "docker run -d --name shop-web -p 127.0.0.1:8080:80 --memory 256m -e MODE=fast shop/web:1.4 serve --port 80",
)
ROUNDS = 7
WRITERS = 64
BARE_CONNECTIONS = 16
ROWS = 7_000
APPENDS = "appends"
WHOLE = 1_000_000
EXECUTIONS = 250
TURN = 10
"""Calls of one kind before the next kind's turn."""
CONCURRENT = 1_500
CALLERS = 16
BEYOND, MANY, IDLE, VERIFIED, MEMORY, PROOF = 3, 250, 120, 50_000, 150, 5
"""The issue's bounds: ms, executions per second, MB, rows per second, MB, ms."""


def rate(work: Callable[[], object], *, times: int) -> float:
    """Return calls per second, the median of several rounds."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(times):
            work()
        seconds.append(time.perf_counter() - began)
    return times / statistics.median(seconds)


def parsing() -> Figure:
    """Text to operation, canonical text and digest, against shlex alone."""
    turn = iter(range(1 << 60))

    def ours() -> None:
        operation = parse(COMMANDS[next(turn) % len(COMMANDS)])
        render(operation)
        operation_digest(operation)

    def baseline() -> None:
        shlex.split(COMMANDS[next(turn) % len(COMMANDS)])

    return Figure("parse, render and digest", rate(ours, times=500), "/s", "shlex.split", rate(baseline, times=500))


def tokens(place: Path) -> Figure:
    """Verifying a capability, against the bare ES256 check of the same bytes."""
    kid = create_token_key(place / "token.pem", place / "public")
    public = (place / "public" / f"{kid}.pem").read_text()
    now = int(time.time())
    claims = Claims(
        iss=issuer_of("test"),
        aud=audience_of("test"),
        sub="agent",
        iat=now,
        nbf=now,
        exp=now + 300,
        jti=secrets.token_hex(16),
        apr=f"apr_{'a' * 26}.0",
        env="test",
        op="0" * 64,
        tgt="1" * 64,
        dec="2" * 64,
        by=(Decider("Alice", now, "rest"),),
        thumbprint="3" * 64,
    )
    token = mint(claims, (place / "token.pem").read_bytes(), kid)
    key = serialization.load_pem_private_key((place / "token.pem").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signed = token.rpartition(".")[0].encode()
    signature, check = key.sign(signed, ec.ECDSA(hashes.SHA256())), key.public_key()

    def ours() -> None:
        verify(
            token,
            keys={kid: public},
            issuer=issuer_of("test"),
            audience=audience_of("test"),
            environment="test",
            thumbprint="3" * 64,
            now=now,
        )

    def baseline() -> None:
        check.verify(signature, signed, ec.ECDSA(hashes.SHA256()))

    return Figure("verify a token", rate(ours, times=200), "/s", "one bare ES256 check", rate(baseline, times=200))


def intent() -> AuditRecord:
    """Return an INTENT of ordinary size."""
    return AuditRecord(
        kind=RecordKind.INTENT,
        environment="test",
        created_at=rfc3339(datetime.now(UTC)),
        execution_id=f"exe_{secrets.token_hex(13)}",
        approval_id=f"apr_{base64.b32encode(secrets.token_bytes(16)).decode().rstrip('=').lower()}.0",
        jti=secrets.token_hex(16),
        worker="agent",
        command=COMMANDS[0],
        operation_digest="0" * 64,
        targets=('{"id":"' + "a" * 64 + '","image_digest":"","kind":"container","reference":"web","role":"object"}',),
        target_digest="1" * 64,
        decision_digest="2" * 64,
        token_hash=hashlib.sha256(secrets.token_bytes(8)).hexdigest(),
        client="spiffe://wingman/test/api",
        evidence='{"gateway":"bench","policies":["test-lifecycle"]}',
    )


async def concurrently(work: Callable[[int], Awaitable[object]], *, callers: int, times: int) -> float:
    """Return calls per second of so many concurrent callers."""
    left = iter(range(times))

    async def caller() -> None:
        for number in left:
            await work(number)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return times / (time.perf_counter() - began)


async def appending(server: EmbeddedPostgres) -> Figure:
    """Durable appends of 64 callers against unchained one-row commits, on a log of their own."""
    superuser = await server.connection(SUPERUSER, "postgres").connect()
    await create_database(superuser, APPENDS)
    await superuser.close()
    await migrate(server.connection(OWNER, APPENDS))
    gateway, owner = server.connection("wingman_gateway", APPENDS), server.connection(OWNER, APPENDS)
    plain = await owner.connect()
    await plain.execute("CREATE TABLE bare (id bigserial PRIMARY KEY, record bytea NOT NULL)")
    await plain.close()
    bare = await asyncpg.create_pool(
        owner.url, password=owner.password, min_size=BARE_CONNECTIONS, max_size=BARE_CONNECTIONS
    )
    pool = await open_pool(gateway.url, gateway.password)
    store = AuditStore(pool, origin=ORIGIN, key=ed25519.Ed25519PrivateKey.generate())
    await store.start()
    data = intent().to_bytes()
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(
            await concurrently(
                lambda _: bare.execute("INSERT INTO bare (record) VALUES ($1)", data),
                callers=BARE_CONNECTIONS,
                times=ROWS // ROUNDS,
            )
        )
        ours.append(await concurrently(lambda _: store.append(intent()), callers=WRITERS, times=ROWS // ROUNDS))
    await store.close()
    await pool.close()
    await bare.close()
    found, beside = statistics.median(ours), statistics.median(theirs)
    return Figure(
        f"(c) durable appends, {WRITERS} callers",
        found,
        "/s",
        f"one-row commits, {BARE_CONNECTIONS} connections",
        beside,
        "as many",
        found >= beside,
    )


def executing(site: Site) -> tuple[list[Figure], dict[str, list[float]]]:
    """One execution beside the docker binary and the floor; many at once; what the gateway holds when idle."""
    idle = site.gateway.memory_info().rss / 1e6
    found, cold = (site.measure("rounds", times=EXECUTIONS, warm=EXECUTIONS // 5, turn=turn) for turn in (TURN, 1))
    floor, cold_floor = (list(map(add, each["aiodocker"], each["commits"])) for each in (found, cold))
    each = (found["execute"], found["binary"], floor, found["call"], cold["execute"], cold_floor)
    execute, binary, least, call, after, least_after = (statistics.median(seconds) * 1000 for seconds in each)
    rates = [site.measure("concurrent", times=CONCURRENT, callers=CALLERS)["rate"] for _ in range(3)]
    many = statistics.median(rates)
    beyond, rest = execute - least, "aiodocker, two commits"
    figures = [
        Figure("(a) one `inspect`, p50", execute, "ms", "docker binary", binary, "a fifth", 5 * execute <= binary),
        Figure("(a) beyond the floor, p50", beyond, "ms", rest, least, "3 ms", beyond <= BEYOND),
        Figure("one `inspect`, each behind a run of the docker binary", after, "ms", rest, least_after),
        Figure("a call that does nothing, p50", call, "ms"),
        Figure(f"(b) executions, {CALLERS} callers", many, "/s", "one caller", 1000 / execute, "250 /s", many >= MANY),
        Figure("(f) idle gateway, resident", idle, "MB", bound="120 MB", holds=idle < IDLE),
    ]
    return figures, {"Execute": found["execute"], "docker inspect": found["binary"], "the floor": floor}


def reading(site: Site, rows: int) -> list[Figure]:
    """The whole log verified, and proofs of its records."""
    found = site.verify()
    proofs = site.measure("proofs", times=EXECUTIONS, rows=rows)
    proof, look, read = (statistics.median(proofs[name]) * 1000 for name in ("prove", "look", "read"))
    speed, memory = found["verified"], found["memory"]
    return [
        Figure("(d) rows verified", speed, "/s", "rows read and hashed", found["read"], "50,000 /s", speed >= VERIFIED),
        Figure("(d) memory of it", memory, "MB", bound="150 MB", holds=memory < MEMORY),
        Figure("(e) inclusion proof, p50", proof, "ms", "one row by its key", read, "5 ms", proof < PROOF),
        Figure("an execution's records, p50", look, "ms", "one row by its key", read),
    ]


async def measure(rows: int) -> tuple[list[Figure], dict[str, list[float]]]:
    """Return every figure, and how long single executions took."""
    with tempfile.TemporaryDirectory(prefix="wm-bench-") as scratch, Progress(console=Console(stderr=True)) as progress:
        place = Path(scratch)
        figures = [parsing(), tokens(place)]
        task = progress.add_task("writing a log", total=rows)

        async def fill(server: EmbeddedPostgres, key: ed25519.Ed25519PrivateKey) -> None:
            connection = await server.connection("wingman_gateway").connect()
            told = partial(_told, progress, task)
            await write_log(connection, origin=ORIGIN, key=key, rows=rows, told=told)
            await connection.close()

        async with measured_site(place / "site", fill) as site:
            executed, latencies = await asyncio.to_thread(executing, site)
            figures += [*executed, await appending(site.server), *await asyncio.to_thread(reading, site, rows)]
        return figures, latencies


def _told(progress: Progress, task: TaskID, done: int) -> None:
    progress.update(task, completed=done)


def main() -> int:
    """Measure, print, write the page; 1 where a bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--rows", type=int, default=WHOLE, help="of the log; fewer than a million write no page")
    rows = parser.parse_args().rows
    figures, latencies = asyncio.run(measure(rows))
    table = Table("", "found", "baseline", "beside", "bound", "", title="Wingman against its baselines")
    for figure in figures:
        table.add_row(*(cell.strip().replace("*", "") for cell in figure.row().strip("| ").split("|")))
    Console().print(table)
    if rows >= WHOLE:
        write_page(figures, latencies, rows)
    return 0 if all(figure.holds for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
