"""What ``wingman audit verify`` does, in a process that does nothing else: ``python -m tests.bench.verifying JSON``.

Prints rows per second, those of a bare read of the whole table, and the most memory that verification took.
"""

import asyncio
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from wingman_core.audit_verify import LogVerifier
from wingman_core.notes import verifier_key_of
from wingman_gateway.audit_reader import AuditReader


def most_memory() -> float:
    """The most that this program held, in MB; what ``getrusage`` says may be what its parent held when it forked."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


async def verify(known: dict[str, Any]) -> dict[str, float]:
    """Verify, then read."""
    key = load_pem_private_key(Path(known["checkpoint_key"]).read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    verifier = LogVerifier(origin=known["origin"], keys=[verifier_key_of(known["origin"], key)])
    async with AuditReader.connect(known["database"], known["password"]) as reader:
        began = time.perf_counter()
        summary = await reader.verify(verifier, lambda _: None)
        verified = summary.size / (time.perf_counter() - began)
    memory = most_memory()
    bare = await asyncpg.connect(known["database"], password=known["password"])
    began, rows = time.perf_counter(), 0
    async with bare.transaction():
        async for row in bare.cursor("SELECT * FROM execution_audit ORDER BY position", prefetch=500):
            hashlib.sha256(row["record"]).digest()
            rows += 1
    read = rows / (time.perf_counter() - began)
    await bare.close()
    return {"verified": verified, "read": read, "memory": memory, "rows": rows}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(verify(json.loads(sys.argv[1])))))
