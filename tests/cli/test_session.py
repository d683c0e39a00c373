"""Which API and whose key a command line means, and how errors leave it."""

import json
import stat
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from wingman_cli.database import connection_of
from wingman_cli.exits import EXITS, Exit, exit_for
from wingman_cli.instance import Instance, Running
from wingman_cli.main import app
from wingman_cli.requests import commands_of, next_line
from wingman_cli.screen import Screen, emit, visible
from wingman_cli.session import Session
from wingman_core.approval import Status
from wingman_core.errors import CallerRefused, Code, SettingInvalid, Unavailable, WingmanError

API = "http://127.0.0.1:9"
KEY = "wm_abcdefghijklmnop_secret"


def key_of(session: Session) -> str:
    with session.client() as client:
        return client._http.headers.get("Authorization", "")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    instance = Instance(tmp_path)
    for name in ("operator", "worker"):
        path = instance.api_key_file(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"wm_{name}_local\n")
    return tmp_path


def test_the_local_key_goes_to_the_local_api_alone(data_dir: Path):
    instance = Instance(data_dir)
    with instance.held():
        instance.announce(Running(1, API, "127.0.0.1:8"))
        assert key_of(Session({}, data_dir=data_dir)) == "Bearer wm_operator_local"
        assert key_of(Session({}, data_dir=data_dir, api=API)) == "Bearer wm_operator_local"
        assert key_of(Session({}, data_dir=data_dir, api="http://elsewhere.test")) == ""
        elsewhere = Session({}, data_dir=data_dir, api="http://elsewhere.test", identity="worker")
        assert key_of(elsewhere).endswith("wm_worker_local")


@pytest.mark.parametrize("said", ["", json.dumps({"pid": 1, "api": API, "gateway": "127.0.0.1:8"})])
def test_who_listens_where_nothing_runs_gets_no_key(data_dir: Path, said: str):
    """A killed ``up`` leaves its announcement, and anybody may listen on its port by now."""
    Instance(data_dir).lock.parent.mkdir()
    Instance(data_dir).lock.write_text(said)
    with pytest.raises(Unavailable, match="is not running") as refused:
        key_of(Session({}, data_dir=data_dir))
    assert (exit_for(refused.value.code), "wingman up" in refused.value.hint) == (Exit.UNAVAILABLE, True)
    assert key_of(Session({}, data_dir=data_dir, api=API)) == ""
    with Instance(data_dir).held(), pytest.raises(Unavailable):
        key_of(Session({}, data_dir=data_dir))  # one that starts has said nothing yet


def test_a_given_key_beats_the_local_one(data_dir: Path, tmp_path: Path):
    file = tmp_path / "my.key"
    file.write_text(f"{KEY}\n")
    assert key_of(Session({"WINGMAN_API_KEY": KEY}, data_dir=data_dir, api=API)) == f"Bearer {KEY}"
    assert key_of(Session({}, data_dir=data_dir, key_file=file, api=API)) == f"Bearer {KEY}"


def test_without_any_key_nobody_in_particular_asks(tmp_path: Path):
    assert key_of(Session({}, data_dir=tmp_path, api=API)) == ""


@pytest.mark.parametrize("text", ["", "two words", "wm_\x1b[31m", "schl\xfcssel"])
def test_what_is_no_key_is_refused_before_it_is_sent(tmp_path: Path, text: str):
    file = tmp_path / "my.key"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises((CallerRefused, SettingInvalid)):
        key_of(Session({}, data_dir=tmp_path, key_file=file, api=API))


def test_a_missing_key_file_is_named_with_a_way_out(tmp_path: Path):
    with pytest.raises(SettingInvalid, match="no key can be read"):
        key_of(Session({}, data_dir=tmp_path, key_file=tmp_path / "none", api=API))


def test_whose_name_a_request_carries(tmp_path: Path):
    assert Session({}).person("worker") == "worker"
    assert Session({}, identity="operator").person("worker") == "operator"
    with pytest.raises(SettingInvalid, match="person's name"):
        Session({"WINGMAN_API_KEY": KEY}).person("worker")
    with pytest.raises(SettingInvalid, match="person's name"):
        Session({}, key_file=tmp_path / "k").person("worker")


def test_a_running_instance_says_where_its_api_is(data_dir: Path):
    instance = Instance(data_dir)
    with instance.held():
        instance.announce(Running(1, "http://127.0.0.1:9", "127.0.0.1:8"))
        with pytest.raises(SettingInvalid, match="another wingman up runs"), instance.held():
            pass
        with Session({}, data_dir=data_dir).client() as client:
            assert str(client._http.base_url).rstrip("/") == "http://127.0.0.1:9"
    assert instance.running() is None


def test_every_code_has_its_exit_code():
    assert set(EXITS) == set(Code)
    assert exit_for("SOMETHING_NEW") is Exit.FAILED


def test_only_what_may_run_is_said_to_run_next():
    runs = {status for status in Status if "wingman run apr_1" in next_line(status, "apr_1")}
    assert runs == {Status.APPROVED, Status.AUTO_APPROVED}
    assert {status for status in Status if "No approval needed" in next_line(status, "apr_1")} == {Status.AUTO_APPROVED}


def test_words_become_commands():
    assert commands_of(["docker", "exec", "web", "echo", "a b"]) == ["docker exec web echo 'a b'"]
    assert commands_of(["docker ps", "docker images"]) == ["docker ps", "docker images"]
    with pytest.raises(WingmanError, match="behind the command"):
        commands_of(["docker ps", "--json"])


@pytest.mark.parametrize(
    "address",
    [
        "",
        "mysql://a@b/c",
        "postgresql://role@/database",
        "postgresql://host/database",
        "postgresql://role:secret@host/database",
        "postgresql://role@host:1/",
        "postgresql://[",
    ],
)
def test_a_database_address_that_cannot_be_used_is_refused_without_its_password(address: str):
    with pytest.raises(SettingInvalid) as refused:
        connection_of(address, "")
    assert "secret" not in str(refused.value)


def test_a_database_address_names_role_host_and_database():
    there = connection_of("postgresql://wingman_owner@db.test:5433/wingman", "s")
    assert (there.host, there.role, there.database, there.password) == ("db.test:5433", "wingman_owner", "wingman", "s")
    local = connection_of("postgresql://r@/d?host=/run/pg", "")
    assert local.url == "postgresql://r@/d?host=/run/pg"


def test_what_workers_wrote_cannot_drive_a_terminal():
    assert visible("a\x1b[2J\u202eb\tc\nd") == "a\\x1b[2J\\u202eb\tc\nd"


def test_output_to_a_file_is_passed_on_as_it_is(capsys: pytest.CaptureFixture[str]):
    emit("stdout", "\x1b[31mred\r\n")
    emit("stderr", "oops\n")
    assert capsys.readouterr() == ("\x1b[31mred\r\n", "oops\n")


def test_programs_get_json_and_people_words(capsys: pytest.CaptureFixture[str]):
    class Answer(BaseModel):
        value: int

    error = WingmanError(Code.APPROVAL_SPENT, "spent", hint="ask again", id="apr_1")
    Screen(as_json=True).show(Answer(value=1), "for people")
    Screen(as_json=True).say("nothing")
    Screen(as_json=True).error(error)
    out, err = capsys.readouterr()
    assert json.loads(out) == {"value": 1}
    assert json.loads(err)["code"] == "APPROVAL_SPENT"
    Screen().show(Answer(value=1), "for people")
    Screen().error(error)
    out, err = capsys.readouterr()
    assert out == "for people\n"
    assert err.splitlines() == ["APPROVAL_SPENT: spent", "  id: apr_1", "  way out: ask again"]


def run(*arguments: str, data_dir: Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["--data-dir", str(data_dir), *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_the_help_tells_the_exit_codes(tmp_path: Path):
    code, out, _ = run("--help", data_dir=tmp_path)
    assert code == 0
    assert "Exit codes" in out


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (("pending",), 4, "does not answer"),
        (("show", "exe_x"), 4, "does not answer"),
        (("request", "docker", "ps"), 4, "does not answer"),
        (("request", "docker ps", "--json"), 2, "put wingman's options first"),
        (("policy", "explain", "docker ps", "docker images"), 2, "one command at a time"),
        (("audit", "tail"), 2, "there is no database"),
        (("audit", "export"), 2, "there is no database"),
        (("audit", "export", "--since", "yesterday"), 2, "is no moment"),
        (("audit", "verify"), 2, "public key"),
        (("keys", "list"), 2, "there is no database"),
        (("keys", "create", "eve", "--role", "king"), 2, "is no role"),
        (("migrate",), 2, "there is no database"),
        (("backup", "create"), 2, "there is no database"),
        (("rotate", "token-key"), 2, "there are no secrets"),
        (("rotate", "certificates"), 2, "there are no secrets"),
        (("pki", "issue", "tool/x"), 2, "there is no CA"),
        (("pki", "show"), 0, "no certificates"),
    ],
)
def test_what_cannot_be_done_is_said_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], exit_code: int, words: str
):
    monkeypatch.setenv("WINGMAN_API_URL", "http://127.0.0.1:1")
    code, out, err = run(*arguments, data_dir=tmp_path)
    assert code == exit_code, err
    assert words in (err or out).replace("\n", " ")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [], "nothing was made"


def test_certificates_are_issued_and_listed(tmp_path: Path):
    from datetime import UTC, datetime

    Instance(tmp_path).prepare(now=datetime.now(UTC))
    code, out, err = run("pki", "issue", "tool/deploy", "--json", data_dir=tmp_path)
    assert code == 0, err
    issued = json.loads(out)
    assert stat.S_IMODE(Path(issued["key"]).stat().st_mode) == 0o600
    assert run("pki", "issue", "tool/deploy", data_dir=tmp_path)[0] == 2
    code, out, _ = run("pki", "issue", "tool/deploy", "--replace", data_dir=tmp_path)
    assert code == 0
    assert "thumbprint" in out
    code, out, _ = run("pki", "show", "--json", data_dir=tmp_path)
    assert [entry["role"] for entry in json.loads(out)][-1] == "spiffe://wingman/test/tool/deploy"
    assert run("pki", "show", data_dir=tmp_path)[0] == 0
    (tmp_path / "pki" / "bad.crt").write_text("no")
    assert run("pki", "show", data_dir=tmp_path)[0] == 2


def test_a_first_start_that_was_cut_off_goes_on_and_changes_nothing(tmp_path: Path):
    from datetime import UTC, datetime

    instance = Instance(tmp_path)
    assert instance.prepare(now=datetime.now(UTC))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    (tmp_path / "pki" / "api.key").unlink()
    assert not instance.prepare(now=datetime.now(UTC))
    changed = {path.name for path, data in before.items() if path.read_bytes() != data}
    assert changed == {"api.key", "api.crt"}
    assert (tmp_path / "policies" / "test.cedar").exists()
    assert len(instance.token_kid()) == 16
