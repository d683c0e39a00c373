"""The few lines that ``up`` prints, and the question it asks on a terminal alone."""

import signal
import sys
from pathlib import Path

import pytest

from wingman_cli import up
from wingman_cli.engine import Found
from wingman_cli.instance import DEFAULT_DIRECTORY

API = "http://127.0.0.1:8100"


def test_it_says_where_everything_is():
    lines = up.welcome(
        API, "127.0.0.1:2", DEFAULT_DIRECTORY, Found("unix:///e.sock", version="28.1"), first_start=False
    )
    assert lines[0] == "Wingman is up."
    assert lines[1].split()[:2] == ["API", API]
    assert lines[2].split(maxsplit=1)[1] == "Docker 28.1 at unix:///e.sock"
    assert lines[3].split()[:2] == ["gateway", "127.0.0.1:2"]
    assert lines[4].split() == ["data", "data/local"]
    assert len(lines) == 7


def test_a_first_start_an_engine_of_its_own_and_another_directory_are_said():
    found = Found("unix:///e.sock", version="28.1", private=True, started=True)
    lines = up.welcome(API, "127.0.0.1:2", Path("/srv/wm"), found, first_start=True)
    assert lines[2].endswith("(private, started here, stops with this)")
    assert "made just now" in lines[4]
    assert lines[5].endswith("export WINGMAN_DATA_DIR=/srv/wm")


def test_no_engine_is_said_with_its_reason():
    lines = up.welcome(
        API, "127.0.0.1:2", DEFAULT_DIRECTORY, Found("unix:///e.sock", reason="nobody there"), first_start=False
    )
    assert lines[2].split(maxsplit=1)[1].startswith("none (nobody there); requests cannot be previewed")


def test_without_a_terminal_nothing_is_asked(monkeypatch: pytest.MonkeyPatch):
    with Path("/dev/null").open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert up.confirm("Start one?") is False


@pytest.mark.parametrize(
    ("path", "argument", "shown"),
    [
        ("{bin}", "/x/wingman", "wingman"),
        ("", "{here}/.venv/bin/wingman", ".venv/bin/wingman"),
        ("", "/elsewhere/bin/wingman", "/elsewhere/bin/wingman"),
        ("", "/usr/bin/pytest", "wingman"),
    ],
)
def test_the_commands_to_try_work_in_this_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, argument: str, shown: str
):
    (tmp_path / "wingman").write_text("#!/bin/sh\n")
    (tmp_path / "wingman").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", path.format(bin=tmp_path))
    monkeypatch.setattr(sys, "argv", [argument.format(here=tmp_path)])
    assert up.program() == shown


def test_a_hang_up_is_heard_unless_the_shell_said_not_to():
    before = signal.getsignal(signal.SIGHUP)
    try:
        assert up.stop_signals() == (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
        assert up.stop_signals() == (signal.SIGINT, signal.SIGTERM)
    finally:
        signal.signal(signal.SIGHUP, before)
