"""Which engine is taken: the configured one, the machine's, a private one that runs, or one that is started."""

import signal
import sys
import traceback
from pathlib import Path
from threading import Thread, main_thread

import pytest

from tests.cli.running import until
from wingman_cli import engine
from wingman_cli.engine import DockerEngine, EngineSource, Found
from wingman_cli.options import Choice
from wingman_core.errors import Code, Unavailable

NOWHERE = "unix:///nonexistent/docker.sock"


class Machine:
    """A machine without an engine of its own, and what tools/engine.sh would do on it."""

    def __init__(self, directory: Path) -> None:
        self.script = directory / "engine.sh"
        self.calls = directory / "calls"
        self.questions: list[str] = []
        self.told: list[str] = []
        self.answer = False
        self.behave(status="exit 3", start="exit 4")

    def behave(self, **cases: str) -> None:
        arms = "\n".join(f"  {name}) {what} ;;" for name, what in cases.items())
        self.script.write_text(f'#!/bin/sh\necho "$@" >> {self.calls}\ncase $1 in\n{arms}\nesac\n')
        self.script.chmod(0o755)

    def source(self, **environ: str) -> EngineSource:
        return EngineSource(environ, script=self.script, default_address=NOWHERE)

    def find(self, choice: Choice, **environ: str) -> Found:
        return self.source(**environ).find(choice, ask=self.ask, tell=self.told.append)

    def ask(self, question: str) -> bool:
        self.questions.append(question)
        return self.answer

    @property
    def called(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_configured_engine_is_the_only_candidate(machine: Machine, engine_url: str):
    found = machine.find(Choice.AUTO, WINGMAN_DOCKER_HOST=engine_url)
    assert (found.address, bool(found.version), found.private, found.started) == (engine_url, True, False, False)
    down = machine.find(Choice.AUTO, WINGMAN_DOCKER_HOST="unix:///nonexistent/other.sock")
    assert down.version == ""
    assert "no Docker engine answers at unix:///nonexistent/other.sock" in down.reason
    assert machine.called == []


def test_a_private_engine_that_runs_is_used_and_left_running(machine: Machine, engine_url: str):
    machine.behave(status=f"echo {engine_url}")
    found = machine.find(Choice.NONE)
    assert (found.address, found.private, found.started) == (engine_url, True, False)
    machine.source().stop(found)
    assert machine.called == ["status"]


def test_auto_starts_one_and_stops_what_it_started(machine: Machine, engine_url: str):
    machine.behave(status="exit 3", start=f"echo {engine_url}", image="exit 0")
    found = machine.find(Choice.AUTO)
    assert (found.address, found.private, found.started) == (engine_url, True, True)
    assert len(machine.told) == 1
    assert machine.questions == []
    machine.source().image("some:1")
    machine.source().stop(found)
    assert machine.called == ["status", "start", "image some:1", "stop"]


@pytest.mark.parametrize(("answer", "calls"), [(True, ["status", "start"]), (False, ["status"])])
def test_ask_asks_first(machine: Machine, answer: bool, calls: list[str]):
    machine.answer = answer
    machine.find(Choice.ASK)
    assert len(machine.questions) == 1
    assert machine.called == calls


def test_none_starts_nothing(machine: Machine):
    found = machine.find(Choice.NONE)
    assert found.version == ""
    assert machine.called == ["status"]


def test_a_start_that_fails_gives_its_last_words(machine: Machine):
    machine.behave(status="exit 3", start="echo 'engine: no root' >&2; echo 'engine: way out: be root' >&2; exit 4")
    assert machine.find(Choice.AUTO).reason == "no root; way out: be root"
    machine.behave(status="exit 3", start="exit 1")
    assert machine.find(Choice.AUTO).reason == "tools/engine.sh could not start an engine"


def test_a_start_that_takes_too_long_is_asked_to_end(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine, "SCRIPT_LIMIT", 0.5)
    waits = "while :; do sleep 0.05; done"
    machine.behave(status="exit 3", start=f"trap 'echo ended >> {machine.calls}; exit 1' TERM; {waits}")
    assert "timed out" in machine.find(Choice.AUTO).reason
    assert machine.called == ["status", "start", "ended"]
    monkeypatch.setattr(engine, "SCRIPT_GRACE", 0.1)
    machine.behave(status="exit 3", start=f"trap 'sleep 0.5; echo late >> {machine.calls}' TERM; {waits}")
    assert "timed out" in machine.find(Choice.AUTO).reason
    assert machine.called[3:] == ["status", "start"]


def test_ctrl_c_ends_the_script_too(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    waits = "touch begun; while :; do sleep 0.05; done"
    machine.behave(status="exit 3", start=f"trap 'echo ended >> {machine.calls}; exit 1' TERM; {waits}")
    monkeypatch.chdir(machine.script.parent)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    us = main_thread().ident or 0

    def waited_for() -> bool:  # the script runs, and we are past starting it
        stack = traceback.extract_stack(sys._current_frames()[us])
        return Path("begun").exists() and any(frame.name == "communicate" for frame in stack)

    watcher = Thread(target=lambda: (until(waited_for), signal.pthread_kill(us, signal.SIGALRM)))
    watcher.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            machine.find(Choice.AUTO)
    finally:
        watcher.join()
        signal.signal(signal.SIGALRM, before)
    assert machine.called == ["status", "start", "ended"]


def test_an_image_that_cannot_be_made_is_said(machine: Machine):
    machine.behave(image="echo 'engine: no registry answers' >&2; exit 1")
    with pytest.raises(Unavailable, match="no registry answers"):
        machine.source().image("some:1")


def test_without_the_script_there_is_only_what_there_is(machine: Machine, tmp_path: Path):
    machine.script.unlink()
    assert machine.find(Choice.AUTO).version == ""
    machine.script = tmp_path
    assert machine.find(Choice.AUTO).reason != "", "a script that cannot be run is a reason, not a crash"


def test_what_the_engine_refuses_is_told_in_its_words(engine_url: str):
    with DockerEngine(engine_url) as docker, pytest.raises(Unavailable) as refused:
        docker.call("GET", "/containers/no-such-container/json")
    assert refused.value.code is Code.ENGINE_REFUSED
    assert "No such container" in refused.value.message


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "http://127.0.0.1:1", NOWHERE])
def test_an_engine_that_is_not_there_is_unavailable(address: str):
    with DockerEngine(address) as docker, pytest.raises(Unavailable) as refused:
        docker.version()
    assert refused.value.code is Code.ENGINE_UNAVAILABLE
    assert address in refused.value.message
