"""What the engine's tests share: the real engine with the docker binary beside it, and a scripted HTTP engine."""

import json
import secrets
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from wingman_core.command import parse
from wingman_core.target import Target
from wingman_gateway.engine import Engine, Event, Exit, Output, Progress

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Docker:
    """The docker binary on the test engine, and the containers it made here."""

    def __init__(self, url: str, image: str) -> None:
        self.url = url
        self.image = image
        self._prefix = f"c-{secrets.token_hex(3)}"

    def __call__(self, *arguments: str) -> str:
        stdout, stderr, code = self.all(*arguments)
        assert code == 0, stderr
        return stdout

    def all(self, *arguments: str) -> tuple[str, str, int]:
        """Return output, errors and exit code."""
        command = [shutil.which("docker") or "docker", "-H", self.url, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return done.stdout, done.stderr, done.returncode

    def name(self, suffix: str = "web") -> str:
        """A name nobody else uses."""
        return f"{self._prefix}-{secrets.token_hex(2)}-{suffix}"

    def run(self, *flags: str, command: Sequence[str] = ("sleep", "1000"), name: str = "") -> str:
        """Start a container and return its name."""
        name = name or self.name()
        self("run", "-d", "--name", name, "--stop-timeout", "1", *flags, self.image, *command)
        return name

    def inspect(self, name: str) -> dict[str, object]:
        (found,) = json.loads(self("inspect", name))
        assert isinstance(found, dict)
        return found

    def clean(self) -> None:
        """Remove every container, network and volume of this object's prefix."""
        deadline = time.monotonic() + 60
        while made := self("ps", "-aq", "--filter", f"name={self._prefix}").split():
            assert time.monotonic() < deadline, f"containers that stay: {made}"
            self.all("rm", "-fv", *made)  # one of them may be going by itself
        for kind in ("network", "volume"):
            if left := self(kind, "ls", "-q", "--filter", f"name={self._prefix}").split():
                self(kind, "rm", *left)


@pytest.fixture
def docker(engine_url: str, busybox: str) -> Iterator[Docker]:
    binary = Docker(engine_url, busybox)
    yield binary
    binary.clean()


@pytest.fixture
async def engine(engine_url: str) -> AsyncIterator[Engine]:
    connected = await Engine.connect(engine_url)
    yield connected
    await connected.close()


@dataclass
class Ran:
    """What an execution said."""

    stdout: str = ""
    stderr: str = ""
    progress: list[str] = field(default_factory=list)
    code: int = -1
    notes: dict[str, str] = field(default_factory=dict)
    targets: tuple[Target, ...] = ()


async def perform(
    engine: Engine, command: str, execution_id: str = "exe_test", *, targets: tuple[Target, ...] | None = None
) -> Ran:
    """Resolve a command, execute it, and gather what it says; ``Exit`` must come last, and once."""
    op = parse(command)
    ran = Ran(targets=await engine.resolve(op) if targets is None else targets)

    async def note(key: str, value: str) -> None:
        ran.notes[key] = value

    events: list[Event] = [event async for event in engine.execute(op, ran.targets, execution_id, note)]
    assert [isinstance(event, Exit) for event in events] == [False] * (len(events) - 1) + [True]
    parts: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    for event in events:
        match event:
            case Output(stream=stream, data=data):
                parts[stream].append(data)
            case Progress(text=text):
                ran.progress.append(text)
            case Exit(code=code):
                ran.code = code
    ran.stdout, ran.stderr = (b"".join(parts[stream]).decode() for stream in ("stdout", "stderr"))
    return ran


@asynccontextmanager
async def scripted(directory: Path, handler: Handler, *, api: str = "1.41", oldest: str = "1.12") -> AsyncIterator[str]:
    """Serve HTTP on a socket as an engine would; yield its address."""

    async def serve(request: web.Request) -> web.StreamResponse:
        if request.path == "/version":
            return web.json_response({"ApiVersion": api, "MinAPIVersion": oldest})
        return await handler(request)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    path = directory / "engine.sock"
    await web.UnixSite(runner, str(path)).start()
    try:
        yield f"unix://{path}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def scripted_engine(
    directory: Path, handler: Handler, *, api: str = "1.41", oldest: str = "1.12"
) -> AsyncIterator[Engine]:
    """The adapter, on an engine of the test's own making."""
    async with scripted(directory, handler, api=api, oldest=oldest) as url:
        engine = await Engine.connect(url)
        try:
            yield engine
        finally:
            await engine.close()
