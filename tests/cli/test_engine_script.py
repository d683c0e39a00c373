"""tools/engine.sh: says what is wrong before it does anything, and tells whether an engine answers."""

import subprocess
from pathlib import Path

import pytest

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
