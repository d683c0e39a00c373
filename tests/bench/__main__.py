"""`make bench`: what costs what, each figure as a ratio against a baseline measured in the same run.

Nothing here passes or fails; a slower machine slows the baseline as well. The database is an embedded
Postgres that fsyncs, since durable commits are what an append costs.
"""

import asyncio
import base64
import hashlib
import secrets
import shlex
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from rich.console import Console
from rich.progress import track
from rich.table import Table

from wingman_cli.embedded_db import OWNER, ROLES, EmbeddedPostgres, migrate
from wingman_cli.pki import create_token_key
from wingman_core.audit_record import AuditRecord, RecordKind
from wingman_core.audit_verify import LogVerifier
from wingman_core.canonical import rfc3339
from wingman_core.capability import audience_of, issuer_of, mint, verify
from wingman_core.claims import Claims, Decider
from wingman_core.command import operation_digest, parse, render
from wingman_core.notes import verifier_key_of
from wingman_gateway.audit_reader import AuditReader
from wingman_gateway.audit_store import AuditStore, open_pool

ORIGIN = "wingman/test/bench"
COMMANDS = (
    "docker restart --time 10 web",
    "docker ps --all --filter status=running",
    "docker exec -w /srv web ls -la /srv",
    "docker run -d --name shop-web -p 127.0.0.1:8080:80 --memory 256m -e MODE=fast shop/web:1.4 serve --port 80",
)
ROUNDS = 7
WRITERS = 64
BARE_CONNECTIONS = 16
ROWS = 6_000

Row = tuple[str, float, str, float]
"""What, its rate per second, the baseline's name, the baseline's rate."""


def rate(work: Callable[[], object], *, times: int) -> float:
    """Return calls per second, the median of several rounds."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(times):
            work()
        seconds.append(time.perf_counter() - began)
    return times / statistics.median(seconds)


def parsing() -> Row:
    """Text to operation, canonical text and digest, against shlex alone."""
    turn = iter(range(1 << 60))

    def ours() -> None:
        operation = parse(COMMANDS[next(turn) % len(COMMANDS)])
        render(operation)
        operation_digest(operation)

    def baseline() -> None:
        shlex.split(COMMANDS[next(turn) % len(COMMANDS)])

    return "parse, render and digest", rate(ours, times=500), "shlex.split", rate(baseline, times=500)


def tokens(place: Path) -> Row:
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

    return "verify a capability", rate(ours, times=200), "one bare ES256 check", rate(baseline, times=200)


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


async def appending(server: EmbeddedPostgres, key: ed25519.Ed25519PrivateKey) -> tuple[Row, Row]:
    """Durable appends of 64 callers against unchained one-row commits; then the whole log's verification."""
    gateway, owner = server.connection("wingman_gateway"), server.connection(OWNER)
    plain = await owner.connect()
    await plain.execute("CREATE TABLE bare (id bigserial PRIMARY KEY, record bytea NOT NULL)")
    await plain.close()
    bare = await asyncpg.create_pool(
        owner.url, password=owner.password, min_size=BARE_CONNECTIONS, max_size=BARE_CONNECTIONS
    )
    pool = await open_pool(gateway.url, gateway.password)
    store = AuditStore(pool, origin=ORIGIN, key=key)
    await store.start()
    data = intent().to_bytes()
    ours, theirs = [], []
    for _ in track(range(3), description="durable appends, in turns with bare commits"):
        theirs.append(
            await concurrently(
                lambda _: bare.execute("INSERT INTO bare (record) VALUES ($1)", data),
                callers=BARE_CONNECTIONS,
                times=ROWS // 3,
            )
        )
        ours.append(await concurrently(lambda _: store.append(intent()), callers=WRITERS, times=ROWS // 3))
    await store.close()
    await pool.close()
    appended = (
        f"durable appends, {WRITERS} callers",
        statistics.median(ours),
        f"one-row commits, {BARE_CONNECTIONS} connections",
        statistics.median(theirs),
    )

    auditor = server.connection("wingman_auditor")
    began = time.perf_counter()
    verifier = LogVerifier(origin=ORIGIN, keys=[verifier_key_of(ORIGIN, key)])
    async with AuditReader.connect(auditor.url, auditor.password) as reader:
        summary = await reader.verify(verifier, lambda _: None)
    verified = summary.size / (time.perf_counter() - began)
    began = time.perf_counter()
    rows = await bare.fetch("SELECT record FROM execution_audit ORDER BY position")
    read = len([hashlib.sha256(row["record"]).digest() for row in rows]) / (time.perf_counter() - began)
    await bare.close()
    return appended, ("verify the whole log, rows", verified, "read and SHA-256 each row", read)


async def measure() -> list[Row]:
    """Return every row of the table."""
    with tempfile.TemporaryDirectory(prefix="wm-bench-") as scratch:
        place = Path(scratch)
        rows = [parsing(), tokens(place)]
        passwords = {role: secrets.token_urlsafe(12) for role in ROLES}
        with EmbeddedPostgres(place / "pg", passwords=passwords) as server:
            await server.prepare()
            await migrate(server.connection(OWNER))
            rows.extend(await appending(server, ed25519.Ed25519PrivateKey.generate()))
        return rows


def main() -> None:
    """Measure and print."""
    table = Table("", "per second", "baseline", "per second", "ratio", title="Wingman against its baselines")
    for what, ours, baseline, theirs in asyncio.run(measure()):
        table.add_row(what, f"{ours:,.0f}", baseline, f"{theirs:,.0f}", f"{ours / theirs:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
