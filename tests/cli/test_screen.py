"""Output for people and for programs; nothing that a worker wrote drives a terminal."""

import json
import os
import pty
import sys

import pytest

from wingman_cli.screen import Screen, emit, visible
from wingman_core.errors import Code, WingmanError

ERROR = WingmanError(Code.TARGET_CHANGED, "it moved\x1b[2J", hint="ask [again]", reference="web")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\rb", "a\\rb"),
        ("abc\u202edef", "abc\\u202edef"),
        ("né 漢", "né 漢"),
        ("\x9b1m", "\\x9b1m"),
    ],
)
def test_controls_are_written_out(text: str, shown: str):
    assert visible(text) == shown


def test_an_error_says_what_happened_and_the_way_out(capsys: pytest.CaptureFixture[str]):
    Screen().error(ERROR)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "TARGET_CHANGED: it moved\\x1b[2J\n  reference: web\n  way out: ask [again]\n"


def test_an_error_for_programs_is_one_json_document(capsys: pytest.CaptureFixture[str]):
    Screen(as_json=True).error(ERROR)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert json.loads(printed.err) == {
        "code": "TARGET_CHANGED",
        "detail": "it moved\x1b[2J",
        "hint": "ask [again]",
        "details": {"reference": "web"},
    }


def test_an_error_without_a_hint_has_no_way_out(capsys: pytest.CaptureFixture[str]):
    Screen().error(WingmanError(Code.INTERNAL, "no idea"))
    assert capsys.readouterr().err == "INTERNAL: no idea\n"


def test_programs_get_no_remarks(capsys: pytest.CaptureFixture[str]):
    Screen(as_json=True).say("Next: ...")
    Screen().say("Next: [x]")
    assert capsys.readouterr().out == "Next: [x]\n"


def test_output_goes_on_as_it_is_to_a_pipe(capsys: pytest.CaptureFixture[str]):
    emit("stdout", "\x1b[1mbold\r\n")
    emit("stderr", "err")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("\x1b[1mbold\r\n", "err")


def test_output_is_made_harmless_to_a_terminal(monkeypatch: pytest.MonkeyPatch):
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        emit("stdout", "\x1b[2Jgone\r\nnext")
        monkeypatch.undo()
        assert os.read(leader, 100) == b"\\x1b[2Jgone\r\nnext"
    os.close(leader)
