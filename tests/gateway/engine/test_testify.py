"""What Docker testifies about an execution that was cut off, for every verb and every step at which it can be."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.gateway.engine.conftest import Docker, perform, scripted_engine
from tests.gateway.engine.registry import serving
from wingman_core.command import parse
from wingman_core.errors import Unavailable
from wingman_core.target import Reference, Target
from wingman_gateway.engine import Engine, EngineRefused
from wingman_gateway.engine.act import EXEC_NOTE
from wingman_gateway.engine.create import EXECUTION_LABEL
from wingman_gateway.engine.events import Testimony as Said  # pytest collects what begins with Test

LONG_AGO = datetime.now(UTC) - timedelta(days=1)
"""An intent before everything that happens here."""
LATER = datetime.now(UTC) + timedelta(days=1)
"""An intent after everything that happens here."""


async def ask(  # noqa: PLR0917 - the parts of an execution
    engine: Engine,
    command: str,
    intent_at: datetime,
    notes: dict[str, str] | None = None,
    targets: Sequence[Target] | None = None,
    execution_id: str = "exe_none",
) -> Said:
    op = parse(command)
    found = await engine.resolve(op) if targets is None else targets
    said = await engine.testify(op, found, execution_id, intent_at, notes or {})
    assert isinstance(json.loads(said.evidence), dict)
    return said


async def test_a_running_container_testifies(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    for command, intent_at, outcome, code in (
        ("start", LONG_AGO, "SUCCEEDED", 0),
        ("start", LATER, "UNKNOWN", None),  # it was running already
        ("restart", LONG_AGO, "SUCCEEDED", 0),
        ("stop", LONG_AGO, "UNKNOWN", None),  # something started it since
        ("kill", LONG_AGO, "UNKNOWN", None),
        ("kill", LATER, "RUNNING", None),  # the engine may still be at it
        ("kill --signal HUP", LATER, "UNKNOWN", None),  # it may have taken the signal
        ("pause", LONG_AGO, "UNKNOWN", None),
        ("unpause", LONG_AGO, "UNKNOWN", None),  # it was never paused
        ("unpause", LATER, "UNKNOWN", None),
        ("rm", LONG_AGO, "FAILED", 1),
    ):
        said = await ask(engine, f"docker {command} {name}", intent_at)
        assert (said.outcome, said.exit_code) == (outcome, code), command
    (container,) = json.loads(said.evidence)["containers"]
    assert container["state"] == "running"
    assert container["id"] == docker.inspect(name)["Id"]


async def test_a_stopped_container_testifies(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    await asyncio.to_thread(docker, "stop", "-t", "0", name)
    for command, intent_at, outcome in (
        ("start", LONG_AGO, "SUCCEEDED"),  # it was started, and ended since
        ("start", LATER, "RUNNING"),  # the engine may still be at it
        ("stop", LONG_AGO, "SUCCEEDED"),
        ("stop", LATER, "UNKNOWN"),  # it was stopped already
        ("restart", LONG_AGO, "SUCCEEDED"),
        ("kill", LONG_AGO, "SUCCEEDED"),
        ("kill", LATER, "RUNNING"),
    ):
        said = await ask(engine, f"docker {command} {name}", intent_at)
        assert said.outcome == outcome, command


async def test_a_paused_container_testifies(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    await asyncio.to_thread(docker, "pause", name)
    assert (await ask(engine, f"docker pause {name}", LONG_AGO)).outcome == "SUCCEEDED"
    assert (await ask(engine, f"docker unpause {name}", LONG_AGO)).outcome == "UNKNOWN"
    assert (await ask(engine, f"docker pause {name}", LATER)).outcome == "UNKNOWN"  # it was paused already
    await asyncio.to_thread(docker, "unpause", name)
    assert (await ask(engine, f"docker unpause {name}", LONG_AGO)).outcome == "SUCCEEDED"


async def test_a_signal_that_a_container_outlives_is_an_event(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    for signal in ("HUP", "WINCH"):  # no signal that the first process of a container dies of
        await asyncio.to_thread(docker, "kill", "--signal", signal, name)
    for command, intent_at, outcome, code in (
        ("kill --signal HUP", LONG_AGO, "SUCCEEDED", 0),
        ("kill --signal 28", LONG_AGO, "SUCCEEDED", 0),
        ("kill --signal USR1", LONG_AGO, "UNKNOWN", None),
        ("kill --signal HUP", LATER, "UNKNOWN", None),
        ("kill", LONG_AGO, "UNKNOWN", None),
    ):
        said = await ask(engine, f"docker {command} {name}", intent_at)
        assert (said.outcome, said.exit_code) == (outcome, code), command


@pytest.mark.parametrize(
    ("command", "status", "limit"),
    [
        ("start web", "exited", 60),
        ("kill web", "exited", 30),
        ("kill web", "running", 30),
        ("rm -f web", "running", 120),
        ("stop --time 0 web", "running", 60),
        ("stop --time 30 web db", "running", 60 + 30 + 30),  # one after the other
        ("restart web", "running", 90 + 10),
    ],
)
async def test_an_act_without_effect_has_failed_once_the_engine_had_its_time(
    command: str, status: str, limit: int, tmp_path: Path
) -> None:
    intent = datetime(2026, 1, 2, tzinfo=UTC)
    container = _container(status, started="2026-01-01T00:00:00Z", finished="2026-01-01T00:00:00Z")
    targets = (WEB,) * (2 if command.endswith("db") else 1)
    for seconds, outcome, code in ((limit + 4, "RUNNING", None), (limit + 6, "FAILED", 1)):
        async with _engine(tmp_path, container, now=intent + timedelta(seconds=seconds)) as engine:
            said = await ask(engine, f"docker {command}", intent, targets=targets)
        assert (said.outcome, said.exit_code) == (outcome, code), seconds


async def test_a_stop_that_may_still_be_under_way_is_asked_again(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run, "--stop-timeout", "1")
    now = datetime.now(UTC) + timedelta(seconds=3)
    for command in ("stop", "stop --time 30", "restart"):
        assert (await ask(engine, f"docker {command} {name}", now)).outcome == "RUNNING", command


async def test_a_stop_without_effect_has_failed_once_its_time_is_over(tmp_path: Path) -> None:
    started = "2026-01-01T00:00:00.123456789Z"
    for seconds, own, command, outcome in (
        (64, 0, "stop", "RUNNING"),
        (66, 0, "stop", "FAILED"),
        (66, 5, "stop", "RUNNING"),
        (84, None, "stop --time 20", "RUNNING"),
        (86, None, "stop --time 20", "FAILED"),
    ):
        intent = datetime(2026, 1, 2, tzinfo=UTC)
        container = _container("running", started=started, own=own)
        async with _engine(tmp_path, container, now=intent + timedelta(seconds=seconds)) as engine:
            said = await ask(engine, f"docker {command} web", intent, targets=(WEB,))
        assert said.outcome == outcome, (command, seconds)


async def test_times_too_close_to_tell_prove_nothing(tmp_path: Path) -> None:
    intent = datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    for command in ("start", "restart", "kill"):
        container = _container("exited", started="2026-01-01T00:00:00Z", finished="2026-01-01T00:00:00Z")
        async with _engine(tmp_path, container, now=intent) as engine:
            assert (await ask(engine, f"docker {command} web", intent, targets=(WEB,))).outcome == "UNKNOWN"


async def test_a_container_that_is_gone_testifies_to_its_removal_alone(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    there = await engine.resolve(parse(f"docker rm -f {name}"))
    await asyncio.to_thread(docker, "rm", "-f", name)
    removed = await ask(engine, f"docker rm -f {name}", LONG_AGO, targets=there)
    assert (removed.outcome, removed.exit_code) == ("SUCCEEDED", 0)
    gone = Target(Reference("container", "web"), id="ab" * 32)
    for verb in ("rm -f", "stop", "start", "restart", "kill", "pause"):
        said = await ask(engine, f"docker {verb} web", LONG_AGO, targets=(gone,))
        assert (said.outcome, said.exit_code) == ("UNKNOWN", None)
        assert "gone" in said.evidence


async def test_a_removal_under_way_is_asked_again(tmp_path: Path) -> None:
    async with _engine(tmp_path, _container("removing"), now=LONG_AGO) as engine:
        assert (await ask(engine, "docker rm web", LONG_AGO, targets=(WEB,))).outcome == "RUNNING"


async def test_several_containers_succeed_together_or_not(engine: Engine, docker: Docker) -> None:
    running, stopped = docker.name(), docker.name()
    await asyncio.to_thread(docker.run, name=running)
    await asyncio.to_thread(docker, "create", "--name", stopped, docker.image)
    assert (await ask(engine, f"docker start {running}", LONG_AGO)).outcome == "SUCCEEDED"
    both = await ask(engine, f"docker start {running} {stopped}", LONG_AGO)
    assert (both.outcome, both.exit_code) == ("FAILED", 1)
    assert len(json.loads(both.evidence)["containers"]) == 2
    open_ones = await ask(engine, f"docker kill {running} {stopped}", LONG_AGO)
    assert open_ones.outcome == "UNKNOWN"


async def test_an_exec_testifies_by_the_id_that_was_noted(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    for script, outcome, code in (("exit 0", "SUCCEEDED", 0), ("exit 9", "FAILED", 9)):
        command = f"docker exec {name} sh -c '{script}'"
        ran = await perform(engine, command)
        said = await ask(engine, command, LONG_AGO, ran.notes)
        assert (said.outcome, said.exit_code) == (outcome, code)


async def test_a_journal_that_is_lost_does_not_tell_that_nothing_was_started(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    op = parse(f"docker exec {name} ls")
    targets = await engine.resolve(op)
    for notes, outcome, said in (({}, "FAILED", "no exec was noted"), (None, "UNKNOWN", "another journal")):
        testimony = await engine.testify(op, targets, "exe_1", LONG_AGO, notes)
        assert (testimony.outcome, testimony.exit_code) == (outcome, None)
        assert said in testimony.evidence


async def test_an_exec_cut_off_while_it_runs_goes_on_and_is_asked_again(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    op = parse(f"docker exec {name} sh -c 'echo begun; while [ ! -e /end ]; do sleep 0.1; done; exit 3'")
    targets, notes = await engine.resolve(op), dict[str, str]()

    async def note(key: str, value: str) -> None:
        notes[key] = value

    events = engine.execute(op, targets, "exe_1", note)
    await anext(events)
    await events.aclose()
    assert (await engine.testify(op, targets, "exe_1", LONG_AGO, notes)).outcome == "RUNNING"
    await asyncio.to_thread(docker, "exec", name, "touch", "/end")
    async with asyncio.timeout(30):
        while (said := await engine.testify(op, targets, "exe_1", LONG_AGO, notes)).outcome == "RUNNING":  # noqa: ASYNC110 - it is Docker's to say
            await asyncio.sleep(0.05)
    assert (said.outcome, said.exit_code) == ("FAILED", 3)


async def test_an_exec_that_was_never_noted_was_never_started(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    said = await ask(engine, f"docker exec {name} ls", LONG_AGO)
    assert (said.outcome, said.exit_code) == ("FAILED", None)


async def test_an_exec_that_has_not_started_yet_may_still_start(tmp_path: Path) -> None:
    intent = datetime(2026, 1, 2, tzinfo=UTC)
    created = {"Running": False, "ExitCode": None, "Pid": 0}
    for seconds, outcome in ((64, "RUNNING"), (66, "FAILED")):
        async with _engine(tmp_path, created, now=intent + timedelta(seconds=seconds)) as engine:
            said = await ask(engine, "docker exec web ls", intent, {EXEC_NOTE: "ef"}, (WEB,))
        assert said.outcome == outcome


async def test_an_exec_that_was_noted_and_not_started_says_so(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    op = parse(f"docker exec {name} touch /touched")
    targets, notes = await engine.resolve(op), dict[str, str]()

    async def note(key: str, value: str) -> None:
        notes[key] = value
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        [event async for event in engine.execute(op, targets, "exe_1", note)]
    said = await engine.testify(op, targets, "exe_1", LONG_AGO, notes)
    assert (said.outcome, said.exit_code) == ("FAILED", None)
    assert "not started" in said.evidence


async def test_a_detached_exec_has_succeeded_once_it_started(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    for script in ("sleep 1000", "sh -c 'exit 9'"):
        command = f"docker exec -d {name} {script}"
        ran = await perform(engine, command)
        said = await ask(engine, command, LONG_AGO, ran.notes)
        assert (said.outcome, said.exit_code) == ("SUCCEEDED", 0)


async def test_an_exec_the_engine_forgot_is_unknown(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    said = await ask(engine, f"docker exec {name} ls", LONG_AGO, {EXEC_NOTE: "ef" * 32})
    assert said.outcome == "UNKNOWN"
    assert "gone" in said.evidence


@pytest.mark.parametrize(
    ("flags", "script", "outcome", "code"),
    [
        ("", "exit 0", "SUCCEEDED", 0),
        ("", "exit 6", "FAILED", 6),
        ("-d", "exit 6", "SUCCEEDED", 0),
        ("--rm", "exit 0", "SUCCEEDED", 0),
        ("--rm", "exit 6", "FAILED", 6),
        ("--rm -d", "exit 6", "SUCCEEDED", 0),
    ],
)
async def test_a_run_testifies_by_its_label_or_its_history(
    flags: str, script: str, outcome: str, code: int, *, engine: Engine, docker: Docker
) -> None:
    execution_id = docker.name("exe")
    command = f"docker run {flags} --name {docker.name()} {docker.image} sh -c '{script}'"
    intent_at = datetime.now(UTC)
    targets = await engine.resolve(parse(command))
    ran = await perform(engine, command, execution_id, targets=targets)
    if "-d" in flags:
        docker.all("wait", ran.stdout.strip())
    said = await ask(engine, command, intent_at, targets=targets, execution_id=execution_id)
    assert (said.outcome, said.exit_code) == (outcome, code)
    assert execution_id in said.evidence


async def test_a_run_cut_off_while_it_runs_is_asked_again(engine: Engine, docker: Docker) -> None:
    execution_id = docker.name("exe")
    command = f"docker run --name {docker.name()} {docker.image} sh -c 'echo begun; exec sleep 1000'"
    op = parse(command)
    targets = await engine.resolve(op)

    async def note(key: str, value: str) -> None:
        pytest.fail(f"{key}={value}: a run is found by its label")

    events = engine.execute(op, targets, execution_id, note)
    await anext(events)
    await events.aclose()
    assert (await engine.testify(op, targets, execution_id, LONG_AGO, {})).outcome == "RUNNING"


async def test_a_run_that_was_created_and_not_started_has_failed(engine: Engine, docker: Docker) -> None:
    execution_id, name = docker.name("exe"), docker.name()
    label = f"{EXECUTION_LABEL}={execution_id}"
    targets = await engine.resolve(parse(f"docker run --name {name} {docker.image}"))
    await asyncio.to_thread(docker, "create", "--name", name, "--label", label, docker.image)
    command = f"docker run --name {name} {docker.image}"
    said = await ask(engine, command, LONG_AGO, targets=targets, execution_id=execution_id)
    assert (said.outcome, said.exit_code) == ("FAILED", None)
    assert "created and not started" in said.evidence


async def test_a_run_that_was_just_created_may_still_start(engine: Engine, docker: Docker) -> None:
    execution_id, name = docker.name("exe"), docker.name()
    targets = await engine.resolve(parse(f"docker run --name {name} {docker.image}"))
    label = f"{EXECUTION_LABEL}={execution_id}"
    await asyncio.to_thread(docker, "create", "--name", name, "--label", label, docker.image)
    said = await ask(engine, f"docker run --name {name} {docker.image}", LATER, None, targets, execution_id)
    assert (said.outcome, said.exit_code) == ("RUNNING", None)


async def test_a_run_without_any_trace_is_unknown(engine: Engine, docker: Docker) -> None:
    for flags in ("", "-d"):
        said = await ask(engine, f"docker run {flags} {docker.image}", datetime.now(UTC))
        assert (said.outcome, said.exit_code) == ("UNKNOWN", None)


async def test_a_run_that_goes_away_between_two_questions_is_told_by_its_history(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        match request.path.split("/")[2:]:
            case ["containers", "json"]:
                return web.json_response([{"Id": WEB.id}])
            case ["info"]:
                return web.json_response({"SystemTime": f"{LATER:%Y-%m-%dT%H:%M:%S}Z"})
            case ["events"]:
                return web.json_response({"Action": "die", "Actor": {"Attributes": {"exitCode": "3"}}})
            case _:
                return web.json_response({"message": "no such container"}, status=404)

    async with scripted_engine(tmp_path, handler) as engine:
        said = await ask(engine, "docker run --rm busybox", LONG_AGO, targets=())
    assert (said.outcome, said.exit_code) == ("FAILED", 3)


async def test_a_pull_testifies_by_the_digest(engine: Engine, docker: Docker) -> None:
    async with serving() as registry:
        registry.push("1", "one")
        command = f"docker pull {registry.image}:1"
        targets = await engine.resolve(parse(command))
        assert (await ask(engine, command, LONG_AGO, targets=targets)).outcome == "FAILED"
        await perform(engine, command, targets=targets)
        assert (await ask(engine, command, LONG_AGO, targets=targets)).outcome == "SUCCEEDED"
        registry.push("1", "two")
        moved = await engine.resolve(parse(command))
        assert (await ask(engine, command, LONG_AGO, targets=moved)).outcome == "UNKNOWN"
        docker("rmi", f"{registry.image}:1")


async def test_a_read_leaves_no_trace(engine: Engine) -> None:
    assert (await ask(engine, "docker ps", LONG_AGO)).outcome == "UNKNOWN"


@pytest.mark.parametrize("command", ["stop web", "exec web ls", "pull app:1", "run app:1"])
async def test_an_engine_that_fails_is_no_testimony(command: str, tmp_path: Path) -> None:
    async def failing(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/info"):
            return web.json_response({"SystemTime": "2026-01-01T00:00:00Z"})
        return web.json_response({"message": "boom"}, status=500)

    async with scripted_engine(tmp_path, failing) as engine:
        with pytest.raises(EngineRefused, match="boom"):
            await ask(engine, f"docker {command}", LONG_AGO, {EXEC_NOTE: "ef"}, (WEB,))


async def test_an_engine_that_does_not_finish_its_history_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("wingman_gateway.engine.history"), "HISTORY_SECONDS", 0.2)

    async def handler(request: web.Request) -> web.StreamResponse:
        match request.path.split("/")[-1]:
            case "info":
                return web.json_response({"SystemTime": LATER.isoformat()})
            case "events":
                response = web.StreamResponse()
                await response.prepare(request)
                await asyncio.sleep(60)
                return response
            case _:
                return web.json_response({"message": "no such container"}, status=404)

    async with scripted_engine(tmp_path, handler) as engine:
        with pytest.raises(Unavailable, match="did not answer in time"):
            await ask(engine, "docker rm web", LONG_AGO, targets=(WEB,))


async def test_an_engine_whose_clock_is_nonsense_is_unavailable(tmp_path: Path) -> None:
    container = _container("running", started="yesterday")
    async with _engine(tmp_path, container, now=LONG_AGO) as engine:
        with pytest.raises(Unavailable, match="yesterday"):
            await ask(engine, "docker stop web", LONG_AGO, targets=(WEB,))


WEB = Target(Reference("container", "web"), id="ab" * 32)
NEVER = "0001-01-01T00:00:00Z"


def _container(status: str, *, started: str = NEVER, finished: str = NEVER, own: int | None = None) -> dict[str, Any]:
    running = status == "running"
    times = {"StartedAt": started, "FinishedAt": finished}
    state = {"Status": status, "Running": running, "Paused": False, "ExitCode": 0, **times}
    return {"Id": WEB.id, "State": state, "Config": {} if own is None else {"StopTimeout": own}}


@asynccontextmanager
async def _engine(directory: Path, container: dict[str, Any], *, now: datetime) -> AsyncIterator[Engine]:
    """An engine of one container, at a time of the test's choice."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/info"):
            return web.json_response({"SystemTime": now.isoformat()})
        return web.json_response(container)

    async with scripted_engine(directory, handler) as engine:
        yield engine
