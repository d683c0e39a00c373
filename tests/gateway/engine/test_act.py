"""Mutations on the real engine: by id, once, with the docker binary's words and exit codes."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.gateway.engine.conftest import Docker, perform, scripted, scripted_engine
from tests.gateway.engine.registry import Registry, serving
from wingman_core.command import Operation, parse
from wingman_core.errors import Code, Unavailable, WingmanError
from wingman_core.target import Reference, Target
from wingman_gateway.engine import LIMITS, Engine, EngineRefused, Event, Output
from wingman_gateway.engine.act import EXEC_NOTE
from wingman_gateway.engine.connection import Connection
from wingman_gateway.engine.create import EXECUTION_LABEL
from wingman_gateway.engine.run import kill_what_ran

WEB = Target(Reference("container", "web"), id="ab" * 32)


def state(docker: Docker, name: str) -> dict[str, Any]:
    found = docker.inspect(name)["State"]
    assert isinstance(found, dict)
    return found


@asynccontextmanager
async def hasty(url: str, **limits: float) -> AsyncIterator[Engine]:
    """An engine whose verbs have little time."""
    engine = Engine(Connection.open(url), now=lambda: datetime.now(UTC), limits={**LIMITS, **limits})
    yield engine
    await engine.close()


async def test_a_containers_life(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run, command=("sh", "-c", "trap : HUP; while :; do sleep 0.1; done"))
    for command, status in (
        ("pause", "paused"),
        ("unpause", "running"),
        ("kill --signal HUP", "running"),
        ("restart --time 0", "running"),
        ("stop --time 0", "exited"),
        ("start", "running"),
        ("kill", "exited"),
    ):
        before = state(docker, name)["StartedAt"]
        ran = await perform(engine, f"docker {command} {name}")
        assert (ran.stdout, ran.stderr, ran.code) == (f"{name}\n", "", 0), command
        after = await asyncio.to_thread(state, docker, name)
        if command == "kill":
            await asyncio.to_thread(docker, "wait", name)
            after = state(docker, name)
        assert after["Status"] == status, command
        assert (after["StartedAt"] != before) is (command in {"restart --time 0", "start"})
    assert (await perform(engine, f"docker rm -v {name}")).code == 0
    assert docker("ps", "-aq", "--filter", f"name={name}") == ""


async def test_a_name_that_moved_changes_nothing(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    targets = await engine.resolve(parse(f"docker stop {name}"))
    await asyncio.to_thread(docker, "rename", name, docker.name("aside"))
    await asyncio.to_thread(docker.run, name=name)
    ran = await perform(engine, f"docker stop -t 0 {name}", targets=targets)
    assert ran.code == 0
    assert state(docker, name)["Running"] is True
    assert state(docker, targets[0].id)["Running"] is False


async def test_one_refusal_does_not_stop_the_others(engine: Engine, docker: Docker) -> None:
    running, stopped = docker.name(), docker.name()
    await asyncio.to_thread(docker.run, name=running)
    await asyncio.to_thread(docker, "create", "--name", stopped, docker.image)
    ran = await perform(engine, f"docker rm {running} {stopped}")
    assert ran.stdout == f"{stopped}\n"
    assert ran.stderr.startswith("Error response from daemon: ")
    assert ran.code == 1
    assert state(docker, running)["Running"] is True


async def test_exec_streams_both_streams_and_ends_with_the_programs_code(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    script = "echo $A $(pwd) $(id -u); echo err >&2; exit 7"
    ran = await perform(engine, f"docker exec -e A=b -w /etc -u nobody {name} sh -c '{script}'")
    assert (ran.stdout, ran.stderr, ran.code) == ("b /etc 65534\n", "err\n", 7)
    assert list(ran.notes) == [EXEC_NOTE]


async def test_exec_of_a_program_that_closes_its_output_ends_with_the_program(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    ran = await perform(engine, f"docker exec {name} sh -c 'echo out; exec >&- 2>&-; sleep 0.3; exit 4'")
    assert (ran.stdout, ran.code) == ("out\n", 4)


async def test_exec_waits_for_an_exit_code_that_is_not_there_yet(tmp_path: Path) -> None:
    answers = iter([(True, None), (True, None), (False, 5)])

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/exec"):
            return web.json_response({"Id": "ef" * 32})
        if request.path.endswith("/start"):
            return web.Response()
        running, code = next(answers)
        return web.json_response({"Running": running, "ExitCode": code})

    async with scripted_engine(tmp_path, handler) as engine:
        assert (await perform(engine, "docker exec web ls", targets=(WEB,))).code == 5


async def test_exec_is_noted_before_it_starts(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    op = parse(f"docker exec {name} touch /touched")
    targets = await engine.resolve(op)

    async def note(key: str, value: str) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        [event async for event in engine.execute(op, targets, "exe_1", note)]
    assert "touched" not in docker("exec", name, "ls", "/")


async def test_exec_detached_ends_at_once(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    ran = await perform(engine, f"docker exec -d {name} sleep 1000")
    assert (ran.stdout, ran.stderr, ran.code) == ("", "", 0)
    assert "sleep 1000" in docker("top", name)


@pytest.mark.parametrize("program", ["nothing-is-called-this", "/etc"])
async def test_exec_of_what_cannot_run_ends_as_the_docker_binary_does(
    program: str, engine: Engine, docker: Docker
) -> None:
    name = await asyncio.to_thread(docker.run)
    ran = await perform(engine, f"docker exec {name} {program}")
    assert ran.code == (await asyncio.to_thread(docker.all, "exec", name, program))[2]
    assert ran.code in {126, 127}
    assert program in ran.stdout + ran.stderr


async def test_exec_in_a_stopped_container_is_refused_in_the_engines_words(engine: Engine, docker: Docker) -> None:
    name = docker.name()
    await asyncio.to_thread(docker, "create", "--name", name, docker.image)
    ran = await perform(engine, f"docker exec {name} ls")
    assert (ran.stdout, ran.stderr, ran.code) == await asyncio.to_thread(docker.all, "exec", name, "ls")
    assert ran.code == 1
    assert ran.notes == {}


async def test_run_attached_streams_until_the_end(engine: Engine, docker: Docker) -> None:
    name = docker.name()
    ran = await perform(
        engine, f"docker run --name {name} {docker.image} sh -c 'echo out; echo err >&2; exit 5'", "exe_5"
    )
    assert (ran.stdout, ran.stderr, ran.code) == ("out\n", "err\n", 5)
    container = docker.inspect(name)
    assert ran.notes == {}  # its label says whose it is
    config = container["Config"]
    assert isinstance(config, dict)
    assert config["Labels"] == {EXECUTION_LABEL: "exe_5"}
    assert config["Image"] == container["Image"] == ran.targets[-1].id


async def test_run_shows_the_streams_that_were_asked_for(engine: Engine, docker: Docker) -> None:
    script = "sh -c 'echo out; echo err >&2'"
    out = await perform(engine, f"docker run --rm -a stdout {docker.image} {script}")
    err = await perform(engine, f"docker run --rm -a stderr {docker.image} {script}")
    assert [(out.stdout, out.stderr), (err.stdout, err.stderr)] == [("out\n", ""), ("", "err\n")]


async def test_run_detached_prints_the_id(engine: Engine, docker: Docker) -> None:
    name = docker.name()
    ran = await perform(engine, f"docker run -d --name {name} {docker.image} sleep 1000")
    assert (ran.stdout, ran.code) == (f"{docker.inspect(name)['Id']}\n", 0)
    assert state(docker, name)["Running"] is True


async def test_run_rm_leaves_nothing(engine: Engine, docker: Docker) -> None:
    name = docker.name()
    ran = await perform(engine, f"docker run --rm --name {name} {docker.image} sh -c 'exit 4'")
    assert ran.code == 4
    assert docker("ps", "-aq", "--filter", f"name={name}") == ""


@pytest.mark.parametrize(
    ("flags", "program", "code"),
    [
        ("", "nothing-is-called-this", 127),
        ("", "/etc/passwd", 126),
        ("-d", "nothing-is-called-this", 127),
        ("--memory 1k", "true", 125),
        ("--network none --ip 10.0.0.1", "true", 125),
    ],
)
async def test_run_of_what_cannot_run_ends_as_the_docker_binary_does(
    flags: str, program: str, code: int, engine: Engine, docker: Docker
) -> None:
    name = docker.name()
    ran = await perform(engine, f"docker run --name {name} {flags} {docker.image} {program}")
    assert ran.code == code
    assert ran.stderr.startswith("Error response from daemon: ")
    binary = await asyncio.to_thread(docker.all, "run", "--rm", *flags.split(), docker.image, program)
    assert binary[2] == code


async def test_run_past_its_limit_kills_what_it_started(engine_url: str, docker: Docker) -> None:
    name = docker.name()
    op = parse(f"docker run --name {name} {docker.image} sh -c 'echo out; exec sleep 1000'")
    async with hasty(engine_url, run=4) as engine:
        targets = await engine.resolve(op)
        seen, refused = await _until_refused(engine, "exe_late", op, targets)
    assert refused.code is Code.DEADLINE_EXCEEDED
    assert "was killed" in refused.message
    assert seen == [Output("stdout", b"out\n")]
    await asyncio.to_thread(docker, "wait", name)
    assert state(docker, name)["ExitCode"] == 137


@pytest.mark.parametrize("status", [404, 409])
async def test_what_ended_by_itself_in_the_last_moment_is_late_and_not_an_error(status: int, tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/containers/json"):
            return web.json_response([{"Id": "ab" * 32}, {"Id": "cd" * 32}])
        if "ab" in request.path:
            return web.json_response({"message": "is not running"}, status=status)
        return web.Response(status=204)

    async with scripted(tmp_path, handler) as url:
        connection = Connection.open(url)
        assert await kill_what_ran(connection, "exe_1") == ("cd" * 32,)
        await connection.close()


async def test_exec_past_its_limit_says_so_and_leaves_the_container(engine_url: str, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    op = parse(f"docker exec {name} sleep 1000")
    async with hasty(engine_url, exec=0.5) as engine:
        targets = await engine.resolve(op)
        _, refused = await _until_refused(engine, "exe_1", op, targets)
    assert refused.code is Code.DEADLINE_EXCEEDED
    assert "docker exec did not end within 0.5 s" in refused.message
    assert state(docker, name)["Running"] is True


@pytest.mark.parametrize(
    ("command", "own", "ends"),
    [
        ("docker stop web", {}, True),
        ("docker stop web", {"StopTimeout": 10}, True),
        ("docker stop web", {"StopTimeout": 0}, False),
        ("docker stop --time 10 web", {"StopTimeout": 0}, True),
        ("docker restart --time 0 web", {}, False),
    ],
)
async def test_a_stop_has_the_time_its_container_has(
    command: str, own: dict[str, int], ends: bool, tmp_path: Path
) -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/json"):
            return web.json_response({"Config": own})
        await asyncio.sleep(0.5)  # longer than the verb's own limit
        return web.Response(status=204)

    async with scripted(tmp_path, slow) as url, hasty(url, stop=0.1, restart=0.1) as engine:
        if ends:
            assert (await perform(engine, command, targets=(WEB,))).code == 0
        else:
            _, refused = await _until_refused(engine, "exe_1", parse(command), (WEB,))
            assert refused.code is Code.DEADLINE_EXCEEDED


async def test_an_engine_that_goes_away_midway_leaves_the_outcome_open(tmp_path: Path) -> None:
    async def leaving(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/exec"):
            return web.json_response({"Id": "ef" * 32})
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"\x01\0\0\0\0\0\0\x04out\n\x01\0")
        return response

    async with scripted_engine(tmp_path, leaving) as engine:
        seen, refused = await _until_refused(engine, "exe_1", parse("docker exec web ls"), (WEB,))
    assert isinstance(refused, Unavailable)
    assert seen == [Output("stdout", b"out\n")]


async def test_warnings_of_a_creation_are_shown(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/create"):
            return web.json_response({"Id": "ef" * 32, "Warnings": ["no swap limit"]})
        return web.Response(status=204)

    async with scripted_engine(tmp_path, handler) as engine:
        image = Target(Reference("image", "busybox", "peer"), id="sha256:ab")
        ran = await perform(engine, "docker run -d --platform linux/amd64 busybox", targets=(image,))
    assert ran.stderr == "WARNING: no swap limit\n"


@pytest.fixture
async def registry(docker: Docker) -> AsyncIterator[Registry]:
    async with serving() as served:
        yield served
        for line in docker("images", "--no-trunc", "-q", "--filter", f"reference={served.image}").split():
            docker.all("rmi", "-f", line)


async def test_pull_fetches_the_digest_and_gives_it_the_tag(engine: Engine, docker: Docker, registry: Registry) -> None:
    digest = registry.push("1", "one")
    ran = await perform(engine, f"docker pull {registry.image}:1")
    assert ran.code == 0
    assert f"Digest: {digest}\n" in ran.stdout
    assert ran.progress
    image = docker.inspect(f"{registry.image}:1")
    assert image["RepoDigests"] == [f"{registry.image}@{digest}"]


async def test_a_tag_that_moved_after_the_approval_is_not_fetched(
    engine: Engine, docker: Docker, registry: Registry
) -> None:
    approved = registry.push("1", "one")
    targets = await engine.resolve(parse(f"docker pull {registry.image}:1"))
    moved = registry.push("1", "two")
    ran = await perform(engine, f"docker pull -q {registry.image}:1", targets=targets)
    assert (ran.stdout, ran.code) == (f"{registry.image}:1\n", 0)
    assert docker.inspect(f"{registry.image}:1")["RepoDigests"] == [f"{registry.image}@{approved}"]
    assert moved != approved


async def test_pull_by_digest_and_of_all_tags(engine: Engine, docker: Docker, registry: Registry) -> None:
    digest = registry.push("1", "one")
    registry.push("2", "two")
    assert (await perform(engine, f"docker pull {registry.image}@{digest}")).code == 0
    assert docker("images", "-q", "--filter", f"reference={registry.image}:*") == ""
    assert (await perform(engine, f"docker pull -a {registry.image}")).code == 0
    tags = docker("images", "--format", "{{.Tag}}", "--filter", f"reference={registry.image}:*").split()
    assert sorted(tags) == ["1", "2"]


async def test_pull_of_what_is_not_there_fails_in_the_engines_words(
    engine: Engine, docker: Docker, registry: Registry
) -> None:
    name = f"{registry.image}:absent"
    ran = await perform(engine, f"docker pull {name}")
    assert ran.code == 1
    assert ran.stderr == (await asyncio.to_thread(docker.all, "pull", name))[1]


async def test_pull_without_a_digest_takes_the_tag(engine: Engine, docker: Docker, registry: Registry) -> None:
    registry.push("1", "one")
    (target,) = await engine.resolve(parse(f"docker pull {registry.image}:1"))
    unknown = (replace(target, image_digest=""),)
    assert (await perform(engine, f"docker pull --platform linux/amd64 {registry.image}:1", targets=unknown)).code == 0
    assert docker.inspect(f"{registry.image}:1")


async def test_a_pull_that_breaks_midway_fails(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        lines: tuple[dict[str, str], ...] = (
            {"status": "Pulling", "id": "layer", "progress": "[=>]"},
            {},
            {"error": "unexpected EOF"},
        )
        return web.Response(body=b"\r\n".join(json.dumps(line).encode() if line else b"" for line in lines))

    async with scripted_engine(tmp_path, handler) as engine:
        target = Target(Reference("image", "app:1", "fetch"), id="")
        ran = await perform(engine, "docker pull app:1", targets=(target,))
    assert (ran.stderr, ran.code, ran.progress) == ("unexpected EOF\n", 1, ["layer: Pulling [=>]"])


@pytest.mark.parametrize("command", ["docker start web", "docker rm web"])
async def test_a_mutation_is_sent_once_whatever_the_answer(command: str, tmp_path: Path) -> None:
    sent: list[str] = []

    def failing(status: int) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handler(request: web.Request) -> web.StreamResponse:
            sent.append(request.method)
            if not status and request.transport is not None:
                request.transport.close()
            return web.json_response({"message": "no"}, status=status or 200)

        return handler

    async with scripted_engine(tmp_path, failing(500)) as engine:
        assert (await perform(engine, command, targets=(WEB,))).code == 1
    async with scripted_engine(tmp_path, failing(0)) as engine:
        with pytest.raises(Unavailable):
            await perform(engine, command, targets=(WEB,))
    assert sent == [sent[0]] * 2


def test_every_verb_has_a_limit() -> None:
    from wingman_core.command.grammar import COMMANDS

    assert {command.operation.model_fields["verb"].default for command in COMMANDS} == set(LIMITS)


async def test_what_the_engine_refuses_outside_an_act_is_an_error_of_ours(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response({"message": "gone"}, status=404)

    async with scripted_engine(tmp_path, handler) as engine:
        with pytest.raises(EngineRefused):  # the time to stop cannot be asked for, so nothing was sent
            await perform(engine, "docker stop web", targets=(WEB,))


async def _until_refused(
    engine: Engine, execution_id: str, op: Operation, targets: Sequence[Target]
) -> tuple[list[Event], WingmanError]:
    """Return what was seen before the error, and the error."""

    async def note(key: str, value: str) -> None:
        assert (bool(key), bool(value)) == (True, True)

    seen: list[Event] = []
    try:
        async for event in engine.execute(op, targets, execution_id, note):
            seen.append(event)  # noqa: PERF401 - what came before the error is wanted too
    except WingmanError as error:
        return seen, error
    raise AssertionError(seen)
