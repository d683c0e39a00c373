"""Directories for what Compose is given: private, and gone with their use, at the latest when a gateway starts."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from wingman_gateway.engine.private_place import PREFIX, private_place, sweep

NEEDS_ONE = """
import sys
from wingman_gateway.engine.private_place import private_place
with private_place() as place:
    print(place, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the places are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_by(process: int, here: Path) -> Path:
    """What a process of that number left behind."""
    place = here / f"{PREFIX}{process}-abc"
    (place / "more").mkdir(parents=True)
    (place / "more" / "db.env").write_text("PASSWORD=x")
    return place


def test_what_was_left_behind_is_removed_whoever_has_the_number_now_and_no_more(here: Path):
    with subprocess.Popen(["/bin/true"]) as gone:
        gone.wait()
    for process in (gone.pid, os.getpid(), os.getppid()):
        left_by(process, here)
    others = [here / name for name in (f"{PREFIX}x-abc", f"other-{gone.pid}-abc")]
    for other in others:
        other.mkdir()
    (link := here / f"{PREFIX}{gone.pid}-link").symlink_to(others[1])
    with private_place() as place:
        assert place.stat().st_mode & 0o077 == 0
        sweep()
        assert place.is_dir()
    assert sorted(here.iterdir()) == sorted([*others, link])


def test_what_a_process_needs_stays_until_it_is_killed_whatever_number_it_has_here(here: Path):
    needs_one = [sys.executable, "-c", NEEDS_ONE]
    with subprocess.Popen(
        needs_one, env={**os.environ, "TMPDIR": str(here)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        place = Path(other.stdout.readline().strip())
        with subprocess.Popen(["/bin/true"]) as gone:
            gone.wait()
        foreign = place.rename(here / f"{PREFIX}{gone.pid}-abc")  # its number is another container's
        sweep()
        assert foreign.is_dir()
        other.kill()
    sweep()
    assert list(here.iterdir()) == []


def test_a_sweep_that_sees_a_place_before_it_is_locked_costs_it_nothing(here: Path, monkeypatch: pytest.MonkeyPatch):
    make, made = tempfile.mkdtemp, []

    def swept_at_once(*words: str | None) -> str:
        made.append(make(*words))
        if len(made) == 1:
            sweep()
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", swept_at_once)
    with private_place() as place:
        assert [str(place)] == made[1:]
        assert list(here.iterdir()) == [place]
    assert list(here.iterdir()) == []
