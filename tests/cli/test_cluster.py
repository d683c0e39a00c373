"""The database's directory: what counts as whole, what is made anew, and whose process is the server."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from wingman_cli.cluster import MARK, SCRAM_ONLY, Cluster, replace_text

CUT_OFF: dict[str, Callable[[Path], object]] = {
    "nothing at all": Path.mkdir,
    "a version": lambda place: write(place / "PG_VERSION", "18"),
    "no version yet": lambda place: write(place / "postgresql.conf", ""),
    "the databases that come with it": lambda place: [
        write(place / "PG_VERSION", "18"),
        write(place / "pg_hba.conf", "local all all trust\n"),
        *(write(place / "base" / name / "PG_VERSION", "18") for name in ("1", "4", "5", "pgsql_tmp")),
    ],
}
WHOLE: dict[str, Callable[[Path], object]] = {
    "with the mark": lambda place: write(place / MARK, ""),
    "with a database of its own": lambda place: write(place / "base" / "16384" / "PG_VERSION", "18"),
    "with passwords asked for": lambda place: write(place / "pg_hba.conf", SCRAM_ONLY),
}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def initialise(place: Path) -> None:
    write(place / "PG_VERSION", "new")


@pytest.mark.parametrize("left", CUT_OFF.values(), ids=CUT_OFF.keys())
def test_what_was_cut_off_is_put_aside_and_made_anew(tmp_path: Path, left: Callable[[Path], object]):
    place = tmp_path / "pg"
    left(place)
    before = {path.name for path in place.iterdir()}
    Cluster(place).make_whole(initialise)
    assert (place / "PG_VERSION").read_text() == "new"
    aside = [path for path in tmp_path.iterdir() if path != place]
    assert [{kept.name for kept in path.iterdir()} for path in aside] == ([before] if before else [])
    Cluster(place).make_whole(lambda _: pytest.fail("it is whole"))


@pytest.mark.parametrize("made", WHOLE.values(), ids=WHOLE.keys())
def test_what_is_whole_stays(tmp_path: Path, made: Callable[[Path], object]):
    place = tmp_path / "pg"
    write(place / "PG_VERSION", "18")
    made(place)
    Cluster(place).make_whole(lambda _: pytest.fail("it is whole"))
    assert (place / MARK).exists()
    assert [path.name for path in tmp_path.iterdir()] == ["pg"]


def test_a_try_that_fails_leaves_nothing_under_the_name(tmp_path: Path):
    (tmp_path / ".pg.older.new").mkdir()

    def fail(place: Path) -> None:
        initialise(place)
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        Cluster(tmp_path / "pg").make_whole(fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "\n", "-42\n/x\n", "x\n", "0\n", "{mine}\n", f"{2**31 - 1}\n"])
def test_a_file_that_names_no_server_is_forgotten(tmp_path: Path, text: str):
    write(tmp_path / "postmaster.pid", text.replace("{mine}", str(os.getpid())))
    cluster = Cluster(tmp_path)
    assert cluster.postmaster() is None
    assert cluster.until_ready(threading.Event()) is False
    cluster.forget_the_dead()
    assert not (tmp_path / "postmaster.pid").exists()


def test_a_server_of_another_directory_is_not_this_ones(tmp_path: Path):
    program = write(tmp_path / "postgres", "")
    program.unlink()
    program.symlink_to(sys.executable)
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    waiting = [program, "-c", "print('up', flush=True); input()"]
    with subprocess.Popen(waiting, cwd=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"up\n"
        for place in (here, elsewhere):
            write(place / "postmaster.pid", f"{server.pid}\n")
        assert Cluster(here).postmaster() == server.pid
        assert Cluster(elsewhere).postmaster() is None
        server.communicate(b"\n")
    assert Cluster(here).postmaster() is None


@pytest.mark.parametrize("text", ["", "[1", "[]", "[{mine}]"])
def test_users_are_counted_also_after_a_write_that_was_cut_off(tmp_path: Path, text: str):
    text = text.replace("{mine}", str(os.getpid()))
    users = write(tmp_path / ".handle_pids.json", text)
    Cluster(tmp_path).forget_the_dead()
    assert users.read_text() == (text if text.endswith("]") else "[]")


def test_a_file_is_replaced_with_its_owner_and_mode(tmp_path: Path):
    file = write(tmp_path / "pg_hba.conf", "local all all trust\n")
    file.chmod(0o640)
    replace_text(file, SCRAM_ONLY)
    assert file.read_text() == SCRAM_ONLY
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["pg_hba.conf"]
