"""``wingman check``: files and standard input, for people and programs, with neither API nor key."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import WINGMAN, environment, wingman
from wingman_cli.check import MOST
from wingman_core.instruction.headings import Section

TEN = "\n".join(f"{section}: x" for section in Section)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty data directory's parent."""
    return tmp_path


def written(place: Path, text: str | bytes) -> str:
    file = place / "instruction.md"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(file)


def test_a_good_instruction_is_approved(place: Path):
    done = wingman(place, "check", written(place, TEN))
    assert (done.returncode, done.stderr) == (0, "")
    assert "approved  score 100 of 100" in done.stdout
    for name in (*Section, "no_force_flags", "has_mitigation_plan"):
        assert name in done.stdout


def test_what_is_wrong_is_shown_with_its_line_and_never_the_text(place: Path):
    text = f"{TEN.replace('MITIGATION: x', 'MITIGATION:')}\ndocker rm -f web\npassword=hunter22\n\x1b[31m"
    done = wingman(place, "check", written(place, text))
    assert done.returncode == 1
    for words in (
        "not approved  score 90 of 100",
        "no text under the heading on line 5",
        "short-force-flag",
        "secret-assignment",
    ):
        assert words in done.stdout
    assert "hunter22" not in done.stdout
    assert "\x1b" not in done.stdout


def test_programs_get_json(place: Path):
    done = wingman(place, "check", "--json", written(place, "DELIVERABLES: x"))
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["approved"], answer["score"]) == (1, False, 10)
    assert answer["sections"]["DELIVERABLES"] == {"present": True, "line": 1, "text": "x", "problem": None}


def test_standard_input(place: Path):
    done = subprocess.run(
        [WINGMAN, "check", "-"],
        input=TEN,
        env=environment(place),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, "approved" in done.stdout) == (0, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is no text"),
        (" \n\t", "there is no text"),
        (b"\xff\xfe", "not UTF-8: byte 0"),
        ("x" * (MOST + 1), "larger than 256 KiB"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_wrong_input(place: Path, text: str | bytes | None, words: str):
    file = str(place / "missing") if text is None else written(place, text)
    done = wingman(place, "check", file)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_a_directory_is_no_file(place: Path):
    done = wingman(place, "check", "--json", str(place))
    assert done.returncode == 2
    assert json.loads(done.stderr)["code"] == "REQUEST_INVALID"
