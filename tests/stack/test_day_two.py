"""Backup and restore, and every rotation, on the TEST environment while clients work."""

import json
import re
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
from rich.progress import Progress

from tests.bot.telegram_server.client import Telegram
from tests.bot.telegram_server.wire import Chat, Person
from tests.cli.load import Load, replaced_key, under_load
from tests.cli.running import until
from tests.e2e.test_backup import approves
from tests.e2e.test_telegram import card
from tests.stack.running import BIN, Stack
from wingman_cli.backup.procedures import log_key
from wingman_cli.stack import starting
from wingman_cli.stack.day_two import StackPlace
from wingman_cli.stack.secrets_file import read

CONNECT = "import asyncio,asyncpg,sys; asyncio.run(asyncpg.connect(sys.argv[1], password=sys.stdin.read(), timeout=10))"
VERIFY = ("wingman", "audit", "verify", "--verifier-key", "/run/wingman/checkpoint.vkey", "--json")


def working(stack: Stack) -> AbstractContextManager[Load]:
    """Clients at work."""
    return under_load(stack.api, lambda: stack.instance.api_key_file("operator").read_text().strip())


def unhurt(load: Load, before: int) -> None:
    """Nothing was lost, and work went on before and after."""
    assert load.lost == []
    assert load.done > before > 0


def rotated(stack: Stack, *words: str, stdin: str = "") -> str:
    """Rotate under load."""
    with working(stack) as load:
        load.began.wait(60)
        said = stack.run(BIN / "wingman", "rotate", *words, "--env", "test", stdin=stdin)
        before = load.done
        load.on(60)
    unhurt(load, before)
    return said


async def test_a_backup_under_load_brings_back_what_was_destroyed_with_its_volumes(
    stack: Stack, telegram: Telegram, operators: tuple[Chat, Person], busybox_here: str, tmp_path: Path
):
    chat, alice = operators
    wish = ("request", "--json", "docker", "run", "--detach", "--name", "kept", busybox_here, "sleep", "300")
    pending = json.loads(stack.wingman(*wish))["request"]["id"]
    shown = await card(telegram, chat, pending, "Waits for")
    async with httpx.AsyncClient(base_url=stack.api, trust_env=False) as http:
        claim = await http.post("/log_claim", json={"worker_id": "agent", "claim": "it is done"})
    assert claim.is_success
    backup = tmp_path / "backup.tar"
    with working(stack) as load:
        load.began.wait(60)
        said = stack.make("backup", "ENV=test", f"FILE={backup}")
        before = load.done
        load.on(60)
    unhurt(load, before)
    assert "Backed up" in said
    keys = {path.name: path.read_text() for path in (stack.environment.config / "keys").iterdir()}
    ledger = stack.environment.data / "claims_audit.jsonl"
    claims = ledger.read_text()
    assert "it is done" in claims
    refused = stack.make("restore", "ENV=test", f"FILE={backup}", code=2)
    assert "TEST runs (api, execution-gateway, telegram-bot)" in refused

    stack.compose("down", "--volumes", "--timeout", "5")
    ledger.unlink()
    assert "verified against their signed checkpoint" in stack.make("restore", "ENV=test", f"FILE={backup}")
    stack.make("test-env")

    assert ledger.read_text() == claims
    now = {path.name: path.read_text() for path in (stack.environment.config / "keys").iterdir()}
    assert now == keys, "the database knows the keys that there were: none had to be made"
    listed = json.loads(stack.wingman("pending", "--json"))["pending"]
    assert pending in {each["id"] for each in listed}
    checkpoint = json.loads(stack.inside("api", *VERIFY))
    assert (
        checkpoint["size"]
        >= json.loads(
            stack.run(BIN / "wingman", "backup", "verify", "--quick", "--json", "--env", "test", str(backup))
        )["records"]
    )
    await approves(telegram, alice, chat, shown)
    await card(telegram, chat, pending, "alice approved at")
    stack.wingman("run", pending)
    await card(telegram, chat, pending, "🏁 Finished with exit code 0")
    stack.docker("rm", "--force", "kept")


def test_passwords(stack: Stack):
    old = read(stack.secrets_file)
    assert "5 roles have a new password" in rotated(stack, "passwords")
    new = read(stack.secrets_file)
    names = [name for name in new if name.startswith(("DB_PASSWORD", "POSTGRES_PASSWORD"))]
    assert len(names) == 5
    assert all(new[name] != old[name] for name in names)
    for name, role in (("API", "wingman_api"), ("OWNER", "wingman_owner"), ("AUDITOR", "wingman_auditor")):
        address = f"postgresql://{role}@postgres/wingman_test"
        said = stack.inside("api", "python3", "-c", CONNECT, address, stdin=old[f"DB_PASSWORD_{name}"], code=1)
        assert "password authentication failed" in said
        stack.inside("api", "python3", "-c", CONNECT, address, stdin=new[f"DB_PASSWORD_{name}"])
    assert {key: value for key, value in new.items() if key not in names} == {
        key: value for key, value in old.items() if key not in names
    }, "what people wrote stays"
    stack.compose("stop", "execution-gateway")
    stack.compose("start", "--wait", "execution-gateway")  # which has the migration run again, before it


def test_token_key(stack: Stack):
    old = stack.instance.token_kid()
    assert f"Refused from now on: {old}" in rotated(stack, "token-key", "--overlap", "5s")
    assert stack.inside("execution-gateway", "ls", "/etc/wingman/token-keys").split() == [
        f"{stack.instance.token_kid()}.pem"
    ]
    assert old != stack.instance.token_kid()


def test_certificates(stack: Stack):
    old = {name: (stack.instance.pki / name).read_text() for name in ("ca.crt", "api.crt", "postgres.crt")}
    assert "Certificates of the old CA are refused" in rotated(stack, "certificates")
    for name, text in old.items():
        assert (stack.instance.pki / name).read_text() not in text
    assert (stack.instance.pki / "ca.crt").read_text().count("BEGIN CERTIFICATE") == 1
    for service in ("api", "execution-gateway"):
        assert stack.inside(service, "cat", "/run/wingman/ca.crt") == (stack.instance.pki / "ca.crt").read_text()


def test_api_keys(stack: Stack):
    assert replaced_key(stack.api, lambda *words: stack.inside("api", "wingman", "keys", *words)).lost == []


async def test_bot_token(stack: Stack, telegram: Telegram, operators: tuple[Chat, Person]):
    chat, alice = operators
    old, new = telegram.token, await telegram.revoke()
    stack.environ["BOT_TOKEN"] = new
    try:
        assert "uses the new token" in rotated(stack, "bot-token")
    finally:
        del stack.environ["BOT_TOKEN"]
    text = stack.secrets_file.read_text()
    assert (old in text, new in text) == (False, True)
    await telegram.says(alice, chat, "/status")
    await telegram.message(chat, lambda m: "Wingman is" in m.text, seconds=60)


def drilled(stack: Stack, verb: str, *options: str) -> tuple[int, str]:
    """Run a drill whose stages get this decision; return its exit code and what it printed."""
    words = [BIN / "wingman", "dr", "drill", "--env", "test", *options]
    said = ""
    with subprocess.Popen(
        words, cwd=stack.clone, env=stack.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as drill:
        assert drill.stdout
        for line in drill.stdout:
            said += line
            if "waits for approval of" in line:
                stack.wingman(verb, line.split()[-1])
        return drill.wait(600), said


def test_a_drill_stops_nothing_that_somebody_has_not_signed_off(stack: Stack):
    before = {service: stack.inspected(service)["Id"] for service in ("api", "execution-gateway", "postgres")}
    code, said = drilled(stack, "reject")
    assert (code, "the stage stop is REJECTED: nothing was stopped" in said) == (3, True), said
    assert {service: stack.inspected(service)["Id"] for service in before} == before


def test_a_verification_beside_the_database_tells_how_far_it_is(stack: Stack):
    environment, engine = stack.environment, stack.environ["DOCKER_HOST"]
    database = StackPlace(environment, starting.Stack(environment, stack.environ, engine=engine, tell=print)).database()
    with Progress(disable=True) as progress:
        database.goes_on_from("", log_key(stack.instance), progress)
        (task,) = progress.tasks
    assert 0 < task.completed <= (task.total or 0)


def test_an_outcome_that_nobody_knows_is_settled_from_the_host(stack: Stack, busybox_here: str):
    """The gateway publishes no port: a person's word goes through the API's container, and no key with it."""
    stack.docker("run", "--detach", "--name", "lost", busybox_here, "sleep", "300")
    wish = ("--as", "worker", "request", "--json", "docker", "exec", "lost", "sleep", "60")
    pending = json.loads(stack.wingman(*wish))["request"]["id"]
    stack.wingman("approve", pending)
    run = (BIN / "wingman", "--api", stack.api, "--data-dir", str(stack.environment.config), "--as", "operator")
    with subprocess.Popen((*run, "run", pending), cwd=stack.clone, env=stack.environ) as client:
        try:
            until(lambda: "sleep 60" in stack.docker("top", "lost"))
            stack.docker("kill", stack.environment.container("execution-gateway"))
            stack.docker("rm", "--force", "lost")
            stack.compose("start", "execution-gateway")
        finally:
            client.kill()
    (command,) = json.loads(stack.wingman("show", "--json", pending))["commands"]
    execution = command["execution_id"]
    until(lambda: json.loads(stack.wingman("show", "--json", execution))["state"] == "UNKNOWN")
    there = {path.name for path in stack.instance.pki.iterdir()}
    resolve = (BIN / "wingman", "executions", "resolve", "--env", "test", "--outcome", "failed", "--note=-- removed")
    assert "NOT_FOUND: the log has no such execution" in stack.run(*resolve, "--by", "alice", f"exe_{'a' * 26}", code=5)
    assert "who speaks is not said" in stack.run(*resolve, execution, code=2)
    assert "is not a role" in stack.run(*resolve, "--by", "../api", execution, code=2)
    assert f"{execution} is settled as FAILED" in stack.run(*resolve, "--by", "alice", execution)
    assert {path.name for path in stack.instance.pki.iterdir()} == there


def test_status_names_the_container_that_is_not_healthy(stack: Stack):
    stack.compose("stop", "--timeout", "2", "telegram-bot")
    said = stack.run(BIN / "wingman", "status", "--env", "test", code=1)
    assert re.search(r"NOT +containers +telegram-bot exited\n", said), said
    stack.compose("up", "--detach", "--wait", "--no-build", "telegram-bot")
    assert re.search(r"ok +containers +4 healthy\n", stack.run(BIN / "wingman", "status", "--env", "test"))


def report_of(said: str) -> str:
    """The report that a drill names."""
    (path,) = [line.split()[-1].rstrip(".") for line in said.splitlines() if "The report is in" in line]
    return Path(path).read_text()


def test_a_drill_walks_its_stages_and_writes_how_it_went(stack: Stack):
    before = stack.inspected("api")["Id"]
    code, said = drilled(stack, "approve")
    assert code == 0, said
    report = report_of(said)
    assert "Everything came back." in report
    for stage in ("approval of stop", "approval of validate", "backup", "stop", "remove", "cold start", "validate"):
        assert f"| {stage} |" in report
    assert stack.inspected("api")["Id"] != before
    assert "NOT" not in stack.run(BIN / "wingman", "status", "--env", "test")


def volumes(stack: Stack) -> dict[str, str]:
    """The environment's volumes, and the moment that each was made."""
    named = ("database", "journal")
    made = "{{.Name}} {{.CreatedAt}}"
    said = stack.docker("volume", "inspect", "--format", made, *(f"wingman-test_{name}" for name in named))
    return dict(line.split() for line in said.splitlines())


def test_a_drill_that_deletes_the_database_brings_it_back_whole(stack: Stack, busybox_here: str):
    made = volumes(stack)
    wish = ("request", "--json", "docker", "run", "--detach", "--name", "lost", busybox_here, "sleep", "300")
    pending = json.loads(stack.wingman(*wish))["request"]["id"]
    keys = json.loads(stack.inside("api", "wingman", "keys", "list", "--json"))
    before = json.loads(stack.inside("api", *VERIFY))
    log = stack.inside("api", "wingman", "audit", "export")
    assert before["size"] > 0

    code, said = drilled(stack, "approve", "--volumes")
    assert code == 0, said
    report = report_of(said)
    assert "Everything came back." in report
    for stage in ("backup", "remove", "cold start", "validate"):
        assert f"| {stage} |" in report
    asked = json.loads(stack.wingman("show", said.split("remove: waits for approval of ")[1].split()[0], "--json"))
    assert "delete the database" in json.dumps(asked), "who signed it off read what is lost"

    now = volumes(stack)
    assert now.keys() == made.keys()
    assert all(now[name] > made[name] for name in made), "each was deleted"
    after = json.loads(stack.inside("api", *VERIFY))
    assert after["size"] >= before["size"]
    assert stack.inside("api", "wingman", "audit", "export").startswith(log), "record by record, byte by byte"
    known = {
        key["id"]: key["revoked_at"] for key in json.loads(stack.inside("api", "wingman", "keys", "list", "--json"))
    }
    assert known == {key["id"]: key["revoked_at"] for key in keys}
    assert pending in {each["id"] for each in json.loads(stack.wingman("pending", "--json"))["pending"]}
    stack.wingman("cancel", pending)
    assert "NOT" not in stack.run(BIN / "wingman", "status", "--env", "test")
