"""``wingman up`` as a user lives with it: first start, Ctrl-C, killed processes, a second start, no engine."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest

from tests.cli.running import READY, WINGMAN, Up, child, environment, until, wingman
from wingman_cli.instance import Instance

pytestmark = pytest.mark.timeout(600)  # each starts several processes; on a busy machine that takes its time
NO_ENGINE = {"WINGMAN_DOCKER_HOST": "unix:///nonexistent/docker.sock"}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def started(data_dir: Path) -> Iterator[list[Up]]:
    """Whatever a test starts is stopped, also where it fails."""
    every: list[Up] = []
    yield every
    for one in every:
        one.stop()


@pytest.fixture(scope="module")
def without_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One instance that several tests look at."""
    data_dir = tmp_path_factory.mktemp("shared") / "data"
    up = Up(data_dir, **NO_ENGINE, BOT_TOKEN="1:secret", WINGMAN_API_KEY="wm_private")
    try:
        yield up.ready()
    finally:
        assert up.stop() == 0


def healthy(api: str) -> bool:
    try:
        return bool(httpx.get(f"{api}/health", timeout=5).json()["status"] == "healthy")
    except (httpx.HTTPError, ValueError):
        return False


def processes_of(data_dir: Path) -> list[str]:
    """Whatever still runs for the directory: its processes hold it in an argument or a variable."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
            found += [f"{process.pid} {process.cmdline()}"] if any(str(data_dir) in word for word in words) else []
    return found


def test_first_start_stop_and_second_start_keep_everything(
    data_dir: Path, started: list[Up], engine_url: str, busybox: str
):
    first = Up(data_dir, WINGMAN_DOCKER_HOST=engine_url)
    started.append(first)
    first.ready()
    assert "made just now" in first.text
    assert healthy(first.api)
    asked = json.loads(wingman(data_dir, "request", "--json", "docker", "ps").stdout)
    ran = wingman(data_dir, "run", asked["request"]["id"])
    assert (ran.returncode, ran.stdout.split()[:2]) == (0, ["CONTAINER", "ID"]), ran
    secrets = {path: path.read_bytes() for path in (data_dir / "secrets").iterdir()}
    assert all(path.stat().st_mode & 0o077 == 0 for path in secrets)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (data_dir / "keys").iterdir())

    assert first.stop(signal.SIGINT) == 0
    assert "Stopped; the data are kept." in first.text
    assert processes_of(data_dir) == []

    second = Up(data_dir, WINGMAN_DOCKER_HOST=engine_url)
    started.append(second)
    second.ready()
    assert "made just now" not in second.text
    assert {path: path.read_bytes() for path in (data_dir / "secrets").iterdir()} == secrets
    shown = json.loads(wingman(data_dir, "show", "--json", asked["request"]["id"]).stdout)
    assert shown["status"] == "AUTO_APPROVED"
    verified = wingman(data_dir, "audit", "verify")
    assert verified.returncode == 0, verified.stderr
    assert "The log is whole: 2 records (1 INTENT, 1 RESULT)" in verified.stdout
    assert second.stop(signal.SIGTERM) == 0
    assert processes_of(data_dir) == []

    offline = wingman(data_dir, "audit", "verify", "--json", "--progress")
    assert offline.stderr == "2 of 2 records hold\n"
    assert json.loads(offline.stdout)["size"] == 2, "the log can be verified while nothing runs"
    assert processes_of(data_dir) == []


def test_whatever_is_killed_comes_back(data_dir: Path, started: list[Up], engine_url: str):
    up = Up(data_dir, WINGMAN_DOCKER_HOST=engine_url)
    started.append(up)
    up.ready()
    for name in ("gateway", "api"):
        before = up.child(name)
        os.kill(before, signal.SIGKILL)
        until(lambda name=name, before=before: up.child(name) != before)
        until(lambda: healthy(up.api))
    postmaster = data_dir / "postgres" / "postmaster.pid"
    before = int(postmaster.read_text().split()[0])
    os.kill(before, signal.SIGKILL)
    until(lambda: "postgres ended; starting it again" in up.text)
    until(lambda: healthy(up.api))
    assert up.stop() == 0
    for name in ("gateway", "api"):
        assert f"{name} ended (signal SIGKILL); starting it again" in up.text
    assert processes_of(data_dir) == []


def test_what_a_killed_up_left_behind_is_taken_over(data_dir: Path, started: list[Up]):
    first = Up(data_dir, **NO_ENGINE)
    started.append(first)
    first.ready()
    orphans = {first.child("gateway"), first.child("api")}
    assert first.stop(signal.SIGKILL) == -signal.SIGKILL
    assert all(psutil.pid_exists(pid) for pid in orphans)

    second = Up(data_dir, **NO_ENGINE)
    started.append(second)
    second.ready()
    assert not orphans & {second.child("gateway"), second.child("api")}
    assert second.stop() == 0
    assert processes_of(data_dir) == []


@pytest.mark.parametrize("opened", [os.openpty, os.pipe], ids=["terminal", "pipe"])
def test_it_outlives_who_listened_and_a_hang_up_stops_it_in_order(
    data_dir: Path, opened: Callable[[], tuple[int, int]]
):
    ours, its = opened()
    variables = environment(data_dir, **NO_ENGINE)
    with subprocess.Popen(
        [WINGMAN, "up", "--port", "0"], env=variables, stdin=its, stdout=its, stderr=its, start_new_session=True
    ) as up:
        try:
            os.close(its)
            said = b""
            while READY.encode() not in said:
                said += os.read(ours, 4096)
            os.close(ours)  # from here on whatever it says fails
            before = child(data_dir, "api")
            os.kill(before, signal.SIGKILL)
            until(lambda: child(data_dir, "api") != before)
            up.send_signal(signal.SIGHUP)
            assert up.wait(90) == 0
        finally:
            up.kill()
    assert processes_of(data_dir) == []
    assert Instance(data_dir).running() is None


def test_a_second_up_on_the_same_directory_says_so(without_engine: Up):
    data_dir, api = without_engine.data_dir, without_engine.api
    second = wingman(data_dir, "up", "--port", "0", **NO_ENGINE)
    assert second.returncode == 2
    pid = without_engine.process.pid
    assert f"another wingman up runs on {data_dir} (process {pid}, API at {api})" in second.stderr
    assert httpx.get(f"{api}/livez").status_code == 200, "the first one is not disturbed"


def test_a_port_that_is_taken_is_said_before_anything_starts(without_engine: Up, data_dir: Path):
    port = without_engine.api.rpartition(":")[2]
    other = wingman(data_dir, "up", "--port", port, **NO_ENGINE)
    assert other.returncode == 2
    assert f"port {port} on 127.0.0.1 cannot be had" in other.stderr
    assert processes_of(data_dir) == []


def test_without_an_engine_everything_else_works(without_engine: Up):
    data_dir = without_engine.data_dir
    assert "engine   none (no Docker engine answers at unix:///nonexistent/docker.sock" in without_engine.text
    assert httpx.get(f"{without_engine.api}/health").json()["components"] == {
        "database": "healthy",
        "gateway": "degraded",
        "engine": "unhealthy",
        "feed": "healthy",
    }
    refused = wingman(data_dir, "request", "docker", "ps")
    assert (refused.returncode, refused.stderr.split(":")[0]) == (4, "ENGINE_UNAVAILABLE")
    assert wingman(data_dir, "pending").stdout == "Nothing is pending.\n"


def test_it_does_not_pass_the_shells_secrets_on(without_engine: Up):
    for name, foreign in (("gateway", "WINGMAN_TOKEN_KEY"), ("api", "WINGMAN_CHECKPOINT_KEY")):
        given = psutil.Process(without_engine.child(name)).environ()
        assert not {"BOT_TOKEN", "WINGMAN_API_KEY", foreign} & set(given)
        assert f"wingman_{name}@" in given["WINGMAN_DATABASE_URL"]


def test_a_policy_that_does_not_validate_stops_the_start_with_file_and_line(data_dir: Path):
    instance = Instance(data_dir)
    instance.prepare(now=datetime.now(UTC))
    (instance.policies / "test.cedar").write_text("permit (")
    started = wingman(data_dir, "up", "--port", "0", **NO_ENGINE)
    assert started.returncode == 4
    assert "POLICY_INVALID" in started.stderr
    assert "test.cedar" in started.stderr
    assert processes_of(data_dir) == []


def test_ctrl_c_while_it_starts_leaves_nothing(data_dir: Path, started: list[Up]):
    up = Up(data_dir, **NO_ENGINE)
    started.append(up)
    until((data_dir / "run" / "gateway.pid").exists)
    assert up.stop(signal.SIGINT) == 0
    assert "Wingman is up" not in up.text
    assert processes_of(data_dir) == []
