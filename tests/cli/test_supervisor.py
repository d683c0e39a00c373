"""Processes that end are started again, those of a killed supervisor are ended first, and stopping has an order."""

import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from wingman_cli import supervisor as module
from wingman_cli.supervisor import Service, Supervisor, end_leftover
from wingman_core.errors import SettingInvalid

BLOCK = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); print('up', flush=True); "
WAITS = BLOCK + "signal.sigwait([signal.SIGTERM]); print('down', flush=True)"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"
)


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it never happened"
        await asyncio.sleep(0.01)


def program(text: str, name: str = "service") -> Service:
    return Service(name, (sys.executable, "-c", textwrap.dedent(text)), os.environ)


def log(directory: Path, name: str = "service") -> str:
    path = directory / "logs" / f"{name}.log"
    return path.read_text() if path.exists() else ""


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
async def supervisor(tmp_path: Path, told: list[str]) -> AsyncIterator[Supervisor]:
    made = Supervisor(tmp_path, tell=told.append, grace=20)
    yield made
    await made.stop()


async def test_a_killed_process_is_started_again_and_said(supervisor: Supervisor, tmp_path: Path, told: list[str]):
    await supervisor.start(program(WAITS))
    await until(lambda: log(tmp_path).count("up") == 1)
    first = supervisor.pid("service")
    assert first
    os.kill(first, signal.SIGKILL)
    await until(lambda: log(tmp_path).count("up") == 2)
    assert supervisor.pid("service") not in {None, first}
    assert told == [f"service ended (signal SIGKILL); starting it again, see {tmp_path}/logs/service.log"]


async def test_a_process_that_keeps_failing_is_tried_with_growing_delays(supervisor: Supervisor, told: list[str]):
    await supervisor.start(program("raise SystemExit(7)"))
    await until(lambda: len(told) == 2)
    assert all("(exit code 7)" in line for line in told)
    began = asyncio.get_running_loop().time()
    await supervisor.stop()
    assert asyncio.get_running_loop().time() - began < module.FIRST_DELAY, "stopping does not wait for the next try"
    assert supervisor.pid("service") is None


async def test_a_program_that_does_not_exist_is_said_and_tried_again(supervisor: Supervisor, told: list[str]):
    await supervisor.start(Service("ghost", ("/nonexistent/program",), {}))
    await until(lambda: len(told) == 1)
    assert "ghost ended (could not start:" in told[0]


async def test_the_last_started_stops_first_and_politely(tmp_path: Path, told: list[str]):
    order = tmp_path / "order"
    text = """
        import signal
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        print('up', flush=True)
        signal.sigwait([signal.SIGTERM])
        with open({order!r}, 'a') as file: file.write({name!r} + ' ')
    """
    supervisor = Supervisor(tmp_path, tell=told.append)
    for name in ("first", "second"):
        await supervisor.start(program(text.format(order=str(order), name=name), name))
        await until(lambda name=name: "up" in log(tmp_path, name))
    await supervisor.stop()
    assert order.read_text().split() == ["second", "first"]
    assert told == []
    assert not list((tmp_path / "run").iterdir())


async def test_a_process_that_does_not_listen_is_killed_after_the_grace(tmp_path: Path, told: list[str]):
    supervisor = Supervisor(tmp_path, tell=told.append, grace=0.2)
    await supervisor.start(program(STUBBORN))
    await until(lambda: "up" in log(tmp_path))
    await supervisor.stop()
    assert told == ["service did not end within 0 s and was killed"]


async def test_a_stop_right_after_the_start_leaves_nothing(tmp_path: Path, told: list[str]):
    supervisor = Supervisor(tmp_path, tell=told.append)
    await supervisor.start(program(WAITS))
    await supervisor.stop()
    assert supervisor.pid("service") is None
    await end_leftover(tmp_path / "run" / "service.pid", grace=1)


async def test_what_a_killed_supervisor_left_behind_is_ended_first(tmp_path: Path, told: list[str]):
    script = f"""
        import asyncio, os, signal, sys
        from pathlib import Path
        from wingman_cli.supervisor import Service, Supervisor
        async def main():
            supervisor = Supervisor(Path({str(tmp_path)!r}), tell=print)
            await supervisor.start(Service("service", (sys.executable, "-c", {WAITS!r}), os.environ))
            log = Path({str(tmp_path / "logs" / "service.log")!r})
            while not log.exists() or "up" not in log.read_text():
                await asyncio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        asyncio.run(main())
    """
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", textwrap.dedent(script))
    assert await parent.wait() == -signal.SIGKILL
    orphan = int((tmp_path / "run" / "service.pid").read_text())
    os.kill(orphan, 0)

    supervisor = Supervisor(tmp_path, tell=told.append)
    await supervisor.start(program(WAITS))
    await until(lambda: log(tmp_path).count("up") == 2)
    assert "down" in log(tmp_path), "the leftover was ended before the new one began, and politely"
    assert supervisor.pid("service") != orphan
    await supervisor.stop()


async def test_a_stale_file_without_its_process_signals_nobody(tmp_path: Path):
    pid_file = tmp_path / "service.pid"
    pid_file.write_text(str(os.getpid()))
    await end_leftover(pid_file, grace=0.1)
    await end_leftover(tmp_path / "missing.pid", grace=0.1)


async def test_a_leftover_that_cannot_be_named_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "KILL_PATIENCE", 0.1)
    pid_file = tmp_path / "service.pid"
    with pid_file.open("w") as file:
        module.fcntl.flock(file, module.fcntl.LOCK_EX)
        with pytest.raises(SettingInvalid, match="does not end"):
            await end_leftover(pid_file, grace=0.1)


async def test_a_long_log_is_put_aside(tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "LOG_LIMIT", 3)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "service.log").write_text("what was")
    supervisor = Supervisor(tmp_path, tell=told.append)
    await supervisor.start(program(WAITS))
    await until(lambda: "up" in log(tmp_path))
    await supervisor.stop()
    assert (tmp_path / "logs" / "service.log.1").read_text() == "what was"


async def test_a_process_that_prints_on_and_on_fills_no_disk(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "LOG_LIMIT", 10_000)
    monkeypatch.setattr(module, "LOG_LOOK", 0.01)
    await supervisor.start(program("while True: print('x' * 99, flush=True); import time; time.sleep(0.001)"))
    await until(lambda: supervisor.pid("service") is not None)
    first, older = supervisor.pid("service"), tmp_path / "logs" / "service.log.1"
    await until(older.exists)
    before = older.stat().st_mtime_ns
    await until(lambda: older.stat().st_mtime_ns != before)
    assert supervisor.pid("service") == first, "it was not ended for that"
    for path in (older, tmp_path / "logs" / "service.log"):
        assert set(path.read_text().splitlines()) <= {"x" * 99}
        assert path.stat().st_size < 1_000_000
        assert path.stat().st_mode & 0o777 == 0o600
    (tmp_path / "logs" / "service.log").unlink()
    older.unlink()
    os.kill(first or 0, signal.SIGKILL)
    await until(lambda: supervisor.pid("service") not in {None, first})
    await until(older.exists)


async def test_a_steady_process_restarts_quickly_again(
    supervisor: Supervisor, tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "STEADY", -1.0)
    monkeypatch.setattr(module, "FIRST_DELAY", 0.01)
    await supervisor.start(program("print('up', flush=True)"))
    await until(lambda: log(tmp_path).count("up") >= 8, seconds=10)
