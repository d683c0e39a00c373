"""Directories for what Compose is given: private, and gone with their use, at the latest when a gateway starts."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from wingman_gateway.engine.private_place import PREFIX, private_place, sweep


def test_what_a_process_that_is_gone_left_behind_is_removed_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen(["/bin/true"]) as gone:
        gone.wait()
    left = tmp_path / f"{PREFIX}{gone.pid}-abc"
    (left / "more").mkdir(parents=True)
    (left / "more" / "db.env").write_text("PASSWORD=x")
    others = [tmp_path / name for name in (f"{PREFIX}{os.getppid()}-abc", f"{PREFIX}x-abc", f"other-{gone.pid}-abc")]
    for other in others:
        other.mkdir()
    (link := tmp_path / f"{PREFIX}{gone.pid}-link").symlink_to(others[2])
    with private_place() as place:
        assert place.stat().st_mode & 0o077 == 0
        sweep()
        assert place.is_dir()
    assert sorted(tmp_path.iterdir()) == sorted([*others, link])
