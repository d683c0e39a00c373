"""The client of the measurements: ``python -m tests.bench.measuring WHAT JSON`` prints what it found as JSON.

``rounds`` goes through the gateway and the baselines in turns of a few calls each, so that whatever else the machine
does meets all of them; ``concurrent`` has so many callers execute at once; ``proofs`` asks for inclusion proofs, beside
the bare read of a row.
"""

import asyncio
import base64
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiodocker
import asyncpg
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from wingman_core.capability import audience_of, issuer_of, mint
from wingman_core.claims import Claims
from wingman_core.command import operation_digest, parse
from wingman_core.target import targets_digest
from wingman_gateway.engine import Engine
from wingman_rpc.v1 import gateway_pb2 as pb
from wingman_rpc.v1.gateway_pb2_grpc import AuditLogStub, ExecutionGatewayStub

BARE = "CREATE TABLE IF NOT EXISTS bare (id bigserial PRIMARY KEY, record bytea NOT NULL)"
ROW = bytes(1100)
"""As long as an ordinary record."""


class Client:
    """One caller of the gateway, with the API's certificate and key."""

    def __init__(self, known: dict[str, Any], channel: grpc.aio.Channel) -> None:
        self._known = known
        self._key = Path(known["token_key"]).read_bytes()
        self._execute = ExecutionGatewayStub(channel).Execute
        self._get = AuditLogStub(channel).Get
        self._prove = AuditLogStub(channel).Prove
        self._check = health_pb2_grpc.HealthStub(channel).Check
        self.command = f"docker inspect {known['container']}"
        self._digests: dict[str, str] = {}

    async def prepare(self) -> None:
        """Learn what the command resolves to."""
        engine = await Engine.connect(self._known["engine"])
        operation = parse(self.command)
        targets = await engine.resolve(operation)
        await engine.close()
        self._digests = {"op": operation_digest(operation), "tgt": targets_digest(targets)}

    def token(self) -> str:
        """A token that was never used."""
        now = int(datetime.now(UTC).timestamp())
        approval = f"apr_{base64.b32encode(secrets.token_bytes(16)).decode().rstrip('=').lower()}.0"
        claims = Claims(
            iss=issuer_of("test"),
            aud=audience_of("test"),
            sub="agent",
            iat=now,
            nbf=now,
            exp=now + 60,
            jti=secrets.token_hex(16),
            apr=approval,
            env="test",
            dec="d" * 64,
            by=(),
            thumbprint=self._known["thumbprint"],
            **self._digests,
        )
        return mint(claims, self._key, self._known["kid"])

    async def execute(self, token: str) -> None:
        """Run the command to its end."""
        last = None
        async for event in self._execute(pb.ExecuteRequest(capability_token=token, command=self.command)):
            last = event
        assert last is not None
        assert last.finished.exit_code == 0

    async def call(self) -> None:
        """Make a call that does nothing."""
        await self._check(health_pb2.HealthCheckRequest())

    async def look(self, execution_id: str) -> None:
        """Ask for the records of an execution."""
        assert (await self._get(pb.GetRequest(execution_id=execution_id))).entries

    async def prove(self, position: int) -> None:
        """Ask for the proof that a record is in the newest tree."""
        assert (await self._prove(pb.ProveRequest(position=position))).hashes


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Return seconds."""
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def rounds(known: dict[str, Any], client: Client) -> dict[str, list[float]]:
    """Return the seconds of each execution, and of each baseline beside it, ``turn`` calls of each at a time.

    A turn of one has every execution begin with what a run of the docker binary left of the processor's caches.
    """
    docker = aiodocker.Docker(known["engine"])
    bare = await asyncpg.connect(known["database"], password=known["password"])
    await bare.execute(BARE)
    insert = await bare.prepare("INSERT INTO bare (record) VALUES ($1)")
    found: dict[str, list[float]] = {"execute": [], "binary": [], "call": [], "aiodocker": [], "commits": []}

    async def binary() -> None:
        command = ["docker", "-H", known["engine"], "inspect", known["container"]]
        await asyncio.to_thread(subprocess.run, command, stdout=subprocess.DEVNULL, check=True)

    async def commits() -> None:
        await insert.fetchval(ROW)
        await insert.fetchval(ROW)

    async def raw() -> None:
        await docker.containers.get(known["container"])

    async def execute() -> None:
        await client.execute(spare.pop())

    spare: list[str] = []
    turns = {"execute": execute, "binary": binary, "call": client.call, "aiodocker": raw, "commits": commits}
    for number in range(0, known["times"], known["turn"]):
        spare = [client.token() for _ in range(known["turn"])]
        for name, work in turns.items():
            seconds = [await timed(work) for _ in range(known["turn"])]
            if number >= known["warm"]:
                found[name].extend(seconds)
    await docker.close()
    await bare.close()
    return found


async def concurrent(known: dict[str, Any], client: Client) -> dict[str, Any]:
    """Return executions per second of so many callers, and each one's seconds."""
    left, seconds = iter(range(known["times"])), []
    spare: list[str] = [client.token() for _ in range(known["times"])]

    async def caller() -> None:
        seconds.extend([await timed(partial(client.execute, spare.pop())) for _ in left])

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(known["callers"])))
    return {"rate": known["times"] / (time.perf_counter() - began), "seconds": seconds}


async def proofs(known: dict[str, Any], client: Client) -> dict[str, list[float]]:
    """Return the seconds of each inclusion proof, of an execution's records, and of reading one row by its key."""
    bare = await asyncpg.connect(known["database"], password=known["password"])
    read = await bare.prepare("SELECT record FROM execution_audit WHERE position = $1")
    identify = await bare.prepare("SELECT execution_id FROM execution_audit WHERE position = $1")
    found: dict[str, list[float]] = {"prove": [], "look": [], "read": []}
    for _ in range(known["times"]):
        position = secrets.randbelow(known["rows"])
        found["prove"].append(await timed(partial(client.prove, position)))
        found["look"].append(await timed(partial(client.look, await identify.fetchval(position))))
        found["read"].append(await timed(partial(read.fetchval, position)))
    await bare.close()
    return found


WHAT = {"rounds": rounds, "concurrent": concurrent, "proofs": proofs}


async def main(what: str, known: dict[str, Any]) -> None:
    """Measure and print."""
    paths = (Path(known[name]).read_bytes() for name in ("ca", "key", "certificate"))
    credentials = grpc.ssl_channel_credentials(*paths)
    async with grpc.aio.secure_channel(known["address"], credentials) as channel:
        async for answer in health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()):
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                break
        client = Client(known, channel)
        await client.prepare()
        found = await WHAT[what](known, client)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
