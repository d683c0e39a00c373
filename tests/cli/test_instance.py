"""The data directory: made once, kept, private, and held by one."""

import fcntl
import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wingman_cli.instance import Instance, Running, copy_policies
from wingman_cli.pki import Authority
from wingman_core.errors import SettingInvalid
from wingman_core.notes import parse_verifier_key

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_the_first_start_makes_everything_and_the_second_changes_nothing(tmp_path: Path):
    instance = Instance(tmp_path / "data")
    assert instance.prepare(now=NOW) is True
    made = contents(instance.directory)
    assert instance.prepare(now=NOW) is False
    assert contents(instance.directory) == made
    assert parse_verifier_key(instance.verifier_key.read_text().strip()).name == instance.origin()
    assert (instance.token_keys / f"{instance.token_kid()}.pem").exists()
    assert (instance.policies / "test.cedar").exists()
    assert len(set(instance.passwords().values())) == len(instance.passwords()) > 3


def test_a_start_that_was_cut_off_goes_on(tmp_path: Path):
    instance = Instance(tmp_path / "data")
    instance.prepare(now=NOW)
    made = contents(instance.directory)
    for name in ("pki/api.key", "secrets/checkpoint.pem", "secrets/db-wingman_api", "secrets/token.pem"):
        (instance.directory / name).unlink()
    instance.prepare(now=NOW)
    after = contents(instance.directory)
    assert set(made) <= set(after)
    assert after["pki/ca.key"] == made["pki/ca.key"]
    assert (instance.token_keys / f"{instance.token_kid()}.pem").exists()


def test_a_replacement_that_was_cut_off_between_key_and_certificate_is_repaired(tmp_path: Path):
    instance = Instance(tmp_path / "data")
    instance.prepare(now=NOW)
    before = (instance.pki / "gateway.crt").read_bytes()
    (instance.pki / "api.key").write_bytes((instance.pki / "gateway.key").read_bytes())
    instance.prepare(now=NOW)
    authority = Authority(instance.pki, "test", now=NOW)
    assert authority.holds("api")
    assert (instance.pki / "gateway.crt").read_bytes() == before


def test_policies_are_copied_whole_also_after_a_copy_that_was_cut_off(tmp_path: Path):
    for pid in (1, os.getpid()):
        (tmp_path / f".policies.{pid}.new" / "cases").mkdir(parents=True)
    copy_policies(tmp_path / "policies")
    assert (tmp_path / "policies" / "test.cedar").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["policies"]


def test_secrets_are_private(tmp_path: Path):
    instance = Instance(tmp_path / "data")
    instance.prepare(now=NOW)
    private = [*(instance.directory / "secrets").iterdir(), *instance.pki.glob("*.key")]
    assert len(private) > 8
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}
    for name in ("secrets", "keys", "pki", "journal", "run", "logs"):
        assert (instance.directory / name).stat().st_mode & 0o777 == 0o700


def test_a_checkpoint_key_of_another_kind_is_refused(tmp_path: Path):
    instance = Instance(tmp_path / "data")
    instance.prepare(now=NOW)
    instance.checkpoint_key.write_bytes(instance.token_key.read_bytes())
    with pytest.raises(SettingInvalid, match="no Ed25519 key"):
        instance.prepare(now=NOW)


def test_one_holds_it_at_a_time_and_the_other_hears_who(tmp_path: Path):
    first, second = Instance(tmp_path), Instance(tmp_path)
    with first.held():
        with pytest.raises(SettingInvalid, match=r"another wingman up runs on"), second.held():
            pytest.fail("two at once")
        first.announce(Running(42, "http://127.0.0.1:1", "127.0.0.1:2"))
        assert second.running() == Running(42, "http://127.0.0.1:1", "127.0.0.1:2")
        with pytest.raises(SettingInvalid, match=r"process 42, API at http://127.0.0.1:1"), second.held():
            pytest.fail("two at once")
    assert second.running() is None
    with second.held():
        assert second.running() is None


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"pid": 1}), json.dumps({"pid": "x", "api": "y"})])
def test_an_announcement_that_cannot_be_read_is_none(tmp_path: Path, text: str):
    instance = Instance(tmp_path)
    instance.lock.parent.mkdir()
    with instance.held():
        instance.lock.write_text(text)
        assert instance.running() is None


def test_what_a_killed_up_announced_is_not_believed(tmp_path: Path):
    instance = Instance(tmp_path)
    with instance.held():
        instance.announce(Running(42, "http://127.0.0.1:1", "127.0.0.1:2"))
        left = instance.lock.read_text()
    instance.lock.write_text(left)
    assert instance.running() is None
    with instance.held():
        assert instance.running() is None, "nor once the next one starts"


def test_who_looks_whether_one_runs_does_not_stop_it_from_starting(tmp_path: Path):
    instance = Instance(tmp_path)
    with instance.held():
        pass
    with instance.lock.open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        timer = threading.Timer(0.1, lambda: fcntl.flock(looking, fcntl.LOCK_UN))
        timer.start()
        with instance.held():
            assert instance.running() is None
        timer.join()
