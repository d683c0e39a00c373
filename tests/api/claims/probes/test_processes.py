"""Claims about processes: by exact name, here and in containers, contradicted only where all was seen."""

import asyncio
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.api.claims.probes.conftest import FakeGateway
from wingman_api.claims.probes import processes as module
from wingman_api.claims.probes.processes import Processes
from wingman_api.claims.probes.threads import Threads
from wingman_core.assertions import ProcessGone, ProcessRunning
from wingman_core.errors import Code, PolicyRefused, Unavailable
from wingman_core.observation import ContainerProcesses, ProcessLists

LONG = "wm-a-name-of-more-than-fifteen"
NOBODY = "wm-nobody-is-so-called"
RUNNING, GONE = "running", "gone"


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A program of a long name that runs, and a script with a secret among its arguments; the program's path."""
    program = tmp_path_factory.mktemp("bin") / LONG
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    script = program.with_name("wm-a-script-of-more.sh")
    script.write_text("#!/bin/sh\nread line\n")
    script.chmod(0o755)
    with (
        subprocess.Popen([program, "1000"]) as one,
        subprocess.Popen([script, "--password=hunter2"], stdin=subprocess.PIPE) as other,
    ):
        while psutil.Process(other.pid).name() != script.name[:15]:
            time.sleep(0.01)
        yield str(program)
        one.kill()
        other.kill()


async def _look(
    gateway: FakeGateway, threads: Threads, name: str, container: str | None = None, *, machine: bool = True
) -> dict[str, str]:
    """The outcomes of both claims, which must be each other's opposite."""
    probe = Processes(gateway, threads, machine=machine)
    running = await probe.look(ProcessRunning(name=name, container=container))
    gone = await probe.look(ProcessGone(name=name, container=container))
    assert running.words == gone.words
    opposite = {"confirmed": "contradicted", "contradicted": "confirmed", "unknown": "unknown"}
    assert gone.outcome == opposite[running.outcome]
    return {"outcome": running.outcome, "words": running.words}


async def test_a_process_of_this_machine_is_known_by_its_whole_name(gateway: FakeGateway, threads: Threads, named: str):
    assert (await _look(gateway, threads, LONG))["outcome"] == "confirmed"
    for name in (LONG[:15], LONG.upper(), f"{LONG}x", NOBODY, "1000", named[1:]):
        assert (await _look(gateway, threads, name))["outcome"] == "contradicted", name


async def test_of_a_script_only_the_beginning_is_known(gateway: FakeGateway, threads: Threads, named: str):
    assert (await _look(gateway, threads, "wm-a-script-of-"))["outcome"] == "confirmed"
    seen = await _look(gateway, threads, "wm-a-script-of-more.sh")
    assert seen["outcome"] == "unknown"
    assert "hunter2" not in seen["words"]


async def test_what_has_ended_and_is_not_waited_for_does_not_run(gateway: FakeGateway, threads: Threads, named: str):
    program = Path(named).with_name("wm-ended")
    shutil.copy(shutil.which("true") or "/bin/true", program)
    with subprocess.Popen([program]) as ended:
        await asyncio.to_thread(os.waitid, os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert (await _look(gateway, threads, "wm-ended"))["outcome"] == "contradicted"


def _lists(*, complete: bool = True, **names: tuple[str, ...]) -> ProcessLists:
    return ProcessLists(tuple(ContainerProcesses(name, each) for name, each in names.items()), complete=complete)


async def test_a_process_in_any_container_that_may_be_seen_counts(gateway: FakeGateway, threads: Threads):
    gateway.processes[""] = _lists(web=("nginx",), db=("postgres-of-mine",), complete=False)
    for machine in (True, False):
        seen = await _look(gateway, threads, "postgres-of-mine"[:15], machine=machine)
        assert seen["outcome"] == "unknown"  # cut at another place
    gateway.processes[""] = _lists(web=("nginx",), db=("wm-postgres",), complete=False)
    for machine in (True, False):
        seen = await _look(gateway, threads, "wm-postgres", machine=machine)
        assert seen == {"outcome": "confirmed", "words": "A process 'wm-postgres' runs in the container 'db'."}


@pytest.mark.parametrize(
    ("told", "machine", "outcome"),
    [
        (_lists(web=("nginx",)), True, "contradicted"),
        (_lists(), True, "contradicted"),
        (_lists(web=("nginx",)), False, "unknown"),
        (_lists(web=("nginx",), complete=False), True, "unknown"),
        (_lists(web=(NOBODY[:15],)), True, "unknown"),
        (_lists(web=(NOBODY[:14],)), True, "contradicted"),
        (Unavailable(Code.ENGINE_UNAVAILABLE, "gone"), True, "unknown"),
        (Unavailable(Code.ENGINE_UNAVAILABLE, "gone"), False, "unknown"),
        (PolicyRefused(Code.POLICY_FORBIDS, "no"), True, "unknown"),
    ],
)
async def test_that_nothing_runs_takes_everything_to_be_seen(
    gateway: FakeGateway, threads: Threads, told: ProcessLists, *, machine: bool, outcome: str
):
    gateway.processes[""] = told
    assert (await _look(gateway, threads, NOBODY, machine=machine))["outcome"] == outcome


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        (_lists(web=("nginx",)), "confirmed"),
        (_lists(web=("nginx-debug",)), "contradicted"),
        (_lists(web=()), "contradicted"),
        (_lists(web=("sh",), complete=False), "unknown"),
        (PolicyRefused(Code.POLICY_FORBIDS, "no"), "unknown"),
        (None, "contradicted"),
    ],
)
async def test_in_one_container(gateway: FakeGateway, threads: Threads, told: ProcessLists | None, outcome: str):
    if told is not None:
        gateway.processes["web"] = told
    assert (await _look(gateway, threads, "nginx", "web"))["outcome"] == outcome


class Hidden:
    """Processes as a kernel shows them that hides some."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids

    def __call__(self) -> list[int]:
        return self._pids


async def test_where_processes_are_hidden_nothing_is_contradicted(
    gateway: FakeGateway, threads: Threads, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module.psutil, "pids", Hidden([os.getpid()]))
    assert (await _look(gateway, threads, NOBODY))["outcome"] == "unknown"
    gone = subprocess.run([shutil.which("true") or "true"], check=True)
    assert gone.returncode == 0
    monkeypatch.setattr(module.psutil, "pids", Hidden([1, 2**22 + 1]))  # no pid is so large: it is gone by now
    assert (await _look(gateway, threads, NOBODY))["outcome"] == "contradicted"


@pytest.mark.parametrize("part", ["exe", "name"])
async def test_what_may_not_be_asked_of_a_process_is_not_guessed(
    gateway: FakeGateway, threads: Threads, monkeypatch: pytest.MonkeyPatch, part: str
):
    def denied(self: psutil.Process) -> str:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(module.psutil, "pids", Hidden([1]))
    monkeypatch.setattr(psutil.Process, part, denied)
    expected = {"exe": "contradicted", "name": "unknown"}[part]
    assert (await _look(gateway, threads, NOBODY))["outcome"] == expected


async def test_a_look_that_nobody_waits_for_ends(gateway: FakeGateway, threads: Threads):
    stop = threading.Event()
    stop.set()
    assert module._on_machine(NOBODY, stop) == "unclear"
