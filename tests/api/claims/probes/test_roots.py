"""Paths resolve beneath the roots or not at all: links, dots, races, the kernel's own files."""

import ctypes
import os
import shutil
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.api.claims.probes.conftest import Places, as_nobody, in_child
from wingman_api.claims.probes import mounts
from wingman_api.claims.probes.roots import (
    MOST_COMPONENTS,
    MOST_DEPTH,
    MOST_LINKS,
    Absent,
    NotAllowed,
    Root,
    Roots,
    Unreadable,
)

SECRET = b"hunter2-hunter2-hunter2"
PUBLIC = b"nothing to see here at all"
CLONE_NEWNS = 0x20000
DESCRIPTORS = Path("/proc/self/fd")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def _read(roots: Roots, path: str | bytes) -> bytes:
    with roots.find(path) as found, found.opened() as descriptor:
        return os.read(descriptor, 1000)


def _refusal(roots: Roots, path: str | bytes) -> type[Exception] | None:
    try:
        with roots.find(path):
            return None
    except (NotAllowed, Absent, Unreadable) as error:
        return type(error)


@pytest.fixture
def tree(places: Places) -> Places:
    """Files, directories and links of every kind on both sides."""
    inside, outside = places.inside, places.outside
    (outside / "secret").write_bytes(SECRET)
    (outside / "d").mkdir()
    (inside / "file").write_bytes(PUBLIC)
    (inside / "d" / "deep").mkdir(parents=True)
    (inside / "d" / "file").write_bytes(PUBLIC)
    for name, target in {
        "out": outside / "secret",
        "out-relative": "../outside/secret",
        "out-missing": outside / "missing",
        "out-directory": outside,
        "out-through-in": "d/../../outside/secret",
        "in": "file",
        "in-absolute": inside / "d" / "file",
        "in-directory": "d",
        "in-and-up": "d/deep/../file",
        "nowhere": "missing",
        "loop": "loop",
        "to-proc": "/proc/self/environ",
        "chain": "in",
    }.items():
        (inside / name).symlink_to(target)
    return places


INSIDE = ["file", "./file", "d//file", "d/file", "d/../file", "d/deep/../../file", "in", "chain", "in-absolute"]
INSIDE += ["in-directory/file", "in-directory/deep/../file", "in-and-up", "file/"]


@pytest.mark.parametrize("name", INSIDE)
@pytest.mark.parametrize("absolute", [True, False])
def test_what_is_beneath_is_found(tree: Places, name: str, *, absolute: bool):
    path = f"{tree.inside}/{name}" if absolute else name
    assert _read(tree.roots, path) == PUBLIC


@pytest.mark.parametrize(
    "name",
    [
        *("out", "out-relative", "out-missing", "out-directory", "out-directory/secret", "out-directory/missing"),
        *("out-through-in", "../outside/secret", "../inside/file", "d/../../outside/secret", "..", "d/../..", "loop"),
        *("to-proc", "in-directory/../../outside/secret", "out-directory/../inside/file"),
    ],
)
def test_what_leads_out_is_not_allowed_whatever_is_there(tree: Places, name: str):
    assert _refusal(tree.roots, f"{tree.inside}/{name}") is NotAllowed
    assert _refusal(tree.roots, name) is NotAllowed


@pytest.mark.parametrize("path", ["/", "/etc/passwd", "/missing", "//", "/..", "{outside}/secret", "{inside}-not/x"])
def test_what_is_elsewhere_is_not_allowed(tree: Places, path: str):
    assert _refusal(tree.roots, path.format(outside=tree.outside, inside=tree.inside)) is NotAllowed


@pytest.mark.parametrize(
    ("name", "dangling"),
    [
        ("missing", False),
        ("d/missing/file", False),
        ("file/below", False),
        ("file/..", False),
        ("n" * 300, False),
        ("nowhere", True),
        ("nowhere/below", False),
    ],
)
def test_what_is_not_there_is_absent(tree: Places, name: str, *, dangling: bool):
    with pytest.raises(Absent) as absent, tree.roots.find(name):
        pass
    assert absent.value.dangling is dangling


def test_without_roots_nothing_is_allowed(tree: Places):
    nowhere = Roots([], [])
    assert _refusal(nowhere, str(tree.inside / "file")) is NotAllowed
    assert _refusal(nowhere, "file") is NotAllowed


def test_the_root_itself_is_found_and_may_be_spelled_through_its_own_links(tree: Places):
    spelled = tree.outside / "link"
    spelled.symlink_to(tree.inside)
    roots = Roots([Root.at(str(spelled))], [])
    with roots.find(str(spelled)) as found:
        assert stat.S_ISDIR(found.stat.st_mode)
    for path in (f"{spelled}/file", f"{tree.inside}/file", "file", f"{spelled}/in-absolute"):
        assert _read(roots, path) == PUBLIC


def test_a_root_that_becomes_a_link_later_leads_nowhere(tree: Places):
    roots = tree.roots
    tree.inside.rename(tree.inside.with_name("moved"))
    assert _refusal(roots, "file") is NotAllowed
    tree.inside.symlink_to(tree.outside)
    assert _refusal(roots, "secret") is NotAllowed
    tree.inside.unlink()
    tree.inside.mkdir()
    (tree.inside / "file").write_bytes(PUBLIC)
    assert _read(roots, "file") == PUBLIC


def test_a_directory_above_the_root_that_becomes_a_link_leads_nowhere(tree: Places):
    roots = Roots([Root.at(str(tree.inside / "d" / "deep"))], [])
    (tree.inside / "d").rename(tree.inside / "e")
    (tree.outside / "deep").mkdir()
    (tree.inside / "d").symlink_to(tree.outside)
    assert _refusal(roots, str(tree.inside / "d" / "deep")) is NotAllowed


def test_several_roots_lead_into_each_other(tree: Places):
    roots = Roots([Root.at(str(tree.inside / "d")), Root.at(str(tree.outside))], [])
    (tree.inside / "d" / "across").symlink_to(tree.outside / "secret")
    assert _read(roots, "across") == SECRET
    assert _refusal(roots, str(tree.inside / "file")) is NotAllowed


def test_hidden_directories_are_hidden_from_every_side(tree: Places):
    hidden = tree.inside / "d"
    (tree.inside / "to-hidden").symlink_to("d/file")
    roots = Roots([Root.at(str(tree.inside)), Root.at(str(hidden / "deep"))], [str(hidden), "/missing"])
    for path in ("d", "d/file", "d/missing", "in-directory", "to-hidden", "d/../file", str(hidden / "deep")):
        assert _refusal(roots, path) is NotAllowed
    assert _read(roots, "file") == PUBLIC
    with roots.find("") as top, pytest.raises(NotAllowed), top.child(b"d"):
        pass


def test_children_are_found_without_following_links(tree: Places):
    with tree.roots.find("") as top:
        with top.child(b"file") as found, found.opened() as descriptor:
            assert os.read(descriptor, 1000) == PUBLIC
        with top.child(b"out") as found:
            assert stat.S_ISLNK(found.stat.st_mode)
            with pytest.raises(Unreadable), found.opened():
                pass
        with pytest.raises(Absent), top.child(b"missing"):
            pass


@pytest.mark.parametrize(
    "path",
    ["/proc/self/environ", "/proc", "/sys/kernel", "/dev/null", "/dev/pts", "/dev", "/proc/self/root/etc/passwd"],
)
def test_the_kernels_own_files_are_not_allowed_even_beneath_everything(path: str):
    everything = Roots([Root.at("/")], [])
    assert _refusal(everything, path) is NotAllowed
    assert _refusal(everything, "/etc/passwd") is None
    assert _refusal(Roots([Root.at("/proc")], []), path) is NotAllowed


def _mount(kind: str, place: Path) -> None:
    """Mount for this process alone."""
    mount = shutil.which("mount") or "mount"
    assert ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0
    subprocess.run([mount, "--make-rprivate", "/"], check=True)
    subprocess.run([mount, "-t", kind, kind, str(place)], check=True)


@needs_root
@pytest.mark.parametrize("kind", ["proc", "sysfs", "devtmpfs"])
def test_a_kernels_file_system_elsewhere_is_not_allowed(tree: Places, kind: str):
    def mounted() -> str:
        _mount(kind, tree.inside / "d" / "deep")
        with tree.roots.find("d") as found, pytest.raises(NotAllowed), found.child(b"deep"):
            pass
        return str([_refusal(tree.roots, path) for path in ("d/deep", "d/deep/version", "d/deep/null")])

    assert in_child(mounted) == str([NotAllowed] * 3)


@needs_root
def test_an_ordinary_file_system_beneath_is_allowed(tree: Places):
    def mounted() -> str:
        _mount("tmpfs", tree.inside / "d")
        (tree.inside / "d" / "file").write_bytes(b"on it")
        return _read(tree.roots, "d/file").decode()

    assert in_child(mounted) == "on it"


def test_a_mount_that_is_not_listed_is_not_ordinary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    listed = tmp_path / "mountinfo"
    listed.write_text(
        "7 1 0:9 / /x rw shared:1 - fuse.sshfs a b\n8 1 0:9 / /y rw - ext4 a b\n9 1 0:9 / /z rw - fuse a b\n"
    )
    monkeypatch.setattr(mounts, "MOUNTS", listed)
    assert [mounts.is_ordinary(mount) for mount in (7, 8, 9, 10, mounts.UNKNOWN)] == [False, True, False, False, False]


def test_names_are_bytes(tree: Places):
    raw = os.fsencode(tree.inside) + b"/\xff\xfe"
    Path(os.fsdecode(raw)).write_bytes(PUBLIC)
    (tree.inside / "to-raw").symlink_to(os.fsdecode(b"\xff\xfe"))
    assert _read(tree.roots, raw) == PUBLIC
    assert _read(tree.roots, "to-raw") == PUBLIC
    (tree.inside / "ünï\u202e").write_bytes(PUBLIC)
    assert _read(tree.roots, "ünï\u202e") == PUBLIC


def test_chains_depths_and_lengths_have_limits_and_leave_nothing_open(tree: Places):
    previous = "file"
    for number in range(MOST_LINKS + 1):
        (tree.inside / f"l{number}").symlink_to(previous)
        previous = f"l{number}"
    deep = tree.inside / "/".join("d" * MOST_DEPTH)
    deep.mkdir(parents=True)
    (tree.inside / "long").symlink_to("d/../" * 800 + "long2")
    (tree.inside / "long2").symlink_to("d/../" * 800 + "long3")
    (tree.inside / "long3").symlink_to("d/../" * 800 + "file")
    before = len(list(DESCRIPTORS.iterdir()))
    assert _read(tree.roots, f"l{MOST_LINKS - 1}") == PUBLIC
    assert _refusal(tree.roots, f"l{MOST_LINKS}") is NotAllowed
    assert _refusal(tree.roots, str(deep)) is NotAllowed
    assert _read(tree.roots, "long") == PUBLIC
    assert _refusal(tree.roots, "d/../" * MOST_COMPONENTS + "file") is NotAllowed
    assert len(list(DESCRIPTORS.iterdir())) == before


def test_what_this_user_may_not_enter_is_unreadable(tree: Places):
    closed = tree.inside / "closed"
    closed.mkdir()
    (closed / "file").write_bytes(PUBLIC)
    (tree.inside / "d" / "file").chmod(0)
    closed.chmod(0)
    try:
        seen = as_nobody(
            lambda: [
                str(_refusal(tree.roots, "closed")),
                str(_refusal(tree.roots, "closed/file")),
                str(_refusal(tree.roots, "closed/missing")),
                _opens(tree.roots, "closed"),
                _opens(tree.roots, "d/file"),
                str(_refusal(Roots([Root.at(str(closed / "file"))], []), str(closed / "file"))),
                _child(tree.roots, "closed", b"file"),
            ]
        )
    finally:
        closed.chmod(0o755)
    unreadable = str(Unreadable)
    assert seen == [str(None), unreadable, unreadable, "Unreadable", "Unreadable", str(NotAllowed), "Unreadable"]


def _opens(roots: Roots, path: str) -> str:
    try:
        _read(roots, path)
    except Unreadable:
        return "Unreadable"
    return "read"


def _child(roots: Roots, path: str, name: bytes) -> str:
    try:
        with roots.find(path) as found, found.child(name):
            return "found"
    except Unreadable:
        return "Unreadable"


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_pipes_and_sockets_are_found_and_never_opened(tree: Places, kind: str):
    if kind == "pipe":
        os.mkfifo(tree.inside / "special")
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(tree.inside / "special"))
    with tree.roots.find("special") as found, pytest.raises(Unreadable), found.opened():
        pass


@contextmanager
def _swapping(swap: Callable[[], None]) -> Iterator[list[int]]:
    """Swap all the time in a thread; yields how often it did."""
    stop, swaps = threading.Event(), [0]

    def run() -> None:
        while not stop.is_set():
            swap()
            swaps[0] += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield swaps
    finally:
        stop.set()
        thread.join()


def _swapper(tree: Places, name: str, outside: Path) -> Callable[[], None]:
    """Make ``name`` by turns what it was and a link to ``outside``, each put there in one step."""
    place, real, link = tree.inside / name, tree.inside / f"{name}.real", tree.inside / f"{name}.link"
    link.symlink_to(outside)

    def swap() -> None:
        place.rename(real)
        link.rename(place)
        place.rename(link)
        real.rename(place)

    return swap


RACES = {
    "the file": ("file", "secret", "file"),
    "its directory": ("d", "", "d/file"),
    "a directory that is left again": ("d", "d", "d/deep/../../d/file"),
}


@pytest.mark.parametrize(("name", "target", "path"), RACES.values(), ids=RACES.keys())
def test_a_link_swapped_in_meanwhile_never_leads_out(tree: Places, name: str, target: str, path: str):
    (tree.outside / "file").write_bytes(SECRET)
    (tree.outside / "d" / "file").write_bytes(SECRET)
    roots, seen = tree.roots, {"read": 0, "refused": 0}
    with _swapping(_swapper(tree, name, tree.outside / target)) as swaps:
        for _ in range(200_000):
            try:
                assert _read(roots, path) == PUBLIC
                seen["read"] += 1
            except (NotAllowed, Absent):
                seen["refused"] += 1
            if min(swaps[0], *(20 * times for times in seen.values())) >= 4000:
                break
    assert swaps[0] >= 2000
    assert min(seen.values()) > 0, seen


def test_a_directory_moved_out_meanwhile_does_not_take_dots_along(tree: Places):
    moved = tree.outside / "moved"
    (tree.outside / "file").write_bytes(SECRET)
    place = tree.inside / "d" / "deep"

    def swap() -> None:
        place.rename(moved)
        moved.rename(place)

    with _swapping(swap) as swaps:
        tries = 0
        while swaps[0] < 3000 or tries < 3000:
            tries += 1
            with suppress(Absent):
                assert _read(tree.roots, "d/deep/../file") == PUBLIC
