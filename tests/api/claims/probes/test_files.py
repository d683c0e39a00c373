"""Claims about files: what is told, what is not, and that nothing hangs or leaks."""

import hashlib
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from tests.api.claims.probes.conftest import Places, as_nobody
from wingman_api.claims.probes import files
from wingman_api.claims.probes.files import MOST_BYTES, FileAssertion, look_at_file
from wingman_api.claims.probes.seen import Seen
from wingman_core.assertions import FileChanged, FileContains, FileDigest, FileExists, FileGone

NOW = datetime.now(UTC)
SECRET = "hunter2-hunter2"
NOT_ALLOWED = "It is not beneath a directory where claims may be looked at."


def _look(places: Places, assertion: FileAssertion, now: datetime | None = None) -> Seen:
    return look_at_file(places.roots, assertion, now or datetime.now(UTC), Event())


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _everything(path: str, text: str = SECRET) -> list[FileAssertion]:
    return [
        FileExists(path=path),
        FileGone(path=path),
        FileChanged(path=path, since=NOW - timedelta(days=365)),
        FileContains(path=path, text=text),
        FileDigest(path=path, sha256=_sha(text.encode())),
    ]


@pytest.fixture
def tree(places: Places) -> Places:
    inside = places.inside
    (inside / "file").write_text("alpha\nbeta\n")
    (inside / "empty").write_bytes(b"")
    (inside / "directory").mkdir()
    (inside / "nowhere").symlink_to("missing")
    (inside / "out").symlink_to(places.outside / "secret")
    (places.outside / "secret").write_text(SECRET)
    os.mkfifo(inside / "pipe")
    return places


@pytest.mark.parametrize(
    ("assertion", "outcome"),
    [
        (FileExists(path="file"), "confirmed"),
        (FileExists(path="directory"), "confirmed"),
        (FileExists(path="pipe"), "confirmed"),
        (FileExists(path="missing"), "contradicted"),
        (FileExists(path="nowhere"), "contradicted"),
        (FileGone(path="missing"), "confirmed"),
        (FileGone(path="missing/below"), "confirmed"),
        (FileGone(path="file"), "contradicted"),
        (FileGone(path="nowhere"), "contradicted"),
        (FileContains(path="file", text="alpha\nbeta"), "confirmed"),
        (FileContains(path="file", text="a"), "confirmed"),
        (FileContains(path="file", text="gamma"), "contradicted"),
        (FileContains(path="file", text="Alpha"), "contradicted"),
        (FileContains(path="empty", text="a"), "contradicted"),
        (FileContains(path="missing", text="a"), "contradicted"),
        (FileContains(path="directory", text="a"), "contradicted"),
        (FileContains(path="pipe", text="a"), "unknown"),
        (FileDigest(path="file", sha256=_sha(b"alpha\nbeta\n")), "confirmed"),
        (FileDigest(path="empty", sha256=_sha(b"")), "confirmed"),
        (FileDigest(path="file", sha256=_sha(b"")), "contradicted"),
        (FileDigest(path="directory", sha256=_sha(b"")), "contradicted"),
        (FileDigest(path="pipe", sha256=_sha(b"")), "unknown"),
        (FileChanged(path="file", since=NOW - timedelta(hours=1)), "confirmed"),
        (FileChanged(path="file", since=NOW + timedelta(hours=1)), "contradicted"),
        (FileChanged(path="missing", since=NOW), "contradicted"),
        *((each, "unknown") for each in _everything("out")),
        *((each, "unknown") for each in _everything("../outside/secret")),
        *((each, "unknown") for each in _everything("/etc/passwd")),
    ],
)
def test_what_is_said(tree: Places, assertion: FileAssertion, outcome: str):
    seen = _look(tree, assertion)
    assert seen.outcome == outcome
    assert seen.words.endswith(".")
    assert SECRET not in seen.words


def test_outside_there_is_one_answer_whatever_is_there(tree: Places):
    paths = ["/etc/passwd", "/etc/none", "/proc/1/environ", "/root", str(tree.outside / "secret"), "out", "../outside"]
    (tree.inside / "out-missing").symlink_to("/none/at/all")
    seen = {_look(tree, each) for path in [*paths, "out-missing"] for each in _everything(path)}
    assert seen == {Seen("unknown", NOT_ALLOWED)}


@pytest.mark.parametrize(
    ("modified", "since", "outcome"),
    [
        (-60, -61, "confirmed"),
        (-60, -60, "confirmed"),
        (-60, -59, "contradicted"),
        (3600, -60, "unknown"),
        (10**10, -60, "unknown"),
        (-(10**9), -60, "contradicted"),
    ],
)
def test_times_are_compared_and_one_that_was_set_ahead_is_not_believed(
    tree: Places, modified: int, since: int, outcome: str
):
    base = int(datetime.now(UTC).timestamp())
    os.utime(tree.inside / "file", (base, base + modified))
    claim = FileChanged(path="file", since=datetime.fromtimestamp(base + since, UTC))
    assert _look(tree, claim).outcome == outcome


def test_times_past_all_calendars_are_no_trouble(tree: Places):
    for seconds in (2**33, -(2**31)):
        os.utime(tree.inside / "file", (0, seconds))
        assert _look(tree, FileExists(path="file")).outcome == "confirmed"


def test_a_time_that_no_calendar_holds_is_told_as_the_last_one(tree: Places):
    with tree.roots.find("file") as found:

        class Extreme:
            st_mode, st_size, st_mtime_ns = found.stat.st_mode, 1, 10**30

        words = files._described(files.Found(found.descriptor, Extreme(), 0, frozenset()))  # type: ignore[arg-type]
    assert "9999-12-31" in words


def test_text_is_found_across_pieces_and_not_past_the_cap(tree: Places, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "CHUNK", 10)
    for offset in range(25):
        (tree.inside / "long").write_bytes(b"." * offset + b"needle" + b"." * 20)
        assert _look(tree, FileContains(path="long", text="needle")).outcome == "confirmed"
        assert _look(tree, FileContains(path="long", text="n")).outcome == "confirmed"
    assert _look(tree, FileContains(path="long", text="needles")).outcome == "contradicted"
    monkeypatch.setattr(files, "MOST_BYTES", 20)
    (tree.inside / "long").write_bytes(b"needle" + b"." * 20)
    assert _look(tree, FileContains(path="long", text="needle")).outcome == "confirmed"
    (tree.inside / "long").write_bytes(b"." * 20 + b"needle")
    assert _look(tree, FileContains(path="long", text="needle")).outcome == "unknown"
    assert _look(tree, FileDigest(path="long", sha256=_sha(b"." * 20 + b"needle"))).outcome == "unknown"


def test_a_huge_sparse_file_is_not_read_through(tree: Places):
    with (tree.inside / "huge").open("wb") as file:
        file.truncate(1 << 40)
    assert _look(tree, FileDigest(path="huge", sha256=_sha(b""))).outcome == "unknown"
    assert _look(tree, FileContains(path="huge", text="x")).words == files.TOO_LARGE
    with (tree.inside / "full").open("wb") as file:
        file.truncate(MOST_BYTES)
    assert _look(tree, FileContains(path="full", text="x")).outcome == "contradicted"


def test_it_stops_once_nobody_waits(tree: Places):
    stop = Event()
    stop.set()
    seen = look_at_file(tree.roots, FileContains(path="file", text="alpha"), NOW, stop)
    assert seen.outcome == "unknown"


def test_what_may_not_be_read_is_unknown(tree: Places):
    (tree.inside / "file").chmod(0)
    (tree.inside / "directory" / "below").touch()
    (tree.inside / "directory").chmod(0)
    try:
        outcomes = as_nobody(
            lambda: [
                _look(tree, each).outcome
                for each in (*_everything("file"), *_everything("directory/below"), FileGone(path="directory/none"))
            ]
        )
    finally:
        (tree.inside / "directory").chmod(0o755)
    # That a file is there, and since when, is told by its directory.
    assert outcomes == ["confirmed", "contradicted", "confirmed", "unknown", "unknown", *["unknown"] * 6]


def test_a_read_that_fails_is_unknown(tree: Places, monkeypatch: pytest.MonkeyPatch):
    def broken(_descriptor: int, _size: int) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files.os, "read", broken)
    assert _look(tree, FileContains(path="file", text="x")).outcome == "unknown"


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text("alpha"),
        lambda path: path.unlink(),
        lambda path: path.rename(path.with_name("other")),
        lambda path: path.with_name("other").rename(path),
        lambda path: os.truncate(path, 3),
    ],
    ids=["written", "unlinked", "renamed", "replaced", "truncated"],
)
def test_a_file_that_changes_while_it_is_read_decides_nothing(
    tree: Places, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
):
    (tree.inside / "other").write_text("other")
    read, done = os.read, []

    def changing(descriptor: int, size: int) -> bytes:
        if not done:
            done.append(change(tree.inside / "file"))
        return read(descriptor, size)

    monkeypatch.setattr(files.os, "read", changing)
    assert _look(tree, FileDigest(path="file", sha256=_sha(b"alpha\nbeta\n"))).words == "It changed while it was read."


def test_a_secret_swapped_in_is_never_told_nor_opened(tree: Places):
    """Thousands of swaps of the file for a link to a secret, and of its directory for a link to the secret's."""
    secret = tree.outside / "file"
    secret.write_text(SECRET)
    secret.chmod(0o644)
    os.utime(secret, (1, datetime.now(UTC).timestamp()))  # the next read of it would show as its access time
    stop, swaps = threading.Event(), [0]
    place = tree.inside / "box"
    place.mkdir()
    (place / "file").write_text("nothing")
    (tree.inside / "link").symlink_to(tree.outside)

    def swap() -> None:
        while not stop.is_set():
            place.rename(tree.inside / "aside")
            (tree.inside / "link").rename(place)
            place.rename(tree.inside / "link")
            (tree.inside / "aside").rename(place)
            swaps[0] += 1

    thread = threading.Thread(target=swap)
    thread.start()
    outcomes = set()
    try:
        while swaps[0] < 3000:
            outcomes |= {_look(tree, FileContains(path="box/file", text="hunter2")).outcome}
            outcomes |= {_look(tree, FileDigest(path="box/file", sha256=_sha(SECRET.encode()))).outcome}
    finally:
        stop.set()
        thread.join()
    assert "confirmed" not in outcomes
    assert secret.stat().st_atime == 1
