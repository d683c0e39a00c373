"""The commands against a running instance and a real engine: what people see, what programs get, exit codes."""

import asyncio
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.cli.running import Run, Up, document, wingman
from wingman_cli.embedded_db import SUPERUSER, EmbeddedPostgres
from wingman_cli.engine import DockerEngine
from wingman_cli.instance import Instance
from wingman_cli.main import app
from wingman_cli.session import Session
from wingman_core.translog import leaf_hash

pytestmark = pytest.mark.timeout(300)
WEB = "cli-web"


@pytest.fixture(scope="module")
def web(engine_url: str, busybox: str) -> Iterator[str]:
    """A container to act on."""
    with DockerEngine(engine_url) as docker:
        body = {"Image": busybox, "Cmd": ["sleep", "3600"], "HostConfig": {"NetworkMode": "none"}}
        made = docker.call("POST", f"/containers/create?name={WEB}", json=body).json()["Id"]
        docker.call("POST", f"/containers/{made}/start")
        yield WEB
        docker.call("DELETE", f"/containers/{made}?force=true")


def test_a_request_goes_all_the_way(run: Run, web: str):
    asked = run(f"request --task 'Restart it' -i 'it leaks' docker restart --time 1 {web}")
    assert "PENDING  0 of 1 people" in asked.stdout
    assert "Restart it" in asked.stdout
    assert "0 to 1 s to end: cli-web has 1 s, then killed" in asked.stdout
    assert f"docker restart --time 1 {web}" in asked.stdout
    request_id = asked.stdout.split()[-1]
    assert asked.stdout.splitlines()[-1] == f"Next: wingman approve {request_id}"

    assert "nothing new was made" in run(f"request -t 'Restart it' -i 'it leaks' docker restart --time 1 {web}").stdout
    listed = run("pending").stdout
    assert request_id in listed
    assert web in listed
    assert [one["id"] for one in document(run("pending --json"))["pending"]] == [request_id]

    early = run(f"run {request_id}", 3)
    assert early.stderr.startswith("APPROVAL_PENDING: ")
    own = run(f"--as worker approve {request_id} --json", 3)
    assert json.loads(own.stderr)["code"] == "ROLE_MISSING"

    approved = run(f"approve {request_id} --note 'seen it'")
    assert approved.stdout == f"APPROVED\nNext: wingman run {request_id}\n"
    assert run(f"reject {request_id}", 3).stderr.startswith("APPROVAL_DECIDED: ")

    ran = run(f"run {request_id}")
    assert ran.stdout == f"{web}\n"
    assert ran.stderr.startswith("SUCCEEDED, exit code 0  (wingman show exe_")
    execution_id = ran.stderr.split()[-1].rstrip(")")
    again = run(f"run {request_id}", 3)
    assert again.stderr.startswith("APPROVAL_SPENT: ")
    assert execution_id in again.stderr

    receipt = run(f"show {execution_id}").stdout
    for words in ("SUCCEEDED  exit code 0", "INTENT", "RESULT", "spiffe://wingman/test/api", "checkpoint"):
        assert words in receipt
    assert document(run(f"show {execution_id} --json"))["execution_id"] == execution_id
    shown = run(f"show {request_id}.0").stdout
    assert "operator approved at" in shown
    assert "seen it" in shown
    assert document(run(f"show --json {request_id}"))["history"][0]["event"] == "requested"


def test_what_needs_nobody_runs_at_once_and_programs_get_one_document(run: Run, web: str):
    asked = document(run("request --json docker ps --format json"))
    assert (asked["status"], asked["needs_approval"]) == ("AUTO_APPROVED", False)
    ran = document(run(f"run --json {asked['request']['id']}"))
    assert ran["execution"]["state"] == "SUCCEEDED"
    assert web in ran["stdout"]
    assert ran["stderr"] == ""
    assert "No approval needed. Next: wingman run apr_" in run("request docker ps -a").stdout


def test_a_command_that_fails_ends_with_1(run: Run, web: str):
    request_id = document(run(f"request --json docker exec {web} ls /nowhere"))["request"]["id"]
    run(f"approve {request_id}")
    failed = run(f"run {request_id}", 1)
    assert "No such file or directory" in failed.stderr
    assert "FAILED, exit code 1" in failed.stderr


def test_what_nobody_gave_a_command_for_is_a_sign_off(run: Run, up: Up):
    with Session({}, data_dir=up.data_dir).client("worker") as client:
        answer = client.request({"worker_id": "worker", "task_name": "t", "instruction": "look at it", "commands": []})
    assert "nothing will run" in run(f"show {answer.request.id}").stdout
    assert run(f"approve {answer.request.id}").stdout == "APPROVED\n"
    assert run(f"run {answer.request.id}", 3).stderr.startswith("APPROVAL_SIGN_OFF: ")


def test_several_commands_are_one_request_and_run_one_by_one(run: Run):
    asked = document(run("request --json 'docker ps' 'docker images'"))
    assert [command["command"] for command in asked["request"]["commands"]] == ["docker ps", "docker images"]
    unclear = run(f"run {asked['request']['id']}", 2)
    assert "name one" in unclear.stderr
    assert run(f"run {asked['request']['id']}.1").stdout.startswith("REPOSITORY")


def test_rejected_and_withdrawn_requests_run_nothing(run: Run, web: str):
    for verb, status in (("reject", "REJECTED"), ("cancel", "CANCELLED")):
        request_id = document(run(f"request --json -t {verb} docker stop {web}"))["request"]["id"]
        assert run(f"{verb} {request_id} -n no").stdout == f"{status}\n"
        assert run(f"run {request_id}", 3).stderr.startswith("APPROVAL_DECIDED: ")
        assert "APPROVAL_DECIDED" in run(f"approve {request_id} --json", 3).stderr


def test_nobody_decides_on_a_request_of_their_own(run: Run, web: str):
    request_id = document(run(f"--as operator request --json docker pause {web}"))["request"]["id"]
    assert run(f"approve {request_id}", 3).stderr.startswith("APPROVAL_SELF: ")
    assert run(f"--as operator cancel {request_id}").stdout == "CANCELLED\n"


def test_an_instruction_can_come_from_standard_input(up: Up, run: Run):
    line = ["--data-dir", str(up.data_dir), "request", "--json", "-i", "-", "docker ps"]
    result = CliRunner().invoke(app, line, input="because\nof that")
    assert document(result)["request"]["instruction"] == "because\nof that"


@pytest.mark.parametrize(
    ("line", "exit_code", "code"),
    [
        ("request docker run --privileged x", 5, "TARGET_NOT_FOUND"),
        (f"request docker exec {WEB} sh -c ls", 3, "POLICY_FORBIDS"),
        ("request 'docker ps; id'", 2, "COMMAND_CHARACTER"),
        ("request 'docker ps' --json", 2, "REQUEST_INVALID"),
        ("request -w somebody docker ps", 3, "PERSON_MISMATCH"),
        ("show apr_aaaaaaaaaaaaaaaaaaaaaaaaaa", 5, "APPROVAL_UNKNOWN"),
        ("show exe_aaaaaaaaaaaaaaaaaaaaaaaaaa", 5, "EXECUTION_UNKNOWN"),
        ("show nonsense", 2, "REQUEST_INVALID"),
        ("run apr_aaaaaaaaaaaaaaaaaaaaaaaaaa", 5, "APPROVAL_UNKNOWN"),
        ("--api http://127.0.0.1:1 pending", 4, "GATEWAY_UNAVAILABLE"),
        ("policy explain 'docker ps' 'docker images'", 2, "REQUEST_INVALID"),
        ("keys create ann --role king", 2, "SETTING_INVALID"),
        ("keys create 'no name' --role worker", 2, "REQUEST_INVALID"),
        ("keys create ann --role worker --expires tomorrow", 2, "SETTING_INVALID"),
        ("keys create ann --role worker --expires 0d", 2, "SETTING_INVALID"),
        ("keys revoke nothing", 5, "NOT_FOUND"),
        ("keys rotate nothing", 5, "NOT_FOUND"),
        ("keys rotate nothing --overlap -1h", 2, "SETTING_INVALID"),
        ("keys speaks-for nothing --add ann", 5, "NOT_FOUND"),
        ("audit verify --verifier-key /nonexistent", 2, "SETTING_INVALID"),
        ("pki issue king", 2, "SETTING_INVALID"),
    ],
)
def test_bad_input_gets_its_code_and_a_way_out(run: Run, web: str, line: str, exit_code: int, code: str):
    refused = run(line, exit_code)
    assert refused.stderr.startswith(f"{code}: "), refused.stderr
    assert "way out: " in refused.stderr


def test_policy_explain_says_who_must_agree_and_why(run: Run, web: str):
    assert "automatic" in run("policy explain docker ps").stdout
    assert "1 person" in run(f"policy explain docker stop {web}").stdout
    forbidden = run(f"policy explain --json docker exec {web} sh -c ls", 3)
    assert document(forbidden)["verdict"]["outcome"] == "forbidden"
    assert document(forbidden)["verdict"]["policies"] == ["no-shell"]
    assert "no-shell" in run(f"policy explain -w somebody docker exec {web} sh -c ls", 3).stdout


def test_the_log_is_shown_in_full_however_narrow_the_terminal_is(run: Run, monkeypatch: pytest.MonkeyPatch):
    run(f"run {document(run('request --json docker ps'))['request']['id']}")
    tail = run("audit tail -n 2").stdout
    assert "INTENT" in tail
    assert "SUCCEEDED 0" in tail
    monkeypatch.setenv("COLUMNS", "50")
    assert "\N{HORIZONTAL ELLIPSIS}" not in run("audit tail -n 2").stdout


def test_the_log_is_verified(run: Run, up: Up, tmp_path: Path):
    run(f"run {document(run('request --json docker ps'))['request']['id']}")
    records = document(run("audit tail --json"))
    first = records[0]["position"]
    assert [record["position"] for record in records] == list(range(first, first + len(records)))
    old = tmp_path / "old.checkpoint"
    whole = run(f"audit verify --save {old}").stdout
    assert whole.startswith(f"The log is whole: {records[-1]['position'] + 1} records (")
    run(f"run {document(run('request --json docker images'))['request']['id']}")
    verified = document(run(f"audit verify --json --against {old}"))
    assert verified["verified"] is True
    assert verified["size"] == records[-1]["position"] + 3
    assert verified["checkpoint"].startswith(f"{Instance(up.data_dir).origin()}\n{verified['size']}\n")
    old.write_text(old.read_text().replace(str(records[-1]["position"] + 1), "1"))
    assert run(f"audit verify --against {old}", 1).stderr.startswith("CHECKPOINT_INVALID: ")


def test_the_log_is_exported_as_lines_that_can_be_hashed_again(run: Run, web: str):
    for verb in ("ps", "images"):
        run(f"run {document(run(f'request --json docker {verb}'))['request']['id']}")
    lines = run("audit export").stdout.splitlines()
    for position, line in enumerate(lines):
        exported = json.loads(line)
        assert exported["position"] == position
        record = line.split('"record":', 1)[1][:-1]
        assert leaf_hash(record.encode()).hex() == exported["leaf_hash"]
        assert json.loads(record) == exported["record"]
    moments = [json.loads(line)["record"]["created_at"] for line in lines]
    since, until = moments[-3], moments[-1]
    part = run(f"audit export --since {since} --until {until.removesuffix('Z')}").stdout.splitlines()
    assert part == [line for line, moment in zip(lines, moments, strict=True) if since <= moment < until]
    assert part
    assert not run("audit export --until 2026-01-01").stdout


async def tamper(up: Up, statement: str) -> None:
    """Change the log as the database's superuser, triggers disabled."""
    instance = Instance(up.data_dir)
    with EmbeddedPostgres(instance.postgres, passwords=instance.passwords()) as server:
        connection = await server.connection(SUPERUSER).connect()
        async with connection.transaction():
            await connection.execute("ALTER TABLE execution_audit DISABLE TRIGGER execution_audit_append_only")
            assert await connection.execute(statement) == "UPDATE 1"
            await connection.execute("ALTER TABLE execution_audit ENABLE ALWAYS TRIGGER execution_audit_append_only")
        await connection.close()


def test_a_receipt_is_taken_and_verified_without_the_api(run: Run, web: str, tmp_path: Path):
    asked = document(run(f"request --json -t Receipt docker restart --time 1 {web}"))["request"]["id"]
    run(f"approve {asked}")
    ran = run(f"run {asked}")
    execution_id = next(word.rstrip(")") for word in (ran.stdout + ran.stderr).split() if word.startswith("exe_"))
    file = tmp_path / "receipt.json"
    assert f"wingman audit check {file}" in run(f"audit receipt {execution_id} -o {file}").stdout
    told = run(f"audit check {file}").stdout
    assert told.startswith("The receipt holds.\n")
    assert f"docker restart --time 1 {web}" in told
    assert "operator approved at" in told
    assert "SUCCEEDED 0" in told
    proven = document(run(f"audit check --json {file}"))
    assert proven["outcome"]["position"] == proven["intent"]["position"] + 1
    assert run(f"audit receipt {execution_id}").stdout == file.read_text()
    file.write_text(file.read_text().replace('"person": "operator"', '"person": "somebody"'))
    assert run(f"audit check {file}", 1).stderr.startswith("RECEIPT_INVALID: the receipt does not hold: the decision")
    assert run(f"audit check {tmp_path}/none.json", 2).stderr.startswith("SETTING_INVALID: the receipt cannot be read")
    assert run(f"audit receipt exe_{'a' * 26}", 5).stderr.startswith("EXECUTION_UNKNOWN")
    assert run(f"audit receipt {execution_id} -o /dev/null/r.json", 2).stderr.startswith("SETTING_INVALID")


def test_a_receipt_says_that_the_policy_asked_nobody(run: Run, tmp_path: Path):
    ran = run(f"run {document(run('request --json docker ps'))['request']['id']}")
    execution_id = next(word.rstrip(")") for word in (ran.stdout + ran.stderr).split() if word.startswith("exe_"))
    run(f"audit receipt {execution_id} -o {tmp_path}/receipt.json")
    assert "decided     automatic: the policy asks nobody\n" in run(f"audit check {tmp_path}/receipt.json").stdout


def test_a_log_that_was_changed_ends_with_1_and_the_position(run: Run, up: Up, web: str):
    run(f"run {document(run('request --json docker ps'))['request']['id']}")
    asyncio.run(tamper(up, "UPDATE execution_audit SET worker = 'mallory' WHERE position = 1"))
    differs = json.loads(run("audit verify --json", 1).stderr)
    assert differs["code"] == "LOG_CORRUPT"
    assert differs["details"]["position"] == "1"
    asyncio.run(tamper(up, "UPDATE execution_audit SET worker = 'worker' WHERE position = 1"))
    assert document(run("audit verify --json"))["verified"] is True


def test_certificates_are_issued_and_listed(run: Run, up: Up):
    issued = document(run("pki issue tool/ci --json --days 7"))
    assert Path(issued["key"]).stat().st_mode & 0o777 == 0o600
    assert run("pki issue tool/ci", 2).stderr.startswith("SETTING_INVALID: ")
    assert "thumbprint" in run("pki issue tool/ci --replace").stdout
    listed = {entry["file"]: entry for entry in document(run("pki show --json"))}
    assert listed["tool-ci.crt"]["role"] == "spiffe://wingman/test/tool/ci"
    assert listed["tool-ci.crt"]["thumbprint"] != issued["thumbprint"]
    assert "tool-ci.crt" in run("pki show").stdout


def test_migrate_may_run_again_and_again(run: Run):
    assert run("migrate").stdout == "The database is at this version.\n"


def test_another_database_is_reached_as_it_is_named(run: Run, up: Up, monkeypatch: pytest.MonkeyPatch):
    instance = Instance(up.data_dir)
    with EmbeddedPostgres(instance.postgres, passwords=instance.passwords()) as server:
        access = server.connection("wingman_auditor")
        monkeypatch.setenv("WINGMAN_DATABASE_URL", access.url)
        monkeypatch.setenv("DB_PASSWORD", access.password)
        assert run("audit verify").stdout.startswith("The log is whole")
        monkeypatch.setenv("DB_PASSWORD", "wrong")
        assert run("audit verify", 2).stderr.startswith("SETTING_INVALID: Postgres refuses wingman_auditor: password ")


def test_the_shell_completes_commands(up: Up):
    typed = {"_WINGMAN_COMPLETE": "complete_bash", "COMP_WORDS": "wingman au", "COMP_CWORD": "1"}
    assert wingman(up.data_dir, **typed).stdout.split() == ["audit"]


def test_a_secret_on_a_command_line_is_shown_and_logged_nowhere(run: Run, up: Up, busybox: str):
    secret, name = secrets.token_hex(12), f"cli-{secrets.token_hex(4)}"
    command = (
        f"docker run --name {name} --env DB_PASSWORD={secret} --label token={secret} {busybox} echo --password={secret}"
    )
    said = [run(f"policy explain '{command}'"), run(f"request -t 'Try it' {command}")]
    request_id = said[-1].stdout.split()[-1]
    said += [run(f"{verb} {request_id}") for verb in ("show", "show --json", "approve", "run")]
    said += [run("pending"), run("audit tail"), run(f"request -t 'Look' docker inspect {name}")]
    said += [run(f"run {said[-1].stdout.split()[-1]}"), run("request -t 'List' docker ps --all --no-trunc")]
    said += [run(f"run {said[-1].stdout.split()[-1]}"), run(f"request -t 'Remove' docker rm {name}")]
    removal = said[-1].stdout.split()[-1]
    said += [run(f"approve {removal}"), run(f"run {removal}")]
    told = "".join(result.stdout + result.stderr for result in said)
    assert told.count("[REDACTED sha256:") >= 6
    assert "--password=[redacted]" in told, "what the container printed"
    assert secret not in told
    assert secret not in up.text
    logs = list((up.data_dir / "logs").glob("*"))
    assert logs
    for log in logs:
        assert secret not in log.read_text(errors="replace"), log.name
