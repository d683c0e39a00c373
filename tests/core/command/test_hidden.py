"""What is hidden of a command wherever it shows, and what must not be."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wingman_core.command import operation_digest, parse, render
from wingman_core.command.hidden import hide, parseable

MARK = r"\[REDACTED sha256:[0-9a-f]{8}\]"


@pytest.mark.parametrize(
    ("command", "hidden"),
    [
        ("docker run --env DB_PASSWORD=hunter2 busybox", "--env DB_PASSWORD=MARK busybox"),
        ("docker run --label api_token=abc.def busybox", "--label api_token=MARK busybox"),
        ("docker exec web mysqladmin --password=hunter2 ping", "--password=MARK ping"),
        ("docker exec web mysqladmin --password hunter2 ping", "--password MARK ping"),
        ("docker exec web fetch https://ann:hunter2@example.com/x", "https://ann:MARK@example.com/x"),
        ("docker exec web tool ghp_abcdefghijklmnopqrstuvwxyz0123456789", "tool MARK"),
        ("docker exec web redis-server --requirepass hunter2 --port 1", "--requirepass MARK --port 1"),
        ("docker exec web tool -token hunter2", "-token MARK"),
        ("docker run --env PASS=hunter2 busybox", "--env PASS=MARK busybox"),
        ("docker run --health-cmd 'ping --password hunter2' busybox", "--health-cmd 'ping --password MARK' busybox"),
        ("docker volume create --opt o=password=hunter2 --opt type=cifs data", "--opt o=password=MARK --opt"),
    ],
)
def test_a_recognised_value_is_hidden_and_marked(command: str, hidden: str) -> None:
    shown = hide(render(parse(command)))
    assert "hunter2" not in shown
    assert re.search(re.escape(hidden).replace("MARK", MARK), shown), shown
    assert parse(parseable(shown)).verb == parse(command).verb
    assert operation_digest(parse(parseable(shown))) != operation_digest(parse(command))


@pytest.mark.parametrize(
    "command",
    [
        "docker ps --all",
        "docker exec web cat /run/secrets/token",
        "docker run --env PASSWORD_FILE=/x --env A=b busybox",
        "docker exec web tool '--password=$(id)'",
        "docker run --env 'DB_PASSWORD=a b;id' busybox",
        "docker exec web tool '--token=|sh'",
        "docker exec web redis-cli --no-auth-warning FLUSHALL",
        "docker exec web redis-cli --no-password db1",
        "docker exec web mysqladmin --password drop prod",
        "docker exec web app -passwords rm1",
        "docker exec web app -token-cache delete2",
        "docker exec web app --tokenizer x1",
        "docker exec web app --auth-type x1",
    ],
)
def test_what_is_no_secret_or_could_run_stays(command: str) -> None:
    assert hide(render(parse(command))) == render(parse(command))


@pytest.mark.parametrize(
    "command",
    [
        "docker run --label=--password hunter2",
        "docker run --label password: hunter2",
        "docker run --label 'cookie:' hunter2",
        "docker run --env A=--token --name hunter2 busybox",
        "docker run --entrypoint --password hunter2",
        "docker volume create --label a=--token hunter2",
        "docker network create --label=cookie: --internal hunter2",
        "docker run ghp_abcdefghijklmnopqrstuvwxyz0123hunter2",
        "docker rm wm_k1_hunter2",
    ],
)
def test_what_a_command_acts_on_is_never_hidden(command: str) -> None:
    assert hide(render(parse(command))) == render(parse(command))
    assert "hunter2" in hide(render(parse(command)))


@pytest.mark.parametrize(
    ("part", "hidden"),
    [("--password hunter2", "--password MARK"), ("it's TOKEN=hunter2", "it's TOKEN=MARK"), ("sh", "sh")],
)
def test_a_part_of_a_command_is_hidden_too(part: str, hidden: str) -> None:
    assert re.fullmatch(re.escape(hidden).replace("MARK", MARK), hide(part))
    assert hide(hide(part)) == hide(part)


def test_two_values_are_told_apart() -> None:
    first, second = (hide(f"docker run --env TOKEN={value} busybox") for value in ("aaa", "bbb"))
    assert first != second


@given(st.from_regex(r"[A-Za-z0-9._+/:@-]{1,20}", fullmatch=True))
def test_what_is_hidden_parses_with_a_stand_in(value: str) -> None:
    command = render(parse(f"docker run --env MY_SECRET={value} busybox"))
    assert render(parse(parseable(hide(command)))).startswith("docker run --env MY_SECRET=")
