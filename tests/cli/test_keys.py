"""``wingman keys``: made, listed, rotated and revoked on a running instance."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.cli.running import Run, Up, document, until
from wingman_cli.main import app

pytestmark = pytest.mark.timeout(300)


def _refused(up: Up, key_file: Path) -> bool:
    """Whether the API knows already that a key is revoked."""
    line = ["--data-dir", str(up.data_dir), "--key-file", str(key_file), "pending"]
    return CliRunner().invoke(app, line).exit_code == 3


def test_keys_are_made_listed_and_revoked(run: Run, up: Up, tmp_path: Path):
    made = run("keys create ann --role approver").stdout
    key_id, text = made.split()[1], made.split()[-1]
    assert text.startswith(f"wm_{key_id}_")
    file = tmp_path / "ann.key"
    saved = run(f"keys create ann --role approver --save {file}").stdout
    assert file.read_text().startswith("wm_")
    assert file.read_text() not in saved
    assert file.stat().st_mode & 0o777 == 0o600
    assert run(f"keys create ann --role approver --save {file}", 2).stderr.startswith("SETTING_INVALID")
    service = document(run("keys create bot --role service --speaks-for ann --json"))
    assert service["key"].startswith(f"wm_{service['id']}_")
    listed = {key["id"]: key for key in document(run("keys list --json"))}
    assert listed[service["id"]]["speaks_for"] == ["ann"]
    assert listed[key_id]["revoked_at"] is None
    assert run(f"--key-file {file} pending").exit_code == 0
    second = file.read_text().split("_")[1]
    assert run(f"keys revoke {second}").stdout == f"Key {second} is revoked.\n"
    until(lambda: _refused(up, file), seconds=5)
    assert run(f"--key-file {file} pending", 3).stderr.startswith("KEY_INVALID: ")
    shown = run("keys list").stdout
    assert f"{key_id}  " in shown
    assert f"{service['id']}  bot, service for ann\n  created 20" in shown
    assert re.search(rf"{second}  ann, approver\n  created .* UTC, last used .* UTC, revoked .* UTC\n", shown)
    assert "secret" not in shown


def test_keys_are_rotated_and_end(run: Run, tmp_path: Path):
    old, new = tmp_path / "old.key", tmp_path / "new.key"
    run(f"keys create eve --role auditor --expires 90d --save {old}")
    old_id = old.read_text().split("_")[1]
    assert "which works for 1h more" in run(f"keys rotate {old_id} --save {new}").stdout
    new_id = new.read_text().split("_")[1]
    for file in (old, new):
        run(f"--key-file {file} pending")
    third = document(run(f"keys rotate {old_id} --overlap 0s --expires 7d --json"))
    assert (third["replaces"], third["key"].split("_")[1]) == (old_id, third["id"])
    listed = {key["id"]: key for key in document(run("keys list --json"))}
    created, expires = (datetime.fromisoformat(listed[new_id][name]) for name in ("created_at", "expires_at"))
    assert expires - created == timedelta(days=90)
    assert "UTC, expires 20" in run("keys list").stdout
    assert run(f"keys rotate {old_id}", 3).stderr.startswith("KEY_INVALID: ")
    assert run(f"keys rotate {new_id} --save {new}", 2).stderr.startswith("SETTING_INVALID: ")


def test_who_a_service_speaks_for_can_be_changed(run: Run):
    service = document(run("keys create bot --role service --speaks-for ann --json"))["id"]
    assert run(f"keys speaks-for {service}").stdout == f"Key {service} speaks for ann.\n"
    changed = document(run(f"keys speaks-for {service} --add bob --add carl --remove ann --json"))
    assert changed == {"id": service, "speaks_for": ["bob", "carl"]}
    gone = run(f"keys speaks-for {service} --remove bob --remove carl").stdout
    assert gone == f"Key {service} speaks for nobody.\n"
    worker = document(run("keys create ann --role worker --json"))["id"]
    assert run(f"keys speaks-for {worker} --add bob", 2).stderr.startswith("REQUEST_INVALID: ")
