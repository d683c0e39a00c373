"""`python -m tests.bench.soak --minutes 30`: mixed load on one instance, and what the processes' memory does meanwhile.

One API process, the real gateway, an embedded Postgres, a real engine where there is one: requests with and without a
command, decisions, executions with their output followed, checks, claims, pages, receipts, refused and broken requests,
readers of events that come and go. Prints the resident memory every so often, and at the end how much the median of
the last minutes lies above that of the minutes before (the issue's bound: no growth in the last 20 of 30 minutes).
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from rich.console import Console

from tests.bench.api_bench import COMMAND, CONTAINER, INSTRUCTION, LIMITS, WORKER, Unlimited
from wingman_api.identity.caller import Role
from wingman_cli.demo_containers import Containers
from wingman_cli.engine import DockerEngine, EngineSource, Found
from wingman_cli.instance import Instance
from wingman_cli.keys import key_store
from wingman_cli.local import Plan
from wingman_cli.options import Choice

CONSOLE = Console(width=140, highlight=False)
CLIENTS = 8
SAMPLE_SECONDS = 10.0


@dataclass
class Mix:
    """What the clients do, at random, and what came of it."""

    http: httpx.AsyncClient
    keys: Mapping[str, str]
    has_engine: bool
    answers: Counter[str] = field(default_factory=Counter)

    async def call(self, who: str, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.keys[who]}"}
        response = await self.http.request(method, path, json=body, headers=headers)
        self.answers[f"{method} {path.split('?', maxsplit=1)[0].split('/')[1]} {response.status_code}"] += 1
        return response

    async def request(self, *commands: str) -> dict[str, object]:
        wish = {"worker_id": WORKER, "task_name": "Soak", "instruction": f"{INSTRUCTION}\n{random.random()}"}
        response = await self.call("worker", "POST", "/approvals/request", {**wish, "commands": list(commands)})
        answer: dict[str, object] = response.json().get("request", {})
        return answer

    async def decide(self) -> None:
        asked = await self.request()
        word = random.choice(("approve", "reject"))
        await self.call("approver", "POST", f"/approvals/{asked['id']}/{word}", {"note": "soak"})

    async def execute(self) -> None:
        if not self.has_engine:
            return
        asked = await self.request(random.choice(("docker ps", f"docker logs {CONTAINER}", f"docker top {CONTAINER}")))
        if asked.get("status") == "PENDING":  # so many requests of one worker are a risk of their own
            await self.call("approver", "POST", f"/approvals/{asked['id']}/approve", {"note": "soak"})
        started = (await self.call("worker", "POST", "/executions", {"approval_id": asked["id"]})).json()
        if "execution_id" not in started:
            return
        await self.call("worker", "GET", f"/executions/{started['execution_id']}/output")
        await self.call("worker", "GET", f"/audit/{started['execution_id']}/receipt")

    async def preview(self) -> None:
        if self.has_engine:
            await self.call("worker", "POST", "/approvals/request", {"commands": [COMMAND], "worker_id": WORKER,
                "task_name": "Soak", "instruction": str(random.random())})  # fmt: skip

    async def claim(self) -> None:
        await self.call("worker", "POST", "/verify", {"claim": "Process postgres is running", "worker_id": WORKER})
        await self.call("worker", "POST", "/log_claim", {"claim": f"Created /tmp/{random.random()}"})

    async def check(self) -> None:
        await self.call("worker", "POST", "/check", {"instruction": INSTRUCTION * random.randrange(1, 8)})

    async def read(self) -> None:
        for path in (
            "/approvals/pending?limit=20",
            "/approvals?limit=20",
            "/audit?limit=50",
            "/stats?range=1h",
            "/metrics",
        ):
            await self.call("approver", "GET", path)

    async def err(self) -> None:
        await self.call("worker", "POST", "/approvals/request", {"commands": ["docker run --privileged x; id"]})
        await self.call("worker", "GET", f"/approvals/apr_{'a' * 26}")
        await self.http.post("/check", content=os.urandom(4096), headers={"Content-Type": "application/json"})
        await self.http.get("/whoami", headers={"Authorization": f"Bearer wm_{'a' * 16}_{'b' * 52}"})

    async def follow(self) -> None:
        headers = {"Authorization": f"Bearer {self.keys['approver']}"}
        try:
            async with asyncio.timeout(3), self.http.stream("GET", "/events", headers=headers) as response:
                async for _ in response.aiter_lines():
                    pass
        except (TimeoutError, httpx.TransportError):
            self.answers["GET events left"] += 1


async def client(mix: Mix, until: float) -> None:
    """Do one thing after the other."""
    works: tuple[Callable[[], Awaitable[object]], ...] = (
        mix.decide, mix.decide, mix.execute, mix.preview, mix.claim, mix.check, mix.read, mix.err, mix.follow,
    )  # fmt: skip
    while time.monotonic() < until:
        await random.choice(works)()


async def soak(place: Path, found: Found, seconds: float) -> None:
    """Run the mix and tell the memory."""
    plan = Plan(Instance(place / "data"), 0, found.address, has_engine=bool(found.version))
    async with Unlimited(plan, tell=CONSOLE.print, environ={**os.environ, **LIMITS}) as local:
        async with key_store(local.postgres.connection("wingman_api")) as store:
            keys = {
                "worker": (await store.create(WORKER, Role.WORKER)).text,
                "approver": (await store.create("soak-approver", Role.APPROVER)).text,
            }
        watched = {name: psutil.Process(local.supervisor.pid(name) or 0) for name in ("api", "gateway")}
        samples: list[tuple[float, dict[str, float]]] = []
        async with httpx.AsyncClient(base_url=local.api, timeout=60, limits=httpx.Limits(max_connections=64)) as http:
            mix, began = Mix(http, keys, bool(found.version)), time.monotonic()
            clients = [asyncio.create_task(client(mix, began + seconds)) for _ in range(CLIENTS)]
            while not all(each.done() for each in clients):
                memory = {name: process.memory_info().rss / 2**20 for name, process in watched.items()}
                samples.append((time.monotonic() - began, memory))
                if len(samples) % 6 == 1:
                    told = "  ".join(f"{name} {size:.0f} MiB" for name, size in memory.items())
                    CONSOLE.print(f"{samples[-1][0] / 60:5.1f} min  {told}  {mix.answers.total()} answers")
                await asyncio.wait(clients, timeout=SAMPLE_SECONDS)
            await asyncio.gather(*clients)
        CONSOLE.print(json.dumps(dict(sorted(mix.answers.items())), indent=1))
        assert not [answer for answer in mix.answers if answer.endswith((" 500", " 502"))], "an error of ours"
        for name in watched:
            late = [memory[name] for at, memory in samples if at > seconds / 3]
            half = len(late) // 2
            before, after = statistics.median(late[:half]), statistics.median(late[half:])
            CONSOLE.print(f"{name}: median of the last third {after:.1f} MiB, of the third before {before:.1f} MiB")


def main() -> None:
    """Soak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    told = parser.parse_args()
    source = EngineSource(os.environ)
    found = source.find(Choice.AUTO, ask=lambda _: False, tell=CONSOLE.print)
    try:
        with tempfile.TemporaryDirectory(prefix="wm-soak-") as scratch, DockerEngine(found.address) as engine:
            containers = Containers(engine)
            try:
                if found.version:
                    containers.find_image(source, private=found.private)
                    containers.start(CONTAINER)
                asyncio.run(soak(Path(scratch), found, told.minutes * 60))
            finally:
                containers.clean()
    finally:
        source.stop(found)


if __name__ == "__main__":
    main()
