"""The journal keeps what the log cannot take, whole, in order, for one owner."""

import os
from pathlib import Path

import pytest

from wingman_core.errors import LogCorrupt, SettingInvalid
from wingman_gateway.journal import Journal


def test_outcomes_come_back_in_the_order_they_were_kept_also_after_a_restart(tmp_path: Path):
    with Journal(tmp_path / "journal") as journal:
        assert journal.empty()
        for number in range(12):
            journal.keep(b"record %d" % number)
        assert not journal.empty()
    with Journal(tmp_path / "journal") as journal:
        journal.keep(b"record 12")
        kept = list(journal.kept())
    assert [data for _, data in kept] == [b"record %d" % number for number in range(13)]


def test_a_dropped_outcome_is_gone_and_its_number_is_not_used_again(tmp_path: Path):
    with Journal(tmp_path) as journal:
        journal.keep(b"first")
        journal.keep(b"second")
        (number, _), _ = journal.kept()
        journal.drop(number)
        journal.keep(b"third")
        assert [data for _, data in journal.kept()] == [b"second", b"third"]


def test_an_outcome_that_is_set_aside_stays_on_disk_and_waits_no_more(tmp_path: Path):
    for data in (b"first", b"second"):
        with Journal(tmp_path) as journal:
            journal.keep(data)
            ((number, _),) = journal.kept()
            assert (tmp_path / journal.set_aside(number)).read_bytes() == data
            assert journal.empty()
    assert sorted(path.read_bytes() for path in tmp_path.glob("*.refused")) == [b"first", b"second"]


def test_notes_add_up_and_are_forgotten(tmp_path: Path):
    with Journal(tmp_path) as journal:
        assert journal.notes("exe_a") == {}
        journal.note("exe_a", "exec_id", "1")
        journal.note("exe_a", "image", "2")
        journal.note("exe_b", "exec_id", "3")
    with Journal(tmp_path) as journal:
        assert journal.notes("exe_a") == {"exec_id": "1", "image": "2"}
        journal.forget("exe_a")
        journal.forget("exe_a")
        assert journal.notes("exe_a") == {}
        assert journal.notes("exe_b") == {"exec_id": "3"}


def test_half_written_files_are_dropped(tmp_path: Path):
    (tmp_path / "000000000000.outcome.new").write_bytes(b"half")
    with Journal(tmp_path) as journal:
        assert journal.empty()
        assert not list(tmp_path.glob("*.new"))


def test_what_was_kept_is_fsynced_before_keep_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: list[str] = []
    fsync = os.fsync

    def recording(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    with Journal(tmp_path) as journal:
        monkeypatch.setattr(os, "fsync", recording)
        journal.keep(b"outcome")
        journal.note("exe_a", "exec_id", "1")
    assert synced == ["000000000000.outcome.new", tmp_path.name, "exe_a.notes.new", tmp_path.name]


def test_the_files_are_private(tmp_path: Path):
    with Journal(tmp_path / "journal") as journal:
        journal.keep(b"outcome")
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "journal" / "000000000000.outcome").stat().st_mode & 0o777 == 0o600


def test_a_second_owner_is_refused_until_the_first_is_gone(tmp_path: Path):
    with Journal(tmp_path), pytest.raises(SettingInvalid, match=r"WINGMAN_JOURNAL.*cannot be owned"):
        Journal(tmp_path).open()
    with Journal(tmp_path) as journal:
        assert journal.empty()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingInvalid, match="WINGMAN_JOURNAL"):
        Journal(tmp_path / "file" / "journal").open()


@pytest.mark.parametrize("text", ["{", "[]"])
def test_damaged_notes_are_said_to_be_damaged(tmp_path: Path, text: str):
    with Journal(tmp_path) as journal:
        (tmp_path / "exe_a.notes").write_text(text)
        with pytest.raises(LogCorrupt, match=r"exe_a\.notes is damaged"):
            journal.notes("exe_a")


def test_an_execution_id_is_no_path(tmp_path: Path):
    with Journal(tmp_path) as journal, pytest.raises(LogCorrupt, match="no execution id"):
        journal.note("../exe_a", "key", "value")


def test_a_directory_has_one_identity_for_good_and_no_other_has_it(tmp_path: Path):
    with Journal(tmp_path / "a") as first, Journal(tmp_path / "b") as second:
        identity = first.identity()
        assert first.identity() == identity
        assert second.identity() != identity
    with Journal(tmp_path / "a") as again:
        assert again.identity() == identity
