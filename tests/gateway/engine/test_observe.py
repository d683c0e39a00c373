"""Reads print what the docker binary prints, and give no environment values away."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.gateway.engine.conftest import Docker, perform, scripted_engine
from wingman_core.command import parse
from wingman_core.redaction import Redactor
from wingman_core.target import Reference, Target
from wingman_gateway.engine import Engine, Output
from wingman_gateway.engine.observe import MOST_LOG_BYTES, timestamp

ATTEMPTS = 20


@pytest.fixture(scope="module")
def shop(engine_url: str, busybox: str) -> Iterator[tuple[Docker, str, str]]:
    """A running and a stopped container, with ports, labels, a volume and output on both streams."""
    docker = Docker(engine_url, busybox)
    script = "echo out; echo err >&2; exec sleep 1000"
    web_name = docker.run(
        *("-p", "127.0.0.1::80", "-p", "127.0.0.1::81", "--expose", "90-92", "--label", "b=2", "--label", "a=1"),
        *("-v", docker.name("data") + ":/data", "-e", "PASSWORD=hunter2", "-e", "PLAIN=visible"),
        command=("sh", "-c", script),
    )
    stopped = docker.name("a-name-that-is-rather-long")
    docker.all("run", "--name", stopped, busybox, "sh", "-c", f"echo {'x' * 40}; exit 3", "")
    yield docker, web_name, stopped
    docker.clean()


@pytest.mark.parametrize(
    "arguments",
    [
        "ps --filter name={web}",
        "ps -a --filter name={web} --filter name={stopped}",
        "ps -a --no-trunc --filter name={stopped}",
        "ps -aq --filter name={stopped}",
        "ps -q --no-trunc --filter name={web}",
        "ps -s --filter name={web}",
        "ps -n 1 --filter name={web}",
        "ps --filter name=nobody-is-called-this",
        "images --filter reference={image}",
        "images {image}",
        "images --no-trunc {image}",
        "images -q {image}",
        "images --digests {image}",
        "images nobody/is:called-this",
        "top {web}",
        "top {web} -o pid,args",
        "logs {stopped}",
        "logs --tail 1 {web}",
        "logs --since 1h {web}",
        "logs --since 2000-01-01T00:00:00Z --until 2000-01-02T00:00:00.5Z {web}",
        "logs --timestamps --details {web}",
    ],
)
async def test_the_text_is_the_docker_binarys(arguments: str, engine: Engine, shop: tuple[Docker, str, str]) -> None:
    docker, running, stopped = shop
    words = arguments.format(web=running, stopped=stopped, image=docker.image)
    for _ in range(ATTEMPTS):  # "5 seconds ago" moves on between the two
        before = await asyncio.to_thread(docker.all, *words.split())
        ran = await perform(engine, f"docker {words}")
        if (ran.stdout, ran.stderr, ran.code) == before:
            break
    assert (ran.stdout, ran.stderr, ran.code) == before


@pytest.mark.parametrize(
    ("ours", "its"),
    [
        ("ps -a --size --format json --filter name={web}", "ps -a --format {{json.}} --filter name={web}"),
        ("images --format json {image}", "images --format {{json.}} {image}"),
    ],
)
async def test_json_lines_have_the_docker_binarys_fields(
    ours: str, its: str, engine: Engine, shop: tuple[Docker, str, str]
) -> None:
    docker, running, _ = shop
    names = {"web": running, "image": docker.image}
    words = [word.replace("{json.}", "{{json .}}") for word in its.format(**names).split()]
    for _ in range(ATTEMPTS):
        said = json.loads(await asyncio.to_thread(docker, *words))
        shown = json.loads((await perform(engine, f"docker {ours.format(**names)}")).stdout)
        said.pop("Platform", None)  # newer engines alone
        if shown.items() >= said.items():
            break
    assert shown.items() >= said.items()


async def test_inspect_prints_what_the_docker_binary_prints_without_environment_values(
    engine: Engine, shop: tuple[Docker, str, str]
) -> None:
    docker, running, stopped = shop
    names = (running, stopped)
    said = json.loads(await asyncio.to_thread(docker, "inspect", *names))
    text = (await perform(engine, f"docker inspect {' '.join(names)}")).stdout
    shown = json.loads(text)
    assert text.startswith("[\n    {\n        ")
    assert "hunter2" not in text
    assert "visible" not in text
    variables = {entry.partition("=")[0] for entry in said[0]["Config"]["Env"]}
    assert set(shown[0]["Config"]["Env"]) == {f"{name}=[redacted]" for name in variables}
    for each, its in zip(shown, said, strict=True):
        each["Config"]["Env"] = its["Config"]["Env"]
    assert shown == said


async def test_a_secret_that_is_a_word_behind_its_flag_shows_nowhere(engine: Engine, docker: Docker) -> None:
    """In no list of ``inspect``, in no list of processes or containers, in no history of an image."""
    flags = ("--password", "hunter2", "-token", "hunter2")
    health = f"test --password hunter2 -o '{docker.name()}'"
    name = docker.run("--health-cmd", health, "--entrypoint", "sh", command=("-c", "sleep 1000; true", "x", *flags))
    changes = [f"{key} {json.dumps(['x', *flags])}" for key in ("CMD", "ENTRYPOINT", "HEALTHCHECK CMD")]
    image = docker.name("image") + ":1"
    docker("commit", *(word for change in changes for word in ("--change", change)), name, image)
    seen = {}
    for command in (
        f"docker inspect {name} {image}",
        f"docker inspect -f json {name} {image}",
        "docker ps --no-trunc",
        "docker ps --no-trunc --format json",
        f"docker top {name} -eo pid,args",
        f"docker history --no-trunc {image}",
    ):
        redactor = Redactor()
        stdout = (await perform(engine, command)).stdout.encode()
        seen[command] = (redactor.feed(stdout) + redactor.close()).decode()
        assert "hunter2" not in seen[command], command
        assert "[redacted]" in seen[command], command
    container, made = json.loads(seen[f"docker inspect {name} {image}"])
    kept = ["--password", "[redacted]", "-token", "[redacted]"]
    assert container["Args"] == container["Config"]["Cmd"] == ["-c", "sleep 1000; true", "x", *kept]
    assert made["Config"]["Cmd"] == made["Config"]["Entrypoint"] == ["x", *kept]
    assert made["Config"]["Healthcheck"]["Test"] == ["CMD", "x", *kept]
    for line in seen["docker ps --no-trunc --format json"].splitlines():
        assert json.loads(line)["ID"]
    docker("rmi", "-f", image)


async def test_inspect_takes_containers_and_images_together(engine: Engine, shop: tuple[Docker, str, str]) -> None:
    docker, running, _ = shop
    lines = (await perform(engine, f"docker inspect --size -f json {running} {docker.image}")).stdout.splitlines()
    container, image = (json.loads(line) for line in lines)
    assert container["Name"] == f"/{running}"
    assert container["SizeRootFs"] > 0
    assert image["RepoTags"] == [docker.image]
    assert image["Config"]["Env"] == ["PATH=[redacted]"]


async def test_stats_show_one_sample_of_each_container(engine: Engine, shop: tuple[Docker, str, str]) -> None:
    docker, running, stopped = shop
    ran = await perform(engine, f"docker stats --no-stream {running} {stopped}")
    header, first, second = ran.stdout.splitlines()
    assert header.split("  ")[0] == "CONTAINER ID"
    assert first.split()[1] == running
    assert second.split()[1] == stopped
    assert second.split()[2] == "0.00%"
    short = str(docker.inspect(running)["Id"])[:12]
    ran = await perform(engine, "docker stats --no-stream --format json")
    sample = next(each for each in map(json.loads, ran.stdout.splitlines()) if each["ID"] == short)
    assert sample["Name"] == running
    assert sample["PIDs"] == "1"
    assert sample["MemUsage"].partition(" / ")[0] != "0B"
    everything = await perform(engine, "docker stats --no-stream -a --no-trunc")
    assert str(docker.inspect(stopped)["Id"]) in everything.stdout


async def test_logs_keep_the_two_streams_apart_and_a_terminals_one_whole(
    engine: Engine, shop: tuple[Docker, str, str]
) -> None:
    docker, running, _ = shop
    ran = await perform(engine, f"docker logs {running}")
    assert (ran.stdout, ran.stderr, ran.code) == ("out\n", "err\n", 0)
    terminal = await asyncio.to_thread(docker.run, "-t", command=("sh", "-c", "echo one; echo two >&2"))
    await asyncio.to_thread(docker, "wait", terminal)
    ran = await perform(engine, f"docker logs {terminal}")
    assert (ran.stdout, ran.stderr) == ("one\r\ntwo\r\n", "")


async def test_top_of_a_stopped_container_ends_as_the_docker_binary_does(
    engine: Engine, shop: tuple[Docker, str, str]
) -> None:
    docker, _, stopped = shop
    ran = await perform(engine, f"docker top {stopped}")
    assert (ran.stdout, ran.stderr, ran.code) == await asyncio.to_thread(docker.all, "top", stopped)
    assert ran.code == 1


@pytest.mark.parametrize(("command", "code"), [("docker stats --no-stream", 0), ("docker stats --no-stream web", 1)])
async def test_a_container_that_goes_away_between_list_and_sample_is_left_out(
    command: str, code: int, tmp_path: Path
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/containers/json"):
            return web.json_response([{"Id": "ab" * 32}])
        return web.json_response({"message": "no such container"}, status=404)

    async with scripted_engine(tmp_path, handler) as engine:
        named = (Target(Reference("container", "web"), id="ab" * 32),) if code else ()
        ran = await perform(engine, command, targets=named)
    assert ran.code == code
    assert ("no such container" in ran.stderr) == bool(code)


async def test_a_log_without_end_is_cut(tmp_path: Path) -> None:
    line = b"\x01\0\0\0" + (65536).to_bytes(4) + b"x" * 65536

    async def endless(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/json"):
            return web.json_response({"Config": {"Tty": False}})
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(line)

    async with scripted_engine(tmp_path, endless) as engine:
        target = Target(Reference("container", "web"), id="ab" * 32)
        ran = await perform(engine, "docker logs web", targets=(target,))
    assert MOST_LOG_BYTES < len(ran.stdout) < MOST_LOG_BYTES + 2 * 65536
    assert "--tail" in ran.stderr
    assert ran.code == 0


async def test_a_reader_who_leaves_ends_the_request(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/json"):
            return web.json_response({"Config": {"Tty": True}})
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"line\n")
        except ConnectionError:
            left.set()
            raise

    async def note(key: str, value: str) -> None:
        raise AssertionError(key)

    async with scripted_engine(tmp_path, endless) as engine:
        target = Target(Reference("container", "web"), id="ab" * 32)
        events = engine.execute(parse("docker logs web"), (target,), "exe_1", note)
        assert isinstance(await anext(events), Output)
        await events.aclose()
        async with asyncio.timeout(10):
            await left.wait()


@pytest.mark.parametrize(
    ("moment", "stamp"),
    [
        ("1500000000", "1500000000"),
        ("1500000000.25", "1500000000.25"),
        ("2017-07-14T02:40:00Z", "1500000000.000000000"),
        ("2017-07-14T04:40:00.123456789+02:00", "1500000000.123456789"),
        ("1m30s", "1499999910.000000000"),
        ("1h", "1499996400.000000000"),
        ("500ms", "1499999999.500000000"),
    ],
)
def test_moments_become_unix_seconds(moment: str, stamp: str) -> None:
    assert timestamp(moment, datetime.fromtimestamp(1_500_000_000, UTC)) == stamp


async def test_an_inspected_object_without_environment_is_left_as_it_is(tmp_path: Path) -> None:
    found: dict[str, Any] = {"Id": "sha256:ab", "Config": None, "ContainerConfig": {"Env": None}}

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response(found)

    async with scripted_engine(tmp_path, handler) as engine:
        ran = await perform(engine, "docker inspect team/app:1")
    assert json.loads(ran.stdout) == [found]
