"""A program that the kernel ends with its parent."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.cli.running import until
from wingman_gateway.engine import tied

START = """
import os, subprocess, sys
words = [sys.executable, "-I", "-S", sys.argv[1], str(os.getpid()), "/bin/sh", "-c", "echo runs; exec sleep 1000"]
child = subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True)
assert child.stdout.readline() == b"runs\\n"
print(child.pid, flush=True)
child.wait()
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", tied.__file__, *words], capture_output=True, text=True, timeout=60, check=False
    )


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_it_ends_with_its_parent_however_that_ends():
    with subprocess.Popen([sys.executable, "-c", START, tied.__file__], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not gone(child)
        parent.send_signal(signal.SIGKILL)
    until(lambda: gone(child), seconds=30)


def test_the_program_gets_its_arguments_and_says_its_exit_code():
    ran = run(str(os.getpid()), "/bin/sh", "-c", 'echo "$#,$1"; exit 7', "sh", "a b")
    assert (ran.returncode, ran.stdout, ran.stderr) == (7, "1,a b\n", "")


def test_without_its_parent_nothing_is_started(tmp_path: Path):
    ran = run("1", "/bin/sh", "-c", f"echo > {tmp_path}/ran")
    assert (ran.returncode, list(tmp_path.iterdir())) == (tied.CANNOT_START, [])


def test_a_program_that_is_none_is_told(tmp_path: Path):
    ran = run(str(os.getpid()), str(tmp_path))
    assert (ran.returncode, ran.stderr) == (tied.CANNOT_START, "cannot be started: Permission denied\n")
