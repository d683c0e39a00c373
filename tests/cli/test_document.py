"""``wingman openapi``: the document, from the code alone."""

import json
from importlib.metadata import version
from pathlib import Path

from typer.testing import CliRunner

from tests.cli.running import wingman
from wingman_api.openapi import text
from wingman_api.surface import surface
from wingman_cli.main import app


def test_it_needs_no_settings_and_nothing_that_runs(tmp_path: Path):
    printed = wingman(tmp_path / "nothing", "openapi")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert printed.stdout == text(surface())
    assert json.loads(printed.stdout)["info"] == {
        "title": "Wingman",
        "version": version("wingman"),
        "description": json.loads(printed.stdout)["info"]["description"],
    }
    assert not (tmp_path / "nothing").exists()


def test_it_is_written_where_wanted(tmp_path: Path):
    place = tmp_path / "documents" / "openapi.json"
    result = CliRunner().invoke(app, ["openapi", "--output", str(place)])
    assert (result.exit_code, result.stdout) == (0, f"Written to {place}.\n")
    assert place.read_text() == text(surface())
    assert place.stat().st_mode & 0o777 == 0o644


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").touch()
    result = CliRunner().invoke(app, ["openapi", "--output", str(tmp_path / "file" / "openapi.json")])
    assert result.exit_code == 2
    assert "cannot be written: " in result.stderr
    assert "choose another place" in result.stderr


def test_it_is_sorted_and_one_line_a_value():
    document = text(surface())
    assert document == json.dumps(json.loads(document), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
