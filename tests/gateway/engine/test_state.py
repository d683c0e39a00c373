"""Facts about containers on a real engine, and answers that are none on a scripted one."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from tests.gateway.conftest import eventually
from tests.gateway.engine.conftest import Docker, scripted_engine
from wingman_core.command import parse
from wingman_core.errors import Code, TargetRefused, Unavailable
from wingman_core.target import Reference, Target
from wingman_gateway.engine import Engine, EngineRefused

WEB = Target(Reference("container", "web"), "a" * 64, name="web")


async def _target(engine: Engine, name: str) -> Target:
    (target,) = await engine.resolve(parse(f"docker top {name}"))
    return target


async def test_a_running_container(engine: Engine, docker: Docker):
    before = datetime.now(UTC) - timedelta(seconds=2)
    name = await asyncio.to_thread(docker.run)
    state = await engine.state(await _target(engine, name))
    assert (state.name, state.status, state.exit_code) == (name, "running", 0)
    assert (state.image, state.image_id) == (docker.image, docker.inspect(name)["Image"])
    assert (state.restart_count, state.health) == (0, "none")
    assert state.started_at is not None
    assert before < state.started_at < datetime.now(UTC) + timedelta(seconds=2)


async def test_one_that_ended_one_that_never_ran_and_one_that_is_paused(engine: Engine, docker: Docker):
    ended, made, paused = docker.name("ended"), docker.name("made"), docker.name("paused")
    await asyncio.to_thread(docker.all, "run", "--name", ended, docker.image, "sh", "-c", "exit 3")
    await asyncio.to_thread(docker, "create", "--name", made, docker.image, "true")
    await asyncio.to_thread(docker.run, name=paused)
    await asyncio.to_thread(docker, "pause", paused)
    state = await engine.state(await _target(engine, ended))
    assert (state.status, state.exit_code) == ("exited", 3)
    state = await engine.state(await _target(engine, made))
    assert (state.status, state.started_at) == ("created", None)
    assert (await engine.state(await _target(engine, paused))).status == "paused"
    assert await engine.processes(await _target(engine, ended)) == frozenset()
    assert await engine.processes(await _target(engine, paused)) == {"sleep"}
    await asyncio.to_thread(docker, "unpause", paused)


async def test_a_container_with_a_health_check(engine: Engine, docker: Docker):
    name = await asyncio.to_thread(docker.run, "--health-cmd", "true", "--health-interval", "1s")
    target = await _target(engine, name)
    seen = set()

    async def healthy() -> bool:
        seen.add((await engine.state(target)).health)
        return "healthy" in seen

    await eventually(healthy, seconds=60)
    assert seen <= {"starting", "healthy"}


async def test_processes_are_names_without_arguments(engine: Engine, docker: Docker):
    script = "sleep 1001 & exec sh -c 'sleep 1002; true' hunter2"
    name = await asyncio.to_thread(docker.run, command=("sh", "-c", script))
    target = await _target(engine, name)
    await eventually(lambda: _are(engine, target, {"sh", "sleep"}))


async def _are(engine: Engine, target: Target, names: set[str]) -> bool:
    return await engine.processes(target) == names


async def test_running_containers_are_listed_up_to_a_limit(engine: Engine, docker: Docker):
    first = await asyncio.to_thread(docker.run)
    second = await asyncio.to_thread(docker.run)
    ids, complete = await engine.running(1000)
    assert complete
    assert {str(docker.inspect(name)["Id"]) for name in (first, second)} <= set(ids)
    newest, complete = await engine.running(1)
    assert (newest, complete) == ((docker.inspect(second)["Id"],), False)


async def test_a_container_that_is_gone_is_refused(engine: Engine, docker: Docker):
    name = await asyncio.to_thread(docker.run)
    target = await _target(engine, name)
    await asyncio.to_thread(docker, "rm", "-f", name)
    for ask in (engine.state(target), engine.processes(target), engine.path(target, "/etc")):
        with pytest.raises(TargetRefused) as refused:
            await ask
        assert refused.value.code is Code.TARGET_NOT_FOUND


def _inspected(**state: object) -> dict[str, object]:
    known = {"Status": "running", "StartedAt": "2030-01-01T00:00:00.5Z", "ExitCode": 0}
    return {"Name": "/web", "Image": "sha256:c", "State": {**known, **state}}


@pytest.mark.parametrize(
    ("answer", "health"),
    [(_inspected(), "none"), (_inspected(Health={"Status": ""}), "none"), (_inspected(Health=None), "none")],
)
async def test_what_an_engine_leaves_out_is_as_if_it_said_nothing(tmp_path: Path, answer: object, health: str):
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.json_response(answer)

    async with scripted_engine(tmp_path, handler) as engine:
        state = await engine.state(WEB)
    assert (state.health, state.image, state.restart_count) == (health, "", 0)


@pytest.mark.parametrize("answer", [_inspected(Status="thinking"), _inspected(StartedAt="soon")])
async def test_a_state_that_is_none_is_not_believed(tmp_path: Path, answer: object):
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.json_response(answer)

    async with scripted_engine(tmp_path, handler) as engine:
        with pytest.raises(Unavailable):
            await engine.state(WEB)


async def test_a_process_list_that_breaks_is_the_engines_refusal(tmp_path: Path):
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"message": "ps: unknown option"}, status=500)

    async with scripted_engine(tmp_path, handler) as engine:
        with pytest.raises(EngineRefused):
            await engine.processes(WEB)
        with pytest.raises(EngineRefused):
            await engine.state(WEB)


async def test_rows_of_another_width_are_no_processes(tmp_path: Path):
    async def handler(_request: web.Request) -> web.StreamResponse:
        titles = ["PID", "STAT", "COMMAND"]
        rows = [["1", "Ss", "init"], ["2", "S"], ["3", "Z", "done"], ["4", "R", "tmux: server"]]
        return web.json_response({"Titles": titles, "Processes": rows})

    async with scripted_engine(tmp_path, handler) as engine:
        assert await engine.processes(WEB) == {"init", "tmux: server"}
