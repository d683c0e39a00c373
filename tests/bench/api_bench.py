"""`python -m tests.bench.api_bench`: what asking and deciding cost over HTTP, against a bare endpoint in the same run.

Everything is as `wingman up` serves it: one API process, the real gateway, an embedded Postgres that fsyncs, a real
Docker engine where one can be had (without one the row with a command is left out). The load comes from this process.
Rounds of the baseline and of ours take turns; the median round counts. The CPU is the server process's alone, and holds
whatever else the machine does.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

from tests.bench.load import Figures, Server, load, post
from wingman_api.identity.caller import Role
from wingman_cli.demo_containers import Containers
from wingman_cli.embedded_db import OWNER, EmbeddedPostgres
from wingman_cli.engine import DockerEngine, EngineSource, Found
from wingman_cli.instance import Instance
from wingman_cli.keys import key_store
from wingman_cli.local import Local, Plan, _free_port
from wingman_cli.options import Choice
from wingman_cli.supervisor import Service

CONNECTIONS = 16
WORKER = "bench-worker"
CONTAINER = "wingman-bench-web"
COMMAND = f"docker restart --time 10 {CONTAINER}"


LIMITS = {f"WINGMAN_RATE_LIMIT_{what}": "1000000/60" for what in ("READS", "WRITES", "ANONYMOUS", "FAILURES")}
INSTRUCTION = "\n".join(
    f"## {name}\n{text}\n"
    for name, text in {
        "DELIVERABLES": "The web server runs the release of this morning, with its workers recycled.",
        "SUCCESS_CRITERIA": "Health answers 200 within a second for ten minutes; memory stays below 400 MiB.",
        "BOUNDARIES": "Only the container `web`. Never use force flags, never touch the database or its volume.",
        "DEPENDENCIES": "The load balancer drains the node before; the cache may be cold for some minutes.",
        "MITIGATION": "If health does not answer within a minute, start the previous image again and tell the channel.",
        "TEST_PROCESS": "Ask /health every five seconds from another host, and watch the graphs of the last hour.",
        "TEST_RESULTS_FORMAT": "One line a minute: time, status, milliseconds, resident memory.",
        "RESOURCE_REQUIREMENTS": "One operator for fifteen minutes, no further capacity.",
        "RISK_ASSESSMENT": "Requests in flight may be cut off; sessions live in the cache and survive.",
        "QUALITY_METRICS": "No more than five failed requests; the 99th percentile back to 200 ms after two minutes.",
    }.items()
)


class Unlimited(Local):
    """An instance that admits more than its defaults: a hundred calls a second at the gateway, ten writes a key."""

    def _gateway_service(self, listen: str) -> Service:
        service = super()._gateway_service(listen)
        return replace(service, environment={**service.environment, "WINGMAN_RATE": "100000"})


@asynccontextmanager
async def bare_endpoint(postgres: EmbeddedPostgres) -> AsyncIterator[Server]:
    """Serve the baseline from a process of its own."""
    owner, access, port = postgres.connection(OWNER), postgres.connection("wingman_api"), _free_port(0)
    connection = await owner.connect()
    await connection.execute("CREATE TABLE bare_api (id bigserial PRIMARY KEY, body text NOT NULL)")
    await connection.execute("GRANT INSERT ON bare_api TO wingman_api")
    await connection.execute("GRANT USAGE ON SEQUENCE bare_api_id_seq TO wingman_api")
    await connection.close()
    told = {"BARE_URL": access.url, "BARE_PASSWORD": access.password, "BARE_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.bare_api"], env={**os.environ, **told})
    try:
        for _ in range(200):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                break
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait()


def wishes(count: int, label: str, **more: object) -> list[bytes]:
    """Bodies of requests, no two identical."""
    body = {"worker_id": WORKER, "task_name": "Restart the web server", "deployment_env": "test", **more}
    instruction = "The web server leaks memory since the last release; restart it and watch the graphs."
    return [json.dumps({**body, "instruction": f"{instruction} {label} {n}"}).encode() for n in range(count)]


def bare_wishes(count: int) -> list[bytes]:
    """The same bodies for the baseline."""
    return [post("/bare", body) for body in wishes(count, "bare")]


class Bench:
    """Rounds against one instance."""

    def __init__(self, servers: tuple[Server, Server], keys: tuple[str, str], *, times: int, rounds: int) -> None:
        """Take the API and the baseline, a worker's and an approver's key, requests a round, rounds."""
        self._api, self._bare = servers
        self._worker, self._approver = keys
        self._times, self._rounds = times, rounds

    async def asking(self, label: str, **more: object) -> tuple[list[Figures], list[Figures], list[str]]:
        """Return our rounds, the baseline's, and the ids of what was asked for."""
        ours, theirs, ids = [], [], []
        for n in range(self._rounds):
            theirs.append(await load(self._bare, bare_wishes(self._times), connections=CONNECTIONS))
            asked = (
                post("/approvals/request", body, self._worker) for body in wishes(self._times, f"{label} {n}", **more)
            )
            ours.append(await load(self._api, asked, connections=CONNECTIONS))
            ids += [json.loads(answer)["request"]["id"] for answer in ours[-1].answers]
        return ours, theirs, ids

    async def deciding(self, ids: Iterable[str]) -> tuple[list[Figures], list[Figures]]:
        """Return our rounds, and the baseline's."""
        left = list(ids)
        ours, theirs = [], []
        for _ in range(self._rounds):
            theirs.append(await load(self._bare, bare_wishes(self._times), connections=CONNECTIONS))
            now, left = left[: self._times], left[self._times :]
            said = [post(f"/approvals/{request_id}/approve", b'{"note":"go"}', self._approver) for request_id in now]
            ours.append(await load(self._api, said, connections=CONNECTIONS))
            assert all(b'"status":"APPROVED"' in answer for answer in ours[-1].answers)
        return ours, theirs

    async def checking(self) -> tuple[list[Figures], list[Figures]]:
        """Return our rounds of checks, and those of an endpoint of one line that parses the same body."""
        body = json.dumps({"instruction": INSTRUCTION}).encode()
        ours, theirs = [], []
        for _ in range(self._rounds):
            theirs.append(await load(self._bare, [post("/line", body)] * self._times, connections=CONNECTIONS))
            checks = [post("/check", body, self._worker)] * self._times
            ours.append(await load(self._api, checks, connections=CONNECTIONS))
            assert all(b'"approved":true' in answer for answer in ours[-1].answers)
        return ours, theirs


async def measure(place: Path, found: Found, *, times: int, rounds: int) -> Table:
    """Start everything, measure, stop."""
    instance = Instance(place / "data")
    plan = Plan(instance, 0, found.address, has_engine=bool(found.version))
    figures = ("p50 ms", "p99 ms", "cpu ms")
    table = Table("", "per second", *figures, "baseline", *figures, "ratio")
    table.title = f"{CONNECTIONS} connections, {rounds} rounds of {times}; baseline: a bare endpoint, two commits"
    async with (
        Unlimited(plan, tell=print, environ={**os.environ, **LIMITS}) as local,
        bare_endpoint(local.postgres) as bare,
    ):
        async with key_store(local.postgres.connection("wingman_api")) as store:
            keys = (
                (await store.create(WORKER, Role.WORKER)).text,
                (await store.create("bench-approver", Role.APPROVER)).text,
            )
        api = Server(int(local.api.rpartition(":")[2]), local.supervisor.pid("api") or 0)
        bench = Bench((api, bare), keys, times=times, rounds=rounds)
        await bench.asking("warm")
        _add(table, "POST /check (1.3 KiB), baseline: one line", *await bench.checking())
        ours, theirs, ids = await bench.asking("sign-off")
        _add(table, "POST /approvals/request, no command", ours, theirs)
        _add(table, "POST /approvals/{id}/approve", *await bench.deciding(ids))
        if found.version:
            ours, theirs, _ = await bench.asking("command", commands=[COMMAND])
            _add(table, "POST /approvals/request, one command", ours, theirs)
    return table


def _add(table: Table, what: str, ours: list[Figures], theirs: list[Figures]) -> None:
    def middle(rounds: list[Figures], of: Callable[[Figures], float]) -> float:
        return statistics.median(of(figures) for figures in rounds)

    numbers = []
    for rounds in (ours, theirs):
        numbers.append(f"{middle(rounds, lambda f: f.rate):,.0f}")
        numbers += [f"{middle(rounds, of):.2f}" for of in (lambda f: f.median, lambda f: f.p99, lambda f: f.cpu)]
    ratio = middle(ours, lambda f: f.rate) / middle(theirs, lambda f: f.rate)
    table.add_row(what, *numbers, f"{ratio:.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1000, help="requests a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engine", type=Choice, choices=list(Choice), default=Choice.AUTO)
    told = parser.parse_args()
    source = EngineSource(os.environ)
    found = source.find(told.engine, ask=lambda _: False, tell=print)
    try:
        with tempfile.TemporaryDirectory(prefix="wm-bench-") as scratch, DockerEngine(found.address) as engine:
            containers = Containers(engine)
            try:
                if found.version:
                    containers.find_image(source, private=found.private)
                    containers.start(CONTAINER)
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    table = runner.run(measure(Path(scratch), found, times=told.times, rounds=told.rounds))
            finally:
                containers.clean()
    finally:
        source.stop(found)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
