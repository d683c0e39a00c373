"""tools/engine.sh: says what is wrong before it does anything, and tells whether an engine answers."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.cli.running import until

SCRIPT = Path(__file__).parents[2] / "tools" / "engine.sh"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "arguments",
    [(), ("begin",), ("start", "../escape"), ("start", "Upper"), ("image", "no-tag"), ("image", "a:b;c"), ("image",)],
)
def test_wrong_words_exit_2_and_say_what_is_right(arguments: tuple[str, ...]):
    done = run(*arguments)
    assert done.returncode == 2
    assert "usage" in done.stderr or "must be" in done.stderr
    assert done.stdout == ""


def test_help_is_no_error():
    done = run("--help")
    assert done.returncode == 0
    assert "start" in done.stdout


def test_status_of_an_engine_that_does_not_run_exits_3():
    done = run("status", "never-started")
    assert done.returncode == 3
    assert "not running" in done.stderr


def test_an_image_needs_a_running_engine():
    assert run("image", "some:image", "never-started").returncode == 3


def test_a_running_engine_is_found_and_started_once(engine_url: str, busybox: str):
    name = engine_url.split("/")[-2]
    status = run("status", name)
    assert (status.returncode, status.stdout.strip()) == (0, engine_url)
    again = run("start", name)
    assert (again.returncode, again.stdout.strip()) == (0, engine_url)
    assert run("image", busybox, name).returncode == 0


TOOLS = (
    *("awk", "bash", "cat", "cksum", "cut", "env", "flock", "grep", "mkdir", "rm", "setsid", "sh", "sleep", "sort"),
    *("tail", "tee", "timeout", "touch", "tr", "umount", "uname", "xargs"),
)
DOCKERD = """
while [ $# -gt 0 ]; do case $1 in --pidfile) pid=$2 ;; --bridge) echo "bridge $2" ;; esac; shift; done
echo $$ > $pid
{then}
"""
ANSWERS = "trap 'rm -f $pid; exit 0' TERM; touch {here}/answers; while :; do sleep 0.05; done"
SILENT = "while :; do sleep 0.05; done"
STUBBORN = "trap '' TERM; " + SILENT
root = pytest.mark.skipif(os.geteuid() != 0, reason="the script refuses to start for anybody but root")


class Machine:
    """A machine with nothing but what a test puts on it; the script's own directories are real."""

    def __init__(self, here: Path) -> None:
        self.here = here
        self.name = f"stub-{secrets.token_hex(4)}"
        self.run_dir = Path("/run/wingman-engine") / self.name
        self.data_dir = Path("/var/lib/wingman-engine") / self.name
        self.bin = here / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)
        self.has("docker", f"case $* in *version*) [ -e {here}/answers ] ;; esac")
        self.has("dockerd", DOCKERD.format(then=ANSWERS.format(here=here)))
        self.has("iptables", "")
        self.has("ip", "case $* in *'link show'*) exit 1 ;; esac")

    def has(self, program: str, text: str) -> None:
        (self.bin / program).write_text(f'#!{self.bin}/bash\necho "{program} $*" >> {self.here}/calls\n{text}\n')
        (self.bin / program).chmod(0o755)

    def lacks(self, *programs: str) -> None:
        for program in programs:
            (self.bin / program).unlink()

    def start(self, command: str = "start", name: str = "", patience: int = 30) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.bin / "bash", SCRIPT, command, name or self.name],
            env={"PATH": str(self.bin), "WINGMAN_ENGINE_PATIENCE": str(patience)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, command: str, name: str = "", patience: int = 30) -> subprocess.CompletedProcess[str]:
        with self.start(command, name, patience) as script:
            out, err = script.communicate(timeout=60)
        return subprocess.CompletedProcess(command, script.returncode, out, err)

    @property
    def calls(self) -> list[str]:
        return (self.here / "calls").read_text().splitlines() if (self.here / "calls").exists() else []

    @property
    def dockerds(self) -> list[psutil.Process]:
        """Those that run."""
        words = str(self.run_dir / "dockerd.pid")
        return [process for process in psutil.process_iter() if words in command_line(process)]

    def clean(self) -> None:
        for process in self.dockerds:
            process.kill()
        for place in (self.run_dir, self.data_dir):
            shutil.rmtree(place, ignore_errors=True)


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed at the end, also where the test fails."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline() if process.status() != psutil.STATUS_ZOMBIE else []
    except psutil.NoSuchProcess:
        return []


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    made.clean()


@root
def test_a_dockerd_that_is_slow_is_waited_for_and_never_doubled(machine: Machine):
    machine.has("dockerd", DOCKERD.format(then=SILENT))
    machine.run_dir.mkdir(parents=True)  # first: the stub is as fast as the test
    with ended(subprocess.Popen([machine.bin / "dockerd", "--pidfile", machine.run_dir / "dockerd.pid"])) as slow:
        until((machine.run_dir / "dockerd.pid").exists)
        (machine.run_dir / "docker.sock").touch()
        refused = machine.run("start", patience=1)
        assert refused.returncode == 1
        assert f"process {slow.pid}" in refused.stderr
        assert "way out: " in refused.stderr
        assert (machine.run_dir / "docker.sock").exists()
        assert (machine.run_dir / "dockerd.pid").read_text() == f"{slow.pid}\n"
        assert [process.pid for process in machine.dockerds] == [slow.pid]
        with machine.start() as waiting:
            until(lambda: machine.calls.count("docker -H unix://" + str(machine.run_dir / "docker.sock")) or True)
            (machine.here / "answers").touch()
            assert waiting.communicate(timeout=60)[0] == f"unix://{machine.run_dir}/docker.sock\n"
        assert [process.pid for process in machine.dockerds] == [slow.pid]


@root
def test_a_dockerd_that_never_answers_is_stopped_again(machine: Machine):
    machine.has("dockerd", DOCKERD.format(then="echo no graphdriver; " + SILENT))
    failed = machine.run("start", patience=1)
    assert failed.returncode == 1
    assert "did not answer within 1 s and was stopped" in failed.stderr
    assert "no graphdriver" in failed.stderr
    assert machine.dockerds == []
    assert any(call.startswith("ip link delete wm-") for call in machine.calls)


@root
def test_a_dockerd_that_ends_at_once_is_not_waited_for(machine: Machine):
    machine.has("dockerd", "echo no graphdriver; exit 1")
    began = time.monotonic()
    failed = machine.run("start", patience=50)
    assert time.monotonic() - began < 20
    assert failed.returncode == 1
    assert "ended before it answered" in failed.stderr
    assert "no graphdriver" in failed.stderr


@root
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_start_that_is_stopped_takes_its_dockerd_with_it(machine: Machine, number: int):
    machine.has("dockerd", DOCKERD.format(then=SILENT))
    with machine.start() as starting:
        until(lambda: machine.dockerds)
        starting.send_signal(number)
        assert "stopped before the engine answered" in starting.communicate(timeout=60)[1]
    assert starting.returncode == 1
    assert machine.dockerds == []


@root
def test_the_lists_are_fetched_before_it_is_decided_what_to_install(machine: Machine):
    machine.lacks("docker", "dockerd")
    machine.has("apt-cache", f"[ -e {machine.here}/fetched ]")
    install = f"""
case $* in
  *update*) touch {machine.here}/fetched ;;
  *install*docker-cli*) cd {machine.bin}; for name in docker dockerd; do cat $name.deb > $name; chmod +x $name; done ;;
esac
"""
    machine.has("chmod", 'exec /bin/chmod "$@"')
    machine.has("docker.deb", f"case $* in *version*) [ -e {machine.here}/answers ] ;; esac")
    machine.has("dockerd.deb", DOCKERD.format(then=ANSWERS.format(here=machine.here)))
    machine.has("apt-get", install)
    started = machine.run("start")
    assert started.returncode == 0, started.stderr
    assert any("docker.io docker-cli" in call for call in machine.calls), machine.calls


@root
def test_packages_that_bring_no_client_are_said(machine: Machine):
    machine.lacks("docker")
    machine.has("apt-cache", "exit 100")
    machine.has("apt-get", "")
    failed = machine.run("start")
    assert failed.returncode == 1
    assert "docker.io brought no docker" in failed.stderr
    machine.has("apt-get", "case $* in *install*) exit 100 ;; esac")
    assert "could not install docker.io" in machine.run("start").stderr
    machine.lacks("apt-get")
    assert machine.run("start").returncode == 4


@root
def test_without_the_right_to_make_a_bridge_it_says_so(machine: Machine):
    machine.has(
        "ip", "case $* in *'link show'*) exit 1 ;; *'link add'*) echo RTNETLINK: not permitted >&2; exit 2 ;; esac"
    )
    refused = machine.run("start")
    assert refused.returncode == 4
    assert "CAP_NET_ADMIN" in refused.stderr
    assert "way out: " in refused.stderr
    assert machine.dockerds == []


@root
def test_a_bridge_that_was_left_half_made_is_completed(machine: Machine):
    machine.run_dir.mkdir(parents=True)
    machine.data_dir.mkdir(parents=True)
    (machine.data_dir / "number").write_text("7\n")
    machine.has("ip", "")
    assert machine.run("start").returncode == 0
    assert "ip addr replace 172.30.7.1/24 dev wm-007" in machine.calls
    assert "ip link set wm-007 up" in machine.calls
    assert not any("link add" in call for call in machine.calls)


@root
def test_every_engine_has_a_bridge_of_its_own(machine: Machine):
    first = int(subprocess.check_output([machine.bin / "cksum"], input=machine.name, text=True).split()[0]) % 250 + 1
    others = [Path("/var/lib/wingman-engine") / f"{machine.name}-{word}" for word in ("a", "b")]
    try:
        others[0].mkdir(parents=True)
        (others[0] / "number").write_text(f"{first}\n")
        shown = f"*'link show wm-{first % 250 + 1:03d}'*) exit 0 ;; *'link show'*) exit 1 ;;"
        taken = f"*'root 172.30.{(first + 1) % 250 + 1}.0/24'*) echo a route ;;"
        machine.has("ip", f"case $* in {shown} {taken} esac")
        assert machine.run("start").returncode == 0
        number = int((machine.data_dir / "number").read_text())
        assert number not in {first, first % 250 + 1, (first + 1) % 250 + 1}
        assert f"bridge wm-{number:03d}" in (machine.data_dir / "dockerd.log").read_text()
        assert machine.run("stop").returncode == 0
        deleted = [call for call in machine.calls if "link delete" in call]
        assert deleted == [f"ip link delete wm-{number:03d}"]
        assert machine.run("stop", others[1].name).returncode == 0
        assert [call for call in machine.calls if "link delete" in call] == deleted
    finally:
        for other in others:
            shutil.rmtree(other, ignore_errors=True)


@root
def test_purge_goes_on_where_the_engine_cannot_start_and_says_why(machine: Machine):
    assert machine.run("start").returncode == 0
    (machine.data_dir / "root").mkdir()
    assert machine.run("stop").returncode == 0
    (machine.here / "answers").unlink()
    machine.has("dockerd", "echo no graphdriver; exit 1")
    purged = machine.run("purge")
    assert purged.returncode == 0
    assert "no graphdriver" in purged.stderr
    assert not machine.data_dir.exists()
    assert not machine.run_dir.exists()


@root
def test_purge_of_what_never_was_starts_nothing(machine: Machine):
    assert machine.run("purge").returncode == 0
    assert not any(call.startswith("dockerd") for call in machine.calls)


def test_purge_for_somebody_without_the_right_is_no_success():
    done = subprocess.run(
        [SCRIPT, "purge", "never-started"], capture_output=True, text=True, check=False, timeout=60,
        **({"user": 65534} if os.geteuid() == 0 else {}),
    )  # fmt: skip
    assert done.returncode == 4
    assert "needs root" in done.stderr


@pytest.mark.parametrize("patience", ["", "0", "-1", "x", "10000"])
def test_a_patience_that_is_none_is_refused(patience: str):
    variables = {**os.environ, "WINGMAN_ENGINE_PATIENCE": patience}
    done = subprocess.run([SCRIPT, "status"], env=variables, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode == 2) is bool(patience)
